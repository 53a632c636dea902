/**
 * Follows the ledger: returns requests as they end. It only reads the file, so no sidecar needs to run, and a running one is not disturbed. New rows are
 * found by rowid. A row that was open when first seen is looked up by its id, because closing it may keep its rowid.
 */
import type { DatabaseSync } from 'node:sqlite'
import { openForReading } from '../../ledger/queries/open.ts'

/** A row of the table `exchanges` by column name; null is unknown. */
export type ListedRow = Readonly<Record<string, string | number | null>>

export interface Follower {
  /** The last `count` ended requests that `wanted` accepts, oldest first. */
  last(count: number, wanted: (row: ListedRow) => boolean): readonly ListedRow[]
  /** Requests that ended since the last call (or since the follower was created), in order of their end. */
  next(): readonly ListedRow[]
  close(): void
}

/** How many open rows are remembered. A killed sidecar may have left rows that are never closed. */
const openMax = 10_000
/** How many rows `last` searches. */
const lookedThroughMax = 100_000

/** Throws `ReadingError` with an actionable message. */
export function followLedger(path: string): Follower {
  return follow(openForReading(path))
}

function follow(database: DatabaseSync): Follower {
  const newer = database.prepare('SELECT rowid AS place, * FROM exchanges WHERE rowid > ? ORDER BY rowid LIMIT 5000')
  const newest = database.prepare('SELECT max(rowid) AS place FROM exchanges')
  const older = database.prepare('SELECT * FROM exchanges WHERE end_reason IS NOT NULL ORDER BY rowid DESC LIMIT ?')
  const opened = database.prepare('SELECT id FROM exchanges WHERE end_reason IS NULL LIMIT ?')
  const byId = database.prepare('SELECT * FROM exchanges WHERE id = ? AND end_reason IS NOT NULL')
  /** Ids of requests that were open when last seen. */
  const open = new Set(opened.all(openMax).map(({ id }) => String(id)))
  let place = Number(newest.get()?.['place'] ?? 0)

  return {
    last(count, wanted) {
      const found: ListedRow[] = []
      if (count <= 0) return found
      for (const row of older.iterate(lookedThroughMax) as Iterable<ListedRow>) {
        if (wanted(row)) found.push(row)
        if (found.length === count) break
      }
      return found.reverse()
    },
    next() {
      const ended: ListedRow[] = []
      for (const row of newer.all(place) as unknown as ListedRow[]) {
        const { place: at, ...columns } = row
        place = Number(at)
        const id = String(columns['id'])
        if (columns['end_reason'] === null) {
          if (open.size < openMax) open.add(id)
        } else {
          open.delete(id)
          ended.push(columns)
        }
      }
      for (const id of open) {
        const row = byId.get(id) as ListedRow | undefined
        if (row === undefined) continue
        open.delete(id)
        ended.push(row)
      }
      return ended.sort((one, other) => Number(one['ended_at'] ?? one['started_at']) - Number(other['ended_at'] ?? other['started_at']))
    },
    close: () => database.close(),
  }
}
