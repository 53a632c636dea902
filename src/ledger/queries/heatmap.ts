/** Tokens and cost by hour of day and weekday, in any time zone. */
import type { DatabaseSync } from 'node:sqlite'
import { conditionSql, inRange } from './fragments.ts'
import type { Heatmap, HeatmapQuestion } from './queries.ts'

/** Every zone's clock differs from UTC by whole quarters of an hour. */
const quarterMs = 900_000
const hourMs = 3_600_000
const dayMs = 86_400_000

interface QuarterRow {
  readonly quarter: number
  readonly requests: number
  readonly tokens: number
  readonly reported: number
  readonly usd: number | null
}

export function readHeatmap(database: DatabaseSync, { range, where, timeZone }: HeatmapQuestion): Heatmap {
  const condition = conditionSql(where)
  const rows = database
    .prepare(
      `SELECT CAST(started_at / ${quarterMs} AS INTEGER) AS quarter, count(*) AS requests, total(input_tokens) + total(output_tokens) AS tokens,
       count(coalesce(input_tokens, output_tokens)) AS reported, sum(cost) AS usd FROM exchanges WHERE ${inRange}${condition.sql} GROUP BY 1`,
    )
    .all({ since: range.sinceMs, until: range.untilMs, ...condition.values }) as unknown as readonly QuarterRow[]
  const days = Array.from({ length: 7 }, () =>
    Array.from({ length: 24 }, () => ({ requests: 0, tokens: null as number | null, usd: null as number | null })),
  )
  const offset = offsetIn(timeZone)
  for (const { quarter, requests, tokens, reported, usd } of rows) {
    const utc = quarter * quarterMs
    const local = utc + offset(utc)
    // The epoch began on a Thursday; a week begins on Monday.
    const cell = days[(Math.floor(local / dayMs) + 3) % 7]?.[Math.floor(local / hourMs) % 24]
    if (cell === undefined) continue
    cell.requests += requests
    if (reported > 0) cell.tokens = (cell.tokens ?? 0) + tokens
    if (usd !== null) cell.usd = (cell.usd ?? 0) + usd
  }
  return { ...range, timeZone, days }
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
