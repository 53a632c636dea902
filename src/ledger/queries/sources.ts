/** Where a look at the ledger finds its requests: cells of rollups, and the rows that they do not answer for. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { type Grain, grain, lastAdded, part, type RollupState, type View } from '../rollups/grains.ts'
import { longMs } from '../schema.ts'
import { conditionSql, labelOf } from './fragments.ts'
import { type CellSpan, planOf, type RowSpan, readState } from './plan.ts'
import type { Condition, Dimension, Field } from './queries.ts'

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

/** Closed and open rows that are read as rows: what stands before a SELECT, and behind its FROM up to the end of a WHERE. */
export interface RowSource {
  readonly spans: string
  readonly from: string
  readonly values: Readonly<Record<string, string | number>>
}

/** Cells of rollups. */
export interface CellSource {
  readonly spans: readonly CellSpan[]
  readonly by: Look['by']
  /** Only the keys of the table `chosen`: passed over with all others, or looked for one by one where they are few. */
  readonly keys: 'all' | 'chosen' | 'few'
  /** Cells of these periods and of those before, in minutes since the epoch, may hold their sketches themselves. */
  readonly sketchesUpTo: number
}

const rowSpans = 'WITH span(i, since, until) AS (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:spans))'

export function sourcesOf(
  database: DatabaseSync,
  look: Look,
): { readonly cells: CellSource | undefined; readonly rows: readonly RowSource[] } {
  const { intervals, by, where = [] } = look
  const whole = intervals.map((range, i) => ({ i, ...range }))
  const state = readState(database)
  const asked = where.map(({ dimension }) => dimension)
  const used = [...look.dimensions, ...asked.filter(isOfKeys)]
  const isKnown = [...look.dimensions.filter((one) => one !== 'day'), ...asked].every(isOfKeys)
  const since = state !== undefined && isKnown ? cellsFrom(used, state) : Number.POSITIVE_INFINITY
  if (state === undefined || since === Number.POSITIVE_INFINITY) return { cells: undefined, rows: rowSources(whole, look, undefined) }
  const rowsFrom = by === 'started' ? state.rowsFrom : state.rowsFrom + longMs
  const view = viewOf(used)
  const { cells, rows } = planOf(intervals, { state, view, cellsFrom: since, rowsFrom })
  const spans = withinFile(database, cells)
  const isPending = state.after < state.upTo
  const earlier = `rowid > ${state.after} AND rowid <= ${state.upTo}`
  const last = lastAdded(state)
  return {
    cells: spans.length === 0 ? undefined : { spans, by, keys: chooseKeys(database, spans, view, where), sketchesUpTo: state.sketchesUpTo },
    rows: [
      // A plus keeps SQLite from looking for rows by it.
      ...rowSources(rows, look, `+rowid <= ${last}${isPending ? ` AND NOT (${earlier})` : ''}`),
      ...(isPending ? rowSources(whole, look, earlier) : []),
      ...lastRows(database, whole, look, last),
      ...(by === 'started' ? [openRows(whole, look)] : []),
    ],
  }
}

/** Without the periods before the first cell and after the last: a range may begin at the epoch. */
function withinFile(database: DatabaseSync, spans: readonly CellSpan[]): readonly CellSpan[] {
  const ends = database.prepare(
    `SELECT (SELECT min(period) FROM rollups WHERE grain = :grain) AS first, (SELECT max(period) FROM rollups WHERE grain = :grain) AS last`,
  )
  const known = new Map<Grain, readonly [first: number, last: number]>()
  return spans.flatMap((span) => {
    let ofGrain = known.get(span.grain)
    if (ofGrain === undefined) {
      const { first, last } = ends.get({ grain: span.grain }) as { first: number | null; last: number | null }
      known.set(span.grain, (ofGrain = [first ?? Number.POSITIVE_INFINITY, last ?? Number.NEGATIVE_INFINITY]))
    }
    const [since, until] = [Math.max(span.since, ofGrain[0]), Math.min(span.until, ofGrain[1] + span.length)]
    return since < until ? [{ ...span, since, until }] : []
  })
}

/** Of all keys, those that a condition may leave for each to be looked for: it takes as long as to pass over ten. */
const fewShare = 0.1
/** A month of quarters has 3,000. */
const fewPeriodsMax = 10_000

/** Puts the keys for which the conditions hold into the table `chosen` of this connection. */
function chooseKeys(database: DatabaseSync, spans: readonly CellSpan[], view: View, where: readonly Condition[]): CellSource['keys'] {
  if (where.length === 0) return 'all'
  const condition = conditionSql(where, 'rollup_keys')
  database.exec(`CREATE TEMP TABLE IF NOT EXISTS chosen (id INTEGER PRIMARY KEY, is_all INTEGER);
    CREATE INDEX IF NOT EXISTS temp.chosen_is_all ON chosen (is_all);
    DELETE FROM chosen`)
  const { changes } = database
    .prepare(
      `INSERT INTO chosen SELECT id, without_callers IS NOT NULL FROM rollup_keys
       WHERE (without_callers IS NOT NULL OR name GLOB '[[]"${view}",*')${condition.sql}`,
    )
    .run(condition.values)
  const last = Number(database.prepare('SELECT max(id) AS id FROM rollup_keys').get()?.['id'] ?? 0)
  const periods = spans.reduce((sum, { since, until, length }) => sum + (until - since) / length, 0)
  return Number(changes) < last * fewShare && periods <= fewPeriodsMax ? 'few' : 'chosen'
}

/** Minutes: no more is read at once, but for one period. */
const minutesAtOnce = 15

/**
 * Each cell as an array: its interval, its key and these columns of it. With `isTotal` the columns are sums, and each span is one array. SQLite does not
 * group the cells: it would sort them first, which takes three times as long as to read them.
 */
export function readCells<Value>(
  database: DatabaseSync,
  { spans, by, keys }: Pick<CellSource, 'spans' | 'by' | 'keys'>,
  {
    table,
    columns,
    isTotal = false,
  }: { readonly table: 'rollups' | 'rollup_sketches'; readonly columns: readonly string[]; readonly isTotal?: boolean },
  take: (cell: readonly [i: number, key: number, ...Value[]]) => void,
): void {
  const isFew = keys === 'few'
  const statement = database.prepare(
    `SELECT ?, ${isTotal ? 'NULL' : 'r.key'}, ${columns.join(', ')} FROM ${isFew ? 'chosen CROSS JOIN ' : ''}${table} r
     WHERE r.grain = ? AND r.period ${isFew ? '= ?' : '>= ? AND r.period < ?'} AND r.part IN (${part.both}, ${part[by]})
     ${isFew ? 'AND r.key = chosen.id AND chosen.is_all = ?' : keys === 'chosen' ? 'AND r.key IN (SELECT id FROM chosen)' : ''}`,
  )
  statement.setReturnArrays(true)
  const read = (...values: number[]) => {
    for (const cell of statement.all(...values) as unknown[] as [number, number, ...Value[]][]) take(cell)
  }
  for (const { i, grain: one, since, until, length } of spans) {
    const step = isFew ? length : isTotal ? until - since : Math.max(length, minutesAtOnce)
    for (let from = since; from < until; from += step) read(i, one, from, isFew ? Number(isOfAll(one)) : Math.min(from + step, until))
  }
}

const isOfAll = (one: Grain) => one === grain.minute || [grain.quarter, grain.hour, grain.day, grain.week].some(({ all }) => all === one)

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
function rowSources(spans: readonly RowSpan[], { by, where = [] }: Look, chosen: string | undefined): readonly RowSource[] {
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
function lastRows(database: DatabaseSync, whole: readonly RowSpan[], { by, where = [] }: Look, rowid: number): readonly RowSource[] {
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

function openRows(spans: readonly RowSpan[], { where = [] }: Look): RowSource {
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
