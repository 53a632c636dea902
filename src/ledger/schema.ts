/** The tables of the ledger's file. What a file of an earlier version lacks of them, `migrations.ts` adds. */
import type { DatabaseSync } from 'node:sqlite'
import { inTransaction, schemaVersion } from './migrations.ts'
import type { RowShape } from './row.ts'

/** `application_id` of the file: "twer". Tells a ledger from any other SQLite file. */
export const applicationId = 0x74776572

/** Longer than a request usually takes. Those that took longer have an index by their end, which costs the others nothing. */
export const longMs = 600_000

/**
 * `series`: counters and histograms as they stand. `meta`: what the file itself has to remember.
 * No STRICT and no constraint but the key: a row that a check refused would hold up every row after it.
 */
export function createTables(database: DatabaseSync, { start, end }: RowShape): void {
  const definitions = [...start, ...end].map(({ name, type }) => `${name} ${type}${name === 'id' ? ' PRIMARY KEY NOT NULL' : ''}`)
  inTransaction(database, () => {
    database.exec(`
      CREATE TABLE exchanges (${definitions.join(', ')});
      CREATE INDEX exchanges_started_at ON exchanges (started_at);
      CREATE INDEX exchanges_open ON exchanges (id) WHERE end_reason IS NULL;
      CREATE INDEX exchanges_long ON exchanges (ended_at) WHERE duration_ms > ${longMs};
      CREATE TABLE series (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, started_at REAL NOT NULL, value REAL, bounds TEXT, counts TEXT, sum REAL
      );
      CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
      PRAGMA application_id = ${applicationId};
      PRAGMA user_version = ${schemaVersion};
    `)
  })
}
