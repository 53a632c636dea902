/** Bytes of one message that arrives in several chunks. */

export const LINE_FEED = 0x0a
export const CARRIAGE_RETURN = 0x0d
export const nothing: Buffer = Buffer.alloc(0)

const capacityMin = 512
/** A larger block is given back when its message is done, so that one long message does not stay allocated for a whole stream. */
const capacityKeptMax = 16 * 1024

export function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

/** JSON's white space: space, tab, line feed, carriage return (RFC 8259 §2). */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === LINE_FEED || byte === CARRIAGE_RETURN
}

export interface Gathered {
  /** Bytes held. */
  length(): number
  /** Adds `bytes[start, end)`. False, and nothing added, when that would exceed `bytesMax`. */
  append(bytes: Buffer, start: number, end: number): boolean
  /** A view of what is held; valid until the next `append` or `clear`. */
  view(): Buffer
  clear(): void
}

/** One block that doubles when it is full: n bytes cost at most 3n bytes of copying, in whatever pieces they come. */
export function gather(bytesMax: number): Gathered {
  let block: Buffer | undefined
  let length = 0

  function makeRoom(needed: number): Buffer {
    if (block !== undefined && block.length >= needed) return block
    // Not from the pool: one block of a stream that stays open would keep a whole pool slab (64 KiB) from being freed.
    const grown = Buffer.allocUnsafeSlow(Math.min(bytesMax, Math.max(capacityMin, needed, 2 * (block?.length ?? 0))))
    if (length > 0) block?.copy(grown, 0, 0, length)
    block = grown
    return grown
  }

  return {
    length: () => length,
    append(bytes, start, end) {
      const needed = length + end - start
      if (needed > bytesMax) return false
      if (end > start) bytes.copy(makeRoom(needed), length, start, end)
      length = needed
      return true
    },
    view: () => (block === undefined ? nothing : block.subarray(0, length)),
    clear() {
      length = 0
      if (block !== undefined && block.length > capacityKeptMax) block = undefined
    },
  }
}
