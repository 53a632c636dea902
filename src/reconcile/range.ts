/** A time range as the command line says it, and as exchange ids know it: they begin with the time at which their requests arrived. */

/** Milliseconds since the epoch; `since` is inside, `until` is not. */
export interface Range {
  readonly since: number | undefined
  readonly until: number | undefined
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `15m` is that long before `now`; anything else is a date that ISO 8601 knows. Undefined when it is neither. */
export function momentOf(text: string, now: number): number | undefined {
  const ago = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text)
  if (ago !== null) return now - Number(ago[1]) * (unitMs[ago[2] as string] as number)
  const moment = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(moment) ? undefined : moment
}

/** The smallest UUIDv7 of that moment, or of any before 1970. */
export function firstIdAt(moment: number): string {
  const time = Math.max(0, Math.floor(moment)).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7000-8000-000000000000`
}
