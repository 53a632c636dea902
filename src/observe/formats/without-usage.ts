/**
 * Requests whose answers never carry usage of their own: stored results read back (their usage was counted when they were made, and
 * counting it again would bill it twice), lists of models, token counts asked for in advance.
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { at, type Json, type JsonObject, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { bedrockMethod, deploymentOf, endsWithAny, googleMethod } from './paths.ts'
import { requestFacts } from './request.ts'

function readIdentity(facts: ResponseFacts, message: Json): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  // Read back with `?stream=true`, a response comes as the events it came as at first.
  const stored = object(body['response']) ?? body
  return learn(facts, { id: idText(stored['id']), model: text(stored['model']), error: errorOf(stored), ...backgroundLesson(stored) })
}

/**
 * A response that was made in the background reports its usage nowhere but here. It is read back again and again: the conclusion counts it once.
 * One that is not stored was streamed to whoever made it, and had its usage there.
 * Source: https://platform.openai.com/docs/guides/background
 */
function backgroundLesson(stored: JsonObject): ResponseFacts {
  const isFinal = /^(completed|incomplete|failed|cancelled)$/.test(text(stored['status']) ?? '')
  if (stored['background'] !== true || stored['store'] === false || !isFinal) return {}
  return { background: true, ...usageLesson(openaiUsage(stored['usage']), stored['usage']), finished: true }
}

const storedPath = /\/(responses|chat\/completions|threads\/[^/]+\/runs|interactions|predictions|videos)\/[^/]+(\/cancel)?\/?$/

export const storedResponses: Format = {
  name: 'stored-response',
  provider: undefined,
  isCertain: true,
  wantedKeys: undefined,
  claims: (method, path) => {
    if (!storedPath.test(path) || endsWithAny(path, countPaths)) return false
    return method === 'GET' || (method === 'POST' && endsWithAny(path, ['/cancel']))
  },
  recognises: () => false,
  readRequest: () => requestFacts({ operation: 'fetch_response', usageExpected: false }),
  readResponse: readIdentity,
}

const modelsPath = /\/(models|foundation-models)(\/[^/:]+){0,3}\/?$|\/api\/(tags|ps)\/?$/

/** Also Ollama's `/api/tags`, `/api/ps` and `/api/show`. */
export const models: Format = {
  name: 'models',
  provider: undefined,
  isCertain: true,
  wantedKeys: undefined,
  claims: (method, path) => (method === 'GET' && modelsPath.test(path)) || (method === 'POST' && endsWithAny(path, ['/api/show'])),
  recognises: () => false,
  readRequest: (json) => requestFacts({ operation: 'list_models', usageExpected: false, model: text(at(json, 'model')) }),
  readResponse: (facts, message) => {
    const body = object(message)
    return body === undefined ? facts : learn(facts, { error: errorOf(body) })
  },
}

const countPaths = [
  '/messages/count_tokens',
  '/responses/input_tokens',
  '/tokenize',
  '/detokenize',
  '/tokenize-text',
  '/tokenization',
  '/tokenizer',
  '/tokenizers/estimate-token-count',
  '/utils/token_counter',
]

function countedModel(path: string): string | undefined {
  const google = googleMethod(path)
  if (google !== undefined && /^(count|compute)Tokens$/.test(google.verb)) return google.model
  // Claude on Vertex AI: a model of that name, and the real one in the body.
  if (google !== undefined && google.model === 'count-tokens' && /^(raw|streamRaw)Predict$/.test(google.verb)) return google.model
  const bedrock = bedrockMethod(path)
  return bedrock?.verb === 'count-tokens' ? bedrock.model : undefined
}

/** The counts in these answers are the answer, not usage: Anthropic, Gemini, Vertex, Bedrock, Cohere, OpenAI, watsonx. */
export const countTokens: Format = {
  name: 'count-tokens',
  provider: undefined,
  isCertain: true,
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && (endsWithAny(path, countPaths) || countedModel(path) !== undefined),
  recognises: () => false,
  readRequest: (json, path) =>
    requestFacts({
      operation: 'count_tokens',
      usageExpected: false,
      model: text(at(json, 'model')) ?? text(at(json, 'model_id')) ?? countedModel(path) ?? deploymentOf(path),
    }),
  readResponse: (facts, message) => {
    const body = object(message)
    return body === undefined ? facts : learn(facts, { error: errorOf(body) })
  },
}
