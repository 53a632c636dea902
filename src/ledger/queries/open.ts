/** Opens a ledger to read from, or says in one sentence why not and what mends it. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { applicationId } from '../schema.ts'

export class ReadingError extends Error {
  override readonly name = 'ReadingError'
}

/** A writer may hold the file for the length of one batch. */
const lockMs = 2000

/** Read-only: makes no file, changes none. Throws `ReadingError`. */
export function openForReading(path: string): DatabaseSync {
  if (!existsSync(path)) {
    throw new ReadingError(
      `There is no ledger ${path} yet. Start tokenweir and send a request through it, or name the file with --ledger FILE.`,
    )
  }
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: lockMs })
    const owner = Number(database.prepare('PRAGMA application_id').get()?.['application_id'])
    if (owner !== applicationId) throw new ReadingError(`${path} is no ledger of tokenweir. Name the right file with --ledger FILE.`)
    database.exec('PRAGMA mmap_size = 2147483648; PRAGMA temp_store = MEMORY')
    return database
  } catch (error) {
    database?.close()
    if (error instanceof ReadingError) throw error
    throw new ReadingError(
      `The ledger ${path} cannot be read (${(error as Error).message}). Give this user read access to it and its folder.`,
    )
  }
}
