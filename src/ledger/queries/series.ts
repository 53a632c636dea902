/** Rates over time, and how long answers took. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { inSnapshot, readSketches, readSums, type Sketched, type SumRow } from './look.ts'
import { addTo, type Buckets, quantilesOf } from './quantiles.ts'
import type { Condition, Latency, ProviderSeries, Quantiles, Series } from './queries.ts'

export interface SeriesQuestion {
  readonly range: Range
  readonly bucketMs: number
  readonly providersMax: number
  /** Only these requests. */
  readonly where?: readonly Condition[] | undefined
}

const seriesSums = ['requests', 'errors', 'zero_usage', 'input_sum', 'output_sum', 'reported']

/** Both ends of the range are moved outwards to whole buckets. */
export function readSeries(database: DatabaseSync, { range, bucketMs, providersMax, where = [] }: SeriesQuestion): Series {
  const sinceMs = Math.floor(range.sinceMs / bucketMs) * bucketMs
  const untilMs = Math.ceil(range.untilMs / bucketMs) * bucketMs
  const length = Math.round((untilMs - sinceMs) / bucketMs)
  const intervals = Array.from({ length }, (_, i) => ({ sinceMs: sinceMs + i * bucketMs, untilMs: sinceMs + (i + 1) * bucketMs }))
  return inSnapshot(database, () => {
    const rows = readSums(database, { intervals, by: 'ended', dimensions: ['provider'], where, sums: seriesSums })
    const sum = (name: string) => {
      const values = new Array<number>(length).fill(0)
      for (const row of rows) values[Number(row['i'])] = (values[Number(row['i'])] ?? 0) + Number(row[name] ?? 0)
      return values
    }
    const firstChunk = new Array<Quantiles | null>(length).fill(null)
    for (const { i, buckets } of readSketches(database, { intervals, by: 'ended', dimensions: [], where }, 'first_chunk'))
      firstChunk[i] = quantilesOf(buckets)
    return {
      ...{ sinceMs, untilMs, bucketMs },
      ...byProvider(rows, length, providersMax),
      requests: sum('requests'),
      errors: sum('errors'),
      zeroUsage: sum('zero_usage'),
      firstChunkP50Ms: firstChunk.map((quantiles) => quantiles?.p50 ?? null),
      firstChunkP95Ms: firstChunk.map((quantiles) => quantiles?.p95 ?? null),
    }
  })
}

/** The providers with most tokens by name, the others as one. Those that never reported any count too, at the end. */
function byProvider(rows: readonly SumRow[], length: number, providersMax: number): Pick<Series, 'providers' | 'others'> {
  const found = new Map<string | null, { total: number; reported: number; tokens: (number | null)[] }>()
  for (const row of rows) {
    const [i, provider, reported] = [Number(row['i']), row['key_provider'] as string | null, Number(row['reported'])]
    const tokens = Number(row['input_sum'] ?? 0) + Number(row['output_sum'] ?? 0)
    let entry = found.get(provider)
    if (entry === undefined) found.set(provider, (entry = { total: 0, reported: 0, tokens: [] }))
    entry.tokens[i] = reported === 0 ? (entry.tokens[i] ?? null) : (entry.tokens[i] ?? 0) + tokens
    entry.total += tokens
    entry.reported += reported
  }
  /** Where no request ended, none were used. */
  const whole = (tokens: readonly (number | null)[]) => Array.from({ length }, (_, i) => (tokens[i] === undefined ? 0 : tokens[i]))
  const ranked = [...found]
    .filter(([provider, { reported }]) => provider !== null || reported > 0)
    .sort(([a, x], [b, y]) => y.total - x.total || ((a ?? '') < (b ?? '') ? -1 : 1))
  const providers = ranked.slice(0, providersMax).map(([provider, { tokens }]): ProviderSeries => ({ provider, tokens: whole(tokens) }))
  const rest = ranked.slice(providersMax)
  if (rest.length === 0) return { providers, others: null }
  const others = Array.from({ length }, (_, i) => rest.reduce((sum, [, { tokens }]) => sum + (tokens[i] ?? 0), 0))
  return { providers, others }
}

/** Of requests that began in the range. */
export function readLatency(database: DatabaseSync, range: Range): Latency {
  const look = { intervals: [range], by: 'started', dimensions: ['provider'] } as const
  return inSnapshot(database, () => {
    const firstChunk = byProviderOf(readSketches(database, look, 'first_chunk'))
    const duration = byProviderOf(readSketches(database, look, 'duration'))
    const providers = [...new Set([...firstChunk.keys(), ...duration.keys()])].sort((a, b) => ((a ?? '') < (b ?? '') ? -1 : 1))
    return {
      ...range,
      total: { firstChunkMs: quantilesOf(merged(firstChunk)), durationMs: quantilesOf(merged(duration)) },
      providers: providers.map((provider) => ({
        provider,
        firstChunkMs: quantilesOf(firstChunk.get(provider) ?? new Map()),
        durationMs: quantilesOf(duration.get(provider) ?? new Map()),
      })),
    }
  })
}

function byProviderOf(sketches: readonly Sketched[]): ReadonlyMap<string | null, Buckets> {
  return new Map(sketches.filter(({ buckets }) => buckets.size > 0).map(({ key: [provider = null], buckets }) => [provider, buckets]))
}

function merged(all: ReadonlyMap<unknown, Buckets>): Buckets {
  const sum: Buckets = new Map()
  for (const buckets of all.values()) for (const [bucket, count] of buckets) addTo(sum, bucket, count)
  return sum
}
