/**
 * What a framer passes over in a stream: lines and members of a list too long to be held, which are sketched as they come, and in an event
 * stream an error's JSON that stands there without `data:`, as servers write it whose backend died amid an answer.
 */
import { type Json, parseJson } from '../lib/json.ts'
import type { Framer } from './frames/framer.ts'
import { createSketch, type Sketch } from './sketch.ts'

export interface BesideOptions {
  /** Longer ones are lost to the framer. */
  readonly messageBytesMax: number
  /** A line or member that was too long, as far as it was kept. */
  readonly onLong: (json: string | undefined) => void
  /** JSON outside of every event. */
  readonly onStray: (json: Json) => void
}

const LINE_FEED = 0x0a
const OPENING_BRACE = 0x7b
const strayBeginning = Buffer.from('\n{')
const strayBytesMax = 16 * 1024

export function createBeside(options: BesideOptions): Framer {
  const longLines = createLongLines(options)
  const strays = createStrays(options.onStray)
  return {
    push(chunk) {
      if (chunk.length === 0) return
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      longLines.push(bytes)
      strays.push(bytes)
    },
    end() {
      longLines.end()
      strays.end()
    },
  }
}

/** Of a line that goes on in the next chunk its beginning is kept; once it fills a whole chunk, it is sketched. */
function createLongLines({ messageBytesMax, onLong }: BesideOptions): { push(bytes: Buffer): void; end(): void } {
  let beginning: Buffer | undefined
  let sketch: Sketch | undefined
  let lineBytes = 0

  function add(bytes: Buffer): void {
    if (sketch === undefined) {
      sketch = createSketch()
      if (beginning !== undefined) sketch.push(beginning)
      lineBytes = beginning?.length ?? 0
      beginning = undefined
    }
    sketch.push(bytes)
    lineBytes += bytes.length
  }

  function lineEnd(): void {
    if (sketch !== undefined && lineBytes > messageBytesMax) onLong(sketch.json())
    sketch = undefined
    beginning = undefined
  }

  return {
    push(bytes) {
      const last = bytes.lastIndexOf(LINE_FEED)
      if (last === -1) {
        add(bytes)
        return
      }
      if (sketch !== undefined) add(bytes.subarray(0, bytes.indexOf(LINE_FEED)))
      lineEnd()
      if (last + 1 < bytes.length) beginning = Buffer.from(bytes.subarray(last + 1))
    },
    end: lineEnd,
  }
}

/** Of a list that is sent member by member each is sketched, which costs more than lines do: only Gemini has such streams, and rarely. */
export function createLongMembers({ messageBytesMax, onLong }: Pick<BesideOptions, 'messageBytesMax' | 'onLong'>): Framer {
  let sketch: Sketch | undefined
  let memberBytes = 0

  function memberEnd(json: string | undefined): void {
    if (memberBytes > messageBytesMax) onLong(json)
    sketch = undefined
    memberBytes = 0
  }

  return {
    push(chunk) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      let at = 0
      while (at < bytes.length) {
        if (sketch === undefined) {
          at = bytes.indexOf(OPENING_BRACE, at)
          if (at === -1) return
          sketch = createSketch()
        }
        const read = sketch.push(bytes.subarray(at))
        // A member that cannot be sketched is read no further, and neither is what follows it.
        if (read === 0) return
        memberBytes += read
        at += read
        const json = sketch.json()
        if (json !== undefined) memberEnd(json)
      }
    },
    end() {
      if (sketch !== undefined) memberEnd(undefined)
    },
  }
}

function createStrays(onStray: (json: Json) => void): { push(bytes: Buffer): void; end(): void } {
  let isLineStart = false
  /** Everything from the first line on that begins with a brace, up to a limit. */
  let stray: Buffer | undefined

  function begin(bytes: Buffer): Buffer | undefined {
    if (isLineStart && bytes[0] === OPENING_BRACE) return bytes
    const found = bytes.indexOf(strayBeginning)
    return found === -1 ? undefined : bytes.subarray(found + 1)
  }

  return {
    push(bytes) {
      if (stray === undefined) {
        const found = begin(bytes)
        if (found !== undefined) stray = Buffer.from(found.subarray(0, strayBytesMax))
      } else if (stray.length < strayBytesMax) stray = Buffer.concat([stray, bytes.subarray(0, strayBytesMax - stray.length)])
      isLineStart = bytes.at(-1) === LINE_FEED
    },
    end() {
      const text = stray?.toString('utf8') ?? ''
      // Written on one line, or over several to the end or to a blank line.
      for (const part of [text.split('\n', 1)[0] as string, text, text.split(/\r?\n\r?\n/, 1)[0] as string]) {
        const json = part.trim() === '' ? undefined : parseJson(part)
        if (json === undefined) continue
        onStray(json)
        return
      }
    },
  }
}
