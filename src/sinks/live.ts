/** What the live page shows of now: sums since the last look, the last requests, how long first chunks took in the last minute. Bounded. */

import { columns as ledgerColumns } from '../ledger/columns.ts'
import type { SqlValue } from '../ledger/row.ts'
import type { Exchange } from '../lib/exchange.ts'
import { isCompletedStream, zeroUsageReason } from './metrics/by-route.ts'
import type { Sink } from './sink.ts'

/** Sums since the look before. */
export interface LiveLook {
  readonly requests: number
  readonly errors: number
  /** Streams that came whole. */
  readonly streams: number
  /** Of these, the ones without usage, by reason. */
  readonly zeroUsage: Readonly<Record<string, number>>
  /** Input and output tokens as reported, by provider; requests without a count are in `requests` alone. */
  readonly providers: readonly { readonly provider: string; readonly tokens: number; readonly requests: number }[]
  /** The newest of those that ended since, newest first, as rows of the ledger. */
  readonly newest: readonly Readonly<Record<string, SqlValue>>[]
  /** How many ended since and are not in `newest`. */
  readonly notShown: number
  /** First chunks of the last minute, by `bucketOf` their milliseconds. */
  readonly firstChunks: ReadonlyMap<number, number>
}

export interface LiveSink extends Sink {
  look(): LiveLook
}

export interface LiveOptions {
  /** Columns of the rows in `LiveLook.newest`. */
  readonly columns: readonly string[]
  /** The bucket of a duration in milliseconds. */
  readonly bucketOf: (milliseconds: number) => number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export const newestMax = 200
/** Providers are few; those that a wildcard rule makes up are not. */
const providersMax = 64
const otherProvider = 'other'
const minuteMs = 60_000
const slotMs = 1000

interface Sums {
  requests: number
  errors: number
  streams: number
  readonly zeroUsage: Record<string, number>
  readonly providers: Map<string, { tokens: number; requests: number }>
}

const noSums = (): Sums => ({ requests: 0, errors: 0, streams: 0, zeroUsage: {}, providers: new Map() })

export function createLiveSink({ columns, bucketOf, now }: LiveOptions): LiveSink {
  const rowOf = rowReader(columns)
  let sums = noSums()
  let newest: Exchange[] = []
  let slots: { readonly from: number; readonly buckets: Map<number, number> }[] = []

  function slot(): Map<number, number> {
    const from = Math.floor(now() / slotMs) * slotMs
    const last = slots.at(-1)
    if (last?.from === from) return last.buckets
    const buckets = new Map<number, number>()
    slots = [...slots.filter((each) => each.from > from - minuteMs), { from, buckets }]
    return buckets
  }

  function add(exchange: Exchange): void {
    const { usage } = exchange.response ?? {}
    sums.requests++
    if (exchange.errorType !== undefined) sums.errors++
    if (isCompletedStream(exchange)) {
      sums.streams++
      const reason = zeroUsageReason(exchange)
      if (reason !== undefined) sums.zeroUsage[reason] = (sums.zeroUsage[reason] ?? 0) + 1
    }
    if (exchange.provider === undefined) return
    const known = sums.providers.has(exchange.provider) || sums.providers.size < providersMax
    const name = known ? exchange.provider : otherProvider
    const provider = sums.providers.get(name) ?? { tokens: 0, requests: 0 }
    sums.providers.set(name, provider)
    provider.requests++
    provider.tokens += (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0)
  }

  return {
    name: 'live',
    record({ ended }) {
      if (ended.length === 0) return
      const buckets = slot()
      for (const exchange of ended) {
        add(exchange)
        const { firstChunkMs } = exchange.ending
        if (firstChunkMs === undefined) continue
        const bucket = bucketOf(firstChunkMs)
        buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
      }
      newest = [...newest, ...ended.slice(-newestMax)].slice(-newestMax)
    },
    look() {
      const seen = sums
      const shown = newest
      sums = noSums()
      newest = []
      slot()
      const firstChunks = new Map<number, number>()
      for (const { buckets } of slots)
        for (const [bucket, count] of buckets) firstChunks.set(bucket, (firstChunks.get(bucket) ?? 0) + count)
      return {
        requests: seen.requests,
        errors: seen.errors,
        streams: seen.streams,
        zeroUsage: seen.zeroUsage,
        providers: [...seen.providers].map(([provider, each]) => ({ provider, ...each })),
        newest: shown.map(rowOf).reverse(),
        notShown: seen.requests - shown.length,
        firstChunks,
      }
    },
    async close() {},
  }
}

/** As the ledger has it, so that a row that came live and one that was read are alike. */
function rowReader(names: readonly string[]): (exchange: Exchange) => Readonly<Record<string, SqlValue>> {
  const shown = names.map((name) => {
    const column = ledgerColumns.find((one) => one.name === name)
    if (column === undefined) throw new TypeError(`The ledger has no column ${name}.`)
    return column
  })
  return (exchange) => Object.fromEntries(shown.map(({ name, ofExchange }) => [name, ofExchange(exchange) ?? null]))
}
