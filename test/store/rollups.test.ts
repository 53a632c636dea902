/** Rollups say what the rows say: after kills, failed commits, retention, clocks that jump, late endings, and for a ledger of an earlier version. */
import { copyFileSync, readFileSync } from 'node:fs'
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
import { exchangeOf, openingOf } from '../sinks/exchange-of.ts'
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
  const cost = pick(random, [undefined, { status: 'unpriced' }, { status: 'priced', usd: random(1000) / 1024, source: 'table' }] as const)
  const usage = outcome === 'missing' ? undefined : { inputTokens: random(3) === 0 ? undefined : random(500), outputTokens: random(90), cacheReadTokens: 3 }
  return exchangeOf({
    opening: { id: id(number), startedAt, route: pick(random, ['default', 'second']), caller: pick(random, [undefined, 'alice', 'bob', 'carol']) },
    caller: pick(random, [undefined, 'alice', 'bob', 'carol']),
    ending: { status, streamed: random(4) > 0, endMs: tookMs, firstChunkMs: random(5) === 0 ? undefined : tookMs / (2 + random(50)) },
    endReason: pick(random, ['completed', 'completed', 'client-aborted']),
    provider: pick(random, [undefined, 'openai', 'anthropic']),
    request: { operation: 'chat', usageExpected: true, model: pick(random, [undefined, 'gpt-4o', 'gpt-5', 'claude']) },
    response: { model: pick(random, [undefined, 'gpt-4o-2024-08-06']), usage },
    usageOutcome: outcome,
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
  [{ dimension: 'provider', values: ['openai', null] }],
  [{ dimension: 'caller', values: ['bob'] }],
  [{ dimension: 'label:team', values: ['ads'] }],
  [{ dimension: 'label:secret', values: ['x', null] }],
]

/** Everything that is asked about a range. Each set and condition alone: some of them can only be answered by rows. */
function answersOf(database: DatabaseSync, range: Range) {
  const bucketMs = Math.max(minute, Math.ceil((range.untilMs - range.sinceMs) / 20 / minute) * minute)
  return {
    summaries: [...sets.map((set) => [set, []] as const), ...conditions.map((where) => [['provider', 'model'], where] as const)].map(([set, where]) =>
      readSummary(database, { range, sets: [set], where, groupsMax: 100 }),
    ),
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

/** A commit that closes a row fails in its middle: its rows are written by then. */
function failCommit(life: Life): void {
  const other = new DatabaseSync(life.opened.path)
  other.exec("CREATE TRIGGER refuse BEFORE INSERT ON rollups BEGIN SELECT RAISE(ABORT, 'refused'); END")
  while (life.opened.store.isWritable()) batch(life)
  other.exec('DROP TRIGGER refuse')
  other.close()
  vi.advanceTimersByTime(100)
  expect(life.opened.store.isWritable()).toBe(true)
}

describe('rollups and rows say the same', () => {
  it.each([1, 2, 3, 4])('of random batches, kills, failures and clocks (seed %d)', { timeout: 240_000 }, (seed) => {
    const life = begin(seed)
    const { random } = life
    for (let round = 0; round < 160; round++) {
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
