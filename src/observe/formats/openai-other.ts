/**
 * What else is sent with usage as OpenAI counts it: `{id?, model?, usage}`, in bodies that no other format knows, such as those of the
 * decisions API of OpenAI and Perplexity (answers and confidences to a closed question, input tokens alone). Asked last.
 */
import { at, count, type Json, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWithAny } from './paths.ts'
import { openaiSettings, requestFacts } from './request.ts'

const inputCounts = ['input_tokens', 'prompt_tokens'] as const

/** A batch job carries the sum of what its requests used, read back with each look at it. */
const jobKinds: ReadonlySet<string> = new Set(['batch', 'message_batch'])

export const openaiOther: Format = {
  name: 'openai-other',
  provider: undefined,
  hasNoEnd: true,
  wantedKeys: ['usage', 'error'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/v1/decisions']),
  recognises: (message) =>
    inputCounts.some((key) => count(at(message, 'usage', key)) !== undefined) && !jobKinds.has(text(at(message, 'object')) ?? ''),
  readRequest: (json) => requestFacts({ operation: 'unknown', usageExpected: true, ...openaiSettings(object(json) ?? {}) }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const usage = body['usage'] as Json | undefined
    return learn(facts, {
      id: idText(body['id']),
      model: text(body['model']),
      ...usageLesson(openaiUsage(usage), usage),
      error: errorOf(body),
      serviceTier: text(body['service_tier']),
    })
  },
}
