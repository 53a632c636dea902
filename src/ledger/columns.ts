/** The columns of the ledger's table, in order. The table, its statements and its documentation are made from this. */
import type { Exchange, Opening, RateLimit, SpanLink, Usage } from '../lib/exchange.ts'
import { detailsOf } from './details.ts'
import type { SqlValue } from './row.ts'

interface ColumnEntry {
  readonly name: string
  readonly type: 'TEXT' | 'INTEGER' | 'REAL'
  readonly description: string
}

/** Known when the request starts: it is written then, and a crash leaves it in the file. */
export interface StartColumn extends ColumnEntry {
  readonly ofOpening: (opening: Opening) => SqlValue | undefined
  /** Where the end knows better. */
  readonly ofExchange?: (exchange: Exchange) => SqlValue | undefined
}

/** Known when the request has ended; NULL until then, and when it was not reported. */
export interface EndColumn extends ColumnEntry {
  readonly ofExchange: (exchange: Exchange) => SqlValue | undefined
}

export const startColumns: readonly StartColumn[] = [
  { name: 'id', type: 'TEXT', description: "The sidecar's own id of the request, a UUIDv7: sorts by time.", ofOpening: (o) => o.id },
  {
    name: 'started_at',
    type: 'REAL',
    description: 'When the request arrived, in milliseconds since the epoch, with fraction.',
    ofOpening: (o) => o.startedAt,
  },
  { name: 'trace_id', type: 'TEXT', description: 'W3C trace id of the span.', ofOpening: (o) => o.traceId },
  { name: 'span_id', type: 'TEXT', description: 'W3C span id of the span.', ofOpening: (o) => o.spanId },
  {
    name: 'parent_span_id',
    type: 'TEXT',
    description: "The caller's span, when the caller sent a traceparent.",
    ofOpening: (o) => o.parentSpanId,
  },
  { name: 'method', type: 'TEXT', description: 'HTTP method.', ofOpening: (o) => o.method },
  { name: 'path', type: 'TEXT', description: 'Path as the client sent it, without the query.', ofOpening: (o) => o.path },
  { name: 'route', type: 'TEXT', description: 'Name of the configured route.', ofOpening: (o) => o.route },
  { name: 'server_address', type: 'TEXT', description: 'Host of the upstream.', ofOpening: (o) => o.serverAddress },
  { name: 'server_port', type: 'INTEGER', description: 'Port of the upstream.', ofOpening: (o) => o.serverPort },
  {
    name: 'trace_flags',
    type: 'INTEGER',
    description: "The caller's W3C trace flags; 1 when it sent none.",
    ofOpening: (o) => o.traceFlags,
  },
  { name: 'trace_state', type: 'TEXT', description: "The caller's tracestate.", ofOpening: (o) => o.traceState },
  {
    name: 'link',
    type: 'TEXT',
    description: "The caller's span as a traceparent, where the route links to its callers' traces.",
    ofOpening: (o) => o.link && linkText(o.link),
  },
  {
    name: 'usage_by_caller',
    type: 'INTEGER',
    description: '1 where the caller reports usage itself, so that span and gen_ai metrics do not.',
    ofOpening: (o) => (o.usageByCaller === true ? 1 : undefined),
  },
  {
    name: 'caller',
    type: 'TEXT',
    description: 'Who called: `key:` and ten hex digits, the value of a header, or a verified claim. NULL when no source could tell.',
    ofOpening: (o) => o.caller,
    ofExchange: (e) => e.caller,
  },
]

function rateLimitsText(limits: readonly RateLimit[]): string {
  return JSON.stringify(Object.fromEntries(limits.map(({ kind, ...rest }) => [kind, rest])))
}

function linkText({ traceId, spanId, traceFlags }: SpanLink): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}

const tokenColumn = (name: string, count: keyof Usage, description: string): EndColumn => ({
  name,
  type: 'INTEGER',
  description: `${description} NULL when not reported.`,
  ofExchange: (e) => e.response?.usage?.[count],
})

const iterationColumn = (name: string, count: keyof Usage, what: string): EndColumn => ({
  name,
  type: 'INTEGER',
  description: `${what} added up over the answer's iterations, when that differs from the top-level count (Anthropic compaction).`,
  ofExchange: (e) => e.response?.usageOfIterations?.[count],
})

const json = (list: readonly string[] | undefined): string | undefined =>
  list === undefined || list.length === 0 ? undefined : JSON.stringify(list)

export const endColumns: readonly EndColumn[] = [
  {
    name: 'ended_at',
    type: 'REAL',
    description: 'When the answer had been handed over whole, or was cut, in milliseconds since the epoch. NULL when nobody saw the end.',
    ofExchange: (e) => (e.endUnseen === true ? undefined : e.opening.startedAt + e.ending.endMs),
  },
  {
    name: 'end_reason',
    type: 'TEXT',
    description: 'completed, refused, unreachable, upstream-aborted, client-aborted or sidecar-stopped. NULL while the request is open.',
    ofExchange: (e) => e.endReason,
  },
  {
    name: 'status',
    type: 'INTEGER',
    description: 'Status sent to the client. NULL when none was sent.',
    ofExchange: (e) => e.ending.status,
  },
  {
    name: 'streamed',
    type: 'INTEGER',
    description: '1 when the answer came as a sequence of messages, else 0.',
    ofExchange: (e) => Number(e.ending.streamed),
  },
  {
    name: 'framing',
    type: 'TEXT',
    description: 'sse, ndjson, json-array, eventstream, websocket, whole or none.',
    ofExchange: (e) => e.ending.framing,
  },
  { name: 'format', type: 'TEXT', description: 'Wire format, where one was recognised.', ofExchange: (e) => e.format },
  {
    name: 'operation',
    type: 'TEXT',
    description: 'gen_ai.operation.name. NULL when the request was no inference.',
    ofExchange: (e) => e.operation,
  },
  {
    name: 'provider',
    type: 'TEXT',
    description: 'gen_ai.provider.name. NULL when the request was no inference.',
    ofExchange: (e) => e.provider,
  },
  { name: 'request_model', type: 'TEXT', description: 'Model that the request asked for.', ofExchange: (e) => e.request?.model },
  { name: 'response_model', type: 'TEXT', description: 'Model that answered.', ofExchange: (e) => e.response?.model },
  { name: 'response_id', type: 'TEXT', description: "The provider's id of the answer.", ofExchange: (e) => e.response?.id },
  {
    name: 'finish_reasons',
    type: 'TEXT',
    description: "JSON array, one per choice, in the provider's spelling.",
    ofExchange: (e) => json(e.response?.finishReasons),
  },
  tokenColumn('input_tokens', 'inputTokens', 'Input tokens, cached ones included.'),
  tokenColumn('output_tokens', 'outputTokens', 'Output tokens, reasoning included.'),
  tokenColumn('cache_read_tokens', 'cacheReadTokens', 'Part of the input that was read from a cache.'),
  tokenColumn('cache_write_tokens', 'cacheWriteTokens', 'Part of the input that was written to a cache.'),
  tokenColumn('reasoning_tokens', 'reasoningTokens', 'Part of the output that was reasoning.'),
  tokenColumn('total_tokens', 'totalTokens', "The provider's own total."),
  iterationColumn('iterations_input_tokens', 'inputTokens', 'Input tokens'),
  iterationColumn('iterations_output_tokens', 'outputTokens', 'Output tokens'),
  iterationColumn('iterations_cache_read_tokens', 'cacheReadTokens', 'Cache-read tokens'),
  iterationColumn('iterations_cache_write_tokens', 'cacheWriteTokens', 'Cache-write tokens'),
  {
    name: 'usage_outcome',
    type: 'TEXT',
    description: 'reported, zero, partial, missing or undecodable. NULL when the request carries no usage.',
    ofExchange: (e) => e.usageOutcome,
  },
  { name: 'usage_reason', type: 'TEXT', description: 'Why the outcome is not `reported`.', ofExchange: (e) => e.usageReason },
  {
    name: 'error_type',
    type: 'TEXT',
    description: 'Status of 400 or more, why the upstream was unreachable, or the error reported inside a stream.',
    ofExchange: (e) => e.errorType,
  },
  { name: 'request_bytes', type: 'INTEGER', description: 'Bytes of the request body.', ofExchange: (e) => e.ending.requestBytes },
  {
    name: 'response_bytes',
    type: 'INTEGER',
    description: 'Bytes of the response body as received.',
    ofExchange: (e) => e.ending.responseBytes,
  },
  {
    name: 'request_sent_ms',
    type: 'REAL',
    description: 'Milliseconds until the request, body included, had been handed over to the upstream. NULL when it was not.',
    ofExchange: (e) => e.ending.requestSentMs,
  },
  {
    name: 'response_head_ms',
    type: 'REAL',
    description: 'Milliseconds from the request to the head of the answer. NULL when none came.',
    ofExchange: (e) => e.ending.responseHeadMs,
  },
  {
    name: 'time_to_first_chunk_ms',
    type: 'REAL',
    description: 'Milliseconds from the request to the first bytes of the response body.',
    ofExchange: (e) => e.ending.firstChunkMs,
  },
  {
    name: 'duration_ms',
    type: 'REAL',
    description: 'Milliseconds from the request to the end of the answer. NULL when nobody saw the end.',
    ofExchange: (e) => (e.endUnseen === true ? undefined : e.ending.endMs),
  },
  {
    name: 'content_encoding',
    type: 'TEXT',
    description: 'Content encoding of the answer, when it had one.',
    ofExchange: (e) => e.ending.contentEncoding,
  },
  {
    name: 'drained_bytes',
    type: 'INTEGER',
    description: 'Bytes read on after the client had left (disconnect policy drain). NULL when nothing was drained.',
    ofExchange: (e) => e.ending.drained?.bytes,
  },
  {
    name: 'drained_ms',
    type: 'REAL',
    description: 'How long was read on after the client had left, in milliseconds. NULL when nothing was drained.',
    ofExchange: (e) => e.ending.drained?.ms,
  },
  {
    name: 'notes',
    type: 'TEXT',
    description: 'JSON array of what observation could not do. NULL when there is nothing to note.',
    ofExchange: (e) => json(e.notes),
  },
  {
    name: 'responses',
    type: 'INTEGER',
    description: 'Responses that ended on a WebSocket; usage is their sum. NULL for everything else.',
    ofExchange: (e) => e.response?.responses?.ended,
  },
  {
    name: 'cost',
    type: 'REAL',
    description: 'Cost in USD. NULL when it is not known, which is not zero.',
    ofExchange: (e) => (e.cost === undefined || e.cost.status === 'unpriced' ? undefined : e.cost.usd),
  },
  {
    name: 'cost_status',
    type: 'TEXT',
    description: 'priced, free or unpriced. NULL when the request costs no tokens.',
    ofExchange: (e) => e.cost?.status,
  },
  {
    name: 'cost_source',
    type: 'TEXT',
    description: 'reported (by the provider), custom (the configured prices) or table (public prices).',
    ofExchange: (e) => (e.cost === undefined || e.cost.status === 'unpriced' ? undefined : e.cost.source),
  },
  {
    name: 'estimated_input_tokens',
    type: 'INTEGER',
    description: 'Estimated, where the provider reported no input tokens and estimates are on; no part of the cost.',
    ofExchange: (e) => e.estimatedInputTokens,
  },
  {
    name: 'estimated_output_tokens',
    type: 'INTEGER',
    description: 'Estimated, where the provider reported no output tokens and estimates are on; no part of the cost.',
    ofExchange: (e) => e.estimatedOutputTokens,
  },
  {
    name: 'details',
    type: 'TEXT',
    description:
      'JSON object of what the span has and no column: request settings, service tiers, events. NULL when there is nothing of it.',
    ofExchange: detailsOf,
  },
  {
    name: 'rate_limits',
    type: 'TEXT',
    description:
      'JSON object of the limits on rate that the head told, by what is limited: {"tokens":{"limit":30000,"remaining":29000,"resetMs":2000}}.',
    ofExchange: (e) => e.rateLimits && rateLimitsText(e.rateLimits),
  },
  {
    name: 'retry_after_ms',
    type: 'REAL',
    description: 'How long the upstream asked to wait before the next try, in milliseconds.',
    ofExchange: (e) => e.retryAfterMs,
  },
  {
    name: 'labels',
    type: 'TEXT',
    description: 'JSON object of the labels (see labels.md), by name: {"team":"search"}.',
    ofExchange: (e) => e.labels && JSON.stringify(e.labels),
  },
  {
    name: 'time_per_output_token_ms',
    type: 'REAL',
    description:
      'Mean time of each output token after the first, in milliseconds; 1000 / this is tokens per second. NULL where it cannot be known.',
    ofExchange: (e) => e.timePerOutputTokenMs,
  },
  {
    name: 'cache_saved',
    type: 'REAL',
    description:
      'USD by which prompt caching made the request cheaper; below zero where writing to the cache cost more. NULL where that is not certain.',
    ofExchange: (e) => (e.cost === undefined || e.cost.status === 'unpriced' ? undefined : e.cost.cacheSavedUsd),
  },
]

/** Every column, in the table's order, with what stands there once the request has ended. */
export const columns: readonly EndColumn[] = [
  ...startColumns.map(({ ofOpening, ofExchange = ({ opening }) => ofOpening(opening), ...column }) => ({ ...column, ofExchange })),
  ...endColumns,
]
