/** Anthropic messages, as api.anthropic.com answers them. `input_tokens` leaves the cached tokens out; `usage` comes in two events. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type JsonObject } from '../../src/lib/json.ts'
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

const errorTypes: Readonly<Record<number, readonly [type: string, message: string]>> = {
  400: ['invalid_request_error', 'messages: at least one message is required'],
  401: ['authentication_error', 'invalid x-api-key'],
  404: ['not_found_error', 'model not found'],
  429: ['rate_limit_error', "This request would exceed your organization's rate limit."],
  529: ['overloaded_error', 'Overloaded'],
}

export function anthropicError(status: number): Script {
  const [type, message] = errorTypes[status] ?? ['api_error', 'Internal server error']
  return jsonScript(undefined, undefined, { type: 'error', error: { type, message }, request_id: null }, { status })
}

export function messages(incoming: Incoming): Script {
  const { body } = incoming
  const places = {
    model: textAt(body, 'model'),
    streamed: at(body, 'stream') === true,
    prompt: at(body, 'messages'),
    maxTokens: at(body, 'max_tokens'),
  }
  const asked = understand(incoming, places)
  if (asked.behaviour.kind === 'error') return anthropicError(asked.behaviour.status)
  if (asked.behaviour.kind === 'broken' && !asked.streamed) return anthropicError(500)
  const id = idFrom(asked.random, 'msg_01', 22)
  const headers = { 'request-id': idFrom(asked.random, 'req_011', 21) }
  const { begin, end, final } = usageOf(asked)
  const head = { id, type: 'message', role: 'assistant', model: asked.model }
  const stop = { stop_reason: asked.counts.limited ? 'max_tokens' : 'end_turn', stop_sequence: null }
  if (asked.streamed) {
    const start = { ...head, content: [], stop_reason: null, stop_sequence: null, ...told(asked, { usage: begin.wire }) }
    return streamScript(asked, id, eventsOf(asked, start, stop, begin.usage, end, final), overloaded, headers)
  }
  const whole = {
    ...head,
    content: [{ type: 'text', text: asked.words.join('') }],
    ...stop,
    ...told(asked, { usage: { ...begin.wire, ...end } }),
  }
  const usage = tellsUsage(asked) ? final : undefined
  return jsonScript(asked, id, whole, { usage, headers: { 'content-type': 'application/json', ...headers } })
}

const overloaded: readonly Piece[] = [{ text: sse({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'error') }]

const told = (asked: Asked, fields: JsonObject): JsonObject => (tellsUsage(asked) ? fields : {})

/** The usage of `message_start` (one output token so far), of `message_delta` (the whole output), and what a reader has at the end. */
function usageOf({ counts }: Asked): { begin: { wire: JsonObject; usage: Usage }; end: JsonObject; final: Usage } {
  const soFar = Math.min(1, counts.output)
  const cached = { cacheReadTokens: counts.cacheRead, cacheWriteTokens: counts.cacheWrite }
  return {
    begin: {
      wire: {
        input_tokens: counts.input - counts.cacheRead - counts.cacheWrite,
        cache_creation_input_tokens: counts.cacheWrite,
        cache_read_input_tokens: counts.cacheRead,
        cache_creation: { ephemeral_5m_input_tokens: counts.cacheWrite, ephemeral_1h_input_tokens: 0 },
        output_tokens: soFar,
        service_tier: 'standard',
      },
      usage: { inputTokens: counts.input, outputTokens: soFar, ...cached },
    },
    end: { output_tokens: counts.output },
    final: { inputTokens: counts.input, outputTokens: counts.output, ...cached },
  }
}

function eventsOf(asked: Asked, start: JsonObject, stop: JsonObject, begun: Usage, end: JsonObject, final: Usage): readonly Piece[] {
  const event = (type: string, fields: JsonObject, usage?: Usage): Piece => ({
    text: sse({ type, ...fields }, type),
    usage: tellsUsage(asked) ? usage : undefined,
  })
  return [
    event('message_start', { message: start }, begun),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', {}),
    ...asked.words.map((text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
    event('content_block_stop', { index: 0 }),
    event('message_delta', { delta: stop, ...told(asked, { usage: end }) }, final),
    event('message_stop', {}),
  ]
}
