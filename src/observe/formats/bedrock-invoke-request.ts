/**
 * Requests of Bedrock InvokeModel: every vendor spells its settings differently, so each setting is looked for under all its names.
 * Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
 */
import type { RequestFacts } from '../../lib/exchange.ts'
import { at, count, type Json, type JsonObject, number, object } from '../../lib/json.ts'
import { noBody, pickerOf, requestFacts } from './request.ts'

/** Where vendors keep their settings: at the top, or in one of these objects. */
const holders = ['textGenerationConfig', 'inferenceConfig'] as const

export function readInvoke(json: Json | undefined, model: string | undefined, stream: boolean): RequestFacts {
  const body = object(json) ?? noBody
  const pick = pickerOf(body, holders)
  const operation = operationOf(body, model)
  return requestFacts({
    operation,
    usageExpected: operation !== 'image_generation' && operation !== 'rerank',
    model,
    stream: stream || undefined,
    maxTokens: pick(count, 'max_tokens', 'maxTokens', 'max_new_tokens', 'maxTokenCount', 'max_gen_len', 'max_tokens_to_sample'),
    temperature: pick(number, 'temperature'),
    topP: pick(number, 'top_p', 'topP', 'p'),
    topK: pick(number, 'top_k', 'topK', 'k'),
    choiceCount: pick((value) => (count(value) === 1 ? undefined : count(value)), 'num_generations', 'numResults'),
    outputType: operation === 'image_generation' ? 'image' : undefined,
  })
}

/** The model id says it where it can; an imported model or a profile's ARN leaves only the request's shape. */
function operationOf(body: JsonObject, model = ''): string {
  if (/rerank/.test(model) || ('query' in body && 'documents' in body)) return 'rerank'
  if (/embed/.test(model) || 'texts' in body || at(body, 'singleEmbeddingParams') !== undefined) return 'embeddings'
  if (/(^|\.)(stability\.|amazon\.titan-image|amazon\.nova-(canvas|reel))/.test(model) || 'textToImageParams' in body)
    return 'image_generation'
  return 'prompt' in body || 'inputText' in body ? 'text_completion' : 'chat'
}
