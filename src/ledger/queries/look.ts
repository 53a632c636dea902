/**
 * One look at the ledger: what its requests add up to by interval and dimension, out of the rollups and out of the rows that they do not answer for.
 * All of it is read in one transaction (`inSnapshot`), so that nothing is counted twice or left out while batches are written.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { dayMs, grain, minuteMs } from '../rollups/grains.ts'
import { sketchColumns } from '../rollups/measures.ts'
import { createSketchSum, type SketchSum } from '../rollups/sketch.ts'
import { isCompletedStream, isZeroUsage, owesUsage, sqlOf, type Table, tokenColumn, zeroUsageReason } from './fragments.ts'
import { readState } from './plan.ts'
import { type Buckets, bucketSql } from './quantiles.ts'
import { type Dimension, tokenKinds } from './queries.ts'
import { type CellSource, type Look, readCells, sourcesOf } from './sources.ts'

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
  const wanted = sums.filter(([name]) => look.sums?.includes(name) !== false)
  const keys = keysOf(
    look.dimensions,
    wanted.some(([name]) => name === 'zero_usage'),
  )
  const rowSums = wanted.map(([name, ofRow]) => `${ofRow} AS ${name}`).join(', ')
  return inSnapshot(database, () => {
    const { cells, rows } = sourcesOf(database, look)
    const ofRows = rows.flatMap(({ spans, from, values }) =>
      database.prepare(`${spans} SELECT i${keys.of('exchanges')}, ${rowSums} FROM ${from} GROUP BY i${keys.names}`).all(values),
    )
    return [...(cells === undefined ? [] : sumsOfCells(database, cells, keys, wanted)), ...ofRows] as SumRow[]
  })
}

function sumsOfCells(database: DatabaseSync, source: CellSource, keys: Keys, wanted: typeof sums): readonly SumRow[] {
  const inCells = wanted.filter(([, , ofCell]) => ofCell !== '')
  const groups = createGroups<(number | null)[][]>(database, keys, () => [])
  const isTotal = keys.names === ''
  const columns = inCells.map(([, , ofCell, join = 'sum']) => (isTotal ? `${join}(r.${ofCell})` : `r.${ofCell}`))
  readCells<number | null>(database, source, { table: 'rollups', columns, isTotal }, (cell) => {
    const { held } = groups.ofCell(cell[1])
    const into = (held[cell[0]] ??= inCells.map(() => null))
    for (let index = 0; index < into.length; index++) {
      const [value, before] = [cell[index + 2] as number | null, into[index] as number | null]
      const join = inCells[index]?.[3]
      if (before === null || value === null) into[index] = before ?? value
      else into[index] = join === undefined ? before + value : Math[join](before, value)
    }
  })
  const rowOf = (values: readonly (number | null)[]) => Object.fromEntries(inCells.map(([name], index) => [name, values[index] ?? null]))
  return groups.all().flatMap(({ key, held }) => Object.entries(held).map(([i, values]) => ({ i: Number(i), ...key, ...rowOf(values) })))
}

export interface Sketched {
  readonly i: number
  /** By dimension, in the order of the look. */
  readonly key: readonly (string | null)[]
  readonly buckets: Buckets
}

/** How a duration is distributed, by interval and dimensions. */
export function readSketches(database: DatabaseSync, look: Look, sketch: Sketch): readonly Sketched[] {
  const column = sketchColumns[sketch]
  const keys = keysOf(look.dimensions, false)
  const groups = createGroups<SketchSum[]>(database, keys, () => [])
  const sumOf = ({ held }: Group<SketchSum[]>, i: number) => (held[i] ??= createSketchSum())
  inSnapshot(database, () => {
    const { cells, rows } = sourcesOf(database, look)
    const ofCells = (source: CellSource, table: 'rollups' | 'rollup_sketches') =>
      readCells<Uint8Array | null>(database, source, { table, columns: [`r.${sketch}`] }, ([i, key, bytes]) => {
        if (bytes) sumOf(groups.ofCell(key), i).add(bytes)
      })
    if (cells !== undefined) {
      if (cells.sketchesUpTo < Number.MAX_SAFE_INTEGER) ofCells(cells, 'rollup_sketches')
      const older = cells.spans.filter(({ since }) => since <= cells.sketchesUpTo)
      if (older.length > 0) ofCells({ ...cells, spans: older }, 'rollups')
    }
    for (const { spans, from, values } of rows) {
      const counted = database.prepare(
        `${spans} SELECT i${keys.of('exchanges')}, ${bucketSql(column)} AS bucket, count(*) AS count FROM ${from} AND ${column} IS NOT NULL
         GROUP BY i${keys.names}, bucket`,
      )
      for (const { i, bucket, count, ...key } of counted.iterate(values))
        sumOf(groups.ofRow(key as Key), Number(i)).count(Number(bucket), Number(count))
    }
  })
  return groups
    .all()
    .flatMap(({ key, held }) => Object.entries(held).map(([i, sum]) => ({ i: Number(i), key: Object.values(key), buckets: sum.buckets() })))
}

interface Keys {
  /** In a SELECT and in a GROUP BY, each with its comma. */
  of(table: Table): string
  readonly names: string
}

/** `key_…` by dimension; `reason` why a stream may be without usage. */
function keysOf(dimensions: readonly Dimension[], hasReason: boolean): Keys {
  const all = [
    ...dimensions.filter((one) => one !== 'day').map((one) => ({ name: `"key_${one}"`, of: (table: Table) => sqlOf(one, table) })),
    ...(hasReason ? [{ name: 'reason', of: () => zeroUsageReason }] : []),
  ]
  return {
    of: (table) => all.map(({ name, of }) => `, ${of(table)} AS ${name}`).join(''),
    names: all.map(({ name }) => `, ${name}`).join(''),
  }
}

type Key = Readonly<Record<string, string | null>>

interface Group<Held> {
  readonly key: Key
  readonly held: Held
}

/** What is held of each group. A cell's group is that of its key, which is looked up once. */
function createGroups<Held>(database: DatabaseSync, keys: Keys, begin: () => Held) {
  const select = database.prepare(`SELECT NULL${keys.of('rollup_keys')} FROM rollup_keys WHERE id = ?`)
  const byCell = new Map<number, Group<Held>>()
  const byName = new Map<string, Group<Held>>()
  function ofRow(key: Key): Group<Held> {
    const name = JSON.stringify(Object.values(key))
    let group = byName.get(name)
    if (group === undefined) byName.set(name, (group = { key, held: begin() }))
    return group
  }
  return {
    ofRow,
    ofCell(id: number): Group<Held> {
      let group = byCell.get(id)
      if (group === undefined) {
        const { NULL: _, ...key } = select.get(id) ?? {}
        byCell.set(id, (group = ofRow(key as Key)))
      }
      return group
    },
    all: () => [...byName.values()],
  }
}
