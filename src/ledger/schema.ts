/** The tables of the ledger's file, and how a file of an earlier version becomes one of this. */
import type { DatabaseSync } from 'node:sqlite'
import type { RowShape } from './row.ts'

/** `user_version` of the file. A change of the tables raises it. */
export const schemaVersion = 3
/** `application_id` of the file: "twer". Tells a ledger from any other SQLite file. */
export const applicationId = 0x74776572

/** A file of version 1 is made anew page by page, so that freed pages can go back to the disk; beyond this size that would hold up the start. */
const vacuumBytesMax = 512 * 2 ** 20

/**
 * `spool`: what waits for the collector, a packet per batch and signal, already encoded. `series`: counters and histograms as they stand.
 * `meta`: what the file itself has to remember. The index of the spool answers all that is asked of a packet but its body.
 */
const internalTables = `
  CREATE TABLE spool (
    id INTEGER PRIMARY KEY, signal TEXT NOT NULL, encoding TEXT NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
    created_at REAL NOT NULL, process INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX spool_waiting ON spool (signal, id, encoding, records, bytes, created_at, process);
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, started_at REAL NOT NULL, value REAL, bounds TEXT, counts TEXT, sum REAL
  );
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
`

/** Longer than a request usually takes. Those that took longer have an index by their end, which costs the others nothing. */
export const longMs = 600_000
const longIndex = `CREATE INDEX exchanges_long ON exchanges (ended_at) WHERE duration_ms > ${longMs};`

/** No STRICT and no constraint but the key: a row that a check refused would hold up every row after it. */
export function createTables(database: DatabaseSync, { start, end }: RowShape): void {
  const definitions = [...start, ...end].map(({ name, type }) => `${name} ${type}${name === 'id' ? ' PRIMARY KEY NOT NULL' : ''}`)
  inTransaction(database, () => {
    database.exec(`
      CREATE TABLE exchanges (${definitions.join(', ')});
      CREATE INDEX exchanges_started_at ON exchanges (started_at);
      CREATE INDEX exchanges_open ON exchanges (id) WHERE end_reason IS NULL;
      ${longIndex}
      ${internalTables}
      PRAGMA application_id = ${applicationId};
      PRAGMA user_version = ${schemaVersion};
    `)
  })
}

/** From any earlier version; each step is one transaction, so a kill in the middle is mended by the next start. */
export function migrate(database: DatabaseSync, from: number, { start, end }: RowShape): void {
  if (from >= schemaVersion) return
  const known = new Set(
    database
      .prepare("SELECT name FROM pragma_table_info('exchanges')")
      .all()
      .map((row) => row['name']),
  )
  inTransaction(database, () => {
    for (const { name, type } of [...start, ...end]) {
      if (!known.has(name)) database.exec(`ALTER TABLE exchanges ADD COLUMN ${name} ${type}`)
    }
    if (from === 1) {
      database.exec(internalTables)
      // The lines of rows that an earlier version wrote are out.
      database.exec("INSERT INTO meta SELECT 'log_mark', ifnull(max(rowid), 0) FROM exchanges")
    }
    database.exec(`${longIndex} PRAGMA user_version = ${schemaVersion}`)
  })
  if (from > 1) return
  const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count'])
  const pageBytes = Number(database.prepare('PRAGMA page_size').get()?.['page_size'])
  if (pages * pageBytes <= vacuumBytesMax) database.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM')
}

export function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    work()
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
