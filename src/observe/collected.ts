import { createSketch, type Sketch } from './sketch.ts'

/** Of a form both ends are kept: fields stand before and behind the files. */
const edgeBytes = 64 * 1024

/** Bytes kept up to a limit. Past it only a sketch of JSON, or the ends of a form. */
export class Collected {
  chunks: Uint8Array[] = []
  bytes = 0
  #sketch: Sketch | undefined
  #head: Buffer = Buffer.alloc(0)
  #tail: Uint8Array[] = []
  #tailBytes = 0
  readonly #bytesMax: number
  readonly #createSketch: () => Sketch

  /** `sketch` is given where something stands between these bytes and JSON. */
  constructor(bytesMax: number, sketch: () => Sketch = createSketch) {
    this.#bytesMax = bytesMax
    this.#createSketch = sketch
  }

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.bytes <= this.#bytesMax) {
      this.chunks.push(chunk)
      return
    }
    if (this.#sketch === undefined) this.#beginSketch()
    this.#scan(chunk)
  }

  #beginSketch(): void {
    this.#sketch = this.#createSketch()
    const kept = this.chunks
    this.chunks = []
    this.#head = beginningOf(kept)
    for (const chunk of kept) this.#scan(chunk)
  }

  #scan(chunk: Uint8Array): void {
    this.#sketch?.push(chunk)
    this.#tail.push(chunk)
    this.#tailBytes += chunk.length
    while (this.#tailBytes - (this.#tail[0]?.length ?? 0) >= edgeBytes) this.#tailBytes -= this.#tail.shift()?.length ?? 0
  }

  get overflowed(): boolean {
    return this.#sketch !== undefined
  }

  /** To be asked at the end: what is left takes the place of what was dropped. False when it is of no use. */
  settle(): boolean {
    const json = this.#sketch?.json()
    const isForm = this.#head.toString('latin1', 0, 2) === '--'
    if (json !== undefined) this.chunks = [Buffer.from(json)]
    else if (isForm) this.chunks = [Buffer.from(this.#head), Buffer.concat(this.#tail).subarray(-edgeBytes)]
    this.#tail = []
    return this.chunks.length > 0
  }
}

function beginningOf(chunks: readonly Uint8Array[]): Buffer {
  const first: Uint8Array[] = []
  for (let bytes = 0, at = 0; bytes < edgeBytes && at < chunks.length; at++) {
    const chunk = chunks[at] as Uint8Array
    first.push(chunk)
    bytes += chunk.length
  }
  return Buffer.concat(first).subarray(0, edgeBytes)
}
