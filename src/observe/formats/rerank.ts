/**
 * Rerank. Cohere bills searches, which are no tokens; Voyage, Jina and OpenRouter report `total_tokens`, which is the input.
 * Sources: https://docs.cohere.com/v2/reference/rerank, https://docs.voyageai.com/reference/reranker-api
 */
import { array, at, object, text } from '../../lib/json.ts'
import { cohereUsage } from './cohere-usage.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWith } from './paths.ts'
import { requestFacts } from './request.ts'
import { signatureOf } from './signature.ts'

export const rerank: Format = {
  name: 'rerank',
  // Cohere's API, but spoken by a dozen others at the same path.
  provider: undefined,
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWith(path, '/rerank'),
  recognises: (message) =>
    at(array(at(message, 'results'))?.[0], 'relevance_score') !== undefined ||
    at(array(at(message, 'data'))?.[0], 'relevance_score') !== undefined,
  // Where searches are what is billed, there is no token count to miss.
  readRequest: (json) => requestFacts({ operation: 'rerank', usageExpected: false, model: text(at(json, 'model')) }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const usage = openaiUsage(body['usage'], { totalIsInput: true }) ?? cohereUsage(body['meta'])
    return learn(facts, {
      id: idText(body['id']),
      model: text(body['model']),
      ...usageLesson(usage, body['usage']),
      error: errorOf(body),
      provider: signatureOf(body),
    })
  },
}
