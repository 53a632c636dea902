/**
 * Legacy text completions: OpenAI, Azure deployments, vLLM, Together, DeepSeek beta.
 * Adjustment: none; see `openai-usage.ts`. Source: https://platform.openai.com/docs/api-reference/completions
 */
import { array, at, boolean, object, string, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { readCompletion } from './openai-chat.ts'
import { deploymentOf, endsWith, endsWithAny } from './paths.ts'
import { noBody, openaiSettings, requestFacts } from './request.ts'

export const openaiCompletions: Format = {
  name: 'openai-completions',
  provider: 'openai',
  wantedKeys: ['usage', 'finish_reason', 'error', 'code', 'x_groq'],
  claims: (method, path) =>
    method === 'POST' &&
    endsWith(path, '/completions') &&
    !endsWithAny(path, ['/chat/completions', '/agents/completions', '/fim/completions']),
  recognises: (message) => {
    const body = object(message)
    if (body === undefined) return false
    const kind = text(body['object'])
    return kind === 'text_completion' || kind === 'completion.chunk' || string(at(array(body['choices'])?.[0], 'text')) !== undefined
  },
  readRequest(json, path) {
    const body = object(json) ?? noBody
    return requestFacts({
      operation: 'text_completion',
      usageExpected: true,
      ...openaiSettings(body),
      model: text(body['model']) ?? deploymentOf(path),
      usageRequested: boolean(at(body, 'stream_options', 'include_usage')),
    })
  },
  readResponse: readCompletion,
}
