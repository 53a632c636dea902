/** The events of an event stream, made of its lines (WHATWG HTML §9.2.6). `id` and `retry` change no message and are passed over. */
import { gather, LINE_FEED, nothing } from './bytes.ts'
import type { Reporter } from './reporter.ts'

const COLON = 0x3a
const SPACE = 0x20
const lineFeed = Buffer.of(LINE_FEED)

export interface Events {
  /** Whether no event has begun. */
  idle(): boolean
  /** One line that is not blank: `source[start, end)`, which must stay as it is until `settle`. */
  field(source: Buffer, start: number, end: number): void
  /** The event that is being read is too long. */
  lose(): void
  /** A blank line. */
  dispatch(): void
  /** Events were stepped over. */
  skipped(): void
  /** Copies what the event holds, before the lines it came in are gone. */
  settle(): void
  end(): void
}

export function createEvents(report: Reporter, messageBytesMax: number): Events {
  const data = createData(messageBytesMax)
  let name: string | undefined
  let lost = false
  let anything = false
  let understood = false

  function lose(): void {
    lost = true
    data.clear()
    report.note('limit_hit')
  }

  return {
    idle: () => data.empty() && name === undefined && !lost,
    field(source, start, end) {
      anything = true
      const field = fieldOf(source, start, end)
      if (field === undefined) return
      understood = true
      if (field !== 'data' && field !== 'event') return
      let from = Math.min(end, start + field.length + 1)
      // At the end of the line there stands its line end, which is no space.
      if (source[from] === SPACE) from++
      if (field === 'event') name = from < end ? source.toString('utf8', from, end) : undefined
      else if (!lost && !data.add(source, from, end)) lose()
    },
    lose,
    dispatch() {
      const event = name
      const message = data.take()
      name = undefined
      lost = false
      if (message !== undefined) report.message(event, message)
    },
    skipped() {
      understood = true
    },
    settle: data.settle,
    end() {
      if (anything && !understood) report.note('parse_error')
    },
  }
}

interface Data {
  empty(): boolean
  /** False when the event has become longer than it may. */
  add(source: Buffer, start: number, end: number): boolean
  settle(): void
  /** The lines, joined by LF; undefined when there was none. A view, valid until the next `add`. */
  take(): Buffer | undefined
  clear(): void
}

/** The `data` lines of one event: the first is kept where it stands, and nothing is copied while it remains the only one. */
function createData(bytesMax: number): Data {
  const joined = gather(bytesMax)
  let state: 'none' | 'view' | 'joined' = 'none'
  let view = nothing

  function settle(): void {
    if (state !== 'view') return
    joined.append(view, 0, view.length)
    view = nothing
    state = 'joined'
  }

  function clear(): void {
    joined.clear()
    view = nothing
    state = 'none'
  }

  return {
    empty: () => state === 'none',
    add(source, start, end) {
      if (end - start > bytesMax) return false
      if (state === 'none') {
        state = 'view'
        view = source.subarray(start, end)
        return true
      }
      settle()
      return joined.append(lineFeed, 0, 1) && joined.append(source, start, end)
    },
    settle,
    take() {
      const data = state === 'none' ? undefined : state === 'view' ? view : joined.view()
      clear()
      return data
    },
    clear,
  }
}

const names = { data: Buffer.from('data'), event: Buffer.from('event'), id: Buffer.from('id'), retry: Buffer.from('retry') }

/** The name of a line's field, 'comment' for a comment, undefined for what the standard has ignored. */
function fieldOf(source: Buffer, start: number, end: number): 'data' | 'event' | 'id' | 'retry' | 'comment' | undefined {
  switch (source[start]) {
    case 0x64:
      return isNamed(source, start, end, names.data) ? 'data' : undefined
    case 0x65:
      return isNamed(source, start, end, names.event) ? 'event' : undefined
    case 0x69:
      return isNamed(source, start, end, names.id) ? 'id' : undefined
    case 0x72:
      return isNamed(source, start, end, names.retry) ? 'retry' : undefined
    case COLON:
      return 'comment'
    default:
      return undefined
  }
}

/** `source[start]` is known to be the name's first byte. What may follow `end` is a line end, which no name holds. */
function isNamed(source: Buffer, start: number, end: number, name: Buffer): boolean {
  const nameEnd = start + name.length
  for (let index = 1; index < name.length; index++) if (source[start + index] !== name[index]) return false
  return nameEnd === end || source[nameEnd] === COLON
}
