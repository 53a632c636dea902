/**
 * Answers of which only the usage is understood (`vocabulary.ts`): the last resort, asked where no format recognises the answer. It claims no
 * path, so that nobody else's answer is taken for its own.
 */
import type { RequestFacts } from '../../lib/exchange.ts'
import { at, boolean, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { noBody, pickerOf, requestFacts } from './request.ts'
import { findUsage } from './vocabulary.ts'

/** A batch job carries the sum of what its requests used, read back with each look at it. */
const jobKinds: ReadonlySet<string> = new Set(['batch', 'message_batch'])

export const usageVocabulary: Format = {
  name: 'usage-vocabulary',
  provider: undefined,
  hasNoEnd: true,
  wantedKeys: undefined,
  claims: () => false,
  recognises: (message) => findUsage(message) !== undefined && !jobKinds.has(text(at(message, 'object')) ?? ''),
  readRequest: (json) => readAnyRequest(json, { operation: operationOf(object(json) ?? noBody) }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined || jobKinds.has(text(body['object']) ?? '')) return facts
    const found = findUsage(body)
    return learn(facts, {
      id: idText(body['id']),
      model: text(body['model']),
      ...usageLesson(found?.usage, found?.raw),
      error: errorOf(body),
    })
  },
}

/** By what is asked, where that leaves no doubt. */
function operationOf(body: JsonObject): string {
  return 'messages' in body || 'additional_messages' in body || 'contents' in body ? 'chat' : 'unknown'
}

/** Where APIs keep their settings: at the top, or in one of these objects. */
const holders = ['parameters', 'options', 'config', 'generationConfig', 'completionOptions', 'sampling_params', 'request']
const modelNames = ['model', 'model_id', 'modelId', 'model_name', 'modelName', 'modelUri', 'Model', 'engine']
const maxTokenNames = [
  'max_tokens',
  'max_new_tokens',
  'maxTokens',
  'max_output_tokens',
  'maxOutputTokens',
  'n_predict',
  'maxCompletionTokens',
]

/** A request in nobody's shape in particular: each setting under all its usual names. */
export function readAnyRequest(json: Json | undefined, known: Partial<RequestFacts> & { readonly operation: string }): RequestFacts {
  const body = object(json) ?? noBody
  const pick = pickerOf(body, holders)
  const isStream = text(body['response_mode']) === 'streaming' || undefined
  return requestFacts({
    usageExpected: true,
    model: pick(text, ...modelNames),
    stream: pick(boolean, 'stream', 'Stream') ?? isStream,
    maxTokens: pick(countOrDigits, ...maxTokenNames),
    temperature: pick(number, 'temperature', 'Temperature'),
    topP: pick(number, 'top_p', 'topP', 'TopP'),
    topK: pick(number, 'top_k', 'topK'),
    seed: pick(number, 'seed'),
    ...known,
  })
}

function countOrDigits(value: Json | undefined): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : count(value)
}
