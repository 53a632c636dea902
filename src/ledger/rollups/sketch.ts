/**
 * Counts by bucket (`queries/quantiles.ts`) ⇄ bytes: a zero, then for each bucket, in order, how far it is from the one before and its count, as
 * variable-length numbers. Versions before 10 wrote no zero, and each bucket as it is: in any order, and perhaps more than once.
 */
import { addTo, type Buckets } from '../queries/quantiles.ts'

/** Below the bucket of a microsecond, which is the least. */
const lowest = -1024
/** Of them: up to 1e17 milliseconds. */
const bucketsMax = 4096
/** Of a bucket: two for where it is, up to five for its count. */
const bytesMax = 8
const scratch = new Uint8Array(1 + bucketsMax * bytesMax)
/** Of one sketch: its buckets, from `lowest`, and their counts. */
const places = new Int32Array(bucketsMax)
const counts = new Float64Array(bucketsMax)

/** Null for no counts. */
export function encodeSketch(buckets: Buckets): Uint8Array | null {
  if (buckets.size === 0) return null
  let size = 0
  for (const bucket of buckets.keys()) places[size++] = bucket
  sort(size)
  let [at, before] = [1, lowest]
  for (let index = 0; index < size; index++) {
    const bucket = places[index] as number
    at = write(buckets.get(bucket) as number, write(Math.min(bucket, lowest + bucketsMax - 1) - before, at))
    before = bucket
  }
  scratch[0] = 0
  return scratch.slice(0, at)
}

/** Most sketches have few buckets, and for them a typed array takes longer to sort. */
const fewMax = 24

function sort(size: number): void {
  if (size > fewMax) {
    places.subarray(0, size).sort()
    return
  }
  for (let index = 1; index < size; index++) {
    const place = places[index] as number
    let at = index
    for (; at > 0 && (places[at - 1] as number) > place; at--) places[at] = places[at - 1] as number
    places[at] = place
  }
}

function write(value: number, from: number): number {
  let at = from
  let left = value
  for (; left >= 128; left = Math.floor(left / 128)) scratch[at++] = (left % 128) + 128
  scratch[at++] = left
  return at
}

/** Fills `places` and `counts`; how many of them. */
function decode(bytes: Uint8Array): number {
  const isInOrder = bytes[0] === 0
  let size = 0
  let place = 0
  for (let at = isInOrder ? 1 : 0; at < bytes.length && size < bucketsMax; size++) {
    let step = bytes[at++] as number
    if (step >= 128) step += ((bytes[at++] as number) - 1) * 128
    place = isInOrder ? place + step : step
    let count = bytes[at++] as number
    for (let unit = 128; count >= unit; unit *= 128) count += ((bytes[at++] ?? 0) - 1) * unit
    places[size] = place
    counts[size] = count
  }
  return size
}

export interface SketchSum {
  /** What `encodeSketch` wrote. */
  add(bytes: Uint8Array): void
  count(bucket: number, count: number): void
  buckets(): Buckets
}

export function createSketchSum(): SketchSum {
  const sums = new Float64Array(bucketsMax)
  let [first, last] = [bucketsMax, -1]
  function addAt(place: number, count: number): void {
    if (place < first) first = place
    if (place > last) last = place
    sums[place] = (sums[place] ?? 0) + count
  }
  return {
    add(bytes) {
      const size = decode(bytes)
      for (let index = 0; index < size; index++) addAt(places[index] as number, counts[index] as number)
    },
    count: (bucket, count) => addAt(Math.min(bucket - lowest, bucketsMax - 1), count),
    buckets() {
      const found: Buckets = new Map()
      for (let place = first; place <= last; place++) if (sums[place] !== 0) found.set(place + lowest, sums[place] as number)
      return found
    },
  }
}

/** Adds one sketch, of few buckets. */
export function addSketch(buckets: Buckets, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) return
  const size = decode(bytes)
  for (let index = 0; index < size; index++) addTo(buckets, (places[index] as number) + lowest, counts[index] as number)
}
