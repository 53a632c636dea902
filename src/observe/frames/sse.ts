/**
 * Server-sent events (WHATWG HTML §9.2), read as bytes: chunk → lines (`sse-lines`) → events (`sse-events`).
 *
 * The lines of every event are read in full. When only messages with certain keys are wanted, whole stretches of complete events without
 * such a key are stepped over first (`skim`), and the events that are read are filtered as they are dispatched. So an event is dropped
 * only after all of its bytes were looked at in one piece: nothing depends on how the body was cut.
 *
 * Beyond the standard: an event at the end of the body is dispatched without its blank line, as real servers leave that out. A body
 * that has text, but not one field or comment, is noted as `parse_error`.
 */
import { asBuffer, CARRIAGE_RETURN, LINE_FEED } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'
import { createReporter } from './reporter.ts'
import { createEvents } from './sse-events.ts'
import { createLines, type Lines } from './sse-lines.ts'
import type { WantedPattern } from './wanted.ts'

export function createSseFramer(options: FramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const report = createReporter(options)
  const events = createEvents(report, messageBytesMax)
  const lines = createLines(events, messageBytesMax)

  return {
    push(chunk) {
      const bytes = asBuffer(chunk)
      const pattern = report.readWanted()
      lines.open(bytes)
      if (pattern !== undefined) skim(bytes, lines, pattern)
      lines.read()
      lines.close()
    },
    end() {
      lines.end()
      events.end()
    },
  }
}

/** Steps over the chunk's complete events in which nothing wanted stands, and reads its other complete events. */
function skim(bytes: Buffer, lines: Lines, pattern: WantedPattern): void {
  if (!lines.betweenEvents()) lines.readEvent()
  const base = lines.position()
  const limit = lastBoundary(bytes, base, bytes.length)
  if (limit === -1) return
  const latin1 = bytes.toString('latin1', base, limit)
  let match = pattern.endOfMatch(latin1, 0)
  while (match !== -1) {
    lines.skipTo(lastBoundary(bytes, lines.position(), base + match))
    // The events up to the match: one, but for those whose blank line is spelt in a way that lastBoundary does not look for.
    while (lines.position() < base + match) lines.readEvent()
    match = pattern.endOfMatch(latin1, lines.position() - base)
  }
  lines.skipTo(limit)
}

/**
 * The end of the last event that ends in `bytes[from, to)` with LF LF or LF CR LF, or -1. Both are an event's end whatever precedes
 * them, if `from` is the start of an event. Other spellings of a blank line are left to the line reader: none is known to be in use.
 */
function lastBoundary(bytes: Buffer, from: number, to: number): number {
  let at = to
  while (at > from) {
    at = bytes.lastIndexOf(LINE_FEED, at - 1)
    if (at <= from) return -1
    if (bytes[at - 1] === LINE_FEED) return at + 1
    if (bytes[at - 1] === CARRIAGE_RETURN && at - 2 >= from && bytes[at - 2] === LINE_FEED) return at + 1
  }
  return -1
}
