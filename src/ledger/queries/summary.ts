/** Totals of a range, and their breakdowns: one look at the ledger, added up by each set of dimensions here. */
import type { DatabaseSync } from 'node:sqlite'
import { periodAt } from '../../lib/period.ts'
import type { Range } from '../../lib/range.ts'
import { conditionSql, inRange } from './fragments.ts'
import { inSnapshot, readSums, type SumRow, spanOf } from './look.ts'
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
import { viewOf } from './sources.ts'

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
  const asked: readonly (readonly Dimension[])[] = sets.length === 0 ? [[]] : sets
  const rows = new Map(
    inSnapshot(database, () => looksOf(asked, where).flatMap((those) => rowsOf(database, { range, sets: those, where }))),
  )
  const total = createAdder()
  const reasons = new Map<string, number>()
  for (const row of rows.get(asked[0] ?? []) ?? []) {
    total.add(row)
    const [reason, streams] = [String(row['reason']), Number(row['zero_usage'] ?? 0)]
    if (streams > 0) reasons.set(reason, (reasons.get(reason) ?? 0) + streams)
  }
  return {
    ...range,
    total: total.totals(),
    breakdowns: sets.map((by) => breakdown(rows.get(by) ?? [], by, groupsMax)),
    zeroUsage: [...reasons]
      .map(([reason, streams]) => ({ reason, streams }))
      .sort((a, b) => b.streams - a.streams || (a.reason < b.reason ? -1 : 1)),
  }
}

/** Those that the same rollups answer are looked up together: many callers make the others no slower. */
function looksOf(sets: SummaryQuestion['sets'], where: readonly Condition[]): readonly SummaryQuestion['sets'][] {
  const fields = where.map(({ dimension }) => dimension)
  return [...Map.groupBy(sets, (by) => `${viewOf([...by, ...fields])} ${by.includes('day')}`).values()]
}

function rowsOf(
  database: DatabaseSync,
  { range, sets, where }: Required<Omit<SummaryQuestion, 'groupsMax'>>,
): (readonly [by: readonly Dimension[], rows: readonly SumRow[]])[] {
  const dimensions = [...new Set(sets.flat())]
  const days = dimensions.includes('day') ? daysOf(database, range) : [{ ...range, day: null }]
  const rows = readSums(database, { intervals: days, by: 'started', dimensions, where }).map(
    (row): SumRow => ({ ...row, key_day: days[Number(row['i'])]?.day ?? null }),
  )
  return sets.map((by) => [by, rows])
}

export interface BreakdownsQuestion extends Omit<SummaryQuestion, 'range' | 'sets'> {
  readonly intervals: readonly Range[]
  readonly by: readonly Dimension[]
}

/** One breakdown for each interval, in one look. */
export function readBreakdowns(database: DatabaseSync, { intervals, by, where = [], groupsMax }: BreakdownsQuestion): readonly Breakdown[] {
  const rows = Map.groupBy(readSums(database, { intervals, by: 'started', dimensions: by, where }), (row) => Number(row['i']))
  return intervals.map((_, i) => breakdown(rows.get(i) ?? [], by, groupsMax))
}

/** The days of this machine's zone that the range and the ledger share, each cut by the range. */
export function daysOf(database: DatabaseSync, range: Range): readonly (Range & { readonly day: string })[] {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const known = spanOf(database)
  const untilMs = Math.min(range.untilMs, known.untilMs)
  const days: (Range & { readonly day: string })[] = []
  for (let at = Math.max(range.sinceMs, known.sinceMs); at < untilMs; ) {
    const day = periodAt(at, 'day', zone)
    const noon = new Date((day.sinceMs + day.untilMs) / 2)
    const name = `${noon.getFullYear()}-${two(noon.getMonth() + 1)}-${two(noon.getDate())}`
    days.push({ sinceMs: at, untilMs: Math.min(day.untilMs, untilMs), day: name })
    at = day.untilMs
  }
  return days
}

const two = (number: number): string => String(number).padStart(2, '0')

/** What a budget's requests cost, as far as it is known: of the rows up to `rowidMax`. */
export function readSpent(
  database: DatabaseSync,
  { range, where, rowidMax }: { readonly range: Range; readonly where: readonly Condition[]; readonly rowidMax: number },
): { readonly usd: number; readonly tokens: number } {
  return inSnapshot(database, () => {
    const sum = { usd: 0, tokens: 0 }
    for (const row of readSums(database, {
      intervals: [range],
      by: 'started',
      dimensions: [],
      where,
      sums: ['usd', 'input_sum', 'output_sum'],
    })) {
      sum.usd += Number(row['usd'] ?? 0)
      sum.tokens += Number(row['input_sum'] ?? 0) + Number(row['output_sum'] ?? 0)
    }
    // Those above it are few: they were written since the question was first asked.
    const condition = conditionSql(where)
    const later = database
      .prepare(
        `SELECT total(cost) AS usd, total(input_tokens) + total(output_tokens) AS tokens FROM exchanges WHERE rowid > :rowid AND ${inRange}${condition.sql}`,
      )
      .get({ since: range.sinceMs, until: range.untilMs, rowid: rowidMax, ...condition.values }) as { usd: number; tokens: number }
    return { usd: sum.usd - later.usd, tokens: sum.tokens - later.tokens }
  })
}

function breakdown(rows: readonly SumRow[], by: readonly Dimension[], groupsMax: number): Breakdown {
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
  add(row: SumRow): void
  totals(): Totals
}

const plain = ['requests', 'open', 'errors', 'streams', 'zero_usage', 'priced', 'unpriced', 'timed'] as const
const perhaps = ['usd', 'saved_usd', 'cache_hits', 'cache_input', 'token_ms'] as const

function createAdder(): Adder {
  const whole: Record<string, number> = {}
  /** Sums that may be unknown: absent until one is known. */
  const known: Record<string, number> = {}
  const addWhole = (name: string, row: SumRow) => {
    whole[name] = (whole[name] ?? 0) + Number(row[name] ?? 0)
  }
  const addKnown = (name: string, row: SumRow) => {
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
        timePerOutputTokenMs: amount(share(known['token_ms'], of('timed'))),
      }
    },
  }
}

/**
 * Sums of floating-point amounts depend on their order, which is not the same in rows and rollups: no digit below a billionth, of a dollar or of a millisecond,
 * is told.
 */
export function amount(value: number | null | undefined): number | null {
  return value == null ? null : Math.round(value * 1e9) / 1e9
}

function share(part: number | undefined, whole: number | undefined): number | null {
  return part === undefined || whole === undefined || whole === 0 ? null : part / whole
}
