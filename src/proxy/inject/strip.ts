/**
 * Takes the usage-only chunk that we asked for out of an SSE answer again, so that a client that did not ask sees what it would have seen.
 * Whole events pass on in the same call; an event that is cut by a chunk boundary waits for its end, because it may be that one.
 */

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
    const whole = passing || !mayBeUsageOnly(parts) || !isUsageOnly(Buffer.concat(parts), finished)
    if (whole) out.push(...parts)
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

/**
 * A JSON object with a `usage` object and no choice that says anything. OpenAI sends no choice; LiteLLM, after the end of the last one, a bare
 * one. OpenRouter's, which has a finish reason of null, comes whether it was asked for or not, and stays
 * (https://openrouter.ai/docs/use-cases/usage-accounting).
 */
function isUsageOnly(event: Buffer, finished: boolean): boolean {
  if (!event.includes('"usage"')) return false
  const data = event
    .toString('utf8')
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5))
    .join('\n')
  try {
    const { choices, usage } = JSON.parse(data)
    if (!Array.isArray(choices) || typeof usage !== 'object' || usage === null) return false
    return choices.length === 0 || (finished && choices.every(saysNothing))
  } catch {
    return false
  }
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
