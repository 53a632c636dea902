/** Random identifiers. Random bytes are drawn in blocks, because a system call for each request costs more than the request's parsing. */
import { randomFillSync } from 'node:crypto'

export interface Ids {
  /** W3C trace id: 32 lower-case hex digits, never all zero. */
  traceId(): string
  /** W3C span id: 16 lower-case hex digits, never all zero. */
  spanId(): string
  /** UUIDv7 (RFC 9562) of that wall-clock time in milliseconds. */
  exchangeId(epochMs: number): string
}

const blockBytes = 4096

/** The smallest id of a time in milliseconds since the epoch; times before 1970 count as 1970. */
export function firstIdAt(epochMs: number): string {
  return idOf(epochMs, '7000-8000-000000000000')
}

function idOf(epochMs: number, rest: string): string {
  const time = Math.max(0, Math.floor(epochMs))
  // In two parts: Node writes larger numbers in hex bit by bit.
  const high = Math.floor(time / 0x1_0000)
    .toString(16)
    .padStart(8, '0')
  const low = (time % 0x1_0000).toString(16).padStart(4, '0')
  return `${high}-${low}-${rest}`
}

export function createIds(): Ids {
  const block = Buffer.allocUnsafe(blockBytes)
  let at = blockBytes
  const hex = (bytes: number): string => {
    if (at + bytes > blockBytes) {
      randomFillSync(block)
      at = 0
    }
    at += bytes
    return block.toString('hex', at - bytes, at)
  }
  const nonZero = (bytes: number): string => {
    for (;;) {
      const id = hex(bytes)
      if (id.charCodeAt(0) !== 0x30 || !/^0+$/.test(id)) return id
    }
  }
  return {
    traceId: () => nonZero(16),
    spanId: () => nonZero(8),
    exchangeId(epochMs) {
      const random = hex(10)
      // 0x8…0xb carries the RFC variant in the two top bits.
      const variant = ((Number.parseInt(random.charAt(3), 16) & 0x3) | 0x8).toString(16)
      return idOf(epochMs, `7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`)
    },
  }
}
