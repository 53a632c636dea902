/** What an operation's requests are counted by with the route: streams, and those that should have told their tokens. */
import type { Exchange } from '../../lib/exchange.ts'
import type { Counter, Labels, Meter } from '../../telemetry/meter.ts'
import type { Answered } from '../label-cap.ts'

export interface RouteCells {
  readonly labels: Labels
  streams: Streams | undefined
}

interface Streams {
  readonly completed: Counter
  readonly zeroUsage: ReadonlyMap<string, Counter>
}

/** Those of a route among an operation's, made with its first request. */
export function routeCells(byRoute: Map<string, RouteCells>, all: Labels, route: string): RouteCells {
  let cells = byRoute.get(route)
  if (cells === undefined) {
    const { 'server.address': _address, 'server.port': _port, 'gen_ai.response.model': _model, ...labels } = all
    byRoute.set(route, (cells = { labels: { ...labels, 'http.route': route }, streams: undefined }))
  }
  return cells
}

export function countStream(meter: Meter, cells: RouteCells, exchange: Exchange): void {
  if (!isCompletedStream(exchange)) return
  cells.streams ??= createStreams(meter, cells.labels)
  cells.streams.completed.add(1)
  const reason = zeroUsageReason(exchange)
  if (reason !== undefined) cells.streams.zeroUsage.get(reason)?.add(1)
}

/** What a request names (a model, a caller, by that a provider) is only known to exist when it was answered with success. */
export function answeredOf({ ending: { status } }: Exchange): Answered {
  if (status === 101 || (status !== undefined && status >= 200 && status < 300)) return 'well'
  return status !== undefined && status >= 400 && status < 500 ? 'refused' : 'failed'
}

/** An answer that told of an error in its middle is no success without usage: it is an error, and counted as one. */
export function isCompletedStream({ ending, endReason, errorType, usageOutcome }: Exchange): boolean {
  const { streamed, status } = ending
  // Without an outcome no usage is due: pictures, speech, a WebSocket on which no response began. The ledger's queries count the same.
  if (errorType !== undefined || endReason !== 'completed' || usageOutcome === undefined) return false
  return status === 101 || (streamed && status !== undefined && status >= 200 && status < 300)
}

/** Why a completed stream can be without usage; `zero` is a provider that said 0. A client or upstream that left is no completed stream. */
const zeroUsageReasons = [
  'zero',
  'not_requested',
  'upstream_omitted',
  'parse_error',
  'unsupported_encoding',
  'limit_hit',
  'unknown_format',
] as const

/** A stream that was let pass unchanged, to see what the upstream does, is without usage by our choice: it is counted among the completed alone. */
export function zeroUsageReason({ usageOutcome, usageReason, notes }: Exchange): string | undefined {
  if (usageReason === 'not_requested' && notes.includes('usage_probe')) return undefined
  if (usageOutcome === 'zero') return 'zero'
  if (usageOutcome !== 'missing' && usageOutcome !== 'undecodable') return undefined
  return zeroUsageReasons.find((reason) => reason === usageReason) ?? 'upstream_omitted'
}

/** Every series of the label set at once, at zero: `increase()` cannot see an event in a series that begins with it. */
function createStreams(meter: Meter, labels: Labels): Streams {
  const zeroUsage = new Map(
    zeroUsageReasons.map((reason) => [reason, meter.counter('tokenweir.streams.zero_usage', { ...labels, reason })]),
  )
  return { completed: meter.counter('tokenweir.streams.completed', labels), zeroUsage }
}
