/** The tables of the ledger's file. What a file of an earlier version lacks of them, `migrations.ts` adds. */
import type { DatabaseSync } from 'node:sqlite'
import { inTransaction, schemaVersion } from './migrations.ts'
import type { RowShape } from './row.ts'

/** `application_id` of the file: "twer". Tells a ledger from any other SQLite file. */
export const applicationId = 0x74776572

/** Longer than a request usually takes. Those that took longer have an index by their end, which costs the others nothing. */
export const longMs = 600_000

/**
 * `series`: counters and histograms as they stand. `meta`: what the file itself has to remember. `rollup…`: the rows added up (`rollups/`); the last
 * columns of `rollups` are the sketches of cells that a version before 10 wrote.
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
      CREATE TABLE rollup_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
      INSERT INTO rollup_state VALUES ('addedUpTo', 0), ('sketchesUpTo', 0);
      CREATE TABLE rollup_keys (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, without_callers INTEGER, providers INTEGER, used INTEGER NOT NULL, provider TEXT, model TEXT,
        caller TEXT, route TEXT, labels TEXT, end_reason TEXT, error_type TEXT, usage_outcome TEXT, usage_reason TEXT, callers INTEGER
      );
      CREATE INDEX rollup_keys_used ON rollup_keys (used);
      CREATE TABLE rollups (
        grain INTEGER, period INTEGER, key INTEGER, part INTEGER, requests INTEGER, errors INTEGER, streams INTEGER, zero_usage INTEGER, usd REAL,
        priced INTEGER, unpriced INTEGER, saved_usd REAL, saved INTEGER, cache_hits INTEGER, cache_input INTEGER, cache_known INTEGER, token_ms REAL,
        timed INTEGER, tokens_reported INTEGER, input_tokens INTEGER, input_reported INTEGER, input_unreported INTEGER,
        output_tokens INTEGER, output_reported INTEGER, output_unreported INTEGER, cache_read_tokens INTEGER, cache_read_reported INTEGER,
        cache_read_unreported INTEGER, cache_write_tokens INTEGER, cache_write_reported INTEGER, cache_write_unreported INTEGER, reasoning_tokens INTEGER,
        reasoning_reported INTEGER, reasoning_unreported INTEGER, first_at INTEGER, last_at INTEGER, first_chunk BLOB, duration BLOB,
        token_time BLOB,
        PRIMARY KEY (grain, period, key, part)
      ) WITHOUT ROWID;
      CREATE TABLE rollup_sketches (
        grain INTEGER, period INTEGER, key INTEGER, part INTEGER, first_chunk BLOB, duration BLOB, token_time BLOB,
        PRIMARY KEY (grain, period, key, part)
      ) WITHOUT ROWID;
      PRAGMA application_id = ${applicationId};
      PRAGMA user_version = ${schemaVersion};
    `)
  })
}
