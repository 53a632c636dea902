/** Counts by bucket (`queries/quantiles.ts`) ⇄ bytes: pairs of how far the bucket is from the one before, and its count, as variable-length numbers. */
import { addTo, type Buckets } from '../queries/quantiles.ts'

/** Of -690 (a microsecond or less) and everything above. */
const lowest = -1024

/** Null for no counts. */
export function encodeSketch(buckets: Buckets): Uint8Array | null {
  if (buckets.size === 0) return null
  const bytes: number[] = []
  const push = (value: number) => {
    let left = value
    for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128)
    bytes.push(left)
  }
  let before = lowest
  for (const bucket of buckets.size === 1 ? buckets.keys() : [...buckets.keys()].sort((a, b) => a - b)) {
    push(bucket - before)
    push(buckets.get(bucket) ?? 0)
    before = bucket
  }
  return Uint8Array.from(bytes)
}

/** Adds what `encodeSketch` wrote. */
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
  for (let bucket = lowest; at < bytes.length; ) {
    bucket += next()
    addTo(buckets, bucket, next())
  }
}
