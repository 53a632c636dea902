/** Hours, days, weeks (from Monday) and months of a time zone, as moments. Pure; days of 23 and 25 hours are what they are. */
import type { Range } from './range.ts'

/** What a budget can be for. */
export const periods = ['day', 'week', 'month'] as const
/** What a report can go by. */
export const reportPeriods = ['hour', ...periods] as const
export type Period = (typeof reportPeriods)[number]

const hourMs = 3_600_000
const dayMs = 86_400_000
const formats = new Map<string, Intl.DateTimeFormat>()

/** Throws a RangeError for a name that is no IANA time zone. */
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone)
  if (format === undefined) {
    const numeric = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' } as const
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, calendar: 'gregory', hourCycle: 'h23', ...numeric })
    formats.set(zone, format)
  }
  return format
}

export function isTimeZone(zone: string): boolean {
  try {
    formatOf(zone)
    return true
  } catch {
    return false
  }
}

/** The clock on the wall there, as if it were UTC. */
function wallClock(at: number, zone: string): number {
  const part: Record<string, number> = {}
  for (const { type, value } of formatOf(zone).formatToParts(at)) part[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/** How far the clock there is ahead of UTC, in milliseconds. */
function offsetAt(at: number, zone: string): number {
  return wallClock(at, zone) - Math.floor(at / 1000) * 1000
}

/** The first moment at which the wall there shows that time (as if it were UTC), or what comes after it where the clock leaps over it. */
export function momentOfWall(wall: number, zone: string): number {
  const offset = (at: number) => offsetAt(at, zone)
  // Of the two offsets around it, the one before a change gives the earlier moment.
  const candidates = [wall - offset(wall - dayMs), wall - offset(wall + dayMs)].sort((a, b) => a - b)
  return candidates.find((at) => wallClock(at, zone) === wall) ?? Math.max(...candidates)
}

/** The period that holds the moment: from its first moment to the first of the next, in milliseconds since the epoch. */
export function periodAt(at: number, period: Period, zone: string): Range {
  if (period === 'hour') return hourAt(at, zone)
  const today = new Date(Math.floor(wallClock(at, zone) / dayMs) * dayMs)
  const [year, month, day] = [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()]
  const monday = day - ((today.getUTCDay() + 6) % 7)
  const [first, next] = {
    day: [Date.UTC(year, month, day), Date.UTC(year, month, day + 1)],
    week: [Date.UTC(year, month, monday), Date.UTC(year, month, monday + 7)],
    month: [Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)],
  }[period] as [number, number]
  return { sinceMs: momentOfWall(first, zone), untilMs: momentOfWall(next, zone) }
}

/** An hour ends where the clock changes within it: none has two names. */
function hourAt(at: number, zone: string): Range {
  const offset = offsetAt(at, zone)
  const first = Math.floor((at + offset) / hourMs) * hourMs - offset
  const last = first + hourMs - 1
  return {
    sinceMs: offsetAt(first, zone) === offset ? first : clockChange(first, at, zone),
    untilMs: offsetAt(last, zone) === offset ? last + 1 : clockChange(at, last, zone),
  }
}

/** The first moment with the offset of `after`; `before` has another. */
function clockChange(before: number, after: number, zone: string): number {
  const offset = offsetAt(after, zone)
  let [low, high] = [Math.floor(before), Math.ceil(after)]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(middle, zone) === offset) high = middle
    else low = middle
  }
  return high
}

/** A name for the period that begins there: `2026-11-23T14:00+01:00`, `2026-11-23` (a day, or the Monday of a week), `2026-11`. */
export function periodName(sinceMs: number, period: Period, zone: string): string {
  const wall = new Date(wallClock(sinceMs, zone)).toISOString()
  if (period !== 'hour') return wall.slice(0, period === 'month' ? 7 : 10)
  const minutes = Math.round(offsetAt(sinceMs, zone) / 60_000)
  const two = (count: number) => String(count).padStart(2, '0')
  return `${wall.slice(0, 16)}${minutes < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`
}
