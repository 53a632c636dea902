/** How first chunks, durations and output tokens per second are distributed: quantiles, and counts in bins of equal ratio. */
import type { DatabaseSync } from 'node:sqlite'
import { conditionSql, inRange } from './fragments.ts'
import { addTo, type Buckets, bucketSql, lowerBoundOf, quantilesOf } from './quantiles.ts'
import type { Distribution, DistributionAnswer, DistributionQuestion } from './queries.ts'

const measures = {
  firstChunkMs: 'time_to_first_chunk_ms',
  durationMs: 'duration_ms',
  tokensPerSecond: '1000 / time_per_output_token_ms',
} as const

/** Buckets in a bin: each bin is about a quarter wider than the one before, or twice that, and so on, until there are few enough. */
const bucketsMin = 12
const binsMax = 36

export function readDistribution(database: DatabaseSync, { range, where }: DistributionQuestion): DistributionAnswer {
  const condition = conditionSql(where)
  const of = (value: string): Distribution | null => {
    const rows = database
      .prepare(
        `SELECT ${bucketSql(`(${value})`)} AS bucket, count(*) AS count FROM exchanges WHERE ${inRange} AND (${value}) IS NOT NULL${condition.sql} GROUP BY 1`,
      )
      .all({ since: range.sinceMs, until: range.untilMs, ...condition.values }) as unknown as readonly { bucket: number; count: number }[]
    const buckets: Buckets = new Map()
    for (const { bucket, count } of rows) addTo(buckets, bucket, count)
    const quantiles = quantilesOf(buckets)
    return quantiles === null ? null : { ...quantiles, bins: binsOf(buckets) }
  }
  return {
    ...range,
    firstChunkMs: of(measures.firstChunkMs),
    durationMs: of(measures.durationMs),
    tokensPerSecond: of(measures.tokensPerSecond),
  }
}

function binsOf(buckets: Buckets): Distribution['bins'] {
  const known = [...buckets.keys()]
  const first = Math.min(...known)
  const last = Math.max(...known)
  let width = bucketsMin
  while (Math.floor(last / width) - Math.floor(first / width) >= binsMax) width *= 2
  const from = Math.floor(first / width)
  const bins = Array.from({ length: Math.floor(last / width) - from + 1 }, (_, at) => ({
    from: lowerBoundOf((from + at) * width),
    to: lowerBoundOf((from + at + 1) * width),
    count: 0,
  }))
  for (const [bucket, count] of buckets) {
    const bin = bins[Math.floor(bucket / width) - from]
    if (bin !== undefined) bin.count += count
  }
  return bins
}
