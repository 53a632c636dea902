/**
 * A JSON array that is sent element by element (Gemini's streamGenerateContent without `alt=sse`): each element is a message as soon as
 * its last byte is there. An object in place of the array is one message; several values after another are read one by one.
 *
 * Strings are stepped over with `indexOf`; only what stands between them (brackets, commas, numbers, indentation) is looked at byte by
 * byte. Brackets are counted, not matched: whether an element is JSON is for its reader to see. At the first byte that can begin no
 * value, `parse_error` is noted and nothing more is read.
 */
import { asBuffer, gather, isSpace } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'
import { createReporter } from './reporter.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const ARRAY_START = 0x5b
const ARRAY_END = 0x5d
const OBJECT_START = 0x7b
const OBJECT_END = 0x7d

export function createJsonArrayFramer(options: FramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const report = createReporter(options)
  const partial = gather(messageBytesMax)
  let place: 'between' | 'element' | 'broken' = 'between'
  let inArray = false
  let tooLong = false
  let atBodyStart = true
  let element = createElement(OBJECT_START)

  /** Reads white space, commas and the array's own brackets; stops at the first byte of an element. */
  function readBetween(bytes: Buffer, from: number): number {
    let at = from
    for (; at < bytes.length; at++) {
      const byte = bytes[at]
      if (isSpace(byte) || (inArray && byte === COMMA) || (atBodyStart && isByteOrderMark(byte))) continue
      atBodyStart = false
      if (!inArray && byte === ARRAY_START) inArray = true
      else if (inArray && byte === ARRAY_END) inArray = false
      else break
    }
    if (at < bytes.length) begin(bytes[at])
    return at
  }

  function begin(byte: number | undefined): void {
    const legal = byte === OBJECT_START || (inArray && canBeginValue(byte))
    place = legal ? 'element' : 'broken'
    if (legal) element = createElement(byte)
    else report.note('parse_error')
  }

  function readElement(bytes: Buffer, from: number): number {
    const end = element.read(bytes, from)
    if (end === -1) {
      if (!tooLong && !partial.append(bytes, from, bytes.length)) giveUp()
      return bytes.length
    }
    finish(bytes, from, end)
    return end
  }

  function finish(bytes: Buffer, start: number, end: number): void {
    const inOnePiece = partial.length() === 0
    if (!tooLong && (inOnePiece ? end - start > messageBytesMax : !partial.append(bytes, start, end))) giveUp()
    if (!tooLong) report.message(undefined, inOnePiece ? bytes.subarray(start, end) : partial.view())
    tooLong = false
    partial.clear()
    place = 'between'
  }

  function giveUp(): void {
    tooLong = true
    partial.clear()
    report.note('limit_hit')
  }

  return {
    push(chunk) {
      const bytes = asBuffer(chunk)
      report.readWanted()
      let at = 0
      while (at < bytes.length && place !== 'broken') at = place === 'between' ? readBetween(bytes, at) : readElement(bytes, at)
    },
    end() {},
  }
}

interface Element {
  /** The offset just behind the element, or -1 when it goes on in the next chunk. */
  read(bytes: Buffer, from: number): number
}

function createElement(firstByte: number | undefined): Element {
  if (firstByte === QUOTE || firstByte === OBJECT_START || firstByte === ARRAY_START) return createNested()
  return { read: endOfScalar }
}

/** An object, an array or a string. */
function createNested(): Element {
  let depth = 0
  let inString = false
  let escaped = false

  /** The offset just behind the closing quote, or -1. */
  function endOfString(bytes: Buffer, from: number): number {
    let at = escaped ? from + 1 : from
    escaped = false
    for (;;) {
      const quote = bytes.indexOf(QUOTE, at)
      const end = quote === -1 ? bytes.length : quote
      let slash = end
      while (slash > at && bytes[slash - 1] === BACKSLASH) slash--
      const odd = (end - slash) % 2 === 1
      if (quote === -1) {
        escaped = odd
        return -1
      }
      if (!odd) return quote + 1
      at = quote + 1
    }
  }

  return {
    read(bytes, from) {
      let at = from
      while (at < bytes.length) {
        if (inString) {
          at = endOfString(bytes, at)
          if (at === -1) return -1
          inString = false
          if (depth === 0) return at
          continue
        }
        const byte = bytes[at++]
        if (byte === QUOTE) inString = true
        else if (byte === OBJECT_START || byte === ARRAY_START) depth++
        else if ((byte === OBJECT_END || byte === ARRAY_END) && --depth === 0) return at
      }
      return -1
    },
  }
}

function endOfScalar(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === COMMA || byte === ARRAY_END || isSpace(byte)) return at
  }
  return -1
}

function isByteOrderMark(byte: number | undefined): boolean {
  return byte === 0xef || byte === 0xbb || byte === 0xbf
}

function canBeginValue(byte: number | undefined): boolean {
  return byte !== undefined && '{["-0123456789tfn'.includes(String.fromCharCode(byte))
}
