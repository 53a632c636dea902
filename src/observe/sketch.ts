/**
 * What is kept of JSON that is too long to keep: the same document with long texts emptied and long lists cut, read byte by byte as it comes.
 * Usage, model and id stand outside of both, so that an answer with a picture of many MiB is read in a bounded block of memory.
 */

export interface Sketch {
  /** Returns how many of the bytes were read: not those behind the document's end. */
  push(bytes: Uint8Array): number
  /** The document; undefined when it has not ended, or was none that could be sketched. */
  json(): string | undefined
}

/** A longer text becomes an empty one. */
const textBytesMax = 1024
/** Of a list so many members are kept. */
const membersMax = 128
const depthMax = 64
/** Beyond this the lists that are open are cut where they stand. */
const sketchBytesMax = 256 * 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/** What stands in front of the document is passed over: the name of a field in an event stream.  */
export function createSketch(): Sketch {
  const out = createOut()
  /** For each open object or list: whether it is a list, how many members it has, where in `out` its current member began. */
  const lists: boolean[] = []
  const members: number[] = []
  const memberStarts: number[] = []
  /** Depth of the list of which nothing more is written; 0 when none. */
  let mutedDepth = 0
  let isInText = false
  let isEscaped = false
  let textStart = 0
  let isTextTooLong = false
  let state: 'before' | 'within' | 'ended' | 'broken' = 'before'

  function write(byte: number): void {
    if (mutedDepth === 0) out.add(byte)
  }

  function open(byte: number): void {
    if (lists.length === depthMax) {
      state = 'broken'
      return
    }
    write(byte)
    lists.push(byte === 0x5b)
    members.push(1)
    memberStarts.push(out.length())
    state = 'within'
  }

  function close(byte: number): void {
    if (lists.length === mutedDepth) mutedDepth = 0
    write(byte)
    lists.pop()
    members.pop()
    memberStarts.pop()
    if (lists.length === 0) state = 'ended'
  }

  function comma(): void {
    const top = lists.length - 1
    if (mutedDepth === 0 && lists[top] === true && (members[top] as number) >= membersMax) mutedDepth = lists.length
    members[top] = (members[top] as number) + 1
    if (mutedDepth === 0) memberStarts[top] = out.length()
    write(COMMA)
  }

  /** The outermost open list loses the member that it is in, and everything after it. */
  function shorten(): void {
    const outermost = lists.indexOf(true)
    if (outermost === -1) {
      state = 'broken'
      return
    }
    out.cutTo(memberStarts[outermost] as number)
    mutedDepth = outermost + 1
    isTextTooLong = true
  }

  /** Reads on within a text and returns the offset behind its part in these bytes. */
  function readText(bytes: Buffer, from: number): number {
    let at = from
    if (isEscaped) {
      isEscaped = false
      at++
    }
    for (;;) {
      const quote = bytes.indexOf(QUOTE, at)
      const end = quote === -1 ? bytes.length : quote
      let slashes = 0
      while (end - slashes > at && bytes[end - slashes - 1] === BACKSLASH) slashes++
      const isOdd = slashes % 2 === 1
      if (quote !== -1 && isOdd) {
        at = quote + 1
        continue
      }
      keepText(bytes, from, end)
      if (quote === -1) {
        isEscaped = isOdd
        return end
      }
      endText()
      return quote + 1
    }
  }

  function keepText(bytes: Buffer, from: number, end: number): void {
    if (mutedDepth > 0 || isTextTooLong) return
    if (out.length() - textStart + (end - from) <= textBytesMax) out.addAll(bytes, from, end)
    else {
      isTextTooLong = true
      out.cutTo(textStart)
    }
  }

  function endText(): void {
    isInText = false
    write(QUOTE)
  }

  function readByte(byte: number): void {
    switch (byte) {
      case QUOTE:
        if (state !== 'within') return
        write(QUOTE)
        isInText = true
        isTextTooLong = false
        textStart = out.length()
        return
      case 0x7b:
      case 0x5b:
        open(byte)
        return
      case 0x7d:
      case 0x5d:
        if (lists.length > 0) close(byte)
        return
      case COMMA:
        if (lists.length > 0) comma()
        return
      default:
        if (byte > 0x20 && state === 'within') write(byte)
    }
  }

  return {
    push(chunk) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      let at = 0
      while (at < bytes.length && (state === 'before' || state === 'within')) {
        if (isInText) at = readText(bytes, at)
        else readByte(bytes[at++] as number)
        if (mutedDepth === 0 && out.length() > sketchBytesMax) shorten()
      }
      return at
    },
    json: () => (state === 'ended' ? out.text() : undefined),
  }
}

interface Out {
  add(byte: number): void
  addAll(bytes: Buffer, from: number, end: number): void
  length(): number
  cutTo(length: number): void
  text(): string
}

/** Room for what is kept, which grows up to a little beyond `sketchBytesMax`. */
function createOut(): Out {
  let block = Buffer.allocUnsafe(4096)
  let length = 0

  function reserve(bytes: number): void {
    if (length + bytes <= block.length) return
    const larger = Buffer.allocUnsafe(2 * (length + bytes))
    block.copy(larger, 0, 0, length)
    block = larger
  }

  return {
    add(byte) {
      reserve(1)
      block[length++] = byte
    },
    addAll(bytes, from, end) {
      reserve(end - from)
      length += bytes.copy(block, length, from, end)
    },
    length: () => length,
    cutTo(shorter) {
      length = Math.min(length, shorter)
    },
    text: () => block.toString('utf8', 0, length),
  }
}
