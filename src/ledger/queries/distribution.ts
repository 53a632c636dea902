/** How first chunks, durations and output tokens per second are distributed: quantiles, and counts in bins of equal ratio. */
import type { DatabaseSync } from 'node:sqlite'
import { inSnapshot, readSketches, type Sketch } from './look.ts'
import { addTo, type Buckets, lowerBoundOf, perSecond, quantilesOf } from './quantiles.ts'
import type { Distribution, DistributionAnswer, DistributionQuestion } from './queries.ts'

/** Buckets in a bin: each bin is about a quarter wider than the one before, or twice that, and so on, until there are few enough. */
const bucketsMin = 12
const binsMax = 36

export function readDistribution(database: DatabaseSync, { range, where }: DistributionQuestion): DistributionAnswer {
  const bucketsOf = (sketch: Sketch): Buckets => {
    const sum: Buckets = new Map()
    for (const { buckets } of readSketches(database, { intervals: [range], by: 'started', dimensions: [], where }, sketch))
      for (const [bucket, count] of buckets) addTo(sum, bucket, count)
    return sum
  }
  return inSnapshot(database, () => ({
    ...range,
    firstChunkMs: distributionOf(bucketsOf('first_chunk')),
    durationMs: distributionOf(bucketsOf('duration')),
    tokensPerSecond: distributionOf(perSecond(bucketsOf('token_time'))),
  }))
}

function distributionOf(buckets: Buckets): Distribution | null {
  const quantiles = quantilesOf(buckets)
  return quantiles === null ? null : { ...quantiles, bins: binsOf(buckets) }
}

function binsOf(buckets: Buckets): Distribution['bins'] {
  // By its middle: a bucket may begin between two whole numbers.
  const known = [...buckets.keys()].map((bucket) => bucket + 0.5)
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
    const bin = bins[Math.floor((bucket + 0.5) / width) - from]
    if (bin !== undefined) bin.count += count
  }
  return bins
}
