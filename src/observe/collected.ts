/** Bytes kept up to a limit. Past it everything is dropped: half a JSON document is of no use. */
export class Collected {
  chunks: Uint8Array[] = []
  bytes = 0
  overflowed = false
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.bytes > this.#bytesMax) {
      this.overflowed = true
      this.chunks = []
    } else {
      this.chunks.push(chunk)
    }
  }
}
