/** The statements on one open file. */
import type { DatabaseSync } from 'node:sqlite'
import { type MetricEntry, metrics } from '../telemetry/catalog.ts'
import type { NamedSeries, SavedSeries } from '../telemetry/meter.ts'
import { inTransaction } from './migrations.ts'
import type { LedgerRow, RowShape, RowValues, SqlValue } from './row.ts'

export interface Tables {
  /** Returns its rowid. */
  putRow(row: RowValues): number
  /** Of a row; undefined when there is none. */
  stateOf(id: string): 'open' | 'closed' | undefined
  openRows(): readonly LedgerRow[]
  /** Closed rows whose rowid is above `after` and not above `upTo`, in the order in which they were closed, with their `rowid`. */
  closedRows(after: number, upTo: number, limit: number): readonly LedgerRow[]
  countClosed(after: number, upTo: number): number
  /** When each of the first closed rows above `after` had ended, as far as anybody saw it. */
  closedTimes(after: number, limit: number): readonly { readonly rowid: number; readonly time: number }[]
  /** 0 when there is no row. */
  firstRowid(): number
  lastRowid(): number
  /**
   * Removes closed rows up to that rowid, the oldest first, but never the newest: rowids must go on growing. Returns how many. `told` is part of the
   * transaction: how many, and from when on all rows are there.
   */
  expireRows(startedBefore: number, upTo: number, limit: number, told: (rows: number, wholeFrom: number) => void): number
  series(limit: number): { readonly id: number; readonly saved: SavedSeries }[]
  addSeries(id: number, series: NamedSeries): void
  updateSeries(id: number, series: NamedSeries): void
  removeSeries(id: number): void
  clearSeries(): void
  meta(): Map<string, SqlValue>
  putMeta(key: string, value: SqlValue): void
  /** Of the file, in bytes; `used` without pages that are free. */
  size(): { readonly bytes: number; readonly usedBytes: number }
  /** Gives free pages back to the disk. */
  vacuum(pages: number): void
  /** Writes what the log holds into the file itself; false when a reader keeps it from that. */
  checkpoint(): boolean
}

type Statements = ReturnType<typeof prepare>

function prepare(database: DatabaseSync, { start, end }: RowShape) {
  const all = [...start, ...end]
  const insert = (columns: RowShape['start']) =>
    database.prepare(
      `INSERT OR REPLACE INTO exchanges (${columns.map(({ name }) => name).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    )
  return {
    start: insert(start),
    whole: insert(all),
    stateOf: database.prepare("SELECT iif(end_reason IS NULL, 'open', 'closed') AS state FROM exchanges WHERE id = ?"),
    openRows: database.prepare('SELECT * FROM exchanges INDEXED BY exchanges_open WHERE end_reason IS NULL ORDER BY rowid'),
    closedRows: database.prepare(
      'SELECT rowid, * FROM exchanges WHERE rowid > ? AND rowid <= ? AND end_reason IS NOT NULL ORDER BY rowid LIMIT ?',
    ),
    countClosed: database.prepare('SELECT count(*) AS count FROM exchanges WHERE rowid > ? AND rowid <= ? AND end_reason IS NOT NULL'),
    closedTimes: database.prepare(
      'SELECT rowid, ifnull(ended_at, started_at) AS time FROM exchanges WHERE rowid > ? AND end_reason IS NOT NULL ORDER BY rowid LIMIT ?',
    ),
    firstRowid: database.prepare('SELECT ifnull(min(rowid), 0) AS rowid FROM exchanges'),
    lastRowid: database.prepare('SELECT ifnull(max(rowid), 0) AS rowid FROM exchanges'),
    expire: database.prepare(`DELETE FROM exchanges WHERE rowid IN (
      SELECT rowid FROM exchanges WHERE started_at < ? AND end_reason IS NOT NULL AND rowid <= ? AND rowid < (SELECT max(rowid) FROM exchanges)
      ORDER BY started_at LIMIT ?) RETURNING started_at`),
    oldestClosed: database.prepare('SELECT started_at FROM exchanges WHERE end_reason IS NOT NULL ORDER BY started_at LIMIT 1'),
    series: database.prepare('SELECT * FROM series ORDER BY id LIMIT ?'),
    addSeries: database.prepare(
      'INSERT OR REPLACE INTO series (id, name, labels, started_at, bounds, value, counts, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    updateSeries: database.prepare('UPDATE series SET value = ?, counts = ?, sum = ? WHERE id = ?'),
    removeSeries: database.prepare('DELETE FROM series WHERE id = ?'),
    clearSeries: database.prepare('DELETE FROM series'),
    meta: database.prepare('SELECT key, value FROM meta'),
    putMeta: database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
    pageCount: database.prepare('PRAGMA page_count'),
    freeCount: database.prepare('PRAGMA freelist_count'),
    pageSize: database.prepare('PRAGMA page_size'),
  }
}

export function createTablesOf(database: DatabaseSync, shape: RowShape): Tables {
  const on = prepare(database, shape)
  return { ...rowTable(database, on, shape), ...seriesTable(on), ...fileTable(database, on) }
}

function rowTable(database: DatabaseSync, on: Statements, { start }: RowShape) {
  return {
    putRow: (row: RowValues) => Number((row.length === start.length ? on.start : on.whole).run(...row).lastInsertRowid),
    stateOf: (id: string) => on.stateOf.get(id)?.['state'] as 'open' | 'closed' | undefined,
    openRows: () => on.openRows.all(),
    closedRows: (after: number, upTo: number, limit: number) => on.closedRows.all(after, upTo, limit),
    countClosed: (after: number, upTo: number) => Number(on.countClosed.get(after, upTo)?.['count']),
    closedTimes: (after: number, limit: number) => on.closedTimes.all(after, limit) as unknown as { rowid: number; time: number }[],
    firstRowid: () => Number(on.firstRowid.get()?.['rowid']),
    lastRowid: () => Number(on.lastRowid.get()?.['rowid']),
    expireRows(startedBefore: number, upTo: number, limit: number, told: (rows: number, wholeFrom: number) => void) {
      let count = 0
      inTransaction(database, () => {
        const times = on.expire.all(startedBefore, upTo, limit).map((row) => Number(row['started_at']))
        count = times.length
        if (count === 0) return
        const oldest = Number(on.oldestClosed.get()?.['started_at'] ?? startedBefore)
        told(count, Math.max(Math.max(...times) + 1, Math.min(startedBefore, oldest)))
      })
      return count
    },
  }
}

function seriesTable(on: Statements) {
  return {
    series: (limit: number) => on.series.all(limit).map((row) => ({ id: Number(row['id']), saved: savedOf(row) })),
    addSeries(id: number, { name, cell }: NamedSeries) {
      const { buckets }: MetricEntry = metrics[name]
      on.addSeries.run(id, name, JSON.stringify(cell.labels), cell.startedAt, buckets?.join(' ') ?? null, ...valuesOf(cell))
    },
    updateSeries: (id: number, { cell }: NamedSeries) => void on.updateSeries.run(...valuesOf(cell), id),
    removeSeries: (id: number) => void on.removeSeries.run(id),
    clearSeries: () => void on.clearSeries.run(),
  }
}

function valuesOf(cell: NamedSeries['cell']): [value: SqlValue, counts: SqlValue, sum: SqlValue] {
  return 'value' in cell ? [cell.value, null, null] : [null, cell.counts.join(' '), cell.sum ?? null]
}

function savedOf(row: LedgerRow): SavedSeries {
  const numbers = (text: unknown) => String(text).split(' ').map(Number)
  return {
    name: String(row['name']),
    labels: JSON.parse(String(row['labels'])),
    startedAt: Number(row['started_at']),
    value: typeof row['value'] === 'number' ? row['value'] : undefined,
    histogram:
      typeof row['counts'] === 'string'
        ? { bounds: numbers(row['bounds']), counts: numbers(row['counts']), sum: typeof row['sum'] === 'number' ? row['sum'] : undefined }
        : undefined,
  }
}

function fileTable(database: DatabaseSync, on: Statements) {
  return {
    meta: () => new Map(on.meta.all().map(({ key, value }) => [String(key), value as SqlValue])),
    putMeta: (key: string, value: SqlValue) => void on.putMeta.run(key, value),
    size() {
      const pageBytes = Number(on.pageSize.get()?.['page_size'])
      const pages = Number(on.pageCount.get()?.['page_count'])
      const free = Number(on.freeCount.get()?.['freelist_count'])
      return { bytes: pages * pageBytes, usedBytes: (pages - free) * pageBytes }
    },
    vacuum: (pages: number) => void database.exec(`PRAGMA incremental_vacuum(${pages})`),
    checkpoint() {
      const { busy, log, checkpointed } = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {}
      return busy === 0 || (log === checkpointed && log !== -1) // a reader keeps the log from being cut, not from being written out
    },
  }
}
