/**
 * Hugging Face Text Generation Inference's own API, also as Hugging Face's Inference API serves it at a model's path, together with every
 * other task (embeddings, classification, images), which report nothing.
 * Adjustment: input is `input_length`, else as many as `prefill` lists; nothing where neither is there.
 * Source: https://huggingface.github.io/text-generation-inference/ (StreamDetails, Details)
 */
import type { RequestFacts, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, boolean, count, type Json, type JsonObject, number, object, string, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { addedUsage, errorOf, learn, namedError, usageOf } from './learn.ts'
import { decoded, endsWithAny } from './paths.ts'
import { noBody, requestFacts } from './request.ts'

const generatePaths = ['/generate', '/generate_stream']
/** Azure has OpenAI's paths below `/models`. */
const modelPath =
  /\/(?:models(?!\/(?:chat\/|embeddings|images\/|completions|info\b))|pipeline\/([a-z-]+))\/([^/:]+(?:\/[^/:]+)?)(?:\/pipeline\/([a-z-]+))?\/?$/

/** Tasks of the Inference API by the names of the conventions; the others write no text that is counted. */
const tasks: Readonly<Record<string, string>> = {
  'text-generation': 'text_completion',
  'text2text-generation': 'text_completion',
  conversational: 'chat',
  'feature-extraction': 'embeddings',
  'sentence-similarity': 'embeddings',
  'text-to-image': 'image_generation',
  'text-to-speech': 'speech',
  'text-to-video': 'video_generation',
  'automatic-speech-recognition': 'transcription',
  translation: 'translation',
}

export const tgi: Format = {
  name: 'tgi',
  provider: 'tgi',
  wantedKeys: ['details', 'error', 'error_type'],
  claims: (method, path) => method === 'POST' && (endsWithAny(path, generatePaths) || modelPath.test(decoded(path))),
  isHint: (path) => endsWithAny(path, generatePaths),
  recognises: (message) => {
    const body = object(message) ?? object(array(message)?.[0])
    if (body === undefined) return false
    const isToken = object(body['token']) !== undefined && 'generated_text' in body
    return (
      isToken ||
      text(body['error_type']) !== undefined ||
      (string(body['generated_text']) !== undefined && Object.keys(body).every((key) => ownKeys.has(key)))
    )
  },
  readRequest,
  readResponse(facts, message) {
    const all = (array(message) ?? [message]).slice(0, 128).map(object)
    const lessons = all.flatMap((one) => (one === undefined ? [] : [lessonOf(one)]))
    const usage = lessons.reduce<Usage | undefined>((sum, one) => (one.usage === undefined ? sum : addedUsage(sum, one.usage)), undefined)
    const reasons = lessons.flatMap((one) => one.finishReasons ?? [])
    return learn(facts, {
      usage,
      finishReasons: reasons.length === 0 ? undefined : reasons,
      finished: reasons.length > 0 ? true : all.some((one) => object(one?.['token']) !== undefined) ? false : undefined,
      error: lessons.find((one) => one.error !== undefined)?.error,
    })
  },
}

const ownKeys: ReadonlySet<string> = new Set(['generated_text', 'details', 'token', 'index', 'top_tokens'])

function lessonOf(body: JsonObject): ResponseFacts {
  const details = object(body['details'])
  const reason = text(details?.['finish_reason'])
  const kind = text(body['error_type'])
  return {
    finishReasons: reason === undefined ? undefined : [reason],
    usage: usageOf({
      inputTokens: count(details?.['input_length']) ?? listed(details?.['prefill']),
      outputTokens: count(details?.['generated_tokens']),
    }),
    error: kind === undefined ? errorOf(body) : namedError(kind, text(body['error'])),
  }
}

/** An empty list is what servers send that were not asked for it. */
function listed(prefill: Json | undefined): number | undefined {
  const length = array(prefill)?.length
  return length === 0 ? undefined : length
}

function readRequest(json: Json | undefined, path: string): RequestFacts {
  const body = object(json) ?? noBody
  const parameters = object(body['parameters']) ?? noBody
  const found = modelPath.exec(decoded(path))
  const task = found?.[1] ?? found?.[3]
  const operation = task === undefined ? 'text_completion' : (tasks[task] ?? 'classify')
  return requestFacts({
    operation,
    // A body has counts where `details` were asked for, a stream always; other tasks report nothing.
    usageExpected: operation === 'text_completion' || operation === 'chat',
    usageRequested: boolean(parameters['details']),
    model: found?.[2],
    stream: body['stream'] === true || endsWithAny(path, ['/generate_stream']) || undefined,
    maxTokens: count(parameters['max_new_tokens']),
    temperature: number(parameters['temperature']),
    topP: number(parameters['top_p']),
    topK: number(parameters['top_k']),
    seed: number(parameters['seed']),
  })
}
