/**
 * Cohere Chat, v1 (lines of JSON, the last holding the whole answer) and v2 (events, `message-end` last).
 * Adjustment: none; see `cohere-usage.ts`. Sources: https://docs.cohere.com/v1/reference/chat, https://docs.cohere.com/v2/reference/chat-stream
 */
import type { RequestFacts, ResponseFacts } from '../../lib/exchange.ts'
import { at, boolean, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import { cohereUsage } from './cohere-usage.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, namedError, usageLesson } from './learn.ts'
import { endsWithAny } from './paths.ts'
import { noBody, outputTypeOf, requestFacts } from './request.ts'

export const cohereChatV1: Format = {
  name: 'cohere-chat-v1',
  provider: 'cohere',
  wantedKeys: ['finish_reason', 'response', 'meta', 'error'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/v1/chat', '/cohere/chat']),
  recognises: (message) =>
    text(at(message, 'event_type')) !== undefined ||
    (text(at(message, 'generation_id')) !== undefined && at(message, 'text') !== undefined),
  readRequest: readChat,
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const whole = object(body['response']) ?? body
    const reason = text(body['finish_reason']) ?? text(whole['finish_reason'])
    return learn(facts, {
      id: idText(whole['generation_id']),
      finishReasons: reason === undefined ? undefined : [reason],
      ...usageLesson(cohereUsage(whole['meta']), undefined),
      finished: reason === undefined && body['is_finished'] !== true ? undefined : true,
      error: reason?.startsWith('ERROR') ? namedError(reason, text(body['error'])) : errorOf(body),
    })
  },
}

const v2Events: ReadonlySet<string> = new Set(['message-start', 'content-start', 'content-delta', 'tool-plan-delta', 'message-end'])

export const cohereChatV2: Format = {
  name: 'cohere-chat-v2',
  provider: 'cohere',
  wantedKeys: ['usage', 'finish_reason', 'error'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/v2/chat']),
  recognises: (message) =>
    v2Events.has(text(at(message, 'type')) ?? '') ||
    (object(at(message, 'message')) !== undefined &&
      text(at(message, 'finish_reason')) !== undefined &&
      at(message, 'usage') !== undefined),
  readRequest: readChat,
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    return learn(facts, v2Lesson(body['type'] === 'message-end' ? (object(body['delta']) ?? noBody) : body, body))
  },
}

/** `end` is a whole answer, or the delta of `message-end`; other events only have the id. */
function v2Lesson(end: JsonObject, body: JsonObject): ResponseFacts {
  const reason = text(end['finish_reason'])
  return {
    id: idText(body['id']),
    finishReasons: reason === undefined ? undefined : [reason],
    ...usageLesson(cohereUsage(end['usage']), end['usage']),
    finished: reason === undefined ? undefined : true,
    error: reason === 'ERROR' ? namedError(reason, text(end['error'])) : errorOf(body),
  }
}

function readChat(json: Json | undefined): RequestFacts {
  const body = object(json) ?? noBody
  return requestFacts({
    operation: 'chat',
    usageExpected: true,
    model: text(body['model']),
    stream: boolean(body['stream']),
    maxTokens: count(body['max_tokens']),
    temperature: number(body['temperature']),
    topP: number(body['p']),
    topK: number(body['k']),
    frequencyPenalty: number(body['frequency_penalty']),
    presencePenalty: number(body['presence_penalty']),
    seed: number(body['seed']),
    outputType: outputTypeOf(body['response_format']),
    conversationId: text(body['conversation_id']),
  })
}
