import { createSketch, type Sketch } from './sketch.ts'

/** Of a form both ends are kept: fields stand before and behind the files. */
const edgeBytes = 64 * 1024
/** What a piece costs beside its bytes: many of one byte are not cheap. */
const pieceBytes = 256
const nothing = Buffer.alloc(0)
/** A longer body is sketched as it comes: all of it at once, when it turns out to be too long, would hold every stream up. */
const unsketchedBytesMax = 512 * 1024

/** How much is kept of all bodies, of all exchanges. */
export class CopyBudget {
  #bytesMax: number
  #free: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#free = bytesMax
  }

  /** From now on; what is kept beyond it stays until it is given back. */
  limit(bytesMax: number): void {
    this.#free += bytesMax - this.#bytesMax
    this.#bytesMax = bytesMax
  }

  take(bytes: number): boolean {
    if (bytes > this.#free) return false
    this.#free -= bytes
    return true
  }

  give(bytes: number): void {
    this.#free += bytes
  }
}

/** Bytes kept up to a limit, and up to a limit of all that is kept. Past either only a sketch of JSON, or the ends of a form. */
export class Collected {
  bytes = 0
  #chunks: Uint8Array[] = []
  #taken = 0
  #overflowed = false
  #sketch: Sketch | undefined
  #head: Buffer = nothing
  #tail: Uint8Array[] = []
  #tailBytes = 0
  readonly #bytesMax: number
  readonly #budget: CopyBudget
  readonly #createSketch: (() => Sketch) | undefined

  /** `sketch` is given where something stands between these bytes and JSON. */
  constructor(bytesMax: number, budget: CopyBudget, sketch?: () => Sketch) {
    this.#bytesMax = bytesMax
    this.#budget = budget
    this.#createSketch = sketch
  }

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (!this.#overflowed && this.#keep(chunk)) {
      if (this.bytes > unsketchedBytesMax && this.#createSketch === undefined) this.#scan(chunk)
      return
    }
    if (!this.#overflowed) this.#overflow()
    this.#scan(chunk)
    this.#keepEnd(chunk)
  }

  get overflowed(): boolean {
    return this.#overflowed
  }

  /** To be asked at the end: what is left takes the place of what was dropped. False when it is of no use. */
  settle(): boolean {
    const json = this.#sketch?.json()
    if (json !== undefined) this.#chunks = [Buffer.from(json)]
    else if (this.#head.length > 0) this.#chunks = [this.#head, Buffer.concat(this.#tail).subarray(-edgeBytes)]
    this.#tail = []
    return this.#chunks.length > 0
  }

  /** What is kept is the caller's now. */
  handOver(): readonly Uint8Array[] {
    const chunks = this.#chunks
    this.#forget()
    return chunks
  }

  #keep(chunk: Uint8Array): boolean {
    const cost = chunk.length + pieceBytes
    if (this.bytes > this.#bytesMax || this.#chunks.length * pieceBytes > this.#bytesMax || !this.#budget.take(cost)) return false
    this.#taken += cost
    this.#chunks.push(chunk)
    return true
  }

  #overflow(): void {
    this.#overflowed = true
    const kept = this.#chunks
    if (this.#sketch === undefined) this.#beginSketch(kept)
    if (isForm(kept[0])) {
      this.#head = beginningOf(kept)
      for (const chunk of kept) this.#keepEnd(chunk)
    }
    this.#forget()
  }

  #forget(): void {
    this.#chunks = []
    this.#budget.give(this.#taken)
    this.#taken = 0
  }

  #scan(chunk: Uint8Array): void {
    if (this.#sketch === undefined) this.#beginSketch(this.#chunks)
    else this.#sketch.push(chunk)
  }

  #beginSketch(kept: readonly Uint8Array[]): void {
    const sketch = (this.#createSketch ?? createSketch)()
    for (const chunk of kept) sketch.push(chunk)
    this.#sketch = sketch
  }

  #keepEnd(chunk: Uint8Array): void {
    if (this.#head.length === 0) return
    this.#tail.push(chunk)
    this.#tailBytes += chunk.length
    while (this.#tailBytes - (this.#tail[0]?.length ?? 0) >= edgeBytes) this.#tailBytes -= this.#tail.shift()?.length ?? 0
  }
}

function isForm(first: Uint8Array | undefined): boolean {
  return first?.[0] === 0x2d && first[1] === 0x2d
}

function beginningOf(chunks: readonly Uint8Array[]): Buffer {
  const first: Uint8Array[] = []
  for (let bytes = 0, at = 0; bytes < edgeBytes && at < chunks.length; at++) {
    const chunk = chunks[at] as Uint8Array
    first.push(chunk)
    bytes += chunk.length
  }
  return Buffer.from(Buffer.concat(first).subarray(0, edgeBytes))
}
