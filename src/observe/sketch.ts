/**
 * What is kept of JSON that is too long to keep: the same document with long texts emptied and long lists cut, read byte by byte as it comes.
 * Usage, model and id stand outside of both, so that an answer with a picture of many MiB is read in a bounded block of memory.
 */
import { StringBytes } from '../lib/json-bytes.ts'

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
const COMMA = 0x2c
/** A bracket and the brace of the same side differ by this bit alone. */
const BRACE_BIT = 0x20

/** What stands in front of the document is passed over: the name of a field in an event stream.  */
export function createSketch(): Sketch {
  const out = createOut()
  /** For each open object or list: whether it is a list, how many members it has, where in `out` its current member began. */
  const open: { readonly isList: boolean; members: number; memberStart: number }[] = []
  /** Depth of the list of which nothing more is written; 0 when none. */
  let mutedDepth = 0
  /** Objects and lists that are open within it. */
  let mutedOpen = 0
  const text = createText(out, () => mutedDepth > 0)
  let state: 'before' | 'within' | 'ended' | 'broken' = 'before'

  function begin(byte: number): void {
    if (open.length === depthMax) {
      state = 'broken'
      return
    }
    out.add(byte)
    open.push({ isList: byte === 0x5b, members: 1, memberStart: out.length() })
    state = 'within'
  }

  function end(byte: number): void {
    out.add(byte)
    open.pop()
    if (open.length === 0) state = 'ended'
  }

  function comma(): void {
    const top = open.at(-1)
    if (top === undefined) return
    if (top.isList && top.members >= membersMax) {
      mutedDepth = open.length
      return
    }
    top.members++
    top.memberStart = out.length()
    out.add(COMMA)
  }

  /** The outermost open list loses the member that it is in, and everything after it. */
  function shorten(): void {
    const outermost = open.findIndex(({ isList }) => isList)
    if (outermost === -1) {
      state = 'broken'
      return
    }
    out.cutTo(open[outermost]?.memberStart ?? 0)
    mutedDepth = outermost + 1
    mutedOpen = open.length - mutedDepth
    open.length = mutedDepth
  }

  /** Of a muted list only the end is looked for: this is what nearly all of a long list costs. */
  function readMuted(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (byte === QUOTE) {
        text.begin()
        return at + 1
      }
      if ((byte | BRACE_BIT) === 0x7b) mutedOpen++
      else if ((byte | BRACE_BIT) === 0x7d && mutedOpen-- === 0) {
        mutedDepth = 0
        mutedOpen = 0
        return at
      }
    }
    return bytes.length
  }

  function readByte(byte: number): void {
    if (byte === 0x7b || byte === 0x5b) begin(byte)
    else if (state !== 'within') return
    else if (byte === QUOTE) {
      out.add(QUOTE)
      text.begin()
    } else if (byte === 0x7d || byte === 0x5d) end(byte)
    else if (byte === COMMA) comma()
    else if (byte > 0x20) out.add(byte)
  }

  return {
    push(chunk) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      let at = 0
      while (at < bytes.length && (state === 'before' || state === 'within')) {
        if (text.isOpen()) {
          at = text.read(bytes, at)
          if (!text.isOpen() && mutedDepth === 0) out.add(QUOTE)
        } else if (mutedDepth > 0) at = readMuted(bytes, at)
        else readByte(bytes[at++] as number)
        if (mutedDepth === 0 && out.length() > sketchBytesMax) shorten()
      }
      return at
    },
    json: () => (state === 'ended' ? out.text() : undefined),
  }
}

interface Text {
  begin(): void
  isOpen(): boolean
  /** Reads on within the text and returns the offset behind its part in these bytes, and behind its quote. */
  read(bytes: Buffer, from: number): number
}

/** A text between its quotes, kept while it is short. */
function createText(out: Out, isMuted: () => boolean): Text {
  const string = new StringBytes()
  let isOpen = false
  let start = 0
  let isTooLong = false

  function keep(bytes: Buffer, from: number, end: number): void {
    if (isTooLong || isMuted()) return
    if (out.length() - start + (end - from) <= textBytesMax) out.addAll(bytes, from, end)
    else {
      isTooLong = true
      out.cutTo(start)
    }
  }

  return {
    begin() {
      isOpen = true
      isTooLong = false
      start = out.length()
    },
    isOpen: () => isOpen,
    read(bytes, from) {
      const end = string.end(bytes, from)
      isOpen = end === -1
      keep(bytes, from, isOpen ? bytes.length : end - 1)
      return isOpen ? bytes.length : end
    },
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
