/** OpenAI chat completions, legacy completions, embeddings and models, as api.openai.com answers them. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type Json, type JsonObject, number, strings } from '../../src/lib/json.ts'
import { idFrom } from './numbers.ts'
import {
  type Asked,
  type Incoming,
  jsonScript,
  type Piece,
  type Script,
  sse,
  streamScript,
  tellsUsage,
  textAt,
  understand,
} from './script.ts'

/** Models that somebody else serves in OpenAI's format. */
const elsewhere = /^(grok-|deepseek-|mistral-|sonar)|\//

export function openaiHeaders(asked: Asked): Readonly<Record<string, string>> {
  if (elsewhere.test(asked.model)) return { 'x-request-id': idFrom(asked.random, '', 32, true) }
  return {
    'x-request-id': idFrom(asked.random, 'req_', 32, true),
    'openai-version': '2020-10-01',
    ...{ 'x-ratelimit-limit-tokens': '30000', 'x-ratelimit-remaining-tokens': '29500', 'x-ratelimit-reset-tokens': '1s' },
    'openai-processing-ms': String(100 + Math.floor(asked.random() * 900)),
  }
}

const errorTypes: Readonly<Record<number, readonly [type: string, code: string | null, message: string]>> = {
  400: ['invalid_request_error', null, 'The request is invalid.'],
  401: ['invalid_request_error', 'invalid_api_key', 'Incorrect API key provided: sk-***.'],
  404: ['invalid_request_error', 'model_not_found', 'The model does not exist or you do not have access to it.'],
  429: ['rate_limit_exceeded', 'rate_limit_exceeded', 'Rate limit reached for requests per minute. Please try again in 20s.'],
}

export function openaiError(status: number, message?: string, param: string | null = null): Script {
  const [type, code, text] = errorTypes[status] ?? [
    'server_error',
    null,
    'The server had an error while processing your request. Sorry about that!',
  ]
  return jsonScript(undefined, undefined, { error: { message: message ?? text, type, param, code } }, { status })
}

/** Usage in the spelling of chat, completions and embeddings, and what a reader gets out of it. */
function usageOf({ counts }: Asked): { readonly wire: JsonObject; readonly usage: Usage } {
  const totalTokens = counts.input + counts.output
  return {
    wire: {
      prompt_tokens: counts.input,
      completion_tokens: counts.output,
      total_tokens: totalTokens,
      prompt_tokens_details: { cached_tokens: counts.cacheRead, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: counts.reasoning,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    },
    usage: {
      inputTokens: counts.input,
      outputTokens: counts.output,
      cacheReadTokens: counts.cacheRead,
      reasoningTokens: counts.reasoning,
      totalTokens,
    },
  }
}

/** An alias answers with the dated model behind it; names of other vendors come back as asked. */
function answeringModel(model: string): string {
  return /^gpt-[\w.]+(-mini)?$/.test(model) ? `${model}-2026-03-11` : model
}

/** Whether a stream tells its usage: only when asked to, as OpenAI has it. */
function usageAsked(asked: Asked): boolean {
  return at(asked.body, 'stream_options', 'include_usage') === true && tellsUsage(asked)
}

/** What OpenAI refuses before it answers. */
function refusal({ body, behaviour, streamed }: Asked): Script | undefined {
  if (behaviour.kind === 'error') return openaiError(behaviour.status)
  if (behaviour.kind === 'broken' && !streamed) return openaiError(500)
  const streamOptions = at(body, 'stream_options') ?? null
  if (streamOptions === null) return undefined
  if (behaviour.kind === 'strict') return openaiError(400, 'Unrecognized request argument supplied: stream_options')
  return streamed
    ? undefined
    : openaiError(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'stream_options')
}

const failure: readonly Piece[] = [
  {
    text: sse({
      error: {
        message: 'The server had an error while processing your request. Sorry about that!',
        type: 'server_error',
        param: null,
        code: null,
      },
    }),
  },
]

/** The frame that is the same in every chunk, and the pieces of a stream made of it. */
interface Chunks {
  readonly head: JsonObject
  readonly deltas: readonly Json[]
}

function chunkPieces(asked: Asked, { head, deltas }: Chunks): readonly Piece[] {
  const asksUsage = usageAsked(asked)
  const { wire, usage } = usageOf(asked)
  const obfuscated = at(asked.body, 'stream_options', 'include_obfuscation') !== false
  const pieces = deltas.map((choice): Piece => {
    const padding = obfuscated ? { obfuscation: idFrom(asked.random, '', 3 + Math.floor(asked.random() * 9)) } : {}
    return { text: sse({ ...head, choices: [choice], ...(asksUsage ? { usage: null } : {}), ...padding }) }
  })
  const last = asksUsage ? [{ text: sse({ ...head, choices: [], usage: wire }), usage }] : []
  return [...pieces, ...last, { text: 'data: [DONE]\n\n' }]
}

export function chat(incoming: Incoming): Script {
  const { body } = incoming
  const maxTokens = at(body, 'max_completion_tokens') ?? at(body, 'max_tokens')
  const asked = understand(incoming, {
    model: textAt(body, 'model'),
    streamed: at(body, 'stream') === true,
    prompt: at(body, 'messages'),
    maxTokens,
  })
  const refused = refusal(asked)
  if (refused !== undefined) return refused
  const id = idFrom(asked.random, 'chatcmpl-', 29)
  const object = asked.streamed ? 'chat.completion.chunk' : 'chat.completion'
  const head = {
    id,
    object,
    created: asked.now,
    model: answeringModel(asked.model),
    service_tier: 'default',
    system_fingerprint: idFrom(asked.random, 'fp_', 10, true),
  }
  const choices = Array.from({ length: Math.min(4, number(at(body, 'n')) ?? 1) }, (_, index) => index)
  const finish = asked.counts.limited ? 'length' : 'stop'
  if (asked.streamed) {
    const delta = (index: number, content: Json, reason: string | null = null): Json => ({
      index,
      delta: content,
      logprobs: null,
      finish_reason: reason,
    })
    const deltas = [
      ...choices.map((index) => delta(index, { role: 'assistant', content: '', refusal: null })),
      ...asked.words.flatMap((content) => choices.map((index) => delta(index, { content }))),
      ...choices.map((index) => delta(index, {}, finish)),
    ]
    return streamScript(asked, id, chunkPieces(asked, { head, deltas }), failure, openaiHeaders(asked))
  }
  const message = { role: 'assistant', content: asked.words.join(''), refusal: null, annotations: [] }
  const whole = choices.map((index) => ({ index, message, logprobs: null, finish_reason: finish }))
  return wholeScript(asked, id, { ...head, choices: whole })
}

export function completions(incoming: Incoming): Script {
  const { body } = incoming
  const places = {
    model: textAt(body, 'model'),
    streamed: at(body, 'stream') === true,
    prompt: at(body, 'prompt'),
    maxTokens: at(body, 'max_tokens'),
  }
  const asked = understand(incoming, places)
  const refused = refusal(asked)
  if (refused !== undefined) return refused
  const id = idFrom(asked.random, 'cmpl-', 29)
  const head = { id, object: 'text_completion', created: asked.now, model: answeringModel(asked.model) }
  const choice = (text: string, reason: string | null): Json => ({ text, index: 0, logprobs: null, finish_reason: reason })
  const finish = asked.counts.limited ? 'length' : 'stop'
  if (!asked.streamed) return wholeScript(asked, id, { ...head, choices: [choice(asked.words.join(''), finish)] })
  const deltas = [...asked.words.map((word) => choice(word, null)), choice('', finish)]
  return streamScript(asked, id, chunkPieces(asked, { head, deltas }), failure, openaiHeaders(asked))
}

function wholeScript(asked: Asked, id: string, body: JsonObject): Script {
  const { wire, usage } = usageOf(asked)
  const headers = { 'content-type': 'application/json', ...openaiHeaders(asked) }
  return tellsUsage(asked) ? jsonScript(asked, id, { ...body, usage: wire }, { usage, headers }) : jsonScript(asked, id, body, { headers })
}

export function embeddings(incoming: Incoming): Script {
  const { body } = incoming
  const input = at(body, 'input')
  const asked = understand(incoming, { model: textAt(body, 'model'), streamed: false, prompt: input, maxTokens: undefined })
  const refused = refusal(asked)
  if (refused !== undefined) return refused
  const texts = strings(input) ?? ['']
  const dimensions = number(at(body, 'dimensions')) ?? 8
  const data = texts.map((_, index) => {
    const vector = Float32Array.from({ length: dimensions }, () => asked.random() * 2 - 1)
    // The official client asks for base64 unless told otherwise.
    const embedding = at(body, 'encoding_format') === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector]
    return { object: 'embedding', index, embedding }
  })
  const { input: tokens } = asked.counts
  const answer = { object: 'list', data, model: asked.model }
  if (!tellsUsage(asked)) return jsonScript(asked, undefined, answer)
  const usage = { inputTokens: tokens, totalTokens: tokens }
  return jsonScript(asked, undefined, { ...answer, usage: { prompt_tokens: tokens, total_tokens: tokens } }, { usage })
}

export function models(incoming: Incoming): Script {
  const data = [
    'gpt-4o',
    'gpt-5',
    'anthropic/claude-sonnet-5.5',
    'mistral/mistral-large',
    'deepseek/deepseek-reasoner',
    'text-embedding-3-small',
  ].map((id) => ({
    id,
    object: 'model',
    created: incoming.now,
    owned_by: id.split('/')[1] === undefined ? 'openai' : (id.split('/')[0] ?? 'openai'),
  }))
  return jsonScript(undefined, undefined, { object: 'list', data })
}
