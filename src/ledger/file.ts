/** Opens the ledger's file; moves one aside that cannot be used; says in one sentence why it cannot be opened and what mends it. */
import { existsSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeFolder } from '../lib/folder.ts'
import { foreignKind } from './header.ts'
import { MigrationError, migrate, schemaVersion } from './migrations.ts'
import type { RowShape } from './row.ts'
import { createTables } from './schema.ts'

/** At start another process may be finishing; later, waiting would hold up every other sink. */
const startLockMs = 2000
const runLockMs = 50

export class StoreError extends Error {
  override readonly name = 'StoreError'
}

/** What became of an attempt to open it. `unwritable`: the disk is full or fails, and may work again; there is nothing to mend in the settings. */
export type OpenedFile =
  | { readonly kind: 'open'; readonly database: DatabaseSync; readonly aside: string | undefined }
  | { readonly kind: 'unwritable'; readonly error: Error }

export interface FileOptions {
  readonly path: string
  readonly shape: RowShape
  /** Milliseconds since the epoch; names what is moved aside. */
  readonly now: () => number
  /** Takes the lock, once it is known that nobody else's file is there. */
  readonly lock: () => void
}

/** Makes the folder and the file when they are missing. Throws `StoreError`. */
export function openStoreFile(options: FileOptions): OpenedFile {
  try {
    return { kind: 'open', ...openOrReplace(options) }
  } catch (error) {
    if (error instanceof StoreError) throw error
    if (isDiskTrouble(error)) return { kind: 'unwritable', error: error as Error }
    throw new StoreError(mend(options.path, error))
  }
}

function openOrReplace(options: FileOptions): { database: DatabaseSync; aside: string | undefined } {
  checkPlace(options.path)
  options.lock()
  try {
    return { database: openDatabase(options), aside: undefined }
  } catch (error) {
    const why = unusable(error)
    if (why === undefined) throw error
    const aside = moveAside(options.path, why, options.now())
    return { database: openDatabase(options), aside }
  }
}

/** Before anything is made, moved or written. Throws `StoreError` where the path names what is no ledger, or nothing can be made there. */
function checkPlace(path: string): void {
  try {
    const kind = foreignKind(path)
    if (kind !== undefined) throw new StoreError(foreign(path, kind))
    makeFolder(dirname(path))
  } catch (error) {
    throw error instanceof StoreError || isDiskTrouble(error) ? error : new StoreError(mend(path, error))
  }
}

function foreign(path: string, kind: string): string {
  return `${path} is ${kind}, no ledger of tokenweir, and was left as it is. Choose another file with --ledger FILE, or move this one away.`
}

/** Of a ledger, or of nothing. */
export function openDatabase({ path, shape }: Pick<FileOptions, 'path' | 'shape'>): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: startLockMs })
  try {
    prepare(database, path, shape)
    database.exec(`PRAGMA busy_timeout = ${runLockMs}`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function prepare(database: DatabaseSync, path: string, shape: RowShape): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  if (version > schemaVersion) {
    throw new StoreError(
      `The ledger ${path} was written by a newer tokenweir (schema version ${version}; this one knows ${schemaVersion}). ` +
        `Start that version, or choose another file with --ledger FILE.`,
    )
  }
  if (isEmpty) database.exec('PRAGMA auto_vacuum = INCREMENTAL')
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864')
  if (isEmpty) createTables(database, shape)
  else migrate(database, version)
  // So that the file itself, and not its log alone, tells whose it is.
  database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  // Looks at what the start is going to read, so that damage there shows while the file can still be moved aside.
  database.prepare('SELECT count(*) FROM exchanges WHERE end_reason IS NULL').get()
  database.prepare('SELECT * FROM exchanges ORDER BY rowid DESC LIMIT 1').get()
  database.prepare('SELECT * FROM meta').all()
  database.prepare('SELECT count(*), sum(length(labels)) FROM series').get()
}

/** Result codes: https://sqlite.org/rescode.html; the low byte is the primary one. */
function resultCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}

/** Why the file itself can never be used again; undefined when something else is wrong. */
export function unusable(error: unknown): string | undefined {
  const isDamaged = [11, 26].includes(resultCode(error)) || (error as { errcode?: number }).errcode === shortRead
  return isDamaged ? `is damaged (${(error as Error).message})` : undefined
}

/** SQLITE_IOERR_SHORT_READ: pages that should be there are not. */
const shortRead = 522

/** Full, or failing below SQLite. */
function isDiskTrouble(error: unknown): boolean {
  return [10, 13].includes(resultCode(error)) || (error as NodeJS.ErrnoException).code === 'ENOSPC'
}

/** Never over another file. Returns the sentence that says what was done. */
export function moveAside(path: string, why: string, now: number): string {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  let to = `${path}.aside-${time}`
  for (let number = 2; existsSync(to); number++) to = `${path}.aside-${time}-${number}`
  renameSync(path, to)
  for (const suffix of ['-wal', '-shm']) if (existsSync(path + suffix)) renameSync(path + suffix, to + suffix)
  return `The ledger ${path} ${why}. It was moved to ${to}, unchanged, and a new one begun.`
}

function mend(path: string, error: unknown): string {
  if (resultCode(error) === 5) {
    return `The ledger ${path} is locked by another program. Close that program, or choose another file with --ledger FILE.`
  }
  const { message } = error as Error
  if (error instanceof MigrationError && !isAccess(error)) {
    return (
      `The ledger ${path} could not be brought from schema version ${error.from} to ${error.from + 1} (${message}); it is as it was. ` +
      'Start the version of tokenweir that wrote it, or choose another file with --ledger FILE.'
    )
  }
  if (isAccess(error)) {
    return `The ledger ${path} cannot be written (${message}). Give this user write access to ${dirname(path)}, or choose another file with --ledger FILE.`
  }
  return `The ledger ${path} cannot be opened (${message}). Choose another file with --ledger FILE.`
}

/** PERM, READONLY, CANTOPEN, AUTH; or the system's own word when the folder is made (ENOENT: below /proc). */
function isAccess(error: unknown): boolean {
  return (
    [3, 8, 14, 23].includes(resultCode(error)) ||
    /^E(ACCES|PERM|ROFS|ISDIR|NOTDIR|EXIST|NOENT)$/.test((error as NodeJS.ErrnoException).code ?? '')
  )
}
