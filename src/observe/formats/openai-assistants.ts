/**
 * Runs of the OpenAI Assistants API. A stream carries the usage twice, in the run and in its steps: only the run's is taken.
 * Adjustment: none. Source: https://platform.openai.com/docs/api-reference/assistants-streaming/events
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { at, count, type JsonObject, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, namedError, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { noBody, openaiSettings, outputTypeOf, requestFacts } from './request.ts'

const runPath = /\/threads\/(?:([^/]+)\/runs(?:\/[^/]+\/submit_tool_outputs)?|runs)\/?$/

const finalStatuses: ReadonlySet<string> = new Set(['completed', 'incomplete', 'failed', 'cancelled', 'expired', 'requires_action'])

export const openaiAssistants: Format = {
  name: 'openai-assistants',
  provider: 'openai',
  wantedKeys: ['usage', 'status', 'error', 'code', 'last_error'],
  claims: (method, path) => method === 'POST' && runPath.test(path),
  recognises: (message, event) => at(message, 'object') === 'thread.run' || event?.startsWith('thread.run') === true,
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const settings = openaiSettings(body)
    return requestFacts({
      operation: 'invoke_agent',
      // Without a stream the answer is a run that has only been queued.
      usageExpected: settings.stream === true,
      ...settings,
      maxTokens: count(body['max_completion_tokens']),
      outputType: outputTypeOf(body['response_format']),
      conversationId: runPath.exec(path)?.[1],
    })
  },
  readResponse(facts, message, event) {
    const body = object(message)
    if (body === undefined) return facts
    if (body['object'] === 'thread.run') return learn(facts, runLesson(body))
    const plain = event === 'error' ? namedError(idText(body['code']) ?? 'error', text(body['message'])) : undefined
    return learn(facts, { error: errorOf(body) ?? plain })
  },
}

function runLesson(run: JsonObject): ResponseFacts {
  const status = text(run['status'])
  const failure = object(run['last_error'])
  return {
    id: idText(run['id']),
    model: text(run['model']),
    finishReasons: status !== undefined && finalStatuses.has(status) ? [status] : undefined,
    ...usageLesson(openaiUsage(run['usage']), run['usage']),
    finished: (status !== undefined && finalStatuses.has(status)) || undefined,
    error: failure === undefined ? undefined : namedError(text(failure['code']) ?? 'error', text(failure['message'])),
  }
}
