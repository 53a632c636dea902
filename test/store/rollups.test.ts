/** Rollups say what the rows say: after kills, failed commits, retention, clocks that jump, late endings, and for a ledger of an earlier version. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readCallers } from '../../src/ledger/queries/callers.ts'
import { readState } from '../../src/ledger/queries/plan.ts'
import type { Condition, Dimension } from '../../src/ledger/queries/queries.ts'
import { readLedgerState } from '../../src/ledger/queries/requests.ts'
import { readLatency, readSeries } from '../../src/ledger/queries/series.ts'
import { readSpent, readSummary } from '../../src/ledger/queries/summary.ts'
import type { StoreOptions } from '../../src/ledger/store.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import type { Range } from '../../src/lib/range.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { copied, folder, id, type OpenedStore, open } from './harness.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const start = Date.UTC(2026, 9, 30, 21, 13, 7)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Random = (below: number) => number

function randomOf(seed: number): Random {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const pick = <T>(random: Random, values: readonly T[]): T => values[random(values.length)] as T

function randomExchange(random: Random, number: number, startedAt: number, tookMs: number): Exchange {
  const outcome = pick(random, ['reported', 'reported', 'reported', 'zero', 'partial', 'missing', 'undecodable', undefined] as const)
  const isProbe = outcome === 'missing' && random(4) === 0
  const status = pick(random, [200, 200, 200, 204, 101, 404, 500])
  const errorType = status >= 400 ? String(status) : pick(random, [undefined, undefined, undefined, 'overloaded'])
  const labels = pick(random, [undefined, { team: 'search' }, { team: 'ads', secret: `${random(3)}` }, { secret: 'x' }])
  const cost = pick(random, [
    undefined,
    { status: 'unpriced' },
    { status: 'priced', usd: random(1000) / 1024, source: 'table', cacheSavedUsd: random(3) === 0 ? undefined : (random(100) - 20) / 1024 },
  ] as const)
  const usage =
    outcome === 'missing'
      ? undefined
      : {
          inputTokens: random(3) === 0 ? undefined : random(500),
          outputTokens: random(90),
          cacheReadTokens: random(2) === 0 ? undefined : 3,
        }
  return exchangeOf({
    opening: {
      id: id(number),
      startedAt,
      route: pick(random, ['default', 'second']),
      caller: pick(random, [undefined, 'alice', 'bob', 'carol']),
    },
    caller: pick(random, [undefined, 'alice', 'bob', 'carol']),
    ending: { status, streamed: random(4) > 0, endMs: tookMs, firstChunkMs: random(5) === 0 ? undefined : tookMs / (2 + random(50)) },
    endReason: pick(random, ['completed', 'completed', 'client-aborted']),
    provider: pick(random, [undefined, 'openai', 'anthropic']),
    request: { operation: 'chat', usageExpected: true, model: pick(random, [undefined, 'gpt-4o', 'gpt-5', 'claude']) },
    response: { model: pick(random, [undefined, 'gpt-4o-2024-08-06']), usage },
    usageOutcome: outcome,
    timePerOutputTokenMs: random(2) === 0 ? undefined : 1 + random(50_000) / 1024,
    usageReason: isProbe || outcome === 'missing' ? pick(random, ['not_requested', 'upstream_omitted']) : undefined,
    notes: isProbe ? ['usage_probe'] : [],
    ...(labels === undefined ? {} : { labels }),
    ...(errorType === undefined ? {} : { errorType }),
    ...(cost === undefined ? {} : { cost }),
  })
}

/** The same file without its rollups: every answer is made of rows. */
function withoutRollups(path: string): DatabaseSync {
  const database = new DatabaseSync(copied(path))
  database.exec('DROP TABLE rollup_state')
  return database
}

const sets: readonly (readonly Dimension[])[] = [['provider'], ['model', 'route'], ['caller'], ['day'], ['label:team'], ['label:secret']]
const conditions: readonly (readonly Condition[])[] = [
  [],
  [{ dimension: 'provider', operator: '=', values: ['openai', null] }],
  [{ dimension: 'caller', operator: '=', values: ['bob'] }],
  [{ dimension: 'label:team', operator: '=', values: ['ads'] }],
  [{ dimension: 'label:secret', operator: '=', values: ['x', null] }],
]

/** Everything that is asked about a range. Each set and condition alone: some of them can only be answered by rows. */
function answersOf(database: DatabaseSync, range: Range) {
  const bucketMs = Math.max(minute, Math.ceil((range.untilMs - range.sinceMs) / 20 / minute) * minute)
  return {
    summaries: [...sets.map((set) => [set, []] as const), ...conditions.map((where) => [['provider', 'model'], where] as const)].map(
      ([set, where]) => readSummary(database, { range, sets: [set], where, groupsMax: 100 }),
    ),
    together: readSummary(database, { range, sets, where: [], groupsMax: 100 }),
    spent: conditions.map((where) => readSpent(database, { range, where, rowidMax: Number.MAX_SAFE_INTEGER })),
    latency: readLatency(database, range),
    series: readSeries(database, { range, bucketMs, providersMax: 2 }),
    callers: readCallers(database, range).callers.map(({ firstMs, lastMs, ...rest }) => ({
      ...rest,
      firstMs: Math.floor(firstMs),
      lastMs: Math.floor(lastMs),
    })),
  }
}

function expectSame(path: string, ranges: readonly Range[]): void {
  const rollups = new DatabaseSync(path, { readOnly: true })
  const rows = withoutRollups(path)
  for (const range of ranges) expect(answersOf(rollups, range)).toEqual(answersOf(rows, range))
  expect(readLedgerState(rollups, path).rows).toBe(readLedgerState(rows, path).rows)
  rollups.close()
  rows.close()
}

function randomRanges(random: Random, count: number, sinceMs: number, untilMs: number): Range[] {
  return Array.from({ length: count }, () => {
    const length = untilMs - sinceMs
    const ends = [sinceMs + random(length) + random(1000) / 1024, sinceMs + random(length)].sort((a, b) => a - b) as [number, number]
    const unit = pick(random, [1, 1, minute, 15 * minute, hour, day])
    const [from, to] = ends.map((moment) => Math.floor(moment / unit) * unit) as [number, number]
    return { sinceMs: from, untilMs: to + unit }
  })
}

/** Time for the steps between batches. */
const idle = (ms = 20_000) => void vi.advanceTimersByTime(ms)

interface Life {
  opened: OpenedStore
  now: number
  readonly random: Random
  readonly options: Partial<StoreOptions>
  readonly underWay: Exchange[]
  number: number
}

function begin(seed: number, options: Partial<StoreOptions> = {}): Life {
  const life: Life = { opened: undefined as never, now: start, random: randomOf(seed), options, underWay: [], number: 0 }
  life.opened = reopened(life)
  return life
}

const reopened = (life: Life, path?: string) => open(path, { rollupLabels: ['team'], now: () => life.now, retryMs: 20, ...life.options })

/** Some requests start, some end, some earlier ones end now. */
function batch(life: Life): void {
  const { random, opened, underWay } = life
  const fresh = Array.from({ length: 1 + random(8) }, () => {
    const tookMs = pick(random, [5, 800, 30_000, 5 * minute, 2 * hour, 30 * hour]) * (1 + random(1000) / 1024)
    return randomExchange(random, ++life.number, life.now - random(2000) - random(1000) / 1024, tookMs)
  })
  const ended = fresh.filter(() => random(2) === 0)
  const late = underWay.filter(() => random(6) === 0)
  for (const one of late) underWay.splice(underWay.indexOf(one), 1)
  underWay.push(...fresh.filter((one) => !ended.includes(one)))
  opened.ledger.record({ opened: fresh.map(({ opening }) => opening), ended: [...ended, ...late] })
  opened.store.commit()
}

function kill(life: Life): void {
  const path = copied(life.opened.path)
  life.opened.store.close()
  life.opened = reopened(life, path)
  life.opened.store.recover(({ openRows }) => {
    for (const row of openRows.slice(0, 3)) {
      const at = life.underWay.findIndex(({ opening }) => opening.id === row['id'])
      const [gone] = life.underWay.splice(at, 1)
      if (gone !== undefined) life.opened.ledger.record({ opened: [], ended: [{ ...gone, endReason: 'sidecar-stopped', endUnseen: true }] })
    }
  })
}

/** A commit fails when its rows are written (the last it writes is `meta`), or what was added of several is written and fails. */
function failCommit(life: Life): void {
  const other = new DatabaseSync(life.opened.path)
  const table = pick(life.random, ['meta', 'rollups'])
  other.exec(`CREATE TRIGGER refuse BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'refused'); END`)
  while (life.opened.store.isWritable()) {
    batch(life)
    if (table === 'rollups') vi.advanceTimersByTime(500)
  }
  other.exec('DROP TRIGGER refuse')
  other.close()
  vi.advanceTimersByTime(100)
  expect(life.opened.store.isWritable()).toBe(true)
}

describe('rollups and rows say the same', () => {
  it.each([1, 2, 3])('of random batches, kills, failures and clocks (seed %d)', { timeout: 240_000 }, (seed) => {
    const life = begin(seed)
    const { random } = life
    for (let round = 0; round < 120; round++) {
      batch(life)
      const what = random(20)
      if (what === 0) kill(life)
      if (what === 1) failCommit(life)
      if (what === 2) idle()
      if (what === 3) life.now -= random(3) * hour
      if (what === 4) life.now += random(3) * day
      life.now += pick(random, [50, 3000, 20_000, 4 * minute, 50 * minute])
      if (round % 40 === 39) expectSame(life.opened.path, randomRanges(random, 4, start - day, life.now + hour))
    }
    idle(60_000)
    expectSame(life.opened.path, randomRanges(random, 10, start - day, life.now + hour))
    expectSame(life.opened.path, [{ sinceMs: 0, untilMs: life.now + 40 * day }])
    const { hoursUntil, daysUntil } = readState(new DatabaseSync(life.opened.path, { readOnly: true })) ?? {}
    expect(hoursUntil).toBeGreaterThan(start + day) // else nothing but minutes was compared
    expect(daysUntil).toBeGreaterThan(start + day)
  })

  it('of batches that end in the middle of what is being added up', { timeout: 120_000 }, () => {
    const life = begin(7)
    const { random } = life
    for (let round = 0; round < 120; round++) {
      batch(life)
      // A step each: the next batch finds some keys of a minute or hour added up, others not.
      vi.advanceTimersByTime(60)
      life.now += pick(random, [500, 20_000, 9 * minute])
    }
    expectSame(life.opened.path, randomRanges(random, 8, start - day, life.now + hour))
  })
})

/** As that version left it. */
function fileOf(version: number): string {
  const path = join(folder(), 'ledger.db')
  const old = new DatabaseSync(path)
  old.exec(readFileSync(new URL(`version-${version}.sql`, import.meta.url), 'utf8'))
  old.close()
  return path
}

function goingOn(seed: number, path: string, now: number): Life {
  const life = begin(seed)
  life.now = now
  life.number = 1000
  life.opened = reopened(life, path)
  life.opened.store.recover(() => undefined)
  return life
}

describe('a ledger of an earlier version', () => {
  const versions = [1, 2, 3, 4, 5, 6]

  it.each(versions)('%d is rolled up in steps while batches come', { timeout: 120_000 }, (version) => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(readFileSync(new URL(`version-${version}.sql`, import.meta.url), 'utf8'))
    const insert = old.prepare(
      `INSERT INTO exchanges (id, started_at, ended_at, end_reason, status, streamed, provider, request_model, caller, route, input_tokens, usage_outcome,
       duration_ms, time_to_first_chunk_ms) VALUES (?, ?, ?, ?, 200, 1, 'openai', ?, ?, 'default', ?, 'reported', 500, 20)`,
    )
    const random = randomOf(version)
    for (let index = 1000; index < 3000; index++) {
      const startedAt = start - 20 * day + index * 10 * minute
      insert.run(
        id(index),
        startedAt,
        startedAt + 500,
        random(50) === 0 ? null : 'completed',
        pick(random, ['gpt-4o', null]),
        pick(random, ['alice', 'bob']),
        index,
      )
    }
    old.close()
    const life = begin(version)
    life.opened = reopened(life, path)
    life.opened.store.recover(() => undefined)
    const ranges = [{ sinceMs: 0, untilMs: start + 40 * day }, ...randomRanges(random, 2, start - 20 * day, start + day)]
    expectSame(path, ranges)
    vi.advanceTimersByTime(2010) // one step
    const half = readState(new DatabaseSync(path, { readOnly: true }))
    expect([half?.after, half?.upTo, half?.rows].map((value) => Number(value) > 0)).toEqual([true, true, true])
    expect(half?.after).toBeLessThan(half?.upTo ?? 0)
    batch(life)
    expectSame(path, ranges)
    for (let round = 0; round < 10; round++) {
      batch(life)
      vi.advanceTimersByTime(60)
    }
    expectSame(path, ranges)
    idle(60_000)
    const done = readState(new DatabaseSync(path, { readOnly: true }))
    expect([done?.after, Number(done?.daysUntil) > start - 10 * day]).toEqual([done?.upTo, true])
    expectSame(path, ranges)
  })

  it('7 goes on with the rollups that it has, and gets the new ones from the next day on', { timeout: 120_000 }, () => {
    const path = fileOf(7)
    const life = goingOn(7, path, Date.UTC(2026, 10, 1, 8, 55))
    const { random } = life
    const inQuarters = () =>
      new DatabaseSync(path, { readOnly: true }).prepare('SELECT count(*) AS count FROM rollups WHERE grain = 9').get()?.['count']
    expectSame(path, [{ sinceMs: 0, untilMs: life.now + day }, ...randomRanges(random, 4, start, life.now)])
    for (let round = 0; life.now < Date.UTC(2026, 10, 3, 2); round++) {
      batch(life)
      idle(2100)
      life.now += pick(random, [minute, 7 * minute, 4 * hour])
      if (round % 10 === 4) expectSame(path, [{ sinceMs: 0, untilMs: life.now + day }, ...randomRanges(random, 3, start, life.now)])
    }
    idle(60_000)
    expectSame(path, randomRanges(random, 12, start, life.now + hour))
    expect(readState(new DatabaseSync(path, { readOnly: true }))?.quartersFrom).toBe(Date.UTC(2026, 10, 2))
    expect(inQuarters()).toBeGreaterThan(0)
  })

  it('8 goes on with the rollups that it has, and gets weeks of the days that are there', { timeout: 120_000 }, () => {
    const path = fileOf(8)
    const life = goingOn(8, path, Date.UTC(2026, 10, 1, 8))
    const { random } = life
    const first = Date.UTC(2026, 9, 30)
    const whole = { sinceMs: 0, untilMs: Date.UTC(2026, 11, 1) }
    expectSame(path, [whole, ...randomRanges(random, 4, first, life.now)])
    for (let round = 0; life.now < Date.UTC(2026, 10, 20); round++) {
      batch(life)
      idle(2100)
      life.now += pick(random, [minute, 7 * minute, 9 * hour, 2 * day])
      if (round % 10 === 4) expectSame(path, [whole, ...randomRanges(random, 3, first, life.now)])
    }
    idle(60_000)
    expectSame(path, [whole, ...randomRanges(random, 12, first, life.now + hour)])
    const weeks = new DatabaseSync(path, { readOnly: true }).prepare('SELECT DISTINCT period FROM rollups WHERE grain = 16').all()
    expect(weeks.map(({ period }) => new Date(Number(period) * minute).getUTCDate())).toEqual([29, 5, 12])
  })

  it('9 goes on with the sketches that stand in its cells', { timeout: 120_000 }, () => {
    const path = fileOf(9)
    const before = answersOf(new DatabaseSync(path), { sinceMs: 0, untilMs: Date.UTC(2026, 11, 1) })
    const life = goingOn(9, path, Date.UTC(2026, 10, 1, 13, 17))
    const { random } = life
    const whole = { sinceMs: 0, untilMs: Date.UTC(2026, 11, 1) }
    expect(answersOf(new DatabaseSync(path, { readOnly: true }), whole)).toEqual(before)
    expectSame(path, [whole, ...randomRanges(random, 4, start, life.now)])
    for (let round = 0; life.now < Date.UTC(2026, 10, 6); round++) {
      batch(life)
      idle(2100)
      life.now += pick(random, [minute, 7 * minute, 5 * hour])
      if (round % 10 === 4) expectSame(path, [whole, ...randomRanges(random, 3, start, life.now)])
    }
    idle(60_000)
    expectSame(path, [whole, ...randomRanges(random, 12, start, life.now + hour)])
    const inCells = (period: string) =>
      new DatabaseSync(path, { readOnly: true })
        .prepare(`SELECT count(*) AS count FROM rollups WHERE duration IS NOT NULL AND period ${period}`)
        .get()?.['count']
    const upTo = readState(new DatabaseSync(path, { readOnly: true }))?.sketchesUpTo
    expect([Number(inCells(`<= ${upTo}`)) > 0, inCells(`> ${upTo}`)]).toEqual([true, 0])
  })

  it('is killed in the middle of it, and goes on', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(readFileSync(new URL('version-4.sql', import.meta.url), 'utf8'))
    old.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO exchanges (id, started_at, ended_at, end_reason, duration_ms) SELECT 'id-' || i, ${start} + i * 9000, ${start} + i * 9000, 'completed', 5 FROM n`)
    old.close()
    const life = begin(1)
    life.opened = reopened(life, path)
    for (let round = 0; round < 4; round++) {
      vi.advanceTimersByTime(2100)
      kill(life)
    }
    const { after = 0, upTo = 0 } = readState(new DatabaseSync(life.opened.path, { readOnly: true })) ?? {}
    expect(after).toBeGreaterThan(0)
    expectSame(life.opened.path, [{ sinceMs: 0, untilMs: start + day }])
    idle(60_000)
    expect(readState(new DatabaseSync(life.opened.path, { readOnly: true }))?.after).toBe(upTo)
    expectSame(life.opened.path, [{ sinceMs: 0, untilMs: start + day }])
  })

  it('is read without rollups before its owner has opened it', () => {
    const path = join(folder(), 'ledger.db')
    const database = new DatabaseSync(path)
    database.exec(readFileSync(new URL('version-6.sql', import.meta.url), 'utf8'))
    const { rows } = readLedgerState(database, path)
    expect(rows).toBeGreaterThan(0)
    expect(readSummary(database, { range: { sinceMs: 0, untilMs: 3e12 }, sets: [['caller']], groupsMax: 9 }).total.requests).toBe(rows)
    database.close()
  })
})

describe('retention', () => {
  const retention = { ageMsMax: 3 * day, bytesMax: 2 ** 40, rollupAgeMsMax: 10 * day }
  const kept = { ageMsMax: 0, bytesMax: 2 ** 40, rollupAgeMsMax: 0 }

  /** The same batches in a ledger that keeps everything. */
  function lifeWithTwin(): { readonly life: Life; readonly twin: OpenedStore } {
    const life = begin(11, { retention })
    const twin = open(undefined, { rollupLabels: ['team'], now: () => life.now, retention: kept })
    const { ledger, store } = life.opened
    life.opened = {
      ...life.opened,
      ledger: { ...ledger, record: (one) => void [ledger.record(one), twin.ledger.record(one)] },
      store: { ...store, commit: () => twin.store.commit() && store.commit() },
    }
    return { life, twin }
  }

  it('keeps the totals of whole days when their rows are gone, and everything of the days that are not', { timeout: 120_000 }, () => {
    const { life, twin } = lifeWithTwin()
    while (life.now < start + 7 * day) {
      batch(life)
      life.now += 40 * minute
      if (life.random(6) === 0) idle(4000)
    }
    idle(60_000)
    const { path } = life.opened
    const [database, all] = [new DatabaseSync(path, { readOnly: true }), withoutRollups(twin.path)]
    const { rowsFrom = 0 } = readState(database) ?? {}
    expect(rowsFrom).toBeGreaterThan(start + 3 * day)
    const ask = (from: DatabaseSync, range: Range) =>
      readSummary(from, { range, sets: [['provider', 'model'], ['caller'], ['label:team']], groupsMax: 100 })
    const midnight = Math.floor(start / day) * day
    for (let from = 0; from < 8; from++)
      for (let to = from + 1; to <= 8; to++) {
        const range = { sinceMs: midnight + from * day, untilMs: midnight + to * day }
        expect(ask(database, range)).toEqual(ask(all, range))
      }
    for (const range of randomRanges(life.random, 10, rowsFrom + 1, life.now)) {
      const exact = { ...range, sinceMs: Math.max(range.sinceMs, rowsFrom + minute) }
      expect(ask(database, exact)).toEqual(ask(all, exact))
    }
    // Ranges side by side share nothing and leave nothing out, however they cut what is known as a whole only.
    const cuts = [0, ...Array.from({ length: 30 }, () => start + life.random(7 * day)), life.now + day].sort((a, b) => a - b)
    const parts = cuts.slice(1).map((untilMs, index) => ask(database, { sinceMs: cuts[index] as number, untilMs }).total.requests)
    expect(parts.reduce((sum, each) => sum + each, 0)).toBe(ask(all, { sinceMs: 0, untilMs: life.now + day }).total.requests)
    const grains = database.prepare('SELECT DISTINCT grain FROM rollups WHERE period < ?').all((midnight + 3 * day) / minute)
    expect(grains.map(({ grain }) => grain)).toEqual([2, 4, 6, 12, 13, 14, 15, 16])
    expect(readLedgerState(database, path).rows).toBe(Number(database.prepare('SELECT count(*) AS count FROM exchanges').get()?.['count']))
  })

  it('removes days, and combinations that nothing names any more, when they are too old', { timeout: 120_000 }, () => {
    const life = begin(12, { retention })
    for (let round = 0; round < 20; round++) batch(life)
    idle(30_000)
    life.now += 15 * day
    for (let round = 0; round < 5; round++) {
      batch(life)
      life.now += hour
      idle(30_000)
    }
    const database = new DatabaseSync(life.opened.path, { readOnly: true })
    const old = database.prepare('SELECT count(*) AS count FROM rollups WHERE period < ?').get((start + 2 * day) / minute)
    const keys = database.prepare('SELECT count(*) AS count FROM rollup_keys WHERE id NOT IN (SELECT key FROM rollups)').get()
    const lost = database.prepare('SELECT count(*) AS count FROM rollups WHERE key NOT IN (SELECT id FROM rollup_keys)').get()
    expect([old?.['count'], keys?.['count'], lost?.['count']]).toEqual([0, 0, 0])
  })

  it('leaves rows that are in no rollup yet', () => {
    const path = join(folder(), 'ledger.db')
    const old = new DatabaseSync(path)
    old.exec(readFileSync(new URL('version-4.sql', import.meta.url), 'utf8'))
    old.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO exchanges (id, started_at, ended_at, end_reason, duration_ms) SELECT 'id-' || i, ${start} + i, ${start} + i, 'completed', 5 FROM n`)
    const count = Number(old.prepare('SELECT count(*) AS count FROM exchanges WHERE started_at < ?').get(start + day)?.['count'])
    old.close()
    const life = begin(1, { retention })
    life.now = start + 5 * day
    life.opened = reopened(life, path)
    life.opened.store.recover(() => undefined)
    idle(60_000)
    const database = new DatabaseSync(path, { readOnly: true })
    const left = Number(database.prepare('SELECT count(*) AS count FROM exchanges').get()?.['count'])
    expect(left).toBeLessThan(10)
    const midnight = Math.ceil(start / day) * day
    const { total } = readSummary(database, { range: { sinceMs: 0, untilMs: midnight + day }, sets: [], groupsMax: 1 })
    expect(total.requests).toBeGreaterThanOrEqual(count - 10)
  })
})

describe('what is spent', () => {
  it('is that of the rows up to one, whatever has been written since', () => {
    const life = begin(41)
    for (let round = 0; round < 12; round++) {
      batch(life)
      life.now += 20 * minute
    }
    idle(60_000)
    const database = new DatabaseSync(life.opened.path, { readOnly: true })
    const rowidMax = Number(database.prepare('SELECT max(rowid) AS last FROM exchanges').get()?.['last'])
    const range = { sinceMs: start - hour + 7, untilMs: start + 40 * day }
    const where = [{ dimension: 'provider', operator: '=', values: ['openai'] }] as const
    const before = readSpent(database, { range, where, rowidMax })
    expect(before).toEqual({
      ...database
        .prepare("SELECT total(cost) AS usd, total(input_tokens) + total(output_tokens) AS tokens FROM exchanges WHERE provider = 'openai'")
        .get(),
    })
    expect(before.tokens).toBeGreaterThan(0)
    for (let round = 0; round < 12; round++) batch(life)
    expect(readSpent(database, { range, where, rowidMax })).toEqual(before)
    expect(readSpent(database, { range, where, rowidMax: Number.MAX_SAFE_INTEGER }).tokens).toBeGreaterThan(before.tokens)
  })
})

describe('labels', () => {
  const both = [{ sinceMs: 0, untilMs: start + 40 * day }]

  it('that are marked later are told apart from then on, and rows tell what was before', () => {
    const life = begin(21)
    for (let round = 0; round < 20; round++) {
      batch(life)
      life.now += hour
    }
    idle()
    life.opened.store.close()
    const marked = open(life.opened.path, { rollupLabels: ['secret', 'team'], now: () => life.now })
    life.opened = marked
    for (let round = 0; round < 20; round++) {
      batch(life)
      life.now += hour
    }
    idle(60_000)
    expect(readState(new DatabaseSync(marked.path, { readOnly: true }))?.labels).toEqual({ secret: start + 20 * hour, team: 0 })
    expectSame(marked.path, [...both, ...randomRanges(life.random, 6, start, life.now)])
  })
})

describe('too many combinations', () => {
  it('are other, and counted; totals stay right', () => {
    const life = begin(31, { rollupKeysMax: 40 })
    const one = (number: number, overrides: Parameters<typeof exchangeOf>[0]) =>
      exchangeOf({ opening: { id: id(number), startedAt: start }, caller: `caller-${number}`, ...overrides })
    life.opened.ledger.record({ opened: [], ended: Array.from({ length: 100 }, (_, index) => one(index, {})) })
    life.opened.ledger.record({
      opened: [],
      ended: Array.from({ length: 100 }, (_, index) =>
        one(100 + index, { errorType: 'odd', request: { operation: 'chat', usageExpected: true, model: 'm' } }),
      ),
    })
    life.opened.store.commit()
    idle(2100)
    const database = new DatabaseSync(life.opened.path, { readOnly: true })
    const range = { sinceMs: Math.floor(start / minute) * minute, untilMs: Math.ceil(start / minute) * minute }
    const { total, breakdowns } = readSummary(database, { range, sets: [['caller'], ['provider']], groupsMax: 1000 })
    const others = breakdowns[0]?.groups.find(({ key }) => key.caller === 'other')?.requests ?? 0
    expect([total.requests, total.errors, breakdowns[1]?.groups.length]).toEqual([200, 100, 1])
    expect(others).toBeGreaterThan(150)
    expect(life.opened.meter.total('tokenweir.ledger.rollup_overflow')).toBe(others)
    expect(Number(database.prepare('SELECT count(*) AS count FROM rollup_keys').get()?.['count'])).toBeLessThan(50)
  })
})
