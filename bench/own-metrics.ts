/** What tokenweir says about itself on /metrics: the histogram of the time between reading a chunk and having written it. */
import type { Target } from './targets.ts'

/** Cumulative count per upper bound in seconds. */
export type Buckets = ReadonlyMap<number, number>

const line = /^tokenweir_overhead_chunk_seconds_bucket\{(?:[^}]*,)?le="([^"]+)"[^}]*\} (\S+)/gm

export async function chunkBuckets(target: Target): Promise<Buckets> {
  if (target.metricsUrl === undefined) return new Map()
  const response = await fetch(target.metricsUrl).catch(() => undefined)
  const text = response?.ok ? await response.text() : ''
  const buckets = new Map<number, number>()
  for (const [, bound = '', count] of text.matchAll(line)) {
    const upper = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound)
    buckets.set(upper, (buckets.get(upper) ?? 0) + Number(count))
  }
  return buckets
}

/** The bound in microseconds below which `share` of what came between the two readings lies; undefined when nothing came. */
export function quantileUs(before: Buckets, after: Buckets, share: number): number | undefined {
  const grown = [...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)] as const).sort(([a], [b]) => a - b)
  const total = grown.at(-1)?.[1] ?? 0
  if (total === 0) return undefined
  return (grown.find(([, count]) => count >= share * total)?.[0] ?? Number.POSITIVE_INFINITY) * 1e6
}
