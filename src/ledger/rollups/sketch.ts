/**
 * Counts by bucket (`queries/quantiles.ts`) ⇄ bytes: a bucket and its count, one pair after the other, as variable-length numbers. The order of the
 * pairs means nothing, and a bucket may come again: sketches are added up by writing one behind the other.
 */
import type { Buckets } from '../queries/quantiles.ts'

/** Below the bucket of a microsecond, which is the least. */
const lowest = -1024
/** Of them: up to 1e17 milliseconds. */
const bucketsMax = 4096
/** Of a pair: a bucket takes two, a count up to five. */
const pairBytesMax = 8
let scratch = new Uint8Array(8192)

/** Null for no counts. */
export function encodeSketch(buckets: Buckets): Uint8Array | null {
  if (buckets.size === 0) return null
  if (scratch.length < buckets.size * pairBytesMax) scratch = new Uint8Array(buckets.size * pairBytesMax * 2)
  let at = 0
  for (const [bucket, count] of buckets) at = write(count, write(Math.min(bucket - lowest, bucketsMax - 1), at))
  return scratch.slice(0, at)
}

function write(value: number, from: number): number {
  let at = from
  let left = value
  for (; left >= 128; left = Math.floor(left / 128)) scratch[at++] = (left % 128) + 128
  scratch[at++] = left
  return at
}

export interface SketchSum {
  add(bytes: Uint8Array): void
  buckets(): Buckets
}

/** Adds up what `encodeSketch` wrote. */
export function createSketchSum(): SketchSum {
  const counts = new Float64Array(bucketsMax)
  let [first, last] = [bucketsMax, -1]
  return {
    add(bytes) {
      for (let at = 0; at < bytes.length; ) {
        let bucket = bytes[at++] as number
        if (bucket >= 128) bucket += ((bytes[at++] as number) - 1) * 128
        let count = 0
        for (let unit = 1; ; unit *= 128) {
          const byte = bytes[at++] ?? 0
          count += (byte % 128) * unit
          if (byte < 128) break
        }
        if (bucket < first) first = bucket
        if (bucket > last) last = bucket
        counts[bucket] = (counts[bucket] ?? 0) + count
      }
    },
    buckets() {
      const found: Buckets = new Map()
      for (let index = first; index <= last; index++) if (counts[index] !== 0) found.set(index + lowest, counts[index] as number)
      return found
    },
  }
}

/** Adds one sketch, of few buckets. */
export function addSketch(buckets: Buckets, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) return
  let at = 0
  const next = () => {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte % 128) * unit
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const bucket = next() + lowest
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + next())
  }
}
