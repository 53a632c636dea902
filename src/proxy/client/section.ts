/** A section of fields on the wire, up to its blank line: the head of a response, or its trailers. What has come of it is held, up to a limit. */
import type { FaultCode } from './fault.ts'

const nothing = Buffer.alloc(0)
const blankLine = Buffer.from('\r\n\r\n')
const cr = 0x0d
const lf = 0x0a

export class Section {
  /** What is wrong with what has come. */
  fault: FaultCode | undefined
  /** After a section that was read: where the bytes behind it begin. */
  next = 0
  readonly #bytesMax: number
  /** So many bytes of a buffer that has room for more. */
  #held = nothing
  #heldBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Text from before `chunk` and from `at` on, without the blank line; `undefined` when there is a fault, or more has to come. */
  read(chunk: Buffer, at: number): string | undefined {
    const heldBytes = this.#heldBytes
    if (heldBytes > 0) this.hold(chunk.subarray(at))
    const bytes = heldBytes > 0 ? this.#held.subarray(0, this.#heldBytes) : chunk
    const from = heldBytes > 0 ? 0 : at
    const end = bytes.indexOf(blankLine, from + Math.max(0, heldBytes - 3))
    const sectionBytes = (end < 0 ? bytes.length : end + blankLine.length) - from
    if (sectionBytes > this.#bytesMax) {
      this.fault = 'HEAD_TOO_LARGE'
    } else if (end >= 0) {
      this.next = at + sectionBytes - heldBytes
      this.#held = nothing
      this.#heldBytes = 0
      return bytes.toString('latin1', from, end + 2)
    } else {
      // Lines that end with a bare LF would never come to an end.
      for (let i = bytes.indexOf(lf, from + heldBytes); i >= 0; i = bytes.indexOf(lf, i + 1)) {
        if (i === from || bytes[i - 1] !== cr) this.fault = 'BAD_FIELD'
      }
      if (heldBytes === 0) this.hold(chunk.subarray(at))
    }
    return undefined
  }

  /** Bytes that come before those of the next chunk. */
  hold(bytes: Buffer): void {
    const needed = this.#heldBytes + bytes.length
    if (needed > this.#held.length) {
      const roomier = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#held.length))
      this.#held.copy(roomier, 0, 0, this.#heldBytes)
      this.#held = roomier
    }
    bytes.copy(this.#held, this.#heldBytes)
    this.#heldBytes = needed
  }

  /** Whether what is held can become a text that starts so. */
  mayStartWith(text: string): boolean {
    return text.startsWith(this.#held.toString('latin1', 0, Math.min(this.#heldBytes, text.length)))
  }
}
