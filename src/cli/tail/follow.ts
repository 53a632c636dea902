/**
 * Follows the ledger: returns requests as they end. It only reads the file, so no sidecar needs to run, and a running one is not disturbed. New rows are
 * found by rowid. A row that was open when first seen is looked up by its id, because closing it may keep its rowid.
 */
import type { DatabaseSync } from 'node:sqlite'
import { conditionSql } from '../../ledger/queries/fragments.ts'
import { openForReading } from '../../ledger/queries/open.ts'
import type { Condition } from '../../ledger/queries/queries.ts'

/** A row of the table `exchanges` by column name; null is unknown. */
export type ListedRow = Readonly<Record<string, string | number | null>>

export interface Follower {
  /** The last `count` ended requests, oldest first. */
  last(count: number): readonly ListedRow[]
  /** Requests that ended since the last call (or since the follower was created), in order of their end. */
  next(): readonly ListedRow[]
  close(): void
}

type FoundRow = ListedRow & { readonly place: number; readonly wanted: number }

/** How many open rows are remembered. A killed sidecar may have left rows that are never closed. */
const openMax = 10_000
/** How many rows `last` searches. */
const lookedThroughMax = 100_000

/** Only requests of which all conditions hold. Throws `ReadingError` with an actionable message. */
export function followLedger(path: string, where: readonly Condition[] = []): Follower {
  return follow(openForReading(path), where)
}

function follow(database: DatabaseSync, where: readonly Condition[]): Follower {
  const { sql, values } = conditionSql(where)
  const wanted = `(TRUE${sql}) AS wanted`
  const newer = database.prepare(`SELECT rowid AS place, ${wanted}, * FROM exchanges WHERE rowid > :place ORDER BY rowid LIMIT 5000`)
  const newest = database.prepare('SELECT max(rowid) AS place FROM exchanges')
  const older = database.prepare(
    `SELECT rowid AS place, ${wanted}, * FROM exchanges WHERE end_reason IS NOT NULL ORDER BY rowid DESC LIMIT ${lookedThroughMax}`,
  )
  const opened = database.prepare('SELECT id FROM exchanges WHERE end_reason IS NULL LIMIT ?')
  const byId = database.prepare(`SELECT rowid AS place, ${wanted}, * FROM exchanges WHERE id = :id AND end_reason IS NOT NULL`)
  /** Ids of requests that were open when last seen. */
  const open = new Set(opened.all(openMax).map(({ id }) => String(id)))
  let place = Number(newest.get()?.['place'] ?? 0)

  return {
    last(count) {
      const found: ListedRow[] = []
      if (count <= 0) return found
      for (const { place: _, wanted, ...columns } of older.iterate(values) as Iterable<FoundRow>) {
        if (wanted === 1) found.push(columns)
        if (found.length === count) break
      }
      return found.reverse()
    },
    next() {
      const ended: ListedRow[] = []
      for (const { place: at, wanted, ...columns } of newer.all({ place, ...values }) as unknown as FoundRow[]) {
        place = at
        const id = String(columns['id'])
        if (columns['end_reason'] === null) {
          if (open.size < openMax) open.add(id)
        } else {
          open.delete(id)
          if (wanted === 1) ended.push(columns)
        }
      }
      for (const id of open) {
        const row = byId.get({ id, ...values }) as FoundRow | undefined
        if (row === undefined) continue
        open.delete(id)
        const { place: _, wanted, ...columns } = row
        if (wanted === 1) ended.push(columns)
      }
      return ended.sort((one, other) => Number(one['ended_at'] ?? one['started_at']) - Number(other['ended_at'] ?? other['started_at']))
    },
    close: () => database.close(),
  }
}
