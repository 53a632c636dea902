/**
 * How a file of an earlier version becomes one of this: one step for each version, each in a transaction of its own, run in turn. A step is
 * written out for its version, so a later change of the tables does not change it.
 */
import type { DatabaseSync } from 'node:sqlite'

/** A file of version 1 is made anew page by page, so that freed pages can go back to the disk; beyond this size that would hold up the start. */
const vacuumBytesMax = 512 * 2 ** 20

/** The key is the version that the step begins at. */
const steps: Readonly<Record<number, string>> = {
  1: `
    ALTER TABLE exchanges ADD COLUMN trace_flags INTEGER;
    ALTER TABLE exchanges ADD COLUMN trace_state TEXT;
    ALTER TABLE exchanges ADD COLUMN link TEXT;
    ALTER TABLE exchanges ADD COLUMN usage_by_caller INTEGER;
    ALTER TABLE exchanges ADD COLUMN responses INTEGER;
    CREATE TABLE series (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, started_at REAL NOT NULL, value REAL, bounds TEXT, counts TEXT, sum REAL
    );
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    -- The log lines of rows that an earlier version wrote are out.
    INSERT INTO meta SELECT 'log_mark', ifnull(max(rowid), 0) FROM exchanges;`,
  2: `
    ALTER TABLE exchanges ADD COLUMN request_sent_ms REAL;
    ALTER TABLE exchanges ADD COLUMN response_head_ms REAL;
    CREATE INDEX exchanges_long ON exchanges (ended_at) WHERE duration_ms > 600000;`,
  // The table `spool` of versions 2 and 3 stays until what is in it has been sent.
  3: 'ALTER TABLE exchanges ADD COLUMN details TEXT;',
  4: `
    ALTER TABLE exchanges ADD COLUMN rate_limits TEXT;
    ALTER TABLE exchanges ADD COLUMN retry_after_ms REAL;
    ALTER TABLE exchanges ADD COLUMN labels TEXT;`,
  5: `
    ALTER TABLE exchanges ADD COLUMN time_per_output_token_ms REAL;
    ALTER TABLE exchanges ADD COLUMN cache_saved REAL;`,
  // The rows that are there are added later, in steps: those up to `upTo`.
  6: `
    CREATE TABLE rollup_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE rollup_keys (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, without_callers INTEGER, providers INTEGER, used INTEGER NOT NULL, provider TEXT, model TEXT,
      caller TEXT, route TEXT, labels TEXT, end_reason TEXT, error_type TEXT, usage_outcome TEXT, usage_reason TEXT
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
    INSERT INTO rollup_state SELECT 'upTo', ifnull(max(rowid), 0) FROM exchanges;`,
  // Quarters of an hour and the view 'callers' begin anew; the cells that are there go on to answer for the days up to then.
  7: `
    ALTER TABLE rollup_keys ADD COLUMN callers INTEGER;
    CREATE TEMP TABLE until AS SELECT CAST(value AS INTEGER) AS ms FROM rollup_state WHERE key = 'hoursUntil';
    INSERT OR REPLACE INTO rollup_state SELECT 'quartersUntil', ms FROM until
      UNION ALL SELECT 'quartersKey', value FROM rollup_state WHERE key = 'hoursKey'
      UNION ALL SELECT 'quartersFrom', (ms / 86400000 + 1) * 86400000 FROM until
      UNION ALL SELECT 'hoursUntil', ms / 900000 * 900000 FROM until
      UNION ALL SELECT 'hoursKey', 0 FROM until;
    DROP TABLE until;`,
  // Weeks are added up from the days that are there, in steps. Rows are no longer added with their batch, but some time later.
  8: "INSERT INTO rollup_state SELECT 'addedUpTo', ifnull(max(rowid), 0) FROM exchanges;",
  // Sketches get a table of their own; those that are there stay in their cells until these are written again.
  9: `
    CREATE TABLE rollup_sketches (
      grain INTEGER, period INTEGER, key INTEGER, part INTEGER, first_chunk BLOB, duration BLOB, token_time BLOB,
      PRIMARY KEY (grain, period, key, part)
    ) WITHOUT ROWID;
    INSERT INTO rollup_state SELECT 'sketchesUpTo', ifnull(max((SELECT max(period) FROM rollups WHERE grain = value)), 0)
      FROM json_each('[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]');`,
}

/** `user_version` of the file. A change of the tables is the next step. */
export const schemaVersion = Math.max(...Object.keys(steps).map(Number)) + 1

/** A step that SQLite refused. Nothing of it is in the file. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
  /** SQLite's result code, where it was SQLite that failed. */
  readonly errcode: number | undefined
  readonly from: number

  constructor(from: number, cause: Error) {
    super(cause.message, { cause })
    this.from = from
    this.errcode = (cause as { errcode?: number }).errcode
  }
}

/** A kill between two steps, or in the middle of one, is mended by the next start. Throws `MigrationError`. */
export function migrate(database: DatabaseSync, from: number): void {
  for (let version = from; version < schemaVersion; version++) {
    try {
      inTransaction(database, () => database.exec(`${steps[version]} PRAGMA user_version = ${version + 1}`))
    } catch (error) {
      throw new MigrationError(version, error as Error)
    }
  }
  if (from === 1) vacuum(database)
}

function vacuum(database: DatabaseSync): void {
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
