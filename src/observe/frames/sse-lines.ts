/** The lines of an event stream: ended by LF, CR or CR LF, in any mixture, cut anywhere. */
import { CARRIAGE_RETURN, gather, LINE_FEED, nothing } from './bytes.ts'
import type { Events } from './sse-events.ts'

/** Room in a line for what stands around its data: a byte order mark and `data: `. */
const lineOverheadBytes = 16

export interface Lines {
  /** A chunk follows; it stays open until `close`. */
  open(bytes: Buffer): void
  /** Offset in the chunk of the next byte to be read. */
  position(): number
  betweenEvents(): boolean
  /** Reads to the end of the chunk. */
  read(): void
  /** Reads to just behind the next blank line, or to the end of the chunk. */
  readEvent(): void
  /** Goes on at `position`, the start of an event; nothing is done when that is not ahead. */
  skipTo(position: number): void
  /** Puts by what has to outlive the chunk. */
  close(): void
  end(): void
}

export function createLines(events: Events, messageBytesMax: number): Lines {
  const cutter = createCutter()
  const held = createHeldLine(messageBytesMax + lineOverheadBytes, events)
  let firstLine = true
  let bytes = nothing

  /** Reads one line, or what there is of it; true when that was a blank line. */
  function readLine(): boolean {
    const start = cutter.position()
    const end = cutter.next()
    if (end === -1) {
      held.hold(bytes, start, bytes.length)
      return false
    }
    if (!held.any()) return line(bytes, start, end)
    held.hold(bytes, start, end)
    const whole = held.take()
    return whole !== undefined && line(whole, 0, whole.length)
  }

  function line(source: Buffer, start: number, end: number): boolean {
    const from = firstLine && hasByteOrderMark(source, start, end) ? start + 3 : start
    firstLine = false
    if (from === end) events.dispatch()
    else if (end - start > messageBytesMax + lineOverheadBytes) events.lose()
    else events.field(source, from, end)
    return from === end
  }

  return {
    open(chunk) {
      bytes = chunk
      cutter.open(chunk)
    },
    position: cutter.position,
    betweenEvents: () => !held.any() && events.idle(),
    read() {
      while (cutter.position() < bytes.length) readLine()
    },
    readEvent() {
      while (cutter.position() < bytes.length) if (readLine()) return
    },
    skipTo(position) {
      if (position <= cutter.position()) return
      cutter.seek(position)
      firstLine = false
      events.skipped()
    },
    close() {
      events.settle()
      bytes = nothing
      cutter.close()
    },
    end() {
      const rest = held.take()
      if (rest !== undefined) line(rest, 0, rest.length)
      events.dispatch()
    },
  }
}

function hasByteOrderMark(source: Buffer, start: number, end: number): boolean {
  return end - start >= 3 && source[start] === 0xef && source[start + 1] === 0xbb && source[start + 2] === 0xbf
}

interface Cutter {
  open(bytes: Buffer): void
  close(): void
  position(): number
  seek(position: number): void
  /** The end of the line that begins at `position`, which then moves behind its line end; -1, and the chunk's end, when it is cut. */
  next(): number
}

/** Where lines end. The next LF and the next CR are each looked for once, so that a chunk without any CR is searched for one once. */
function createCutter(): Cutter {
  let bytes = nothing
  let at = 0
  let nextFeed = 0
  let nextReturn = 0
  /** The last chunk ended in CR: an LF at the start of the next one belongs to it. */
  let feedMayFollow = false

  function find(byte: number): number {
    const index = bytes.indexOf(byte, at)
    return index === -1 ? bytes.length : index
  }

  return {
    open(chunk) {
      if (chunk.length === 0) return
      bytes = chunk
      at = feedMayFollow && chunk[0] === LINE_FEED ? 1 : 0
      feedMayFollow = false
      nextFeed = find(LINE_FEED)
      nextReturn = find(CARRIAGE_RETURN)
    },
    close() {
      bytes = nothing
      at = 0
    },
    position: () => at,
    seek(position) {
      at = position
    },
    next() {
      if (nextFeed < at) nextFeed = find(LINE_FEED)
      if (nextReturn < at) nextReturn = find(CARRIAGE_RETURN)
      const end = Math.min(nextFeed, nextReturn)
      if (end === bytes.length) {
        at = end
        return -1
      }
      at = end + 1
      if (end === nextReturn) {
        if (at === bytes.length) feedMayFollow = true
        else if (nextFeed === at) at++
      }
      return end
    },
  }
}

interface HeldLine {
  /** Whether a line has begun in an earlier chunk. */
  any(): boolean
  hold(bytes: Buffer, start: number, end: number): void
  /** The line, which is over, valid until the next `hold`; undefined when there was none or it was too long. */
  take(): Buffer | undefined
}

/** A line that is cut. */
function createHeldLine(lineBytesMax: number, events: Events): HeldLine {
  const gathered = gather(lineBytesMax)
  let state: 'none' | 'held' | 'too long' = 'none'

  return {
    any: () => state !== 'none',
    hold(bytes, start, end) {
      if (state === 'too long' || (state === 'none' && start === end)) return
      if (state === 'none') {
        // The event's data may still stand in the block, as the line before.
        events.settle()
        gathered.clear()
      }
      state = 'held'
      if (gathered.append(bytes, start, end)) return
      state = 'too long'
      gathered.clear()
      events.lose()
    },
    take() {
      const line = state === 'held' ? gathered.view() : undefined
      state = 'none'
      return line
    },
  }
}
