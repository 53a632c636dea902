/** Rows that wait for the next commit, by id. The row of a request that has ended takes the place of the one that was opened. */
import type { Meter } from '../telemetry/meter.ts'
import type { RowShape, RowValues } from './row.ts'
import type { Tables } from './tables.ts'

export interface PendingRowsOptions {
  readonly shape: RowShape
  readonly meter: Meter
  readonly rowsMax: number
  /** Of the row in the file. */
  readonly stateOf: (id: string) => 'open' | 'closed' | undefined
}

export interface PendingRows {
  put(id: string, row: RowValues): void
  has(id: string): boolean
  /** Undefined when none waits. */
  isClosed(id: string): boolean | undefined
  size(): number
  /** Part of a transaction. The rowid of each closed row, by its id; `onClosed` is given each of them. */
  write(tables: Tables, onClosed: (row: RowValues, rowid: number) => void): ReadonlyMap<string, number>
  committed(): void
}

export function createPendingRows({ shape, meter, rowsMax, stateOf }: PendingRowsOptions): PendingRows {
  const dropped = meter.counter('tokenweir.ledger.dropped', {})
  const isWhole = (row: RowValues) => row.length > shape.start.length
  let rows = new Map<string, RowValues>()
  return {
    put(id, row) {
      // A row that stands open in the file is always closed: the next start would count its request once more.
      if (rows.size < rowsMax || rows.has(id) || stateOf(id) === 'open') {
        rows.delete(id) // closed rows are written, and so numbered, in the order in which they ended
        rows.set(id, row)
      }
      // One that is only opened is left out without a count: its end finds room, or counts.
      else if (isWhole(row)) dropped.add(1)
    },
    has: (id) => rows.has(id),
    isClosed(id) {
      const row = rows.get(id)
      return row === undefined ? undefined : isWhole(row)
    },
    size: () => rows.size,
    write(tables, onClosed) {
      const closed = new Map<string, number>()
      for (const [id, row] of rows) {
        const rowid = tables.putRow(row)
        if (!isWhole(row)) continue
        closed.set(id, rowid)
        onClosed(row, rowid)
      }
      return closed
    },
    committed() {
      rows = new Map() // not cleared: the table of a cleared Map keeps what was in it alive until a major collection
    },
  }
}
