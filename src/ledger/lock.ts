/**
 * One process to a ledger: two that wrote one file would end each other's open rows and send each other's spans. The lock is SQLite's own, on
 * a file of its own that stays empty, so that readers of the ledger are not locked out; the system lets go of it however the process ends.
 */
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from './file.ts'

/** A process that is stopping, or a recorder that just died, may still hold it. */
const waitMs = 2000

/** Returns what lets go; undefined where the lock's file cannot be made, which the ledger's own file tells better. Throws `StoreError` when another process has it. */
export function lockStore(path: string): (() => void) | undefined {
  let database: DatabaseSync | undefined
  try {
    const held = (database = new DatabaseSync(`${path}-lock`, { timeout: waitMs }))
    held.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return () => held.close()
  } catch (error) {
    database?.close()
    if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) !== 5) return undefined
    throw new StoreError(
      `The ledger ${path} is in use by another tokenweir. Stop that one, or give this one a file of its own with --ledger FILE.`,
    )
  }
}
