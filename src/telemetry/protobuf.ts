/** Fields of protobuf, one after the other, into one buffer that grows: https://protobuf.dev/programming-guides/encoding */

const varint = 0
const fixed64 = 1
const lengthDelimited = 2
const fixed32 = 5

/** For short texts a call into native code costs more than the loop. */
const shortTextMax = 64

export class ProtobufWriter {
  private buffer: Buffer
  private at = 0

  /** `bytes`: for a start. */
  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytes)
  }

  /** Forgets what was written; the buffer stays. */
  begin(): void {
    this.at = 0
  }

  /** A copy of all that was written. */
  finish(): Uint8Array {
    return Buffer.from(this.buffer.subarray(0, this.at))
  }

  /** Begins a message. Returns what `close` needs: one byte is left free for its length, which is enough for most. */
  open(field: number): number {
    this.tag(field, lengthDelimited)
    this.reserve(1)
    return this.at++
  }

  close(start: number): void {
    const length = this.at - start - 1
    if (length <= 0x7f) {
      this.buffer[start] = length
      return
    }
    const more = length < 1 << 14 ? 1 : length < 1 << 21 ? 2 : length < 1 << 28 ? 3 : 4
    this.reserve(more)
    this.buffer.copyWithin(start + 1 + more, start + 1, this.at)
    const end = this.at + more
    this.at = start
    this.writeVarint(length)
    this.at = end
  }

  string(field: number, text: string): void {
    const start = this.open(field)
    this.writeText(text)
    this.close(start)
  }

  /** Bytes given as lower-case hexadecimal digits. */
  hex(field: number, digits: string): void {
    const start = this.open(field)
    this.reserve(digits.length / 2)
    for (let index = 0; index < digits.length; index += 2) {
      this.buffer[this.at++] = (nibble(digits.charCodeAt(index)) << 4) | nibble(digits.charCodeAt(index + 1))
    }
    this.close(start)
  }

  /** An integer of 64 bits, with or without sign. */
  integer(field: number, value: number): void {
    this.tag(field, varint)
    if (value >= 0 && value < 2 ** 31) this.writeVarint(value)
    else this.writeLongVarint(BigInt.asUintN(64, BigInt(value)))
  }

  double(field: number, value: number): void {
    this.tag(field, fixed64)
    this.reserve(8)
    this.at = this.buffer.writeDoubleLE(value, this.at)
  }

  fixed32(field: number, value: number): void {
    this.tag(field, fixed32)
    this.reserve(4)
    this.at = this.buffer.writeUInt32LE(value, this.at)
  }

  fixed64(field: number, lower32: number, upper32: number): void {
    this.tag(field, fixed64)
    this.reserve(8)
    this.at = this.buffer.writeUInt32LE(lower32, this.at)
    this.at = this.buffer.writeUInt32LE(upper32, this.at)
  }

  /** Fields that were encoded before. */
  encoded(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }

  private reserve(bytes: number): void {
    if (this.at + bytes > this.buffer.length) this.grow(this.at + bytes)
  }

  private grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, bytes))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }

  private tag(field: number, kind: number): void {
    this.writeVarint((field << 3) | kind)
  }

  /** Up to 31 bits. */
  private writeVarint(value: number): void {
    this.reserve(5)
    let rest = value
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.buffer[this.at++] = rest
  }

  /** Rare: counts of tokens and bytes are short. */
  private writeLongVarint(value: bigint): void {
    this.reserve(10)
    let rest = value
    while (rest > 0x7fn) {
      this.buffer[this.at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.buffer[this.at++] = Number(rest)
  }

  private writeText(text: string): void {
    const { length } = text
    this.reserve(length * 3)
    const { buffer, at } = this
    if (length <= shortTextMax) {
      let index = 0
      for (; index < length; index++) {
        const code = text.charCodeAt(index)
        if (code > 0x7f) break
        buffer[at + index] = code
      }
      if (index === length) {
        this.at += length
        return
      }
    }
    this.at += buffer.write(text, at)
  }
}

/** Of a lower-case digit. */
function nibble(code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x57
}
