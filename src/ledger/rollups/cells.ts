/** The cells that are being added to: read when they are first needed, in memory while they are warm, written some time later. */
import type { DatabaseSync } from 'node:sqlite'
import { addTo, type Buckets } from '../queries/quantiles.ts'
import type { SqlValue } from '../row.ts'
import { type Grain, grain, type Part } from './grains.ts'
import { knownBy, type Measured, sketchNames, sumColumns } from './measures.ts'
import { addSketch, encodeSketch } from './sketch.ts'

export interface Cell {
  readonly grain: Grain
  /** Its first minute since the epoch. */
  readonly period: number
  readonly key: number
  readonly part: Part
  readonly sums: number[]
  /** When the first and the last of its requests began, in milliseconds since the epoch. */
  firstAt: number
  lastAt: number
  readonly sketches: readonly Buckets[]
  isChanged: boolean
}

export interface Cells {
  find(grain: Grain, period: number, key: number, part: Part): Cell
  /** The cells of a grain from one period, and in it one key, to before another period, in order. */
  read(grain: Grain, from: number, fromKey: number, until: number, limit: number): readonly Cell[]
  /** How many are still to be written. */
  changed(): number
  /** Writes what has changed. Part of a transaction. */
  write(): void
  /** Lets go of cells when there are many and all are written. Only after a commit. */
  trim(): void
  forget(): void
}

const identity = ['grain', 'period', 'key', 'part']
const columns = [...identity, ...sumColumns, 'first_at', 'last_at']
/** Of a cell: about 600 bytes. */
const rememberedMax = 5000
/** Of these the cells of the last period are needed again and again. */
const warm: readonly Grain[] = [grain.minute, ...Object.values(grain.quarter)]

/** By the index of a sum, that of the count by which it is known; its own where it always is. */
const countOf = sumColumns.map((name) => sumColumns.indexOf(knownBy[name] ?? name))

export function createCells(database: DatabaseSync): Cells {
  const prepare = (sql: string) => {
    const statement = database.prepare(sql)
    statement.setReturnArrays(true)
    return statement
  }
  const insert = (table: string, names: readonly string[]) =>
    database.prepare(`INSERT OR REPLACE INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
  // Cells that a version before 10 wrote hold their sketches themselves.
  const sketches = sketchNames.map((name) => `coalesce(s.${name}, r.${name})`)
  const all = `SELECT ${[...columns.map((name) => `r.${name}`), ...sketches].join(', ')} FROM rollups r
    LEFT JOIN rollup_sketches s ON s.grain = r.grain AND s.period = r.period AND s.key = r.key AND s.part = r.part WHERE r.grain = ?`
  const select = prepare(`${all} AND r.period = ? AND r.key = ? AND r.part = ?`)
  const range = prepare(`${all} AND (r.period, r.key) >= (?, ?) AND r.period < ? ORDER BY r.period, r.key, r.part LIMIT ?`)
  const lastPeriod = database.prepare('SELECT max(period) AS period FROM rollups WHERE grain = ?')
  const put = insert('rollups', columns)
  const putSketches = insert('rollup_sketches', [...identity, ...sketchNames])
  let remembered = new Map<number, Map<number, Cell>>()
  let changed: Cell[] = []
  let size = 0
  /** By grain, the last period of which cells in the file may not be remembered. */
  let lastInFile: number[] = []

  function load(one: Grain, period: number, key: number, part: Part): Cell {
    lastInFile[one] ??= Number(lastPeriod.get(one)?.['period'] ?? Number.NEGATIVE_INFINITY)
    const row = period > lastInFile[one] ? undefined : select.get(one, period, key, part)
    return row === undefined ? emptyCell(one, period, key, part) : cellOf(row)
  }

  return {
    find(one, period, key, part) {
      const periodKey = period * 32 + one
      let inPeriod = remembered.get(periodKey)
      if (inPeriod === undefined) remembered.set(periodKey, (inPeriod = new Map()))
      const cellKey = key * 4 + part
      let cell = inPeriod.get(cellKey)
      if (cell === undefined) {
        cell = load(one, period, key, part)
        inPeriod.set(cellKey, cell)
        size++
      }
      if (!cell.isChanged) {
        cell.isChanged = true
        changed.push(cell)
      }
      return cell
    },
    read: (one, from, fromKey, until, limit) => range.all(one, from, fromKey, until, limit).map(cellOf),
    changed: () => changed.length,
    write() {
      for (const cell of changed) {
        put.run(...valuesOf(cell))
        if (cell.sketches.some(({ size }) => size > 0)) putSketches.run(...sketchesOf(cell))
        cell.isChanged = false
      }
      changed = []
    },
    trim() {
      if (size <= rememberedMax || changed.length > 0) return
      const last = new Map(warm.map((one) => [one, Math.max(...[...remembered.keys()].filter((key) => key % 32 === one))]))
      for (const [periodKey, cells] of remembered) {
        const one = (periodKey % 32) as Grain
        if (last.get(one) === periodKey) continue
        lastInFile[one] = Math.max(lastInFile[one] as number, (periodKey - one) / 32)
        size -= cells.size
        remembered.delete(periodKey)
      }
      if (size > rememberedMax) this.forget()
    },
    forget() {
      remembered = new Map()
      changed = []
      size = 0
      lastInFile = []
    },
  }
}

export function addMeasured(cell: Cell, { startedAt, sums, buckets }: Measured): void {
  for (let index = 0; index < sums.length; index++) cell.sums[index] = (cell.sums[index] as number) + (sums[index] as number)
  const whole = Math.floor(startedAt)
  cell.firstAt = Math.min(cell.firstAt, whole)
  cell.lastAt = Math.max(cell.lastAt, whole)
  for (let index = 0; index < buckets.length; index++) {
    const bucket = buckets[index]
    if (bucket !== undefined) addTo(cell.sketches[index] as Buckets, bucket, 1)
  }
}

export function addCell(cell: Cell, other: Cell): void {
  for (let index = 0; index < other.sums.length; index++) cell.sums[index] = (cell.sums[index] as number) + (other.sums[index] as number)
  cell.firstAt = Math.min(cell.firstAt, other.firstAt)
  cell.lastAt = Math.max(cell.lastAt, other.lastAt)
  for (let index = 0; index < other.sketches.length; index++)
    for (const [bucket, count] of other.sketches[index] as Buckets) addTo(cell.sketches[index] as Buckets, bucket, count)
}

function emptyCell(grain: Grain, period: number, key: number, part: Part): Cell {
  return {
    ...{ grain, period, key, part },
    sums: sumColumns.map(() => 0),
    firstAt: Number.POSITIVE_INFINITY,
    lastAt: Number.NEGATIVE_INFINITY,
    sketches: sketchNames.map(() => new Map()),
    isChanged: false,
  }
}

/** Of an array of a cell's columns, then its sketches. */
function cellOf(array: unknown): Cell {
  const row = array as readonly (SqlValue | Uint8Array)[]
  const cell = emptyCell(row[0] as Grain, row[1] as number, row[2] as number, row[3] as Part)
  for (let index = 0; index < cell.sums.length; index++) cell.sums[index] = (row[index + 4] as number | null) ?? 0
  cell.firstAt = row[columns.length - 2] as number
  cell.lastAt = row[columns.length - 1] as number
  for (let index = 0; index < cell.sketches.length; index++) addSketch(cell.sketches[index] as Buckets, row[columns.length + index])
  return cell
}

function valuesOf({ grain, period, key, part, sums, firstAt, lastAt }: Cell): SqlValue[] {
  const values: SqlValue[] = [grain, period, key, part]
  for (let index = 0; index < sums.length; index++) {
    const isKnown = (sums[countOf[index] as number] as number) > 0
    values.push(isKnown || countOf[index] === index ? (sums[index] as number) : null)
  }
  values.push(firstAt, lastAt)
  return values
}

const sketchesOf = ({ grain, period, key, part, sketches }: Cell) => [grain, period, key, part, ...sketches.map(encodeSketch)]
