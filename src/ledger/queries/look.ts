/**
 * One look at the ledger: what its requests add up to by interval and dimension, out of the rollups and out of the rows that they do not answer for.
 * All of it is read in one transaction (`inSnapshot`), so that nothing is counted twice or left out while batches are written.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { dayMs, type Grain, grain, lastAdded, minuteMs, part, type RollupState, type View } from '../rollups/grains.ts'
import { sketchColumns } from '../rollups/measures.ts'
import { createSketchSum, encodeSketch } from '../rollups/sketch.ts'
import type { LedgerRow } from '../row.ts'
import { longMs } from '../schema.ts'
import {
  conditionSql,
  isCompletedStream,
  isZeroUsage,
  labelOf,
  owesUsage,
  sqlOf,
  type Table,
  tokenColumn,
  zeroUsageReason,
} from './fragments.ts'
import { type CellSpan, planOf, type RowSpan, readState } from './plan.ts'
import { type Buckets, bucketSql } from './quantiles.ts'
import { type Condition, type Dimension, type Field, tokenKinds } from './queries.ts'

export interface Look {
  /** Side by side, in order. */
  readonly intervals: readonly Range[]
  /** Requests count where they started or where they ended. */
  readonly by: 'started' | 'ended'
  readonly dimensions: readonly Dimension[]
  readonly where?: readonly Condition[] | undefined
  /** Only these sums; by default all. */
  readonly sums?: readonly string[]
}

/** `i` is the interval, `key_…` each dimension, `reason` why a stream may be without usage; the rest are sums, absent ones NULL. */
export type SumRow = Readonly<Record<string, string | number | null>>

export type Sketch = keyof typeof sketchColumns

/** Of rows, and of the cells of rollups: the same names. What no cell has is an empty text. */
const sums: readonly (readonly [name: string, ofRow: string, ofCell: string, join?: 'min' | 'max'])[] = [
  ['requests', 'count(*)', 'requests'],
  ['open', 'sum(end_reason IS NULL)', ''],
  ['first_at', 'min(started_at)', 'first_at', 'min'],
  ['last_at', 'max(started_at)', 'last_at', 'max'],
  ['errors', 'sum(error_type IS NOT NULL)', 'errors'],
  ['streams', `sum(${isCompletedStream})`, 'streams'],
  ['zero_usage', `sum(${isZeroUsage})`, 'zero_usage'],
  ['usd', 'sum(cost)', 'usd'],
  ['priced', 'count(cost)', 'priced'],
  ['unpriced', "sum(cost_status = 'unpriced')", 'unpriced'],
  ['saved_usd', 'sum(cache_saved)', 'saved_usd'],
  ['cache_hits', 'sum(CASE WHEN input_tokens IS NOT NULL THEN cache_read_tokens END)', 'cache_hits'],
  ['cache_input', 'sum(CASE WHEN cache_read_tokens IS NOT NULL THEN input_tokens END)', 'cache_input'],
  ['token_ms', 'sum(time_per_output_token_ms)', 'token_ms'],
  ['timed', 'count(time_per_output_token_ms)', 'timed'],
  ['reported', 'count(coalesce(input_tokens, output_tokens))', 'tokens_reported'],
  ...tokenKinds.flatMap((kind): [string, string, string][] => {
    const column = tokenColumn[kind]
    const name = column.replace('_tokens', '')
    return [
      [`${kind}_sum`, `sum(${column})`, column],
      [`${kind}_reported`, `count(${column})`, `${name}_reported`],
      [`${kind}_unreported`, `sum(${owesUsage} AND ${column} IS NULL)`, `${name}_unreported`],
    ]
  }),
]
/** Runs `read` in one transaction; within another it is part of that. */
export function inSnapshot<T>(database: DatabaseSync, read: () => T): T {
  if (database.isTransaction) return read()
  database.exec('BEGIN')
  try {
    return read()
  } finally {
    database.exec('COMMIT')
  }
}

/** From the first to the last request that rows or rollups know of, in milliseconds since the epoch. */
export function spanOf(database: DatabaseSync): Range {
  const one = (sql: string) => database.prepare(sql).get()?.['moment'] as number | null
  const minutes = (end: 'min' | 'max') =>
    readState(database) === undefined
      ? null
      : Math[end](
          ...[grain.minute, grain.quarter.providers, grain.hour.providers, grain.day.providers]
            .map((of) => one(`SELECT ${end}(period) * ${minuteMs} AS moment FROM rollups WHERE grain = ${of}`))
            .filter((moment) => moment !== null),
        )
  const first = [one('SELECT min(started_at) AS moment FROM exchanges'), minutes('min')].filter((moment) => moment !== null)
  const last = [one('SELECT max(started_at) AS moment FROM exchanges'), minutes('max')].filter((moment) => moment !== null)
  return { sinceMs: Math.min(...first), untilMs: Math.max(...last) + dayMs }
}

/**
 * By interval, dimensions and, where streams without usage are counted, reason; a combination may have several rows. The dimension `day` is left to the
 * intervals.
 */
export function readSums(database: DatabaseSync, look: Look): readonly SumRow[] {
  const dimensions = look.dimensions.filter((one) => one !== 'day')
  const wanted = sums.filter(([name]) => look.sums?.includes(name) !== false)
  const hasReason = wanted.some(([name]) => name === 'zero_usage')
  const keys = (table: Table) =>
    ['i', ...dimensions.map((one) => `${sqlOf(one, table)} AS "key_${one}"`), ...(hasReason ? [`${zeroUsageReason} AS reason`] : [])].join(
      ', ',
    )
  const groups = ['i', ...dimensions.map((one) => `"key_${one}"`), ...(hasReason ? ['reason'] : [])].join(', ')
  const inCells = wanted.filter(([, , ofCell]) => ofCell !== '')
  const rowSums = wanted.map(([name, ofRow]) => `${ofRow} AS ${name}`).join(', ')
  const cellSums = inCells.map(([name, , ofCell, join = 'sum']) => `${join}(r.${ofCell}) AS ${name}`).join(', ')
  const sumsOfCellSums = inCells.map(([name, , , join = 'sum']) => `${join}(${name}) AS ${name}`).join(', ')
  return inSnapshot(database, () => {
    const { cells, rows } = sourcesOf(database, look)
    const ofCells = cells.flatMap(({ spans, from, values }) =>
      database
        .prepare(
          groups === 'i'
            ? `${spans} SELECT i, ${cellSums} FROM ${from} GROUP BY i`
            : `${spans} SELECT ${keys('rollup_keys')}, ${sumsOfCellSums} FROM (SELECT i, r.key AS key, ${cellSums} FROM ${from} GROUP BY 1, 2) c
           JOIN rollup_keys k ON k.id = c.key GROUP BY ${groups}`,
        )
        .all(values),
    )
    const ofRows = rows.flatMap(({ spans, from, values }) =>
      database.prepare(`${spans} SELECT ${keys('exchanges')}, ${rowSums} FROM ${from} GROUP BY ${groups}`).all(values),
    )
    return [...ofCells, ...ofRows] as SumRow[]
  })
}

export interface Sketched {
  readonly i: number
  /** By dimension, in the order of the look. */
  readonly key: readonly (string | null)[]
  readonly buckets: Buckets
}

/** How a duration is distributed, by interval and dimensions. */
export function readSketches(database: DatabaseSync, look: Look, sketch: Sketch): readonly Sketched[] {
  const { dimensions } = look
  const column = sketchColumns[sketch]
  const found = new Map<string, { readonly i: number; readonly key: Sketched['key']; readonly sum: ReturnType<typeof createSketchSum> }>()
  const sumOf = (i: number, key: Sketched['key']) => {
    const name = JSON.stringify([i, ...key])
    let entry = found.get(name)
    if (entry === undefined) found.set(name, (entry = { i, key, sum: createSketchSum() }))
    return entry.sum
  }
  const keyOf = (row: LedgerRow) => dimensions.map((one) => row[`key_${one}`] as string | null)
  const names = (table: Table) => dimensions.map((one) => `, ${sqlOf(one, table)} AS "key_${one}"`).join('')
  const groups = ['i', ...dimensions.map((one) => `"key_${one}"`)].join(', ')
  inSnapshot(database, () => {
    const { cells, rows } = sourcesOf(database, look)
    for (const { spans, from, values } of cells) {
      // One text for each combination: to take every cell's bytes out of SQLite would cost more than to add them up.
      const joined = database.prepare(
        `${spans} SELECT i${names('rollup_keys')}, c.sketch FROM
         (SELECT i, r.key AS key, group_concat(hex(r.${sketch}), '') AS sketch FROM ${from} AND r.${sketch} IS NOT NULL GROUP BY 1, 2) c
         JOIN rollup_keys k ON k.id = c.key`,
      )
      for (const row of joined.iterate(values)) sumOf(Number(row['i']), keyOf(row)).add(Buffer.from(String(row['sketch']), 'hex'))
    }
    for (const { spans, from, values } of rows) {
      const counted = database.prepare(
        `${spans} SELECT i${names('exchanges')}, ${bucketSql(column)} AS bucket, count(*) AS count FROM ${from} AND ${column} IS NOT NULL
         GROUP BY ${groups}, bucket`,
      )
      for (const row of counted.iterate(values)) {
        const bytes = encodeSketch(new Map([[Number(row['bucket']), Number(row['count'])]]))
        if (bytes !== null) sumOf(Number(row['i']), keyOf(row)).add(bytes)
      }
    }
  })
  return [...found.values()].map(({ sum, ...rest }) => ({ ...rest, buckets: sum.buckets() }))
}

/** What stands before a SELECT and behind its FROM, up to the end of a WHERE. */
interface Source {
  readonly spans: string
  readonly from: string
  readonly values: Readonly<Record<string, string | number>>
}

const cellSpans = 'WITH span(i, grain, since, until) AS (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:spans))'
const rowSpans = 'WITH span(i, since, until) AS (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:spans))'

function sourcesOf(database: DatabaseSync, look: Look): { readonly cells: readonly Source[]; readonly rows: readonly Source[] } {
  const { intervals, by, where = [] } = look
  const whole = intervals.map((range, i) => ({ i, ...range }))
  const state = readState(database)
  const asked = where.map(({ dimension }) => dimension)
  const used = [...look.dimensions, ...asked.filter(isOfKeys)]
  const isKnown = [...look.dimensions.filter((one) => one !== 'day'), ...asked].every(isOfKeys)
  const since = state !== undefined && isKnown ? cellsFrom(used, state) : Number.POSITIVE_INFINITY
  if (state === undefined || since === Number.POSITIVE_INFINITY) return { cells: [], rows: rowSources(whole, look, undefined) }
  const rowsFrom = by === 'started' ? state.rowsFrom : state.rowsFrom + longMs
  const view = viewOf(used)
  const { cells, rows } = planOf(intervals, { state, view, cellsFrom: since, rowsFrom })
  const isPending = state.after < state.upTo
  const earlier = `rowid > ${state.after} AND rowid <= ${state.upTo}`
  const last = lastAdded(state)
  return {
    cells: cells.length === 0 ? [] : [areFew(database, cells, where) ? chosenCells(cells, view, look) : allCells(cells, look)],
    rows: [
      // A plus keeps SQLite from looking for rows by it.
      ...rowSources(rows, look, `+rowid <= ${last}${isPending ? ` AND NOT (${earlier})` : ''}`),
      ...(isPending ? rowSources(whole, look, earlier) : []),
      ...lastRows(database, whole, look, last),
      ...(by === 'started' ? [openRows(whole, look)] : []),
    ],
  }
}

function allCells(cells: readonly CellSpan[], { by, where = [] }: Look): Source {
  const condition = conditionSql(where, 'rollup_keys')
  const ofKeys = where.length === 0 ? '' : ` AND r.key IN (SELECT id FROM rollup_keys WHERE TRUE${condition.sql})`
  return {
    spans: cellSpans,
    from: `span CROSS JOIN rollups r ON r.grain = span.grain AND r.period >= span.since AND r.period < span.until
      WHERE r.part IN (${part.both}, ${part[by]})${ofKeys}`,
    values: { spans: JSON.stringify(cells.map(({ i, grain, since, until }) => [i, grain, since, until])), ...condition.values },
  }
}

/** Each cell is looked for by its key, where those that are asked for are few: to pass over all others would take longer. */
function chosenCells(cells: readonly CellSpan[], view: View, { by, where = [] }: Look): Source {
  const condition = conditionSql(where, 'rollup_keys')
  const periods = cells.flatMap(({ i, grain: one, since, until, length }) =>
    Array.from({ length: Math.ceil((until - since) / length) }, (_, at) => [i, one, since + at * length, Number(isOfAll(one))]),
  )
  return {
    spans: `WITH span(i, grain, period, whole) AS (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:spans)),
      chosen AS MATERIALIZED (SELECT id, without_callers IS NOT NULL AS whole FROM rollup_keys
        WHERE (without_callers IS NOT NULL OR name GLOB '[[]"${view}",*')${condition.sql})`,
    from: `span CROSS JOIN chosen ON chosen.whole = span.whole
      CROSS JOIN rollups r ON r.grain = span.grain AND r.period = span.period AND r.key = chosen.id
      WHERE r.part IN (${part.both}, ${part[by]})`,
    values: { spans: JSON.stringify(periods), ...condition.values },
  }
}

const isOfAll = (one: Grain) => one === grain.minute || [grain.quarter, grain.hour, grain.day, grain.week].some(({ all }) => all === one)

/** Of all keys, those that a condition may leave for each to be looked for: it takes as long as to pass over ten. */
const fewShare = 0.1
/** A month of quarters has 3,000. */
const chosenPeriodsMax = 10_000

function areFew(database: DatabaseSync, cells: readonly CellSpan[], where: readonly Condition[]): boolean {
  const periods = cells.reduce((sum, { since, until, length }) => sum + (until - since) / length, 0)
  if (where.length === 0 || periods > chosenPeriodsMax) return false
  const condition = conditionSql(where, 'rollup_keys')
  const last = Number(database.prepare('SELECT max(id) AS id FROM rollup_keys').get()?.['id'] ?? 0)
  const found = database
    .prepare(`SELECT count(*) AS count FROM (SELECT 1 FROM rollup_keys WHERE TRUE${condition.sql} LIMIT :limit)`)
    .get({ limit: Math.ceil(last * fewShare), ...condition.values })
  return Number(found?.['count']) < last * fewShare
}

/** The smallest that tells these dimensions apart; all of them know outcome and reason. */
export function viewOf(used: readonly Field[]): View {
  const isOfCallers = used.some((one) => one === 'caller' || one.startsWith('label:'))
  const isOfModels = used.some((one) => one === 'model' || one === 'route')
  if (isOfCallers) return isOfModels || used.includes('provider') ? 'all' : 'callers'
  return isOfModels ? 'withoutCallers' : 'providers'
}

/** Whether the keys of rollups know it; what they do not is asked of rows. */
function isOfKeys(field: Field): field is Dimension {
  return ['provider', 'model', 'caller', 'route', 'outcome', 'reason'].includes(field) || field.startsWith('label:')
}

/** From when on cells tell these dimensions apart; infinity for never. */
function cellsFrom(used: readonly Dimension[], { labels }: RollupState): number {
  const names = used.map(labelOf).filter((name) => name !== undefined)
  return Math.max(Number.MIN_SAFE_INTEGER, ...names.map((name) => labels[name] ?? Number.POSITIVE_INFINITY))
}

/** A row left open by a killed process has no end: it counts where it began. */
const endedAt = 'coalesce(ended_at, started_at)'
/** Of rows that ended in a span: most are found by when they began, no longer before it than that; those that took longer, by their end. */
const ways = {
  started: ['started_at >= since AND started_at < until'],
  ended: [
    `started_at >= since - ${longMs} AND started_at < until AND ${endedAt} >= since AND ${endedAt} < until`,
    `duration_ms > ${longMs} AND ended_at >= since AND ended_at < until AND started_at < since - ${longMs}`,
  ],
} as const

/** `chosen`: which closed rows; undefined for all rows, the open ones too where it is by their start. */
function rowSources(spans: readonly RowSpan[], { by, where = [] }: Look, chosen: string | undefined): readonly Source[] {
  if (spans.length === 0) return []
  const condition = conditionSql(where)
  const closed = chosen === undefined ? (by === 'started' ? 'TRUE' : 'end_reason IS NOT NULL') : `end_reason IS NOT NULL AND ${chosen}`
  return ways[by].map((way) => ({
    spans: rowSpans,
    from: `span CROSS JOIN exchanges ON ${way} WHERE ${closed}${condition.sql}`,
    values: { spans: textOf(spans), ...condition.values },
  }))
}

/** Closed rows above that rowid: those of the last seconds. */
function lastRows(database: DatabaseSync, whole: readonly RowSpan[], { by, where = [] }: Look, rowid: number): readonly Source[] {
  const moment = by === 'started' ? 'started_at' : endedAt
  const { first, last } = database
    .prepare(`SELECT min(${moment}) AS first, max(${moment}) AS last FROM exchanges WHERE rowid > ? AND end_reason IS NOT NULL`)
    .get(rowid) as { first: number | null; last: number }
  const spans = first === null ? [] : whole.filter(({ sinceMs, untilMs }) => sinceMs <= last && untilMs > first)
  if (spans.length === 0) return []
  const condition = conditionSql(where)
  return [
    {
      spans: rowSpans,
      from: `span CROSS JOIN exchanges NOT INDEXED ON ${moment} >= since AND ${moment} < until
        WHERE rowid > ${rowid} AND end_reason IS NOT NULL${condition.sql}`,
      values: { spans: textOf(spans), ...condition.values },
    },
  ]
}

function openRows(spans: readonly RowSpan[], { where = [] }: Look): Source {
  const condition = conditionSql(where)
  return {
    spans: rowSpans,
    from: `span CROSS JOIN exchanges INDEXED BY exchanges_open ON ${ways.started[0]} WHERE end_reason IS NULL${condition.sql}`,
    values: { spans: textOf(spans), ...condition.values },
  }
}

function textOf(spans: readonly RowSpan[]): string {
  return JSON.stringify(spans.map(({ i, sinceMs, untilMs }) => [i, sinceMs, untilMs]))
}
