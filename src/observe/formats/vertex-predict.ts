/**
 * Vertex AI `:predict` with Google's own models (text embeddings, Imagen). Embeddings report a count for each instance.
 * Adjustment: input = the sum over the instances. Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
 */
import { array, at, count, object } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, sumOfKnown, usageOf } from './learn.ts'
import { googleMethod } from './paths.ts'
import { requestFacts } from './request.ts'

const verbs: ReadonlySet<string> = new Set(['predict', 'predictLongRunning'])

export const vertexPredict: Format = {
  name: 'vertex-predict',
  provider: 'gcp.vertex_ai',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && verbs.has(googleMethod(path)?.verb ?? ''),
  recognises: (message) => array(at(message, 'predictions')) !== undefined,
  readRequest(_json, path) {
    const method = googleMethod(path)
    const makesImages = /^(imagen|imagegeneration|veo)/.test(method?.model ?? '')
    return requestFacts({
      operation: makesImages ? 'image_generation' : 'embeddings',
      usageExpected: !makesImages && !/multimodal/.test(method?.model ?? ''),
      model: method?.model,
      outputType: makesImages ? 'image' : undefined,
    })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const counts = (array(body['predictions']) ?? []).map((one) => count(at(one, 'embeddings', 'statistics', 'token_count')))
    return learn(facts, { usage: usageOf({ inputTokens: sumOfKnown(...counts) }), error: errorOf(body) })
  },
}
