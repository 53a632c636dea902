/**
 * Cohere Embed, Classify and Generate. Adjustment: none; see `cohere-usage.ts`.
 * Sources: https://docs.cohere.com/v2/reference/embed, https://docs.cohere.com/v1/reference/generate
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { array, at, boolean, count, type Json, number, object, text } from '../../lib/json.ts'
import { cohereUsage } from './cohere-usage.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, withFinish } from './learn.ts'
import { endsWith, endsWithAny } from './paths.ts'
import { noBody, requestFacts } from './request.ts'

export const cohereEmbed: Format = {
  name: 'cohere-embed',
  provider: 'cohere',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/v1/embed', '/v2/embed', '/cohere/embed', '/v1/classify']),
  recognises: (message) => (text(at(message, 'response_type')) ?? '').startsWith('embeddings_'),
  readRequest: (json, path) =>
    requestFacts({
      operation: endsWith(path, '/classify') ? 'classify' : 'embeddings',
      // Pictures are billed as such.
      usageExpected: at(json, 'images') === undefined,
      model: text(at(json, 'model')),
    }),
  readResponse: readCohere,
}

export const cohereGenerate: Format = {
  name: 'cohere-generate',
  provider: 'cohere',
  wantedKeys: ['finish_reason', 'response', 'meta', 'error'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/v1/generate', '/v1/summarize', '/cohere/generate']),
  recognises: (message) => array(at(message, 'generations')) !== undefined || array(at(message, 'response', 'generations')) !== undefined,
  readRequest(json) {
    const body = object(json) ?? noBody
    const choices = count(body['num_generations'])
    return requestFacts({
      operation: 'text_completion',
      usageExpected: true,
      model: text(body['model']),
      stream: boolean(body['stream']),
      maxTokens: count(body['max_tokens']),
      temperature: number(body['temperature']),
      topP: number(body['p']),
      topK: number(body['k']),
      choiceCount: choices === 1 ? undefined : choices,
    })
  },
  readResponse: readCohere,
}

function readCohere(facts: ResponseFacts, message: Json): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  const whole = object(body['response']) ?? body
  let reasons = facts.finishReasons
  array(whole['generations'])?.forEach((generation, index) => {
    const reason = text(at(generation, 'finish_reason'))
    if (reason !== undefined) reasons = withFinish(reasons, index, reason)
  })
  return learn(facts, {
    id: idText(whole['id']),
    finishReasons: reasons,
    usage: cohereUsage(whole['meta']),
    finished: body['is_finished'] === true || undefined,
    error: errorOf(body),
  })
}
