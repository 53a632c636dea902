/** exchange ⇄ row of the table `exchanges`. A row that is read back gives the span and the log record that the exchange gave. */
import type {
  Cost,
  CostSource,
  Ending,
  EndReason,
  Exchange,
  Framing,
  Opening,
  Outcome,
  RateLimit,
  SpanLink,
  Usage,
} from '../lib/exchange.ts'
import { array, object, parseJson } from '../lib/json.ts'
import { columns, startColumns } from './columns.ts'
import { type Details, detailsIn } from './details.ts'
import type { LedgerRow, SqlValue } from './row.ts'

/** The values of the start columns, in their order. */
export function startRow(opening: Opening): SqlValue[] {
  return startColumns.map(({ ofOpening }) => sqlValue(ofOpening(opening)))
}

/** The values of all columns, in their order. */
export function wholeRow(exchange: Exchange): SqlValue[] {
  return columns.map(({ ofExchange }) => sqlValue(ofExchange(exchange)))
}

/** What SQLite could not bind would fail the whole batch, again and again. */
function sqlValue(value: SqlValue | undefined): SqlValue {
  return typeof value === 'string' || typeof value === 'number' ? value : null
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)

function list(value: unknown): readonly string[] | undefined {
  return array(parseJson(text(value)))?.map(String)
}

/** A row that a killed process left open, ended at `lastSignOfLife` (milliseconds since the epoch) by nobody's decision. */
export function recoveredExchange(row: LedgerRow, lastSignOfLife: number): Exchange {
  const opening = openingOf(row)
  const endMs = Math.max(0, lastSignOfLife - opening.startedAt)
  const ending: Ending = {
    id: opening.id,
    outcome: { kind: 'sidecar-stopped' },
    responseHeaders: {},
    streamed: false,
    framing: 'none',
    requestBytes: 0,
    responseBytes: 0,
    endMs,
    chunkCount: 0,
    notes: [],
  }
  return { opening, ending, endReason: 'sidecar-stopped', endUnseen: true, inference: false, caller: opening.caller, notes: [] }
}

/** A closed row. */
export function exchangeOfRow(row: LedgerRow): Exchange {
  const details = detailsIn(row['details'])
  const opening = openingOf(row, details)
  const endReason = row['end_reason'] as EndReason
  const usage = usageOf(row, '')
  const operation = text(row['operation'])
  const requestModel = text(row['request_model'])
  const usageOutcome = text(row['usage_outcome']) as Exchange['usageOutcome']
  const errorType = text(row['error_type'])
  const responses = number(row['responses'])
  return {
    opening,
    ending: endingOf(row, opening, details, outcomeOf(endReason, errorType, details.message)),
    endReason,
    endUnseen: row['ended_at'] === null ? true : undefined,
    format: text(row['format']),
    inference: operation !== undefined,
    operation,
    provider: text(row['provider']),
    caller: text(row['caller']),
    request:
      operation === undefined && requestModel === undefined && details.request === undefined
        ? undefined
        : { ...details.request, operation: operation ?? 'unknown', usageExpected: usageOutcome !== undefined, model: requestModel },
    response: {
      id: text(row['response_id']),
      model: text(row['response_model']),
      finishReasons: list(row['finish_reasons']) ?? details.finishReasons,
      usage,
      usageOfIterations: usageOf(row, 'iterations_'),
      responses: responses === undefined ? undefined : { ended: responses, underWay: 0, last: details.responses ?? [] },
      ...details.response,
    },
    usageOutcome,
    usageReason: text(row['usage_reason']) as Exchange['usageReason'],
    timePerOutputTokenMs: number(row['time_per_output_token_ms']),
    cost: costOf(row),
    estimatedInputTokens: number(row['estimated_input_tokens']),
    estimatedOutputTokens: number(row['estimated_output_tokens']),
    labels: labelsIn(row['labels']),
    rateLimits: rateLimitsIn(row['rate_limits']),
    retryAfterMs: number(row['retry_after_ms']),
    errorType,
    notes: list(row['notes']) ?? [],
  }
}

function openingOf(row: LedgerRow, { linkTraceState }: Details = {}): Opening {
  return {
    id: String(row['id']),
    traceId: String(row['trace_id']),
    spanId: String(row['span_id']),
    parentSpanId: text(row['parent_span_id']),
    traceFlags: number(row['trace_flags']) ?? 1,
    traceState: text(row['trace_state']),
    link: linkOf(text(row['link']), linkTraceState),
    usageByCaller: row['usage_by_caller'] === 1 ? true : undefined,
    startedAt: Number(row['started_at']),
    method: String(row['method']),
    path: String(row['path']),
    route: String(row['route']),
    serverAddress: String(row['server_address']),
    serverPort: Number(row['server_port']),
    caller: text(row['caller']),
    requestHeaders: {},
  }
}

function linkOf(traceparent: string | undefined, traceState: string | undefined): SpanLink | undefined {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', 16), traceState }
}

function endingOf(row: LedgerRow, opening: Opening, details: Details, outcome: Outcome): Ending {
  const drainedMs = number(row['drained_ms'])
  return {
    id: opening.id,
    outcome,
    status: number(row['status']),
    responseHeaders: {},
    streamed: row['streamed'] === 1,
    framing: (text(row['framing']) ?? 'none') as Framing,
    contentEncoding: text(row['content_encoding']),
    requestBytes: number(row['request_bytes']) ?? 0,
    responseBytes: number(row['response_bytes']) ?? 0,
    requestSentMs: number(row['request_sent_ms']),
    responseHeadMs: number(row['response_head_ms']),
    firstChunkMs: number(row['time_to_first_chunk_ms']),
    endMs: number(row['duration_ms']) ?? details.endMs ?? 0,
    drained: drainedMs === undefined ? undefined : { ms: drainedMs, bytes: number(row['drained_bytes']) ?? 0 },
    chunkCount: 0,
    session: details.responseEndMs === undefined ? undefined : { responseEndMs: details.responseEndMs },
    notes: [],
  }
}

function outcomeOf(endReason: EndReason, errorType: string | undefined, message: string | undefined): Outcome {
  if (endReason === 'completed') return { kind: 'answered' }
  if (endReason === 'refused') return { kind: 'refused', reason: errorType ?? '' }
  if (endReason === 'unreachable') return { kind: 'unreachable', reason: (errorType ?? 'closed') as 'closed', message }
  if (endReason === 'upstream-aborted') return { kind: endReason, message }
  return { kind: endReason }
}

function usageOf(row: LedgerRow, prefix: '' | 'iterations_'): Usage | undefined {
  const count = (name: string) => number(row[`${prefix}${name}_tokens`])
  const usage: Usage = {
    inputTokens: count('input'),
    outputTokens: count('output'),
    cacheReadTokens: count('cache_read'),
    cacheWriteTokens: count('cache_write'),
    reasoningTokens: count('reasoning'),
    totalTokens: count('total'),
  }
  return Object.values(usage).some((value) => value !== undefined) ? usage : undefined
}

function labelsIn(value: unknown): Readonly<Record<string, string>> | undefined {
  const fields = object(parseJson(text(value)))
  return fields && Object.fromEntries(Object.entries(fields).map(([name, label]) => [name, String(label)]))
}

function rateLimitsIn(value: unknown): readonly RateLimit[] | undefined {
  const limits = object(parseJson(text(value)))
  return limits && Object.entries(limits).map(([kind, limit]) => ({ ...(object(limit) as Omit<RateLimit, 'kind'>), kind }))
}

function costOf(row: LedgerRow): Cost | undefined {
  const status = text(row['cost_status'])
  const usd = number(row['cost'])
  if ((status === 'priced' || status === 'free') && usd !== undefined) {
    return { status, usd, source: row['cost_source'] as CostSource, cacheSavedUsd: number(row['cache_saved']) }
  }
  return status === undefined ? undefined : { status: 'unpriced' }
}
