/**
 * APIs that are a path, a mark and a vocabulary: what they count is read by `vocabulary.ts`, and a row says the rest. An API that needs more
 * than that is a file of its own.
 */
import type { RequestFacts, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, type JsonObject, object, string, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { addedUsage, errorOf, idText, learn, usageLesson, usageOf } from './learn.ts'
import { decoded } from './paths.ts'
import { readAnyRequest } from './usage-vocabulary.ts'
import { findUsage } from './vocabulary.ts'

/** Where a text stands. */
type Way = readonly string[]

interface Spoken {
  readonly name: string
  readonly provider: string | undefined
  readonly path: RegExp
  /** The path is anybody's. */
  readonly isHint?: true
  /** By the path where it has several. */
  readonly operation: string | ((path: string) => string)
  /** A model that the path names: the expression's first group. */
  readonly modelInPath?: RegExp
  readonly recognises: (body: JsonObject) => boolean
  readonly id?: readonly Way[]
  readonly model?: readonly Way[]
  readonly finish?: readonly Way[]
  /** Besides a finish reason, what ends an answer. */
  readonly ends?: (body: JsonObject) => boolean
  readonly hasNoEnd?: true
  /** Where the words would be misread. */
  readonly usage?: (body: JsonObject) => Usage | undefined
  readonly wantedKeys: readonly string[]
}

/** Operations whose answers report no tokens in these APIs. */
const uncounted: ReadonlySet<string> = new Set(['embeddings', 'image_generation', 'transcription', 'speech', 'rerank', 'classify'])

/** What a model is for, by its name: for APIs that serve all kinds at one path. */
export function operationOfModel(model: string): string {
  if (/embed|bge-(?!reranker)|gte-|e5-|minilm/i.test(model)) return 'embeddings'
  if (/rerank/i.test(model)) return 'rerank'
  if (/whisper|asr|transcri/i.test(model)) return 'transcription'
  if (/tts|melotts|aura-/i.test(model)) return 'speech'
  if (/flux|stable-diffusion|sdxl|dreamshaper|lucid-origin|phoenix|image/i.test(model)) return 'image_generation'
  return /resnet|distilbert|bert-|classif|detr-/i.test(model) ? 'classify' : 'chat'
}

const rows: readonly Spoken[] = [
  {
    // https://github.com/ggml-org/llama.cpp/tree/master/tools/server#post-completion-given-a-prompt-it-returns-the-predicted-completion
    name: 'llamacpp-completion',
    provider: 'llama.cpp',
    path: /\/(completion|infill)\/?$/,
    isHint: true,
    operation: 'text_completion',
    recognises: (body) => count(body['tokens_predicted']) !== undefined || (string(body['content']) !== undefined && 'id_slot' in body),
    model: [['model']],
    finish: [['stop_type']],
    ends: (body) => body['stop'] === true,
    // `tokens_cached` is the length of the context afterwards; what was read from the cache stands in the timings.
    usage: (body) =>
      usageOf({
        inputTokens: count(body['tokens_evaluated']),
        outputTokens: count(body['tokens_predicted']),
        cacheReadTokens: count(at(body, 'timings', 'cache_n')),
      }),
    wantedKeys: ['tokens_predicted', 'tokens_evaluated', 'error', 'stop_type'],
  },
  {
    // https://docs.sglang.ai/basic_usage/native_api.html
    name: 'sglang-generate',
    provider: 'sglang',
    path: /\/generate\/?$/,
    isHint: true,
    operation: 'text_completion',
    recognises: (body) => object(body['meta_info']) !== undefined,
    id: [['meta_info', 'id']],
    finish: [
      ['meta_info', 'finish_reason', 'type'],
      ['meta_info', 'finish_reason'],
    ],
    wantedKeys: ['meta_info', 'error'],
  },
  {
    // https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/, …/get-started/rest-api/
    name: 'workers-ai',
    provider: 'cloudflare',
    path: /\/(?:ai\/run|workers-ai)\/@(?:cf|hf)\//,
    operation: (path) => operationOfModel(path.slice(path.indexOf('@'))),
    modelInPath: /\/(@(?:cf|hf)\/.+?)\/?$/,
    recognises: (body) => string(body['response']) !== undefined && ('p' in body || 'usage' in body || 'tool_calls' in body),
    hasNoEnd: true,
    wantedKeys: ['usage', 'errors', 'error'],
  },
  {
    // https://lmstudio.ai/docs/developer/rest
    name: 'lmstudio-chat',
    provider: 'lmstudio',
    path: /\/api\/v1\/chat\/?$/,
    isHint: true,
    operation: 'chat',
    recognises: (body) =>
      body['type'] === 'chat.end' || (text(body['model_instance_id']) !== undefined && object(body['stats']) !== undefined),
    id: [['result', 'response_id'], ['response_id']],
    model: [['result', 'model_instance_id'], ['model_instance_id']],
    ends: (body) => body['type'] === 'chat.end' || object(body['stats']) !== undefined,
    wantedKeys: ['result', 'stats', 'error', 'model_instance_id'],
  },
  {
    // https://docs.dify.ai/api-reference/chat/send-chat-message
    name: 'dify',
    provider: 'dify',
    path: /\/(chat-messages|completion-messages|workflows\/run)\/?$/,
    operation: (path) => (path.includes('chat-messages') ? 'chat' : path.includes('completion') ? 'text_completion' : 'invoke_workflow'),
    recognises: (body) => text(body['message_id']) !== undefined || text(body['workflow_run_id']) !== undefined,
    id: [['message_id'], ['workflow_run_id']],
    ends: (body) => /^(message_end|workflow_finished)$/.test(text(body['event']) ?? '') || object(body['metadata']) !== undefined,
    wantedKeys: ['metadata', 'usage', 'error', 'code', 'status'],
  },
  {
    // https://www.coze.cn/open/docs/developer_guides/chat_v3
    name: 'coze',
    provider: 'coze',
    path: /\/(v3\/chat|open_api\/v2\/chat)\/?$/,
    isHint: true,
    operation: 'chat',
    recognises: (body) => text(body['conversation_id']) !== undefined && text(body['bot_id']) !== undefined,
    id: [['id']],
    ends: (body) => body['status'] === 'completed',
    wantedKeys: ['usage', 'code', 'last_error', 'error', 'status'],
  },
  {
    // https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion
    name: 'yandexgpt',
    provider: 'yandex',
    path: /\/foundationModels\/v1\/(completion|textEmbedding|chat)\/?$/,
    operation: (path) => (path.includes('textEmbedding') ? 'embeddings' : 'chat'),
    recognises: (body) => array(at(body, 'result', 'alternatives')) !== undefined,
    model: [['result', 'modelVersion']],
    hasNoEnd: true,
    wantedKeys: ['result', 'error'],
  },
  {
    // https://deepinfra.com/docs/inference
    name: 'deepinfra-inference',
    provider: 'deepinfra',
    path: /\/v1\/inference\/[^/]+/,
    isHint: true,
    operation: (path) => operationOfModel(path),
    modelInPath: /\/v1\/inference\/(.+?)\/?$/,
    recognises: (body) => object(body['inference_status']) !== undefined,
    id: [['request_id']],
    hasNoEnd: true,
    wantedKeys: ['inference_status', 'num_input_tokens', 'error', 'results'],
  },
  {
    // https://cloud.baidu.com/doc/WENXINWORKSHOP/s/jlil56u11
    name: 'qianfan',
    provider: 'baidu',
    path: /\/wenxinworkshop\/(chat|completions|embeddings|plugin)\//,
    operation: (path) => (path.includes('/embeddings/') ? 'embeddings' : path.includes('/completions/') ? 'text_completion' : 'chat'),
    modelInPath: /\/wenxinworkshop\/[a-z]+\/([^/]+)/,
    recognises: (body) => string(body['result']) !== undefined && typeof body['is_end'] === 'boolean',
    id: [['id']],
    finish: [['finish_reason']],
    ends: (body) => body['is_end'] === true,
    wantedKeys: ['usage', 'error_code', 'error', 'finish_reason'],
  },
]

function textAt(body: JsonObject, ways: readonly Way[] = []): string | undefined {
  for (const way of ways) {
    const found = idText(at(body, ...way))
    if (found !== undefined) return found
  }
  return undefined
}

function lessonOf(row: Spoken, body: JsonObject): ResponseFacts {
  const found = row.usage === undefined ? findUsage(body) : undefined
  const finish = textAt(body, row.finish)
  const ended = finish !== undefined || row.ends?.(body) === true
  return {
    id: textAt(body, row.id),
    model: textAt(body, row.model),
    finishReasons: finish === undefined || finish === 'none' ? undefined : [finish],
    ...usageLesson(found?.usage ?? row.usage?.(body), found?.raw),
    finished: ended ? true : row.hasNoEnd !== true && row.ends !== undefined && row.recognises(body) ? false : undefined,
    error: errorOf(body),
  }
}

function requestOf(row: Spoken, json: Json | undefined, path: string): RequestFacts {
  const operation = typeof row.operation === 'string' ? row.operation : row.operation(path)
  const named = row.modelInPath?.exec(path)?.[1]
  const known = { operation, usageExpected: !uncounted.has(operation) }
  return readAnyRequest(json, named === undefined ? known : { ...known, model: decoded(named) })
}

/** Prompts in a list are answered by a list: usage is the sum. */
function readList(row: Spoken, facts: ResponseFacts, list: readonly Json[]): ResponseFacts {
  const lessons = list.slice(0, 128).flatMap((one) => {
    const body = object(one)
    return body === undefined ? [] : [lessonOf(row, body)]
  })
  const usage = lessons.reduce<Usage | undefined>((sum, one) => (one.usage === undefined ? sum : addedUsage(sum, one.usage)), undefined)
  const reasons = lessons.flatMap((one) => one.finishReasons ?? [])
  return learn(facts, { ...lessons[0], usage, finishReasons: reasons.length === 0 ? undefined : reasons })
}

export const spokenFormats: readonly Format[] = rows.map((row) => ({
  name: row.name,
  provider: row.provider,
  wantedKeys: row.wantedKeys,
  claims: (method, path) => method === 'POST' && row.path.test(path),
  isHint: () => row.isHint === true,
  ...(row.hasNoEnd === true ? { hasNoEnd: true } : {}),
  recognises: (message) => {
    const body = object(message) ?? object(array(message)?.[0])
    return body !== undefined && row.recognises(body)
  },
  readRequest: (json, path) => requestOf(row, json, path),
  readResponse: (facts, message) => {
    const list = array(message)
    if (list !== undefined) return readList(row, facts, list)
    const body = object(message)
    return body === undefined ? facts : learn(facts, lessonOf(row, body))
  },
}))
