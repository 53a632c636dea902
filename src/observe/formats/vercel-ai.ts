/**
 * The AI SDK's own protocol to Vercel's AI Gateway: a language model's parts as events, and embeddings. The model stands in a header, the
 * provider that answered in the body. Usage is `inputTokens` and its kin, or objects of them since version 3 of the specification.
 * Source: https://github.com/vercel/ai/tree/main/packages/gateway/src
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { array, at, count, type JsonObject, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, namedError, usageLesson, usageOf } from './learn.ts'
import { endsWithAny } from './paths.ts'
import { readAnyRequest } from './usage-vocabulary.ts'
import { findUsage } from './vocabulary.ts'

const operations = [
  ['/ai/language-model', 'chat'],
  ['/ai/embedding-model', 'embeddings'],
  ['/ai/image-model', 'image_generation'],
  ['/ai/video-model', 'video_generation'],
  ['/ai/reranking-model', 'rerank'],
] as const

/** Request headers that name the model, lower-case. */
const modelHeaders = ['ai-language-model-id', 'ai-embedding-model-id', 'ai-model-id']

export const vercelAi: Format = {
  name: 'vercel-ai',
  provider: 'vercel',
  wantedKeys: ['usage', 'error', 'finishReason', 'modelId'],
  claims: (method, path) =>
    method === 'POST' &&
    endsWithAny(
      path,
      operations.map(([suffix]) => suffix),
    ),
  recognises: (message) => {
    if (at(message, 'type') === 'stream-start') return true
    return at(message, 'finishReason') !== undefined && object(at(message, 'usage')) !== undefined
  },
  readRequest: (json, path, headers = {}) => {
    const operation = operations.find(([suffix]) => endsWithAny(path, [suffix]))?.[1] ?? 'chat'
    const name = modelHeaders.find((header) => headers[header] !== undefined)
    const facts = readAnyRequest(json, { operation, usageExpected: operation === 'chat' || operation === 'embeddings' })
    return name === undefined ? facts : { ...facts, model: facts.model ?? (headers[name] as string) }
  },
  readResponse(facts, message) {
    const body = object(message)
    return body === undefined ? facts : learn(facts, lessonOf(body))
  },
}

function lessonOf(body: JsonObject): ResponseFacts {
  const isMetadata = body['type'] === 'response-metadata'
  const reason = text(body['finishReason']) ?? text(at(body, 'finishReason', 'unified'))
  const said = isMetadata ? body : at(body, 'response')
  const tokens = array(body['embeddings']) === undefined ? undefined : count(at(body, 'usage', 'tokens'))
  const usage = tokens === undefined ? findUsage(body)?.usage : usageOf({ inputTokens: tokens })
  const failure = body['type'] === 'error' ? body['error'] : undefined
  const routed = at(body, 'providerMetadata', 'gateway', 'routing')
  return {
    id: text(at(said, 'id')),
    model: text(at(said, 'modelId')),
    finishReasons: reason === undefined ? undefined : [reason],
    ...usageLesson(usage, body['usage'], body),
    finished: reason !== undefined || undefined,
    error: errorOf(body) ?? (failure === undefined ? undefined : namedError('error', text(failure))),
    provider: text(at(routed, 'finalProvider')) ?? text(at(routed, 'resolvedProvider')),
  }
}
