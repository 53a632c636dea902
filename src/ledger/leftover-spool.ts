/**
 * The table `spool` of schema versions 2 and 3: telemetry that was encoded when it was recorded. This version writes none; what is left there is
 * sent once, and the table goes with the last of it.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Signal } from '../telemetry/signal.ts'

export interface Packet {
  readonly id: number
  readonly encoding: 'protobuf' | 'json'
  /** Spans or log records in it. */
  readonly records: number
  /** When it was recorded, in milliseconds since the epoch. */
  readonly createdAt: number
  /** A whole export request. */
  readonly body: Uint8Array
}

/** All that waits there of one signal. */
export interface PacketTotals {
  readonly records: number
  readonly bytes: number
  readonly oldestAt: number | undefined
}

export interface LeftoverSpool {
  totals(signal: Signal): PacketTotals
  /** The oldest, all in one encoding. */
  next(signal: Signal, limit: number): readonly Packet[]
  /** They wait no more; they leave the file with the next commit. */
  remove(packets: readonly Packet[]): void
  hasWork(): boolean
  /** Part of a transaction. */
  write(): void
  /** That transaction is committed. */
  committed(): void
  opened(database: DatabaseSync): void
  closed(): void
}

const none: PacketTotals = { records: 0, bytes: 0, oldestAt: undefined }

export function createLeftoverSpool(): LeftoverSpool {
  let database: DatabaseSync | undefined
  let removed = new Set<number>()
  let known = new Map<Signal, PacketTotals>()
  const all = (query: string, ...values: (string | number)[]) => database?.prepare(query).all(...values) ?? []
  const isEmpty = () => all('SELECT 1 FROM spool LIMIT 1').length === 0

  return {
    totals(signal) {
      const before = database === undefined ? none : known.get(signal)
      if (before !== undefined) return before
      const query = 'SELECT id, records, bytes, created_at FROM spool WHERE signal = ? ORDER BY id'
      let [records, bytes, oldestAt]: [number, number, number | undefined] = [0, 0, undefined]
      for (const row of all(query, signal)) {
        if (removed.has(Number(row['id']))) continue
        records += Number(row['records'])
        bytes += Number(row['bytes'])
        oldestAt ??= Number(row['created_at'])
      }
      const totals = records === 0 ? none : { records, bytes, oldestAt }
      known.set(signal, totals)
      return totals
    },
    next(signal, limit) {
      const query = 'SELECT id, encoding, records, created_at, body FROM spool WHERE signal = ? ORDER BY id LIMIT ?'
      const waiting = all(query, signal, limit + removed.size).filter((row) => !removed.has(Number(row['id'])))
      const other = waiting.findIndex((row) => row['encoding'] !== waiting[0]?.['encoding'])
      return waiting.slice(0, other < 0 ? limit : Math.min(other, limit)).map(packetOf)
    },
    remove(packets) {
      for (const { id } of packets) removed.add(id)
      known = new Map()
    },
    hasWork: () => removed.size > 0,
    write() {
      for (const id of removed) database?.prepare('DELETE FROM spool WHERE id = ?').run(id)
      if (removed.size > 0 && isEmpty()) database?.exec('DROP TABLE spool')
    },
    committed() {
      if (removed.size > 0 && !hasTable(database)) database = undefined
      removed = new Set()
    },
    opened(opened) {
      database = hasTable(opened) ? opened : undefined
      if (database !== undefined && isEmpty()) {
        database.exec('DROP TABLE spool')
        database = undefined
      }
      known = new Map()
    },
    closed() {
      database = undefined
      removed = new Set()
    },
  }
}

function hasTable(database: DatabaseSync | undefined): boolean {
  return database?.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'spool'").get() !== undefined
}

function packetOf(row: Record<string, unknown>): Packet {
  return {
    id: Number(row['id']),
    encoding: row['encoding'] === 'json' ? 'json' : 'protobuf',
    records: Number(row['records']),
    createdAt: Number(row['created_at']),
    body: row['body'] as Uint8Array,
  }
}
