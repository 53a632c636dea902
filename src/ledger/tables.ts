/** The statements on one open file. */
import type { DatabaseSync } from 'node:sqlite'
import { type MetricEntry, metrics } from '../telemetry/catalog.ts'
import type { Kept, Lasting } from '../telemetry/meter.ts'
import type { Packet, Signal } from '../telemetry/packet.ts'
import type { Row, RowShape, SqlValue } from './row.ts'

/** All of a packet but its body. */
export interface PacketHead {
  readonly id: number
  readonly signal: Signal
  readonly encoding: Packet['encoding']
  readonly records: number
  readonly bytes: number
  readonly created_at: number
  readonly process: number
}

export interface Tables {
  /** Returns its rowid. */
  putRow(row: Row): number
  /** Of a row; undefined when there is none. */
  stateOf(id: string): 'open' | 'closed' | undefined
  /** By column name. */
  openRows(): Record<string, unknown>[]
  closedRowsAfter(rowid: number, limit: number): Record<string, unknown>[]
  lastRowid(): number
  /** Removes closed rows, the oldest first, but never the newest: rowids must go on growing. Returns how many. */
  expireRows(startedBefore: number, limit: number): number
  putPacket(id: number, packet: Packet, createdAt: number, process: number): void
  lastPacketId(): number
  packetsAfter(signal: Signal, id: number, limit: number): PacketHead[]
  oldestPackets(limit: number): PacketHead[]
  packetBody(id: number): Uint8Array | undefined
  removePacket(id: number): void
  removePacketsUpTo(signal: Signal, id: number): void
  packetTotals(signal: Signal): { readonly records: number; readonly bytes: number }
  series(limit: number): { readonly id: number; readonly kept: Kept }[]
  addSeries(id: number, lasting: Lasting): void
  updateSeries(id: number, lasting: Lasting): void
  removeSeries(id: number): void
  meta(): Map<string, SqlValue>
  putMeta(key: string, value: SqlValue): void
  /** Of the file, in bytes; `used` without pages that are free. */
  size(): { readonly bytes: number; readonly usedBytes: number }
  /** Gives free pages back to the disk. */
  vacuum(pages: number): void
}

type Statements = ReturnType<typeof prepare>

function prepare(database: DatabaseSync, { start, end }: RowShape) {
  const all = [...start, ...end]
  const insert = (columns: RowShape['start']) =>
    database.prepare(
      `INSERT OR REPLACE INTO exchanges (${columns.map(({ name }) => name).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    )
  const head = 'id, signal, encoding, records, bytes, created_at, process'
  return {
    start: insert(start),
    whole: insert(all),
    stateOf: database.prepare("SELECT iif(end_reason IS NULL, 'open', 'closed') AS state FROM exchanges WHERE id = ?"),
    openRows: database.prepare('SELECT * FROM exchanges WHERE end_reason IS NULL ORDER BY rowid'),
    closedAfter: database.prepare('SELECT rowid, * FROM exchanges WHERE rowid > ? AND end_reason IS NOT NULL ORDER BY rowid LIMIT ?'),
    lastRowid: database.prepare('SELECT ifnull(max(rowid), 0) AS rowid FROM exchanges'),
    expire: database.prepare(`DELETE FROM exchanges WHERE rowid IN (
      SELECT rowid FROM exchanges WHERE started_at < ? AND end_reason IS NOT NULL AND rowid < (SELECT max(rowid) FROM exchanges)
      ORDER BY started_at LIMIT ?)`),
    putPacket: database.prepare(
      'INSERT INTO spool (id, signal, encoding, records, bytes, created_at, process, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    lastPacketId: database.prepare('SELECT ifnull(max(id), 0) AS id FROM spool'),
    packetsAfter: database.prepare(`SELECT ${head} FROM spool WHERE signal = ? AND id > ? ORDER BY id LIMIT ?`),
    oldestPackets: database.prepare(`SELECT ${head} FROM spool NOT INDEXED ORDER BY id LIMIT ?`),
    packetBody: database.prepare('SELECT body FROM spool WHERE id = ?'),
    removePacket: database.prepare('DELETE FROM spool WHERE id = ?'),
    removePacketsUpTo: database.prepare('DELETE FROM spool WHERE signal = ? AND id <= ?'),
    packetTotals: database.prepare('SELECT ifnull(sum(records), 0) AS records, ifnull(sum(bytes), 0) AS bytes FROM spool WHERE signal = ?'),
    series: database.prepare('SELECT * FROM series ORDER BY id LIMIT ?'),
    addSeries: database.prepare(
      'INSERT OR REPLACE INTO series (id, name, labels, started_at, bounds, value, counts, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    updateSeries: database.prepare('UPDATE series SET value = ?, counts = ?, sum = ? WHERE id = ?'),
    removeSeries: database.prepare('DELETE FROM series WHERE id = ?'),
    meta: database.prepare('SELECT key, value FROM meta'),
    putMeta: database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
    pageCount: database.prepare('PRAGMA page_count'),
    freeCount: database.prepare('PRAGMA freelist_count'),
    pageSize: database.prepare('PRAGMA page_size'),
  }
}

export function createTablesOf(database: DatabaseSync, shape: RowShape): Tables {
  const on = prepare(database, shape)
  return { ...rowTable(on, shape), ...packetTable(on), ...seriesTable(on), ...fileTable(database, on) }
}

function rowTable(on: Statements, { start }: RowShape) {
  return {
    putRow: (row: Row) => Number((row.length === start.length ? on.start : on.whole).run(...row).lastInsertRowid),
    stateOf: (id: string) => on.stateOf.get(id)?.['state'] as 'open' | 'closed' | undefined,
    openRows: () => on.openRows.all() as Record<string, unknown>[],
    closedRowsAfter: (rowid: number, limit: number) => on.closedAfter.all(rowid, limit) as Record<string, unknown>[],
    lastRowid: () => Number(on.lastRowid.get()?.['rowid']),
    expireRows: (startedBefore: number, limit: number) => Number(on.expire.run(startedBefore, limit).changes),
  }
}

function packetTable(on: Statements) {
  return {
    putPacket: (id: number, { signal, encoding, records, body }: Packet, createdAt: number, process: number) =>
      void on.putPacket.run(id, signal, encoding, records, body.length, createdAt, process, body),
    lastPacketId: () => Number(on.lastPacketId.get()?.['id']),
    packetsAfter: (signal: Signal, id: number, limit: number) => on.packetsAfter.all(signal, id, limit) as unknown as PacketHead[],
    oldestPackets: (limit: number) => on.oldestPackets.all(limit) as unknown as PacketHead[],
    packetBody: (id: number) => on.packetBody.get(id)?.['body'] as Uint8Array | undefined,
    removePacket: (id: number) => void on.removePacket.run(id),
    removePacketsUpTo: (signal: Signal, id: number) => void on.removePacketsUpTo.run(signal, id),
    packetTotals: (signal: Signal) => ({ ...on.packetTotals.get(signal) }) as { records: number; bytes: number },
  }
}

function seriesTable(on: Statements) {
  return {
    series: (limit: number) => on.series.all(limit).map((row) => ({ id: Number(row['id']), kept: keptOf(row) })),
    addSeries(id: number, { name, cell }: Lasting) {
      const { buckets }: MetricEntry = metrics[name]
      on.addSeries.run(id, name, JSON.stringify(cell.labels), cell.startedAt, buckets?.join(' ') ?? null, ...valuesOf(cell))
    },
    updateSeries: (id: number, { cell }: Lasting) => void on.updateSeries.run(...valuesOf(cell), id),
    removeSeries: (id: number) => void on.removeSeries.run(id),
  }
}

function valuesOf(cell: Lasting['cell']): [value: SqlValue, counts: SqlValue, sum: SqlValue] {
  return 'value' in cell ? [cell.value, null, null] : [null, cell.counts.join(' '), cell.sum ?? null]
}

function keptOf(row: Record<string, unknown>): Kept {
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
  }
}
