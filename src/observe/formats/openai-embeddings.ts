/**
 * Embeddings in OpenAI's shape: OpenAI, Azure, Mistral, OpenRouter, Perplexity, Voyage …
 * Adjustment: a provider that reports `total_tokens` alone (Voyage) means the input.
 * Sources: https://platform.openai.com/docs/api-reference/embeddings, https://docs.voyageai.com/reference/embeddings-api
 */
import { array, at, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { deploymentOf, endsWithAny } from './paths.ts'
import { noBody, requestFacts } from './request.ts'
import { signatureOf } from './signature.ts'

export const openaiEmbeddings: Format = {
  name: 'openai-embeddings',
  provider: 'openai',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/embeddings', '/multimodalembeddings', '/contextualizedembeddings']),
  recognises: (message) => {
    const first = array(at(message, 'data'))?.[0]
    return at(first, 'object') === 'embedding' || at(first, 'embedding') !== undefined
  },
  readRequest(json, path) {
    const body = object(json) ?? noBody
    return requestFacts({ operation: 'embeddings', usageExpected: true, model: text(body['model']) ?? deploymentOf(path) })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    return learn(facts, {
      id: idText(body['id']),
      model: text(body['model']),
      ...usageLesson(openaiUsage(body['usage'], { totalIsInput: true }), body['usage']),
      error: errorOf(body),
      provider: signatureOf(body),
    })
  },
}
