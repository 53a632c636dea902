/**
 * Takes the usage-only chunk that we asked for out of an SSE answer again, so that a client that did not ask sees what it would have seen.
 * Whole events pass on in the same call; an event that is cut by a chunk boundary waits for its end, because it may be that one.
 */
import { membersAt } from './members.ts'

export interface Strip {
  /** The bytes that may go on to the client now. */
  push(chunk: Buffer): readonly Buffer[]
  /** What was still waiting. */
  end(): readonly Buffer[]
}

/** An event longer than this goes on as it comes: a usage-only chunk is some hundred bytes. */
const waitingBytesMax = 256 * 1024
const lineFeed = 0x0a
const carriageReturn = 0x0d

export function createStrip(): Strip {
  let waiting: Buffer[] = []
  let waitingBytes = 0
  /** The bytes so far of the line that the last chunk ended in: none, or a lone CR, means that a line feed next makes it blank. */
  let lineBytes = 0
  let lineIsReturn = false
  /** The event that is passing has been given up on. */
  let passing = false
  /** A choice has ended: from here on a chunk without content is there for its usage alone. */
  let finished = false

  function keep(event: Buffer, out: Buffer[]): void {
    const parts = waitingBytes === 0 ? [event] : [...waiting, event]
    if (passing || !mayBeUsageOnly(parts)) out.push(...parts)
    else out.push(...withoutUsage(Buffer.concat(parts), finished))
    if (!finished && !passing) finished = namesFinish(parts.length === 1 ? event : Buffer.concat(parts))
    waiting = []
    waitingBytes = 0
    passing = false
  }

  function hold(rest: Buffer, out: Buffer[]): void {
    if (passing || waitingBytes + rest.length > waitingBytesMax) {
      out.push(...waiting, rest)
      waiting = []
      waitingBytes = 0
      passing = true
      return
    }
    waiting.push(rest)
    waitingBytes += rest.length
  }

  return {
    push(chunk) {
      const out: Buffer[] = []
      let eventStart = 0
      let lineStart = 0
      for (let feed = chunk.indexOf(lineFeed); feed >= 0; feed = chunk.indexOf(lineFeed, feed + 1)) {
        const own = feed - lineStart
        const bytes = lineBytes + own
        const blank = bytes === 0 || (bytes === 1 && (own === 0 ? lineIsReturn : chunk[feed - 1] === carriageReturn))
        lineBytes = 0
        lineIsReturn = false
        lineStart = feed + 1
        if (!blank) continue
        keep(chunk.subarray(eventStart, lineStart), out)
        eventStart = lineStart
      }
      if (lineStart < chunk.length) {
        lineIsReturn = lineBytes === 0 && chunk.length - lineStart === 1 && chunk[lineStart] === carriageReturn
        lineBytes += chunk.length - lineStart
      }
      if (eventStart < chunk.length) hold(chunk.subarray(eventStart), out)
      return out
    },
    end() {
      const out: Buffer[] = []
      if (waitingBytes > 0) keep(Buffer.alloc(0), out)
      return out.filter((part) => part.length > 0)
    },
  }
}

/** Cheap and never wrong with a no: the two keys stand in every such chunk. A key cut between two parts counts as there. */
function mayBeUsageOnly(parts: readonly Buffer[]): boolean {
  return parts.length > 1 || (parts[0] as Buffer).includes('"usage"')
}

function namesFinish(event: Buffer): boolean {
  return event.includes('"finish_reason":"') || event.includes('"finish_reason": "')
}

/** What a chunk has of its own, whatever its usage. A chunk with nothing else is there for its usage alone. */
const usualKeys: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created',
  'model',
  'choices',
  'usage',
  'system_fingerprint',
  'service_tier',
  'obfuscation',
])

/**
 * The event without the usage that was asked for: nothing of a usage-only chunk, all but the member `usage` of one that has keys of its own (llama.cpp's
 * `timings`). A usage-only chunk is one with no choice that says anything: OpenAI sends no choice; LiteLLM, after the end of the last one, a bare
 * one.
 */
function withoutUsage(event: Buffer, finished: boolean): readonly Buffer[] {
  const lines = dataLines(event)
  const [only] = lines
  if (only === undefined) return [event]
  try {
    const chunk = JSON.parse(lines.map(({ start, end }) => event.toString('utf8', start, end)).join('\n'))
    const { choices, usage } = chunk
    if (!Array.isArray(choices) || typeof usage !== 'object' || usage === null) return [event]
    const saysMore = Object.keys(chunk).some((key) => !usualKeys.has(key))
    const isBare = choices.length === 0 || (finished && choices.every(saysNothing))
    if (!isBare) return [event]
    if (!saysMore) return []
    return lines.length === 1 ? cutOut(event, only.start) : [event]
  } catch {
    return [event]
  }
}

/** Where the text of each `data` field stands. */
function dataLines(event: Buffer): { readonly start: number; readonly end: number }[] {
  const found: { start: number; end: number }[] = []
  for (let at = 0; at < event.length; ) {
    const feed = event.indexOf(lineFeed, at)
    const next = feed < 0 ? event.length : feed + 1
    const end = feed < 0 ? event.length : event[feed - 1] === carriageReturn ? feed - 1 : feed
    if (event.toString('latin1', at, at + 5) === 'data:') found.push({ start: at + 5, end })
    at = next
  }
  return found
}

/** Without the member `usage` of the object that begins at or after `from`, and one comma beside it. */
function cutOut(event: Buffer, from: number): readonly Buffer[] {
  const members = membersAt(event, from)
  const at = members?.list.findIndex(({ key }) => key === 'usage') ?? -1
  const member = members?.list[at]
  if (members === undefined || member === undefined) return [event]
  const before = members.list[at - 1]
  const after = members.list[at + 1]
  if (before !== undefined) return [event.subarray(0, before.end), event.subarray(member.end)]
  if (after === undefined) return [event.subarray(0, members.inside), event.subarray(member.end)]
  const comma = event.indexOf(',', member.end)
  return [event.subarray(0, members.inside), event.subarray(comma + 1)]
}

/** A choice with an index and an empty delta. */
function saysNothing(choice: unknown): boolean {
  if (typeof choice !== 'object' || choice === null) return false
  const { index, delta, ...rest } = choice as { index?: unknown; delta?: unknown }
  return isEmpty(rest) && (delta === undefined || isEmpty(delta))
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
