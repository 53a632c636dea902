/** Days, weeks (from Monday) and months of a time zone, as moments. Pure; days of 23 and 25 hours are what they are. */
import type { Range } from './range.ts'

export type Period = 'day' | 'week' | 'month'
export const periods: readonly Period[] = ['day', 'week', 'month']

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

/** The first moment at which the wall there shows that midnight, or what comes after it where the clock leaps over midnight. */
function midnight(wall: number, zone: string): number {
  const offset = (at: number) => wallClock(at, zone) - Math.floor(at / 1000) * 1000
  // Of the two offsets around it, the one before a change gives the earlier moment.
  const candidates = [wall - offset(wall - dayMs), wall - offset(wall + dayMs)].sort((a, b) => a - b)
  return candidates.find((at) => wallClock(at, zone) === wall) ?? Math.max(...candidates)
}

/** The period that holds the moment: from its first moment to the first of the next, in milliseconds since the epoch. */
export function periodAt(at: number, period: Period, zone: string): Range {
  const today = new Date(Math.floor(wallClock(at, zone) / dayMs) * dayMs)
  const [year, month, day] = [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()]
  const monday = day - ((today.getUTCDay() + 6) % 7)
  const [first, next] = {
    day: [Date.UTC(year, month, day), Date.UTC(year, month, day + 1)],
    week: [Date.UTC(year, month, monday), Date.UTC(year, month, monday + 7)],
    month: [Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)],
  }[period] as [number, number]
  return { sinceMs: midnight(first, zone), untilMs: midnight(next, zone) }
}
