/** Whose a file is, told without opening it as a database, which could change it. https://sqlite.org/fileformat2.html#the_database_header */
import { closeSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { applicationId } from './schema.ts'

export const sqliteHeaderBytes = 100
const magic = Buffer.from('SQLite format 3\0')
const applicationIdAt = 68
/** A ledger that was killed while it was made may have its mark in its log alone; it is no larger than this. */
const unmarkedBytesMax = 65_536

const applicationIdOf = (header: Buffer): number | undefined =>
  header.length === sqliteHeaderBytes && header.subarray(0, magic.length).equals(magic) ? header.readUInt32BE(applicationIdAt) : undefined

export const isLedgerHeader = (header: Buffer): boolean => applicationIdOf(header) === applicationId

/** Undefined when it is a ledger, damaged or not, or there is nothing; else what it is. Not while this process has it open. */
export function foreignKind(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  if (!found.isFile()) return kindOf(found)
  if (found.size === 0) return undefined
  const owner = applicationIdOf(readHeader(path))
  if (owner === applicationId) return undefined
  if (owner === undefined) return 'no SQLite file'
  return owner === 0 && found.size <= unmarkedBytesMax && isUnmarkedLedger(path) ? undefined : 'an SQLite file of another program'
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a directory'
  if (found.isSocket()) return 'a socket'
  return found.isFIFO() ? 'a pipe' : 'a device'
}

function readHeader(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(sqliteHeaderBytes)
    return header.subarray(0, readSync(file, header, 0, sqliteHeaderBytes, 0))
  } finally {
    closeSync(file)
  }
}

/** Empty, or with our mark in its log. */
function isUnmarkedLedger(path: string): boolean {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true })
    const number = (name: string) => Number(database?.prepare(`PRAGMA ${name}`).get()?.[name])
    if (number('application_id') === applicationId) return true
    return number('user_version') === 0 && database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  } catch {
    return false
  } finally {
    database?.close()
  }
}
