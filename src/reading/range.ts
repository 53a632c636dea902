/** A stretch of time as a person writes it (`15m`, `24h`, `30d`, an ISO date) → milliseconds since the epoch. Pure. */

/** From `sinceMs` up to, but not with, `untilMs`; milliseconds since the epoch. */
export interface Range {
  readonly sinceMs: number
  readonly untilMs: number
}

export class MomentError extends Error {
  override readonly name = 'MomentError'
}

const msPer: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const mend = 'Write how long ago (15m, 24h, 30d) or a date (2026-11-23, 2026-11-23T08:00:00Z).'

/** A moment: so long before `nowMs`, or an ISO date; one without a zone is in the zone of this machine. Throws `MomentError`. */
export function momentOf(text: string, nowMs: number): number {
  const ago = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text.trim())
  if (ago !== null) return nowMs - Number(ago[1]) * (msPer[ago[2] as string] as number)
  const date = /^(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.exec(text.trim())
  // A date alone is midnight here: Date.parse would take it for midnight in UTC.
  const parsed = date === null ? Number.NaN : Date.parse(date[2] === undefined ? `${date[1]}T00:00` : text.trim().replace(' ', 'T'))
  if (Number.isNaN(parsed)) throw new MomentError(`${JSON.stringify(text.slice(0, 80))} is no time. ${mend}`)
  return parsed
}

export interface Written {
  readonly since?: string | undefined
  readonly until?: string | undefined
}

/** Throws `MomentError` with the sentence that mends it. `usual` stands where nothing says since when. */
export function rangeOf({ since, until }: Written, nowMs: number, usual: string): Range {
  const range = { sinceMs: momentOf(since ?? usual, nowMs), untilMs: until === undefined ? nowMs : momentOf(until, nowMs) }
  if (range.sinceMs >= range.untilMs)
    throw new MomentError('The range is empty: since is not before until. Swap the two, or take one away.')
  return range
}
