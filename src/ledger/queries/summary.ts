/** Totals of a range, and their breakdowns: one pass over the rows in SQLite, added up by each set of dimensions here. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { conditionSql, inRange, isCompletedStream, isZeroUsage, owesUsage, sqlOf, tokenColumn, zeroUsageReason } from './fragments.ts'
import {
  type Breakdown,
  type Condition,
  type Count,
  type Dimension,
  type Group,
  type Summary,
  type TokenKind,
  type Totals,
  tokenKinds,
} from './queries.ts'

type SummaryRow = Readonly<Record<string, string | number | null>>

const sums = [
  'count(*) AS requests',
  'sum(end_reason IS NULL) AS open',
  'sum(error_type IS NOT NULL) AS errors',
  `sum(${isCompletedStream}) AS streams`,
  `sum(${isZeroUsage}) AS zero_usage`,
  'sum(cost) AS usd',
  'count(cost) AS priced',
  "sum(cost_status = 'unpriced') AS unpriced",
  'sum(cache_saved) AS saved_usd',
  'sum(CASE WHEN input_tokens IS NOT NULL THEN cache_read_tokens END) AS cache_hits',
  'sum(CASE WHEN cache_read_tokens IS NOT NULL THEN input_tokens END) AS cache_input',
  'sum(time_per_output_token_ms) AS token_ms',
  'count(time_per_output_token_ms) AS timed',
  ...tokenKinds.flatMap((kind) => [
    `sum(${tokenColumn[kind]}) AS ${kind}_sum`,
    `count(${tokenColumn[kind]}) AS ${kind}_reported`,
    `sum(${owesUsage} AND ${tokenColumn[kind]} IS NULL) AS ${kind}_unreported`,
  ]),
].join(', ')

export interface SummaryQuestion {
  readonly range: Range
  /** One breakdown for each. */
  readonly sets: readonly (readonly Dimension[])[]
  /** Only these requests. */
  readonly where?: readonly Condition[] | undefined
  /** Groups of one breakdown; the rest is counted. */
  readonly groupsMax: number
}

export function readSummary(database: DatabaseSync, { range, sets, where = [], groupsMax }: SummaryQuestion): Summary {
  const used = [...new Set(sets.flat())]
  const keys = used.map((dimension) => `${sqlOf(dimension)} AS "key_${dimension}"`)
  const groupBy = used.length === 0 ? '' : ` GROUP BY ${used.map((dimension) => `"key_${dimension}"`).join(', ')}`
  const condition = conditionSql(where)
  const bounds = { since: range.sinceMs, until: range.untilMs, ...condition.values }
  const chosen = `${inRange}${condition.sql}`
  const rows = database.prepare(`SELECT ${[...keys, sums].join(', ')} FROM exchanges WHERE ${chosen}${groupBy}`).all(bounds) as SummaryRow[]
  const reasons = database
    .prepare(
      `SELECT ${zeroUsageReason} AS reason, count(*) AS streams FROM exchanges WHERE ${chosen} AND ${isZeroUsage} GROUP BY 1 ORDER BY 2 DESC, 1`,
    )
    .all(bounds) as { reason: string; streams: number }[]
  const total = createAdder()
  for (const row of rows) total.add(row)
  return {
    ...range,
    total: total.totals(),
    breakdowns: sets.map((by) => breakdown(rows, by, groupsMax)),
    zeroUsage: reasons.map(({ reason, streams }) => ({ reason, streams })),
  }
}

/** What a budget's requests cost, as far as it is known. */
export function readSpent(
  database: DatabaseSync,
  { range, where, rowidMax }: { readonly range: Range; readonly where: readonly Condition[]; readonly rowidMax: number },
): { readonly usd: number; readonly tokens: number } {
  const condition = conditionSql(where)
  const row = database
    .prepare(
      `SELECT total(cost) AS usd, total(input_tokens) + total(output_tokens) AS tokens FROM exchanges WHERE ${inRange} AND rowid <= :rowid${condition.sql}`,
    )
    .get({ since: range.sinceMs, until: range.untilMs, rowid: rowidMax, ...condition.values }) as { usd: number; tokens: number }
  return { ...row }
}

function breakdown(rows: readonly SummaryRow[], by: readonly Dimension[], groupsMax: number): Breakdown {
  const adders = new Map<string, { readonly key: Group['key']; readonly adder: Adder }>()
  for (const row of rows) {
    const key = Object.fromEntries(by.map((dimension) => [dimension, row[`key_${dimension}`] ?? null])) as Group['key']
    const name = JSON.stringify(Object.values(key))
    let entry = adders.get(name)
    if (entry === undefined) adders.set(name, (entry = { key, adder: createAdder() }))
    entry.adder.add(row)
  }
  const groups = [...adders.values()].map(({ key, adder }): Group => ({ key, ...adder.totals() })).sort(inOrder(by))
  return { by, groups: groups.slice(0, groupsMax), leftOut: Math.max(0, groups.length - groupsMax) }
}

/** Days in order and, within them, most tokens first; ties by name, so that an order never depends on chance. */
function inOrder(by: readonly Dimension[]): (a: Group, b: Group) => number {
  const tokens = ({ tokens: { input, output } }: Group) => (input.sum ?? 0) + (output.sum ?? 0)
  const name = ({ key }: Group) => JSON.stringify(Object.values(key))
  const day = ({ key }: Group) => (by.includes('day') ? (key.day ?? '') : '')
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  return (a, b) => compare(day(a), day(b)) || tokens(b) - tokens(a) || b.requests - a.requests || compare(name(a), name(b))
}

interface Adder {
  add(row: SummaryRow): void
  totals(): Totals
}

const plain = ['requests', 'open', 'errors', 'streams', 'zero_usage', 'priced', 'unpriced', 'timed'] as const
const perhaps = ['usd', 'saved_usd', 'cache_hits', 'cache_input', 'token_ms'] as const

function createAdder(): Adder {
  const whole: Record<string, number> = {}
  /** Sums that may be unknown: absent until one is known. */
  const known: Record<string, number> = {}
  const addWhole = (name: string, row: SummaryRow) => {
    whole[name] = (whole[name] ?? 0) + Number(row[name] ?? 0)
  }
  const addKnown = (name: string, row: SummaryRow) => {
    const value = row[name]
    if (typeof value === 'number') known[name] = (known[name] ?? 0) + value
  }
  const count = (kind: TokenKind): Count => ({
    sum: known[`${kind}_sum`] ?? null,
    reported: whole[`${kind}_reported`] ?? 0,
    unreported: whole[`${kind}_unreported`] ?? 0,
  })
  return {
    add(row) {
      for (const name of plain) addWhole(name, row)
      for (const name of perhaps) addKnown(name, row)
      for (const kind of tokenKinds) {
        addKnown(`${kind}_sum`, row)
        addWhole(`${kind}_reported`, row)
        addWhole(`${kind}_unreported`, row)
      }
    },
    totals() {
      const of = (name: (typeof plain)[number]) => whole[name] ?? 0
      return {
        requests: of('requests'),
        open: of('open'),
        errors: of('errors'),
        streams: of('streams'),
        zeroUsage: of('zero_usage'),
        tokens: Object.fromEntries(tokenKinds.map((kind) => [kind, count(kind)])) as Totals['tokens'],
        cost: { usd: amount(known['usd']), priced: of('priced'), unpriced: of('unpriced') },
        cache: { hitShare: share(known['cache_hits'], known['cache_input']), savedUsd: amount(known['saved_usd']) },
        timePerOutputTokenMs: share(known['token_ms'], of('timed')),
      }
    },
  }
}

/** Sums of floating-point amounts depend on their order; below a billionth of a dollar nobody is billed. */
function amount(usd: number | undefined): number | null {
  return usd === undefined ? null : Math.round(usd * 1e9) / 1e9
}

function share(part: number | undefined, whole: number | undefined): number | null {
  return part === undefined || whole === undefined || whole === 0 ? null : part / whole
}
