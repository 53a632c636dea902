/** The rollups of one open file: its state, its cells and its keys, and how a row is added to them. */
import type { DatabaseSync } from 'node:sqlite'
import type { LedgerRow, RowValues, SqlValue } from '../row.ts'
import { addMeasured, type Cells, createCells } from './cells.ts'
import { grain, lastAdded, levels, minuteMs, minuteOf, type Part, part, partsIn, type RollupState, stateOf, views } from './grains.ts'
import type { Key, Keys } from './keys.ts'
import { type Measured, neededColumns } from './measures.ts'

export interface OpenRollups {
  readonly database: DatabaseSync
  readonly cells: Cells
  readonly keys: Keys
  /** As it stands in this transaction. */
  state(): RollupState
  change(values: Partial<RollupState>): void
  /**
   * First in a transaction: notes which labels are marked, and adds in memory the closed rows that are in no cell, which an earlier process or a failed
   * transaction left.
   */
  begin(): void
  /** Adds in memory a closed row of this transaction. */
  add(row: RowValues, rowid: number): void
  /** Adds a row of the file, by its columns. */
  addNeeded(row: LedgerRow): void
  /** How many rows are added in memory alone. */
  unwritten(): number
  /** Writes all that was added in memory, and how far that goes. Part of a transaction. */
  flush(): void
}

export interface OpenOptions extends Pick<OpenRollups, 'database' | 'keys'> {
  /** Labels that cells tell apart. */
  readonly labels: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly measure: (row: RowValues) => Measured
  /** Of a row of which the columns are `neededColumns`. */
  readonly measureNeeded: (row: RowValues) => Measured
}

export function createOpen({ database, keys, measure, measureNeeded, labels, now }: OpenOptions): OpenRollups {
  const select = database.prepare('SELECT key, value FROM rollup_state')
  const put = database.prepare('INSERT OR REPLACE INTO rollup_state VALUES (?, ?)')
  let state: RollupState | undefined
  let hasBegun = false
  const added = { rows: 0, upTo: 0 }
  const ofFile = (row: LedgerRow) => measureNeeded(neededColumns.map((name) => row[name] as SqlValue))
  const addMeasuredRow = (measured: Measured, rowid: number) => {
    addRow(open, measured)
    added.rows++
    added.upTo = rowid
  }
  const open: OpenRollups = {
    database,
    cells: createCells(database),
    keys,
    state: () => (state ??= stateOf(select.all())),
    change(values) {
      state = { ...open.state(), ...values }
      for (const [key, value] of Object.entries(values))
        put.run(key, typeof value === 'object' ? JSON.stringify(value) : (value as SqlValue))
    },
    begin() {
      if (hasBegun) return
      hasBegun = true
      markLabels(open, labels, now())
      const left = database
        .prepare(`SELECT rowid, ${neededColumns.join(', ')} FROM exchanges WHERE rowid > ? AND end_reason IS NOT NULL ORDER BY rowid`)
        .iterate(lastAdded(open.state()))
      for (const row of left) addMeasuredRow(ofFile(row), Number(row['rowid']))
    },
    add: (row, rowid) => addMeasuredRow(measure(row), rowid),
    addNeeded: (row) => addRow(open, ofFile(row)),
    unwritten: () => added.rows,
    flush() {
      open.cells.write()
      if (added.rows > 0) open.change({ rows: open.state().rows + added.rows, addedUpTo: added.upTo })
      added.rows = 0
    },
  }
  return open
}

function addRow(open: OpenRollups, measured: Measured): void {
  const [started, ended] = [minuteOf(measured.startedAt), minuteOf(measured.endedAt)]
  const key = open.keys.find(measured.key, Math.max(started, ended))
  const at = (minute: number, one: Part) => {
    addMeasured(open.cells.find(grain.minute, minute, key.all, one), measured)
    addLate(open, measured, minute, key, one)
  }
  if (started === ended) at(started, part.both)
  else {
    at(started, part.started)
    at(ended, part.ended)
  }
}

const isBefore = (moment: number, key: number, until: number, untilKey: number) => moment < until || (moment === until && key < untilKey)

/** To each longer period that its minute has been added to already. */
function addLate({ cells, state }: OpenRollups, measured: Measured, minute: number, key: Key, one: Part): void {
  for (const { to, fromMs, toMs, until, key: cursor } of levels) {
    const from = Math.floor((minute * minuteMs) / fromMs) * fromMs
    if (!isBefore(from, key.all, state()[until], state()[cursor])) return
    const period = minuteOf(Math.floor(from / toMs) * toMs)
    for (const view of views)
      for (const each of partsIn(to[view], one)) addMeasured(cells.find(to[view], period, key[view], each), measured)
  }
}

/** A label that is marked from now on is in no cell of before. */
function markLabels(open: OpenRollups, names: readonly string[], now: number): void {
  const { labels, rows, after } = open.state()
  const since = rows === 0 && after === 0 ? 0 : now
  const marked = Object.fromEntries(names.map((name) => [name, labels[name] ?? since]))
  if (JSON.stringify(marked) !== JSON.stringify(labels)) open.change({ labels: marked })
}
