/** Tokens and cost by hour of day and weekday, in any time zone. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { finerFrom, hourMs } from '../rollups/grains.ts'
import { inSnapshot, readSums, spanOf } from './look.ts'
import { readState } from './plan.ts'
import type { Heatmap, HeatmapQuestion } from './queries.ts'
import { amount } from './summary.ts'

/** Every zone's clock differs from UTC by whole quarters of an hour. */
const quarterMs = 900_000

export function readHeatmap(database: DatabaseSync, { range, where, timeZone }: HeatmapQuestion): Heatmap {
  const days = Array.from({ length: 7 }, () =>
    Array.from({ length: 24 }, () => ({ requests: 0, tokens: null as number | null, usd: null as number | null })),
  )
  inSnapshot(database, () => {
    const hours = hoursOf(knownOf(database, range), offsetIn(timeZone))
    const sums = ['requests', 'input_sum', 'output_sum', 'reported', 'usd']
    for (const row of readSums(database, { intervals: hours, by: 'started', dimensions: [], where, sums })) {
      const local = hours[Number(row['i'])]?.local ?? 0
      // The epoch began on a Thursday; a week begins on Monday.
      const cell = days[(Math.floor(local / 24) + 3) % 7]?.[local % 24]
      if (cell === undefined) continue
      cell.requests += Number(row['requests'])
      if (Number(row['reported']) > 0) cell.tokens = (cell.tokens ?? 0) + Number(row['input_sum'] ?? 0) + Number(row['output_sum'] ?? 0)
      if (row['usd'] !== null) cell.usd = (cell.usd ?? 0) + Number(row['usd'])
    }
  })
  for (const cell of days.flat()) cell.usd = amount(cell.usd)
  return { ...range, timeZone, days }
}

/** The part of the range of which the ledger knows hours: of old days only the whole may be left. */
function knownOf(database: DatabaseSync, range: Range): Range {
  const [span, state] = [spanOf(database), readState(database)]
  const finer = state === undefined ? 0 : finerFrom(state)
  return { sinceMs: Math.max(range.sinceMs, span.sinceMs, finer), untilMs: Math.min(range.untilMs, span.untilMs) }
}

/** The hours of the zone's clock, cut by the range; `local` is the hour there since its epoch. */
function hoursOf({ sinceMs, untilMs }: Range, offset: (epochMs: number) => number): readonly (Range & { readonly local: number })[] {
  const hours: { sinceMs: number; untilMs: number; local: number }[] = []
  for (let hour = Math.floor(sinceMs / hourMs) * hourMs, here = Number.NaN; hour < untilMs; hour += hourMs) {
    if (Number.isNaN(here)) here = offset(hour)
    const next = offset(hour + hourMs)
    for (let at = hour; at < hour + hourMs; at += quarterMs) {
      const part = { sinceMs: Math.max(at, sinceMs), untilMs: Math.min(at + quarterMs, untilMs) }
      if (part.sinceMs >= part.untilMs) continue
      const local = Math.floor((at + (here === next ? here : offset(at))) / hourMs)
      const last = hours.at(-1)
      if (last?.local === local) last.untilMs = part.untilMs
      else hours.push({ ...part, local })
    }
    here = next
  }
  return hours
}

/** How far the zone's clock is ahead of UTC, in milliseconds. Clocks change on a quarter of an hour. */
function offsetIn(timeZone: string): (epochMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' },
  })
  return (epochMs) => {
    const part = Object.fromEntries(format.formatToParts(epochMs).map(({ type, value }) => [type, Number(value)]))
    const local = Date.UTC(part['year'] ?? 0, (part['month'] ?? 1) - 1, part['day'], part['hour'], part['minute'])
    return local - epochMs
  }
}
