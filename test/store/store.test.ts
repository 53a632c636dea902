import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { schemaVersion } from '../../src/ledger/migrations.ts'
import { exchangeOf, openingOf, startedAt } from '../sinks/exchange-of.ts'
import { copied, folder, id, leftoverOf, open } from './harness.ts'
import { rows, waitingRows } from './rows.ts'

describe('a commit', () => {
  it('has the rows, the marks and the counts, or none of them', () => {
    const { path, store, ledger, meter } = open(undefined, { retryMs: 60_000 })
    store.commit()
    const other = new DatabaseSync(path)
    other.exec("CREATE TRIGGER fault BEFORE INSERT ON series BEGIN SELECT RAISE(ABORT, 'the disk fails here'); END")
    const counter = meter.counter('tokenweir.requests', { 'http.route': 'default' })
    ledger.record({ opened: [], ended: [exchangeOf()] })
    store.queue.begin('traces')
    store.queue.advance('traces', 7)
    counter.add(1)
    expect(store.commit()).toBe(false)
    other.exec('DROP TRIGGER fault')
    other.close()
    const found = () => [
      rows(path, 'SELECT id, end_reason FROM exchanges'),
      rows(path, "SELECT value FROM meta WHERE key = 'exported_traces'"),
      rows(path, "SELECT name, value FROM series WHERE name IN ('tokenweir.requests', 'tokenweir.ledger.written')"),
    ]
    expect(found()).toEqual([[], [], [{ name: 'tokenweir.ledger.written', value: 0 }]])
    expect(meter.total('tokenweir.ledger.written')).toBe(0)
    store.close()
    expect(found()).toEqual([
      [{ id: id(1), end_reason: 'completed' }],
      [{ value: 7 }],
      [
        { name: 'tokenweir.ledger.written', value: 1 },
        { name: 'tokenweir.requests', value: 1 },
      ],
    ])
  })

  it('is not made when nothing has changed', () => {
    const { path, store, ledger } = open()
    ledger.record({ opened: [], ended: [exchangeOf()] })
    store.commit()
    const before = readFileSync(`${path}-wal`).length
    store.commit()
    expect(readFileSync(`${path}-wal`).length).toBe(before)
  })
})

describe('counts', () => {
  it('go on after a restart where they were, with their start', () => {
    const first = open(undefined)
    first.meter.counter('tokenweir.requests', { 'http.route': 'default' }).add(5)
    first.meter.histogram('gen_ai.client.token.usage', { 'gen_ai.token.type': 'input' }).record(20)
    first.meter.histogram('tokenweir.overhead.chunk', {}).addToBucket(3, 2)
    first.ledger.record({ opened: [], ended: [exchangeOf()] })
    first.store.close()
    const before = first.counts()
    const second = open(first.path)
    expect(second.counts()).toEqual(before)
    second.meter.counter('tokenweir.requests', { 'http.route': 'default' }).add(1)
    expect(second.meter.total('tokenweir.requests')).toBe(6)
    const started = (opened: typeof first) =>
      opened.meter.collect().flatMap((family) => ('sums' in family && family.name === 'tokenweir.requests' ? family.sums : []))[0]
        ?.startedAt
    expect(started(second)).toBe(started(first))
    expect(second.store.instanceId()).toBe(first.store.instanceId())
  })

  it('of a metric that is gone, or whose buckets are others, are left out', () => {
    const first = open()
    first.meter.histogram('http.server.request.duration', {}).record(1)
    first.store.close()
    const database = new DatabaseSync(first.path)
    database.exec("UPDATE series SET bounds = '1 2 3' WHERE name = 'http.server.request.duration'")
    database.exec("INSERT INTO series (id, name, labels, started_at, value) VALUES (99999, 'tokenweir.gone', '{}', 1, 4)")
    database.close()
    const second = open(first.path)
    expect(second.counts().filter((line) => /http_server|gone/.test(line))).toEqual([])
  })
})

describe('what a killed process leaves', () => {
  it('is told once: its open rows, and the closed ones whose lines may be missing', () => {
    const first = open(undefined, { now: () => 5000 })
    first.ledger.record({ opened: [openingOf({ id: id(1) })], ended: [exchangeOf({ opening: { id: id(2) } })] })
    first.store.commit()
    first.store.remember('log_mark', 2)
    first.ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(3) } })] })
    first.store.commit()
    const second = open(copied(first.path))
    expect(leftoverOf(second.store)).toEqual({ open: [id(1)], afterMark: [id(3)], lastSignOfLife: 5000 })
  })

  it('is closed in one commit with what is made of it: a kill before it changes nothing', () => {
    const first = open()
    first.ledger.record({ opened: [openingOf({ id: id(1) })], ended: [] })
    first.store.commit()
    const killed = copied(first.path)
    const second = open(killed)
    let during: unknown
    second.store.recover(({ openRows }) => {
      second.ledger.record({
        opened: [],
        ended: [exchangeOf({ opening: { id: String(openRows[0]?.['id']) }, endReason: 'sidecar-stopped' })],
      })
      second.store.commit()
      during = rows(killed, 'SELECT end_reason FROM exchanges')
    })
    expect(during).toEqual([{ end_reason: null }])
    expect(rows(killed, 'SELECT end_reason FROM exchanges')).toEqual([{ end_reason: 'sidecar-stopped' }])
    expect(leftoverOf(open(copied(killed)).store)?.open).toEqual([])
  })
})

describe('a file that cannot be written', () => {
  it('costs no row while there is room in memory, and exactly the counted ones beyond', async () => {
    const { path, store, ledger, meter, lines } = open(undefined, { rowsWaitingMax: 30, retryMs: 1 })
    store.commit()
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    for (let index = 0; index < 50; index++) ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(index) } })] })
    store.commit()
    expect([store.isWritable(), meter.total('tokenweir.ledger.dropped')]).toEqual([false, 20])
    other.exec('ROLLBACK')
    other.close()
    await expect.poll(() => store.isWritable()).toBe(true)
    expect(rows(path, 'SELECT count(*) AS count FROM exchanges')).toEqual([{ count: 30 }])
    expect(lines).toEqual([
      `The ledger ${path} cannot be written: database is locked. Rows wait, and are tried again.`,
      `The ledger ${path} can be written again.`,
    ])
  })
})

describe('a file that cannot be written while requests open and end', () => {
  it('counts each that has no row once, closes those that stand open in it, and takes ends for which there is room again', async () => {
    const { path, store, ledger, meter } = open(undefined, { rowsWaitingMax: 30, retryMs: 1 })
    const opening = (index: number) => openingOf({ id: id(index) })
    const ending = (index: number) => exchangeOf({ opening: { id: id(index) } })
    ledger.record({ opened: [opening(0)], ended: [] })
    store.commit()
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    for (let index = 1; index <= 30; index++) ledger.record({ opened: [], ended: [ending(index)] })
    for (let index = 31; index <= 50; index++) ledger.record({ opened: [opening(index)], ended: [] })
    for (let index = 31; index <= 45; index++) ledger.record({ opened: [], ended: [ending(index)] })
    ledger.record({ opened: [], ended: [ending(0)] })
    store.commit()
    expect([store.isWritable(), meter.total('tokenweir.ledger.dropped')]).toEqual([false, 15])
    other.exec('ROLLBACK')
    other.close()
    await expect.poll(() => store.isWritable()).toBe(true)
    ledger.record({ opened: [], ended: [46, 47, 48, 49, 50].map(ending) })
    store.commit()
    expect(meter.total('tokenweir.ledger.dropped')).toBe(15)
    expect(rows(path, 'SELECT count(*) AS count, sum(end_reason IS NULL) AS open FROM exchanges')).toEqual([{ count: 36, open: 0 }])
  })
})

describe('retention', () => {
  it('removes old rows a few at a time, never an open one and never the newest', async () => {
    const { path, store, ledger, meter } = open(undefined, {
      retention: { ageMsMax: 1000, bytesMax: 2 ** 30 },
      now: () => startedAt + 5000,
    })
    const opening = (index: number, age: number) => ({ id: id(index), startedAt: startedAt + 5000 - age })
    ledger.record({
      opened: [openingOf(opening(1, 4000))],
      ended: [
        exchangeOf({ opening: opening(2, 4000) }),
        exchangeOf({ opening: opening(3, 500) }),
        exchangeOf({ opening: opening(4, 2000) }),
      ],
    })
    store.commit()
    await expect.poll(() => meter.total('tokenweir.ledger.expired')).toBe(1)
    expect(rows(path, 'SELECT id FROM exchanges ORDER BY id')).toEqual([{ id: id(1) }, { id: id(3) }, { id: id(4) }])
  })

  it('is that of now', async () => {
    const { path, store, ledger } = open(undefined, { now: () => startedAt + 5000 })
    ledger.record({
      opened: [],
      ended: [1, 2].map((index) => exchangeOf({ opening: { id: id(index), startedAt: startedAt + index * 2000 } })),
    })
    store.commit()
    store.limit({ retention: { ageMsMax: 2000, bytesMax: 2 ** 30 }, spool: { bytesMax: 1, ageMsMax: 1 } })
    await expect.poll(() => rows(path, 'SELECT id FROM exchanges ORDER BY id')).toEqual([{ id: id(2) }])
  })

  it('keeps the file below its size, and gives the room back to the disk', async () => {
    const bytesMax = 400_000
    const { path, store, ledger, meter } = open(undefined, { retention: { ageMsMax: 0, bytesMax } })
    const long = 'x'.repeat(2000)
    for (let index = 0; index < 1200; index++)
      ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(index), path: long } })] })
    store.commit()
    const used = () =>
      Number(rows(path, 'SELECT (page_count - freelist_count) * 4096 AS bytes FROM pragma_page_count, pragma_freelist_count')[0]?.['bytes'])
    expect(used()).toBeGreaterThan(2_000_000)
    await expect.poll(used).toBeLessThanOrEqual(bytesMax)
    const left = rows(path, 'SELECT count(*) AS count, max(id) AS last FROM exchanges')[0]
    expect([Number(left?.['count']) + meter.total('tokenweir.ledger.expired'), left?.['last']]).toEqual([1200, id(1199)])
  })
})

describe('a file that cannot be used', () => {
  const aside = (path: string) => readdirSync(dirname(path)).filter((name) => name.includes('.aside-') && !/-(wal|shm)$/.test(name))

  it('is moved aside unchanged, twice without overwriting, when it is a damaged ledger', () => {
    const path = join(folder(), 'ledger.db')
    const now = () => Date.UTC(2026, 10, 23, 17, 12, 5)
    const contents = [1, 2].map(() => {
      rmSync(path, { force: true })
      damage(path)
      const content = readFileSync(path)
      const { store, lines } = open(path, { now })
      expect(lines).toEqual([
        expect.stringMatching(
          /^The ledger .* is damaged \(database disk image is malformed\). It was moved to .*aside-20261123T171205Z.*, unchanged, and a new one begun.$/,
        ),
      ])
      store.close()
      return content
    })
    expect(aside(path)).toEqual(['ledger.db.aside-20261123T171205Z', 'ledger.db.aside-20261123T171205Z-2'])
    expect(aside(path).map((name) => readFileSync(join(dirname(path), name)).equals(contents[0] as Buffer))).toEqual([true, true])
  })

  it.each<readonly [string, (path: string) => void]>([
    ['no SQLite file', (path) => writeFileSync(path, 'these are notes, of more than a hundred bytes. '.repeat(30))],
    ['no SQLite file', (path) => writeFileSync(path, 'short')],
    ['a directory', (path) => mkdirSync(path)],
    ['a pipe', (path) => void spawnSync('sh', ['-c', `mkfifo '${path}'`])],
    ['an SQLite file of another program', (path) => makeOther(path, 'CREATE TABLE things (a); INSERT INTO things VALUES (4)')],
    ['an SQLite file of another program', (path) => makeOther(path, 'PRAGMA application_id = 42')],
    ['an SQLite file of another program', (path) => makeOther(path, 'PRAGMA user_version = 3')],
    [
      'an SQLite file of another program',
      (path) => {
        // All of it in its log, as a program leaves it that was killed.
        const other = makeOther(`${path}-made`, 'PRAGMA journal_mode = WAL; CREATE TABLE things (a)', 'open')
        for (const suffix of ['', '-wal']) copyFileSync(`${path}-made${suffix}`, path + suffix)
        other.close()
        for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}-made${suffix}`, { force: true })
      },
    ],
  ])('is refused and left as it is when it is %s', (kind, make) => {
    const path = join(folder(), 'ledger.db')
    make(path)
    const seen = () =>
      readdirSync(dirname(path))
        .filter((name) => !name.endsWith('-shm')) // of SQLite's readers
        .map((name) => [name, statSync(join(dirname(path), name)).isFile() && readFileSync(join(dirname(path), name), 'latin1')])
    const before = seen()
    expect(() => open(path)).toThrow(
      `${path} is ${kind}, no ledger of tokenweir, and was left as it is. Choose another file with --ledger FILE, or move this one away.`,
    )
    expect(seen()).toEqual(before)
  })

  it('is a ledger also when it is empty, or was killed while it was made', () => {
    const path = join(folder(), 'ledger.db')
    writeFileSync(path, '')
    const first = open(path)
    const killed = copied(path)
    first.store.close()
    expect(open(killed).lines).toEqual([])
    const empty = join(folder(), 'ledger.db')
    makeOther(empty, 'VACUUM')
    expect(open(empty).lines).toEqual([])
  })

  it.each(['/proc/nothing/of/this/l.db', '/proc/1/l.db'])('is refused where nothing can be made: %s', (path) => {
    expect(() => open(path)).toThrow(new RegExp(`^The ledger ${path} cannot be written \\(.*\\)\\. Give this user write access to `))
  })

  it('is refused, not moved, when a newer version wrote it', () => {
    const { path, store } = open()
    store.close()
    const newer = new DatabaseSync(path)
    newer.exec(`PRAGMA user_version = ${schemaVersion + 1}`)
    newer.close()
    expect(() => open(path)).toThrow(
      `The ledger ${path} was written by a newer tokenweir (schema version ${schemaVersion + 1}; this one knows ${schemaVersion}). ` +
        'Start that version, or choose another file with --ledger FILE.',
    )
    expect(aside(path)).toEqual([])
  })

  it('is replaced while it is in use, and what waits goes to the new one with every count', () => {
    const { path, store, ledger, meter, lines } = open()
    store.queue.begin('traces')
    for (let index = 0; index < 200; index++) ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(index) } })] })
    store.queue.advance('traces', 150)
    store.commit()
    const database = new DatabaseSync(path)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    database.close()
    scribble(path)
    for (let index = 300; index < 302; index++) ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(index) } })] })
    store.commit()
    store.commit()
    expect(rows(path, 'SELECT id FROM exchanges')).toEqual([{ id: id(300) }, { id: id(301) }])
    expect(waitingRows(path)).toBe(2)
    expect(lines).toEqual([expect.stringContaining('is damaged')])
    expect([aside(path).length, meter.total('tokenweir.ledger.written'), store.isWritable()]).toEqual([1, 202, true])
    expect(rows(path, "SELECT value FROM series WHERE name = 'tokenweir.ledger.written'")).toEqual([{ value: 202 }])
    expect(rows(path, "SELECT value FROM meta WHERE key = 'instance_id'")).toEqual([{ value: store.instanceId() }])
  })

  function makeOther(path: string, statements: string, until: 'open' | 'closed' = 'closed'): DatabaseSync {
    const other = new DatabaseSync(path)
    other.exec(statements)
    if (until === 'closed') other.close()
    return other
  }

  function scribble(path: string): void {
    const size = readFileSync(path).length
    const file = openSync(path, 'r+')
    for (let at = 4096; at < size; at += 4096) writeSync(file, Buffer.alloc(4096, 0xff), 0, 4096, at)
    closeSync(file)
  }

  function damage(path: string): void {
    const { store, ledger } = open(path)
    ledger.record({ opened: [openingOf()], ended: [] })
    store.close()
    scribble(path)
    writeFileSync(path, readFileSync(path))
  }
})

describe('one ledger', () => {
  it('is of one process at a time, and readers are welcome', () => {
    const { path, store } = open()
    expect(() => open(path)).toThrow(
      `The ledger ${path} is in use by another tokenweir. Stop that one, or give this one a file of its own with --ledger FILE.`,
    )
    expect(rows(path, 'SELECT count(*) AS count FROM exchanges')).toEqual([{ count: 0 }])
    store.close()
    open(path).store.close()
    expect(existsSync(`${path}-lock`)).toBe(true)
  })
})

describe('a request that is recorded twice', () => {
  it('is known to be closed, on disk or waiting; one that is open is not', () => {
    const { store, ledger } = open()
    ledger.record({ opened: [openingOf({ id: id(1) })], ended: [exchangeOf({ opening: { id: id(2) } })] })
    store.commit()
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(3) } })] })
    expect([1, 2, 3, 4].map((index) => store.isClosed(id(index)))).toEqual([false, true, true, false])
  })
})
