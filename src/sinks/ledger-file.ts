/** Opens the ledger's SQLite file, or says in one sentence why it cannot be opened and what mends it. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { endColumns, startColumns } from './ledger-columns.ts'

/** `user_version` of the file. A change of the columns raises it. */
const schemaVersion = 1
/** `application_id` of the file: "twer". Tells a ledger from any other SQLite file. */
export const applicationId = 0x74776572
/** At start another process may be finishing; later, waiting would hold up every other sink. */
const startLockMs = 2000
const runLockMs = 50

class LedgerError extends Error {
  override readonly name = 'LedgerError'
}

export interface LedgerFile {
  readonly database: DatabaseSync
  /** Rows that a killed process had left open, now closed as `sidecar-stopped`. */
  readonly recovered: number
}

/** Makes the folder and the file when they are missing. Throws `LedgerError`. */
export function openLedgerFile(path: string): LedgerFile {
  let database: DatabaseSync | undefined
  try {
    mkdirSync(dirname(path), { recursive: true })
    database = new DatabaseSync(path, { timeout: startLockMs })
    prepare(database, path)
    const recovered = closeOpenRows(database)
    database.exec(`PRAGMA busy_timeout = ${runLockMs}`)
    return { database, recovered }
  } catch (error) {
    database?.close()
    throw error instanceof LedgerError ? error : new LedgerError(mend(path, error))
  }
}

function prepare(database: DatabaseSync, path: string): void {
  const version = pragma(database, 'user_version')
  const owner = pragma(database, 'application_id')
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  if (owner !== applicationId && !(isEmpty && owner === 0 && version === 0)) {
    throw new LedgerError(`The ledger ${path} is an SQLite file of another program. ${chooseAnother}`)
  }
  if (version > schemaVersion) {
    throw new LedgerError(
      `The ledger ${path} was written by a newer tokenweir (schema version ${version}; this one knows ${schemaVersion}). ` +
        `Start that version, or choose another file with --ledger FILE.`,
    )
  }
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864')
  if (isEmpty) create(database)
}

function pragma(database: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name])
}

/** No STRICT and no constraint but the key: a row that a check refused would hold up every row after it. */
function create(database: DatabaseSync): void {
  const definitions = [...startColumns, ...endColumns].map(
    ({ name, type }) => `${name} ${type}${name === 'id' ? ' PRIMARY KEY NOT NULL' : ''}`,
  )
  database.exec(`
    BEGIN;
    CREATE TABLE exchanges (${definitions.join(', ')});
    CREATE INDEX exchanges_started_at ON exchanges (started_at);
    CREATE INDEX exchanges_open ON exchanges (id) WHERE end_reason IS NULL;
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${schemaVersion};
    COMMIT;
  `)
}

/** When they ended, nobody knows: `ended_at` and `duration_ms` stay NULL. */
function closeOpenRows(database: DatabaseSync): number {
  return Number(database.prepare("UPDATE exchanges SET end_reason = 'sidecar-stopped' WHERE end_reason IS NULL").run().changes)
}

const chooseAnother = 'Choose another file with --ledger FILE.'

/** Result codes: https://sqlite.org/rescode.html; the low byte is the primary one. */
function mend(path: string, error: unknown): string {
  const { errcode, message } = error as { errcode?: number; message: string }
  switch ((errcode ?? 0) & 0xff) {
    case 5:
      return `The ledger ${path} is locked by another program. Close that program, or choose another file with --ledger FILE.`
    case 11:
      return `The ledger ${path} is damaged (${message}). Move it away, and a new one is made; "sqlite3 ${path} .recover" saves what can be read.`
    case 13:
      return `The ledger ${path} cannot be written: the disk is full. Make room, or choose a file on another disk with --ledger FILE.`
    case 26:
      return `The ledger ${path} is not an SQLite file. Move it away, or choose another file with --ledger FILE.`
    default:
      return `The ledger ${path} cannot be written (${message}). Give this user write access to ${dirname(path)}, or choose another file with --ledger FILE.`
  }
}
