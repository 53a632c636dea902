import { createSketch, type Sketch } from './sketch.ts'

/** Bytes kept up to a limit. Past it only a sketch is kept, which is of use where they are one JSON document. */
export class Collected {
  chunks: Uint8Array[] = []
  bytes = 0
  #sketch: Sketch | undefined
  readonly #bytesMax: number
  readonly #createSketch: () => Sketch

  /** `sketch` is made where something stands between these bytes and JSON. */
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
    if (this.#sketch === undefined) {
      this.#sketch = this.#createSketch()
      for (const kept of this.chunks) this.#sketch.push(kept)
      this.chunks = []
    }
    this.#sketch.push(chunk)
  }

  get overflowed(): boolean {
    return this.#sketch !== undefined
  }

  /** To be asked at the end: the sketch takes the place of what was dropped. False when it is of no use. */
  settle(): boolean {
    const json = this.#sketch?.json()
    if (json === undefined) return false
    this.chunks = [Buffer.from(json)]
    return true
  }
}
