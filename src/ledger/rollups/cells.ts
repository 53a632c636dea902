/** The cells that are being added to: read when they are first needed, in memory while they are warm, written some time later. */
import type { DatabaseSync } from 'node:sqlite'
import { addTo, type Buckets } from '../queries/quantiles.ts'
import type { LedgerRow, SqlValue } from '../row.ts'
import type { Grain, Part } from './grains.ts'
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

const columns = ['grain', 'period', 'key', 'part', ...sumColumns, 'first_at', 'last_at', ...sketchNames]
/** Of a cell: about 600 bytes. */
const rememberedMax = 5000

/** By the index of a sum, that of the count by which it is known; its own where it always is. */
const countOf = sumColumns.map((name) => sumColumns.indexOf(knownBy[name] ?? name))

export function createCells(database: DatabaseSync): Cells {
  const select = database.prepare('SELECT * FROM rollups WHERE grain = ? AND period = ? AND key = ? AND part = ?')
  const range = database.prepare(
    'SELECT * FROM rollups WHERE grain = ? AND (period, key) >= (?, ?) AND period < ? ORDER BY period, key, part LIMIT ?',
  )
  const put = database.prepare(`INSERT OR REPLACE INTO rollups (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`)
  let remembered = new Map<number, Map<number, Cell>>()
  let changed: Cell[] = []
  let size = 0

  return {
    find(grain, period, key, part) {
      const periodKey = period * 32 + grain
      let inPeriod = remembered.get(periodKey)
      if (inPeriod === undefined) remembered.set(periodKey, (inPeriod = new Map()))
      const cellKey = key * 4 + part
      let cell = inPeriod.get(cellKey)
      if (cell === undefined) {
        const row = select.get(grain, period, key, part)
        cell = row === undefined ? emptyCell(grain, period, key, part) : cellOf(row)
        inPeriod.set(cellKey, cell)
        size++
      }
      if (!cell.isChanged) {
        cell.isChanged = true
        changed.push(cell)
      }
      return cell
    },
    read: (grain, from, fromKey, until, limit) => range.all(grain, from, fromKey, until, limit).map(cellOf),
    changed: () => changed.length,
    write() {
      for (const cell of changed) {
        put.run(...valuesOf(cell))
        cell.isChanged = false
      }
      changed = []
    },
    trim() {
      if (size > rememberedMax && changed.length === 0) this.forget()
    },
    forget() {
      remembered = new Map()
      changed = []
      size = 0
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

function cellOf(row: LedgerRow): Cell {
  const cell = emptyCell(row['grain'] as Grain, Number(row['period']), Number(row['key']), row['part'] as Part)
  sumColumns.forEach((name, index) => {
    cell.sums[index] = Number(row[name] ?? 0)
  })
  cell.firstAt = Number(row['first_at'])
  cell.lastAt = Number(row['last_at'])
  sketchNames.forEach((name, index) => {
    addSketch(cell.sketches[index] as Buckets, row[name])
  })
  return cell
}

function valuesOf({ grain, period, key, part, sums, firstAt, lastAt, sketches }: Cell): (SqlValue | Uint8Array)[] {
  const values: (SqlValue | Uint8Array)[] = [grain, period, key, part]
  for (let index = 0; index < sums.length; index++) {
    const isKnown = (sums[countOf[index] as number] as number) > 0
    values.push(isKnown || countOf[index] === index ? (sums[index] as number) : null)
  }
  values.push(firstAt, lastAt)
  for (const sketch of sketches) values.push(encodeSketch(sketch))
  return values
}
