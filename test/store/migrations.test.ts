import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { schemaVersion } from '../../src/ledger/migrations.ts'
import { exchangeOf, startedAt } from '../sinks/exchange-of.ts'
import { folder, id, leftoverOf, open } from './harness.ts'
import { rows } from './rows.ts'

const folderOfFiles = new URL('.', import.meta.url)
const read = (version: number) => readFileSync(new URL(`./version-${version}.sql`, folderOfFiles), 'utf8')
/** A dump of a file that each of them wrote stands beside this test. */
const versions = Array.from({ length: schemaVersion - 1 }, (_, index) => index + 1)

describe('a file of an earlier version', () => {
  it('is here for each version that there ever was', () => {
    const files = readdirSync(folderOfFiles).filter((name) => /^version-\d+\.sql$/.test(name))
    expect(files.sort()).toEqual(versions.map((version) => `version-${version}.sql`))
  })

  it.each(versions)('%d keeps every row, in the order in which they were written', (version) => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(read(version))
    for (let index = 10; index < 14; index++) {
      old.exec(`INSERT INTO exchanges (id, started_at, end_reason) VALUES ('${id(index)}', ${startedAt}, 'completed')`)
    }
    old.close()
    const before = rows(path, 'SELECT id, started_at, end_reason FROM exchanges ORDER BY rowid')
    open(path).store.close()
    expect(rows(path, 'SELECT id, started_at, end_reason FROM exchanges ORDER BY rowid')).toEqual(before)
    expect(rows(path, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
  })

  it('3 keeps its rows, counts and marks, and what it had encoded until that is sent', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(read(3))
    old.close()
    const before = rows(path, 'SELECT * FROM exchanges ORDER BY rowid')
    const packets = rows(path, 'SELECT * FROM spool ORDER BY id')
    const { store, meter } = open(path)
    const { leftover } = store.queue
    expect([leftover.totals('traces').records, leftover.totals('logs').records]).toEqual([5, 5])
    expect([meter.total('tokenweir.ledger.written'), meter.total('tokenweir.requests'), store.instanceId()]).toEqual([
      expect.any(Number),
      5,
      '30d605f6-3fe5-4c69-bdbd-a816e7dfee48',
    ])
    expect(rows(path, 'SELECT * FROM exchanges ORDER BY rowid')).toEqual(
      before.map((row) => ({
        ...row,
        details: null,
        rate_limits: null,
        retry_after_ms: null,
        labels: null,
        time_per_output_token_ms: null,
        cache_saved: null,
      })),
    )
    expect(rows(path, 'SELECT * FROM spool ORDER BY id')).toEqual(packets)
    for (const signal of ['traces', 'logs'] as const) {
      for (let packet = leftover.next(signal, 1); packet.length > 0; packet = leftover.next(signal, 1)) leftover.remove(packet)
      store.commit()
    }
    expect(rows(path, "SELECT name FROM sqlite_schema WHERE name LIKE 'spool%'")).toEqual([])
    expect(leftover.totals('traces').records).toBe(0)
  })

  it('5 keeps its rows, and does not know how fast they came or what caching saved', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(read(5))
    old.close()
    const before = rows(path, 'SELECT * FROM exchanges ORDER BY rowid')
    const { store, ledger } = open(path)
    const cost = { status: 'priced', usd: 1, source: 'table', cacheSavedUsd: -0.25 } as const
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(99) }, timePerOutputTokenMs: 12.5, cost })] })
    store.commit()
    const after = rows(path, 'SELECT * FROM exchanges ORDER BY rowid')
    expect(after.slice(0, -1)).toEqual(before.map((row) => ({ ...row, time_per_output_token_ms: null, cache_saved: null })))
    expect(after.at(-1)).toMatchObject({ id: id(99), time_per_output_token_ms: 12.5, cache_saved: -0.25 })
    expect(before).toHaveLength(6)
  })

  it('that a step fails on is left as it was, and the sentence says what happened', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(`${read(3)}; ALTER TABLE exchanges ADD COLUMN details TEXT`)
    old.close()
    expect(() => open(path)).toThrow(
      `The ledger ${path} could not be brought from schema version 3 to 4 (duplicate column name: details); it is as it was. ` +
        'Start the version of tokenweir that wrote it, or choose another file with --ledger FILE.',
    )
    expect(rows(path, 'PRAGMA user_version')).toEqual([{ user_version: 3 }])
  })

  it('1 keeps its rows, gets the new columns and tables, and gives freed pages back', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(read(1))
    old.exec(`INSERT INTO exchanges (id, started_at, end_reason, caller) VALUES ('${id(1)}', ${startedAt}, 'completed', 'alice')`)
    old.exec(`INSERT INTO exchanges (id, started_at) VALUES ('${id(2)}', ${startedAt})`)
    old.close()
    const { store, ledger } = open(path)
    expect(leftoverOf(store)).toMatchObject({ open: [id(2)], afterMark: [] })
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(3), caller: 'bob' }, caller: 'bob' })] })
    store.commit()
    expect(rows(path, 'SELECT id, end_reason, trace_flags, caller FROM exchanges ORDER BY id')).toEqual([
      { id: id(1), end_reason: 'completed', trace_flags: null, caller: 'alice' },
      { id: id(2), end_reason: null, trace_flags: null, caller: null },
      { id: id(3), end_reason: 'completed', trace_flags: 1, caller: 'bob' },
    ])
    expect(rows(path, 'SELECT user_version, auto_vacuum FROM pragma_user_version, pragma_auto_vacuum')).toEqual([
      { user_version: schemaVersion, auto_vacuum: 2 },
    ])
  })

  it('2 keeps its rows, packets, counts and marks too', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(read(2))
    old.exec(
      `INSERT INTO exchanges (id, started_at, end_reason) VALUES ('${id(1)}', ${startedAt}, 'completed'), ('${id(2)}', ${startedAt}, 'completed')`,
    )
    old.exec("INSERT INTO spool VALUES (7, 'traces', 'protobuf', 3, 1, 1, 1, x'00')")
    old.exec("INSERT INTO series (id, name, labels, started_at, value) VALUES (1, 'tokenweir.requests', '{}', 5, 41)")
    old.exec("INSERT INTO meta VALUES ('log_mark', 1), ('instance_id', 'the-same')")
    old.close()
    const { store, ledger, meter } = open(path, { now: () => 2 })
    expect(leftoverOf(store)).toMatchObject({ open: [], afterMark: [id(2)] })
    expect([store.queue.leftover.totals('traces').records, meter.total('tokenweir.requests'), store.instanceId()]).toEqual([
      3,
      41,
      'the-same',
    ])
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(3) } })] })
    store.commit()
    expect(rows(path, 'SELECT id, request_sent_ms, response_head_ms FROM exchanges')).toEqual([
      { id: id(1), request_sent_ms: null, response_head_ms: null },
      { id: id(2), request_sent_ms: null, response_head_ms: null },
      { id: id(3), request_sent_ms: 1, response_head_ms: 40 },
    ])
    expect(rows(path, 'SELECT user_version, auto_vacuum FROM pragma_user_version, pragma_auto_vacuum')).toEqual([
      { user_version: schemaVersion, auto_vacuum: 2 },
    ])
  })

  it.each(versions)('%d has in the end all that a new file has', (version) => {
    const schema = (path: string) =>
      rows(path, "SELECT type, name, iif(name = 'exchanges', NULL, sql) AS sql FROM sqlite_schema ORDER BY type, name")
    const columnsOf = (path: string) => rows(path, "SELECT name, type FROM pragma_table_info('exchanges') ORDER BY name")
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(read(version))
    if (version === 2 || version === 3) old.exec('DELETE FROM spool')
    old.close()
    open(path).store.close()
    const { path: fresh } = open()
    const spaced = (found: Record<string, unknown>[]) =>
      found.map((row) => ({
        ...row,
        sql: String(row['sql'])
          .replace(/\s+/g, ' ')
          .replace(/ ([,)])/g, '$1'),
      }))
    expect([spaced(schema(path)), columnsOf(path)]).toEqual([spaced(schema(fresh)), columnsOf(fresh)])
  })
})
