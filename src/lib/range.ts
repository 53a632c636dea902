/** A time range as a person writes it (`15m`, `24h`, `30d`, an ISO date) → milliseconds since the epoch. Pure but for the time zone. */

/** From `sinceMs` (inclusive) to `untilMs` (exclusive), in milliseconds since the epoch. */
export interface Range {
  readonly sinceMs: number
  readonly untilMs: number
}

/** As `Range`, but a side that was not given is open. */
export type OpenRange = { readonly [Side in keyof Range]: number | undefined }

/** The description in `--help`. */
export const momentHelp = 'how long ago (15m, 24h, 30d; from 7d on, the whole hour before) or a date in local time, alone its midnight'

export class MomentError extends Error {
  override readonly name = 'MomentError'
}

const msPer = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
const mend = 'Write how long ago (15m, 24h, 30d) or a date (2026-11-23, 2026-11-23T08:00:00Z).'

/** Reads `2026-11-23T08:00`, which names no zone; milliseconds since the epoch. */
export type LocalTime = (text: string) => number

/**
 * A point in time: a duration before `nowMs` (from a week on, the whole hour before that), or an ISO date. Without a zone it is local time (this
 * machine's, or as `local` reads it), and a date alone is local midnight. Throws `MomentError`.
 */
export function momentOf(text: string, nowMs: number, local: LocalTime = Date.parse): number {
  const ago = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text.trim())
  if (ago !== null) {
    const ms = Number(ago[1]) * msPer[ago[2] as keyof typeof msPer]
    // From a week on nobody means the minute, and whole hours have been added up.
    return ms < msPer.w ? nowMs - ms : Math.floor((nowMs - ms) / msPer.h) * msPer.h
  }
  const date = /^(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.exec(text.trim())
  // Date.parse would take a date alone for midnight in UTC.
  const written = date?.[2] === undefined ? `${date?.[1]}T00:00` : text.trim().replace(' ', 'T')
  const parsed = date === null ? Number.NaN : date[5] === undefined ? local(written) : Date.parse(written)
  if (Number.isNaN(parsed)) throw new MomentError(`${JSON.stringify(text.slice(0, 80))} is no time. ${mend}`)
  return parsed
}

interface Written {
  readonly since?: string | undefined
  readonly until?: string | undefined
}

/** Throws `MomentError` with an actionable message. */
export function openRangeOf({ since, until }: Written, nowMs: number, local?: LocalTime): OpenRange {
  const moment = (text: string | undefined) => (text === undefined ? undefined : momentOf(text, nowMs, local))
  const range = { sinceMs: moment(since), untilMs: moment(until) }
  if (range.sinceMs !== undefined && range.sinceMs >= (range.untilMs ?? nowMs))
    throw new MomentError('The range is empty: since is not before until. Swap the two, or take one away.')
  return range
}

/** As `openRangeOf`, but it ends now by default; `usual` is the default of the start. */
export function rangeOf({ since, until }: Written, nowMs: number, usual: string, local?: LocalTime): Range {
  const { sinceMs = nowMs, untilMs = nowMs } = openRangeOf({ since: since ?? usual, until }, nowMs, local)
  return { sinceMs, untilMs }
}
