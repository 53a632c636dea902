/**
 * Quantiles out of counts by bucket, each 2 % wider than the one before: SQLite counts, nothing is sorted or held, and any sets of counts
 * can be added up. The answer is the middle of its bucket, so within 1 %.
 */
import type { Quantiles } from './queries.ts'

const growth = 1.02

/** The bucket of a duration column in milliseconds; what is below a microsecond counts as one. */
export function bucketSql(column: string): string {
  return `CAST(floor(ln(max(${column}, 0.001)) / ${Math.log(growth)}) AS INTEGER)`
}

/** Counts by bucket. */
export type Buckets = Map<number, number>

export function addTo(buckets: Buckets, bucket: number, count: number): void {
  buckets.set(bucket, (buckets.get(bucket) ?? 0) + count)
}

/** Null when nothing was counted. */
export function quantilesOf(buckets: Buckets): Quantiles | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b)
  const count = sorted.reduce((sum, [, each]) => sum + each, 0)
  if (count === 0) return null
  const at = (share: number) => {
    let left = Math.max(1, Math.ceil(share * count))
    for (const [bucket, each] of sorted) if ((left -= each) <= 0) return middle(bucket)
    return middle(sorted.at(-1)?.[0] ?? 0)
  }
  return { count, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

/** The bucket's geometric middle, in milliseconds, to the microsecond. */
function middle(bucket: number): number {
  return Math.round(growth ** (bucket + 0.5) * 1000) / 1000
}

/** Where a bucket begins. */
export function lowerBoundOf(bucket: number): number {
  return growth ** bucket
}

/** The bucket of one duration in milliseconds. */
export function bucketOf(milliseconds: number): number {
  return Math.floor(Math.log(Math.max(milliseconds, 0.001)) / Math.log(growth))
}

/** Of times in milliseconds, the buckets of how often that is in a second: as wide, but each begins between two whole numbers. */
export function perSecond(times: Buckets): Buckets {
  return new Map([...times].map(([bucket, count]) => [Math.log(1000) / Math.log(growth) - bucket - 1, count]))
}
