/**
 * OpenAI Realtime, and Responses over a WebSocket: one connection carries many responses, and their usage is summed, each response once.
 * The one format in which usage adds up. Input includes cached tokens; no other adjustment.
 * Source: https://platform.openai.com/docs/api-reference/realtime-server-events/response/done
 */
import type { ResponseFacts, Usage } from '../exchange.ts'
import { at, type Json, type JsonObject, object, text } from '../json.ts'
import type { Format } from './format.ts'
import { idText, learn, notUnderstood, sumOfKnown, usageOf } from './learn.ts'
import { eventError } from './openai-responses.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWithAny } from './paths.ts'
import { requestFacts } from './request.ts'

const ends: ReadonlySet<string> = new Set(['response.done', 'response.completed', 'response.incomplete', 'response.failed'])

export const openaiRealtime: Format = {
  name: 'openai-realtime',
  provider: 'openai',
  wantedKeys: ['response', 'session', 'error'],
  claims: (method, path) => method === 'GET' && endsWithAny(path, ['/realtime', '/responses']),
  recognises: (message) => (text(at(message, 'type')) ?? '').startsWith('session.') || ends.has(text(at(message, 'type')) ?? ''),
  readRequest: () => requestFacts({ operation: 'chat', usageExpected: true, stream: true, openaiApiType: 'realtime' }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const type = text(body['type']) ?? ''
    if (type === 'error') return learn(facts, { error: eventError(body) })
    const response = object(body['response'])
    if (response !== undefined && ends.has(type)) return learn(facts, doneLesson(facts, response))
    return learn(facts, {
      id: idText(at(body, 'session', 'id')),
      model: text(at(body, 'session', 'model')),
      // A new response is under way: leaving now cuts it.
      finished: type === 'response.created' ? false : undefined,
    })
  },
}

function doneLesson(facts: ResponseFacts, response: JsonObject): ResponseFacts {
  const usage = openaiUsage(response['usage'])
  const reason = text(at(response, 'status_details', 'reason')) ?? text(response['status'])
  return {
    id: idText(response['id']),
    model: text(response['model']),
    finishReasons: reason === undefined ? undefined : [reason],
    finished: true,
    usage: usage === undefined ? undefined : added(facts.usage, usage),
    usageNotUnderstood: usage === undefined ? notUnderstood(response['usage'] as Json | undefined) : undefined,
  }
}

function added(one: Usage | undefined, other: Usage): Usage | undefined {
  if (one === undefined) return other
  return usageOf({
    inputTokens: sumOfKnown(one.inputTokens, other.inputTokens),
    outputTokens: sumOfKnown(one.outputTokens, other.outputTokens),
    cacheReadTokens: sumOfKnown(one.cacheReadTokens, other.cacheReadTokens),
    cacheWriteTokens: sumOfKnown(one.cacheWriteTokens, other.cacheWriteTokens),
    reasoningTokens: sumOfKnown(one.reasoningTokens, other.reasoningTokens),
    totalTokens: sumOfKnown(one.totalTokens, other.totalTokens),
  })
}
