/**
 * Bedrock Converse and ConverseStream, and Nova's own messages, which have the same objects.
 * Adjustment: `inputTokens` leaves cached tokens out; the conventions include them: input + cache read + cache write.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
 */
import type { RequestFacts, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { at, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { learn, namedError, present, sumOfKnown, usageLesson, usageOf } from './learn.ts'
import { bedrockMethod } from './paths.ts'
import { noBody, requestFacts } from './request.ts'

export const bedrockConverse: Format = {
  name: 'bedrock-converse',
  provider: 'aws.bedrock',
  wantedKeys: ['stopReason', 'usage', 'message'],
  claims: (method, path) => method === 'POST' && /^converse(-stream)?$/.test(bedrockMethod(path)?.verb ?? ''),
  recognises: (message, event) =>
    object(at(message, 'output', 'message')) !== undefined ||
    event === 'messageStart' ||
    event === 'contentBlockDelta' ||
    event === 'metadata',
  readRequest(json, path) {
    const method = bedrockMethod(path)
    return readConverse(json, method?.model, method?.verb === 'converse-stream')
  },
  readResponse(facts, message, event) {
    const body = object(message)
    if (body === undefined) return facts
    const begins = event === 'messageStart' ? false : undefined
    return learn(facts, { finished: begins, ...present(converseLesson(body)), error: exceptionOf(body, event) })
  },
}

function readConverse(json: Json | undefined, model: string | undefined, stream: boolean): RequestFacts {
  const config = object(at(json, 'inferenceConfig')) ?? noBody
  return requestFacts({
    operation: 'chat',
    usageExpected: true,
    model,
    stream: stream || undefined,
    maxTokens: count(config['maxTokens']) ?? count(config['max_new_tokens']),
    temperature: number(config['temperature']),
    topP: number(config['topP']) ?? number(config['top_p']),
    topK: number(config['topK']) ?? number(config['top_k']),
  })
}

/** A whole answer, or an event of a stream: `messageStop` has the reason, `metadata` the usage, and only then the answer is whole. */
export function converseLesson(body: JsonObject): ResponseFacts {
  const reason = text(body['stopReason'])
  const raw = body['usage']
  const usage = converseUsage(raw)
  return {
    finishReasons: reason === undefined ? undefined : [reason],
    ...usageLesson(usage, raw),
    finished: usage !== undefined || undefined,
    serviceTier: text(at(body, 'serviceTier', 'type')),
  }
}

/** Converse names the cache counts `cacheReadInputTokens`, Nova and the invocation metrics `cacheReadInputTokenCount`. */
export function converseUsage(value: Json | undefined): Usage | undefined {
  const usage = object(value)
  if (usage === undefined) return undefined
  const input = count(usage['inputTokens']) ?? count(usage['inputTokenCount'])
  const cacheRead = count(usage['cacheReadInputTokens']) ?? count(usage['cacheReadInputTokenCount'])
  const cacheWrite = count(usage['cacheWriteInputTokens']) ?? count(usage['cacheWriteInputTokenCount'])
  return usageOf({
    inputTokens: input === undefined ? undefined : sumOfKnown(input, cacheRead, cacheWrite),
    outputTokens: count(usage['outputTokens']) ?? count(usage['outputTokenCount']),
    cacheReadTokens: cacheRead,
    cacheWriteTokens: cacheWrite,
    totalTokens: count(usage['totalTokens']),
  })
}

/** `throttlingException` and its kin arrive as an event whose only content is a message. */
export function exceptionOf(body: JsonObject, event: string | undefined): ResponseFacts['error'] {
  const named = event !== undefined && /(exception|error)$/i.test(event)
  const message = text(body['message']) ?? text(body['Message'])
  if (named) return namedError(event, message)
  const alone = Object.keys(body).every((key) => key === 'message' || key === 'Message' || key === '__type')
  return message !== undefined && alone ? namedError(text(body['__type']) ?? 'exception', message) : undefined
}
