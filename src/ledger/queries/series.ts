/** Rates over time, and how long answers took. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { longMs } from '../schema.ts'
import { conditionSql, inRange, isZeroUsage } from './fragments.ts'
import { addTo, type Buckets, bucketSql, quantilesOf } from './quantiles.ts'
import type { Condition, Latency, ProviderSeries, Quantiles, Series } from './queries.ts'

/** A row left open by a killed process has no end: it counts where it began. */
const at = 'coalesce(ended_at, started_at)'
/** Of requests that ended in the range: most are found by when they began, no longer before it than that; those that took longer, by their end. */
const ways = [
  `started_at >= :since - ${longMs} AND started_at < :until AND ${at} >= :since AND ${at} < :until AND end_reason IS NOT NULL`,
  `duration_ms > ${longMs} AND ended_at >= :since AND ended_at < :until AND started_at < :since - ${longMs}`,
]

export interface SeriesQuestion {
  readonly range: Range
  readonly bucketMs: number
  readonly providersMax: number
  /** Only these requests. */
  readonly where?: readonly Condition[] | undefined
}

/** Both ends of the range are moved outwards to whole buckets. */
export function readSeries(database: DatabaseSync, { range, bucketMs, providersMax, where = [] }: SeriesQuestion): Series {
  const sinceMs = Math.floor(range.sinceMs / bucketMs) * bucketMs
  const untilMs = Math.ceil(range.untilMs / bucketMs) * bucketMs
  const length = Math.round((untilMs - sinceMs) / bucketMs)
  const index = `CAST((${at} - :since) / ${bucketMs} AS INTEGER)`
  const chosen = conditionSql(where)
  const bounds = { since: sinceMs, until: untilMs, ...chosen.values }
  const counted = (what: string, condition = 'TRUE') =>
    ways.flatMap((way) =>
      database.prepare(`SELECT ${index} AS i, ${what} FROM exchanges WHERE ${way} AND ${condition}${chosen.sql} GROUP BY 1, 2`).all(bounds),
    )
  const rows = counted(
    `provider, count(*) AS requests, sum(error_type IS NOT NULL) AS errors, sum(${isZeroUsage}) AS zero_usage,
     total(input_tokens) + total(output_tokens) AS tokens, count(coalesce(input_tokens, output_tokens)) AS reported`,
  ) as unknown as readonly SeriesRow[]
  const zeros = () => new Array<number>(length).fill(0)
  const requests = zeros()
  const errors = zeros()
  const zeroUsage = zeros()
  for (const row of rows) {
    requests[row.i] = (requests[row.i] ?? 0) + row.requests
    errors[row.i] = (errors[row.i] ?? 0) + row.errors
    zeroUsage[row.i] = (zeroUsage[row.i] ?? 0) + row.zero_usage
  }
  const firstChunk = quantilesByBucket(
    counted(
      `${bucketSql('time_to_first_chunk_ms')} AS bucket, count(*) AS count`,
      'time_to_first_chunk_ms IS NOT NULL',
    ) as unknown as readonly BucketRow[],
    length,
  )
  return {
    sinceMs,
    untilMs,
    bucketMs,
    ...byProvider(rows, length, providersMax),
    requests,
    errors,
    zeroUsage,
    firstChunkP50Ms: firstChunk.map((quantiles) => quantiles?.p50 ?? null),
    firstChunkP95Ms: firstChunk.map((quantiles) => quantiles?.p95 ?? null),
  }
}

interface BucketRow {
  readonly i: number
  readonly bucket: number
  readonly count: number
}

interface SeriesRow {
  readonly i: number
  readonly provider: string | null
  readonly requests: number
  readonly errors: number
  readonly zero_usage: number
  readonly tokens: number
  readonly reported: number
}

/** The providers with most tokens by name, the others as one. Those that never reported any count too, at the end. */
function byProvider(rows: readonly SeriesRow[], length: number, providersMax: number): Pick<Series, 'providers' | 'others'> {
  const found = new Map<string | null, { total: number; reported: number; tokens: (number | null)[] }>()
  for (const { i, provider, tokens, reported } of rows) {
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

function quantilesByBucket(rows: readonly BucketRow[], length: number): (Quantiles | null)[] {
  const found = Array.from({ length }, (): Buckets => new Map())
  for (const { i, bucket, count } of rows) addTo(found[i] ?? new Map(), bucket, count)
  return found.map(quantilesOf)
}

/** Of requests that began in the range. */
export function readLatency(database: DatabaseSync, range: Range): Latency {
  const firstChunk = bucketsByProvider(database, range, 'time_to_first_chunk_ms')
  const duration = bucketsByProvider(database, range, 'duration_ms')
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
}

function bucketsByProvider(database: DatabaseSync, range: Range, column: string): Map<string | null, Buckets> {
  const rows = database
    .prepare(
      `SELECT provider, ${bucketSql(column)} AS bucket, count(*) AS count FROM exchanges WHERE ${inRange} AND ${column} IS NOT NULL GROUP BY 1, 2`,
    )
    .all({ since: range.sinceMs, until: range.untilMs }) as unknown as readonly { provider: string | null; bucket: number; count: number }[]
  const found = new Map<string | null, Buckets>()
  for (const { provider, bucket, count } of rows) {
    let buckets = found.get(provider)
    if (buckets === undefined) found.set(provider, (buckets = new Map()))
    addTo(buckets, bucket, count)
  }
  return found
}

function merged(all: ReadonlyMap<unknown, Buckets>): Buckets {
  const sum: Buckets = new Map()
  for (const buckets of all.values()) for (const [bucket, count] of buckets) addTo(sum, bucket, count)
  return sum
}
