/** Answers of the ledger, held to exchanges that were recorded by the sink itself. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openForReading, ReadingError } from '../../src/ledger/queries/open.ts'
import { bucketOf, quantilesOf } from '../../src/ledger/queries/quantiles.ts'
import { createReader } from '../../src/ledger/queries/reader.ts'
import { readRequest, readRequests } from '../../src/ledger/queries/requests.ts'
import { readLatency, readSeries } from '../../src/ledger/queries/series.ts'
import { readSummary } from '../../src/ledger/queries/summary.ts'
import { longMs } from '../../src/ledger/schema.ts'
import type { Exchange, Opening } from '../../src/lib/exchange.ts'
import { exchangeOf, failedExchangeOf, openingOf, otherExchangeOf } from '../sinks/exchange-of.ts'
import { writeLedger } from './ledger-of.ts'

const began = Date.UTC(2026, 10, 23, 12)

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-reading-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

async function ledgerOf(ended: readonly Exchange[], opened: readonly Opening[] = [], path = join(folderOf(), 'ledger.db')) {
  writeLedger(path, { opened, ended })
  const database = openForReading(path)
  onTestFinished(() => database.close())
  return { path, database }
}

const at = (seconds: number, id: string) => ({ opening: { id, startedAt: began + seconds * 1000 } })

/** One of each kind that sums must tell apart. */
const mixed: readonly Exchange[] = [
  exchangeOf({ ...at(0, 'a'), timePerOutputTokenMs: 15, cost: { status: 'priced', usd: 0.25, source: 'table', cacheSavedUsd: 0.125 } }),
  exchangeOf({
    ...at(1, 'b'),
    response: { usage: { inputTokens: 0, outputTokens: 0 }, finished: true },
    usageOutcome: 'zero',
    cost: { status: 'free', usd: 0, source: 'custom' },
  }),
  exchangeOf({ ...at(2, 'c'), response: {}, usageOutcome: 'missing', usageReason: 'not_requested', cost: { status: 'unpriced' } }),
  exchangeOf({
    ...at(3, 'd'),
    provider: 'anthropic',
    response: { usage: { inputTokens: 5, outputTokens: 6, cacheReadTokens: 2 } },
    endReason: 'client-aborted',
    usageOutcome: 'partial',
    usageReason: 'client_left',
  }),
  failedExchangeOf(429, at(4, 'e')),
  otherExchangeOf(at(5, 'f')),
]

const range = { sinceMs: began, untilMs: began + 60_000 }
const nothing = { sum: null, reported: 0, unreported: 0 }

describe('a summary', () => {
  it('adds up what was reported, and counts what was not', async () => {
    const { database } = await ledgerOf(mixed, [openingOf({ id: 'g', startedAt: began + 6000 })])
    expect(readSummary(database, { range, sets: [['provider']], groupsMax: 10 })).toEqual({
      ...range,
      total: {
        requests: 7,
        open: 1,
        errors: 1,
        streams: 3,
        zeroUsage: 2,
        tokens: {
          input: { sum: 25, reported: 3, unreported: 1 },
          output: { sum: 13, reported: 3, unreported: 1 },
          cacheRead: { sum: 2, reported: 1, unreported: 1 },
          cacheWrite: { sum: null, reported: 0, unreported: 2 },
          reasoning: { sum: null, reported: 0, unreported: 2 },
        },
        cost: { usd: 0.25, priced: 2, unpriced: 1 },
        cache: { hitShare: 0.4, savedUsd: 0.125 },
        timePerOutputTokenMs: 15,
      },
      breakdowns: [
        {
          by: ['provider'],
          leftOut: 0,
          groups: [
            {
              key: { provider: 'openai' },
              requests: 4,
              open: 0,
              errors: 1,
              streams: 3,
              zeroUsage: 2,
              tokens: {
                input: { sum: 20, reported: 2, unreported: 1 },
                output: { sum: 7, reported: 2, unreported: 1 },
                cacheRead: { sum: null, reported: 0, unreported: 1 },
                cacheWrite: { sum: null, reported: 0, unreported: 1 },
                reasoning: { sum: null, reported: 0, unreported: 1 },
              },
              cost: { usd: 0.25, priced: 2, unpriced: 1 },
              cache: { hitShare: null, savedUsd: 0.125 },
              timePerOutputTokenMs: 15,
            },
            {
              key: { provider: 'anthropic' },
              requests: 1,
              open: 0,
              errors: 0,
              streams: 0,
              zeroUsage: 0,
              tokens: {
                input: { sum: 5, reported: 1, unreported: 0 },
                output: { sum: 6, reported: 1, unreported: 0 },
                cacheRead: { sum: 2, reported: 1, unreported: 0 },
                cacheWrite: { sum: null, reported: 0, unreported: 1 },
                reasoning: { sum: null, reported: 0, unreported: 1 },
              },
              cost: { usd: null, priced: 0, unpriced: 0 },
              cache: { hitShare: 0.4, savedUsd: null },
              timePerOutputTokenMs: null,
            },
            {
              key: { provider: null },
              requests: 2,
              open: 1,
              errors: 0,
              streams: 0,
              zeroUsage: 0,
              tokens: { input: nothing, output: nothing, cacheRead: nothing, cacheWrite: nothing, reasoning: nothing },
              cost: { usd: null, priced: 0, unpriced: 0 },
              cache: { hitShare: null, savedUsd: null },
              timePerOutputTokenMs: null,
            },
          ],
        },
      ],
      zeroUsage: [
        { reason: 'not_requested', streams: 1 },
        { reason: 'zero', streams: 1 },
      ],
    })
  })

  it('begins with its first moment and ends before its last', async () => {
    const { database } = await ledgerOf(mixed)
    const requests = (sinceMs: number, untilMs: number) =>
      readSummary(database, { range: { sinceMs, untilMs }, sets: [], groupsMax: 1 }).total.requests
    expect([requests(began, began + 5000), requests(began + 1, began + 5001), requests(began + 5001, began + 9000)]).toEqual([5, 5, 0])
  })

  it('breaks down by several dimensions, one set after the other, and counts the groups beyond the limit', async () => {
    const { database } = await ledgerOf(mixed)
    const { breakdowns } = readSummary(database, { range, sets: [['model', 'provider'], ['day']], groupsMax: 2 })
    expect(breakdowns.map(({ groups, leftOut }) => [groups.map(({ key, requests }) => [key, requests]), leftOut])).toEqual([
      [
        [
          [{ model: 'gpt-4o', provider: 'openai' }, 4],
          [{ model: 'gpt-4o', provider: 'anthropic' }, 1],
        ],
        1,
      ],
      [[[{ day: new Intl.DateTimeFormat('sv-SE').format(began) }, 6]], 0],
    ])
  })
})

describe('a series', () => {
  it('counts requests and tokens where they ended: 0 where nothing did, null where nothing was told', async () => {
    const ended = [
      exchangeOf({ ...at(0, 'a'), ending: { endMs: 1000, firstChunkMs: 100 } }),
      exchangeOf({
        ...at(1, 'b'),
        ending: { endMs: 19_500, firstChunkMs: undefined },
        response: {},
        usageOutcome: 'missing',
        usageReason: 'upstream_omitted',
      }),
      exchangeOf({ ...at(2, 'c'), provider: 'x', ending: { endMs: 100, firstChunkMs: 50 } }),
      exchangeOf({ ...at(-5, 'before the range'), ending: { endMs: 5500 } }),
    ]
    const { database } = await ledgerOf(ended)
    const series = readSeries(database, { range: { sinceMs: began, untilMs: began + 30_000 }, bucketMs: 10_000, providersMax: 1 })
    expect(series).toEqual({
      sinceMs: began,
      untilMs: began + 30_000,
      bucketMs: 10_000,
      providers: [{ provider: 'openai', tokens: [54, 0, null] }],
      others: [27, 0, 0],
      requests: [3, 0, 1],
      errors: [0, 0, 0],
      zeroUsage: [0, 0, 1],
      firstChunkP50Ms: [expect.closeTo(50, 0), null, null],
      firstChunkP95Ms: [expect.closeTo(100, -1), null, null],
    })
  })

  it('has requests of any length where they ended', async () => {
    const minutes = 60_000
    const lasting = (id: string, startedMinutes: number, took: number, changes: Parameters<typeof exchangeOf>[0] = {}) =>
      exchangeOf({ ...at(startedMinutes * 60, id), ...changes, ending: { firstChunkMs: 50, endMs: took * minutes } })
    const { database } = await ledgerOf([
      lasting('a', 0, 100),
      lasting('b', 0, 99), // ended before
      lasting('c', 0, 160), // ended after
      lasting('d', 89, 11, { response: {}, usageOutcome: 'missing', usageReason: 'not_requested' }),
      lasting('e', 100, 10, { response: { usage: { inputTokens: 0, outputTokens: 0 } } }),
      lasting('f', 50, 60, { response: {} }),
      lasting('g', 105, 12),
      lasting('h', 0, 130, { provider: 'anthropic' }),
    ])
    const bounds = { sinceMs: began + 100 * minutes, untilMs: began + 140 * minutes }
    const series = readSeries(database, { range: bounds, bucketMs: 10 * minutes, providersMax: 8 })
    expect([series.requests, series.zeroUsage, series.firstChunkP50Ms.map((value) => value !== null)]).toEqual([
      [2, 3, 0, 1],
      [1, 0, 0, 0],
      [true, true, false, true],
    ])
    expect(series.providers).toEqual([
      { provider: 'openai', tokens: [27, 27, 0, 0] },
      { provider: 'anthropic', tokens: [0, 0, 0, 27] },
    ])
    const plan = database.prepare(
      `EXPLAIN QUERY PLAN SELECT * FROM exchanges WHERE duration_ms > ${longMs} AND ended_at >= 1 AND ended_at < 2`,
    )
    expect(plan.all()).toMatchObject([{ detail: expect.stringContaining('USING INDEX exchanges_long') }])
  })

  it('moves its ends outwards to whole buckets', async () => {
    const { database } = await ledgerOf([])
    const series = readSeries(database, { range: { sinceMs: began + 1, untilMs: began + 10_001 }, bucketMs: 10_000, providersMax: 8 })
    expect([series.sinceMs, series.untilMs, series.requests, series.others]).toEqual([began, began + 20_000, [0, 0], null])
  })
})

describe('quantiles', () => {
  it('are within 1 % of the sorted values', () => {
    const values = Array.from({ length: 5000 }, (_, n) => 0.5 * 1.002 ** n)
    const buckets = new Map<number, number>()
    for (const value of values) buckets.set(bucketOf(value), (buckets.get(bucketOf(value)) ?? 0) + 1)
    const found = quantilesOf(buckets)
    for (const [share, quantile] of [
      [0.5, found?.p50],
      [0.95, found?.p95],
      [0.99, found?.p99],
    ] as const) {
      const exact = values[Math.ceil(share * values.length) - 1] as number
      expect(Math.abs((quantile as number) / exact - 1)).toBeLessThan(0.0101)
    }
  })

  it('are none without a measurement', async () => {
    expect(quantilesOf(new Map())).toBeNull()
    const { database } = await ledgerOf([failedExchangeOf(502, { ...at(0, 'a'), ending: { firstChunkMs: undefined, endMs: 30 } })])
    const { total, providers } = readLatency(database, range)
    const duration = { count: 1, p50: expect.closeTo(30, 0), p95: expect.closeTo(30, 0), p99: expect.closeTo(30, 0) }
    expect({ total, providers }).toEqual({
      total: { firstChunkMs: null, durationMs: duration },
      providers: [{ provider: 'openai', firstChunkMs: null, durationMs: duration }],
    })
  })

  it('are counted in SQLite by the same buckets', async () => {
    const times = [0.0001, 0.5, 1, 50, 123.4, 9_999_999]
    const { database } = await ledgerOf(
      times.map((firstChunkMs, n) => exchangeOf({ ...at(n, `id${n}`), provider: `p${n}`, ending: { firstChunkMs } })),
    )
    const { providers } = readLatency(database, range)
    expect(providers.map(({ firstChunkMs }) => firstChunkMs?.p50)).toEqual(
      times.map((time) => quantilesOf(new Map([[bucketOf(time), 1]]))?.p50),
    )
  })
})

describe('a list of requests', () => {
  const ids = (database: DatabaseSync, filter: Partial<Parameters<typeof readRequests>[1]>) =>
    readRequests(database, { ...range, limit: 10, ...filter }).requests.map(({ id }) => id)

  it('is newest first, and goes on page by page without a gap or a repetition', async () => {
    const same = { startedAt: began + 7000.5 }
    const { database } = await ledgerOf([
      ...mixed,
      exchangeOf({ opening: { ...same, id: 'y' } }),
      exchangeOf({ opening: { ...same, id: 'z' } }),
    ])
    const seen: unknown[] = []
    for (let before: string | undefined | null; before !== null; ) {
      const page = readRequests(database, { ...range, limit: 3, before })
      seen.push(page.requests.map(({ id }) => id))
      before = page.next
    }
    expect(seen).toEqual([
      ['z', 'y', 'f'],
      ['e', 'd', 'c'],
      ['b', 'a'],
    ])
  })

  it('looks through so many rows at a time, and goes on where it stopped', async () => {
    const { database } = await ledgerOf(mixed)
    for (const order of ['desc', 'asc'] as const) {
      const seen: unknown[] = []
      for (let before: string | undefined | null; before !== null; ) {
        const page = readRequests(database, { ...range, limit: 10, before, order, provider: 'anthropic' }, 2)
        seen.push(...page.requests.map(({ id }) => id))
        if (page.next !== null) expect(page.looked).not.toEqual(range)
        before = page.next
      }
      expect(seen).toEqual(['d'])
    }
    const all = [...mixed].sort((a, b) => b.opening.startedAt - a.opening.startedAt).map(({ opening }) => opening)
    const sorted = readRequests(database, { ...range, limit: 10, sort: 'cost' }, 2)
    expect(sorted.requests.map(({ id }) => id).sort()).toEqual(
      all
        .slice(0, 3)
        .map(({ id }) => id)
        .sort(),
    )
    expect([sorted.looked, sorted.next]).toEqual([{ sinceMs: all[2]?.startedAt, untilMs: range.untilMs }, null])
    expect(readRequests(database, { ...range, limit: 10, sort: 'cost' }).looked).toBeNull()
  })

  it('is filtered by outcome, provider and text', async () => {
    const { database } = await ledgerOf(mixed, [openingOf({ id: 'g', startedAt: began + 6000, path: '/100%_sure' })])
    expect({
      errors: ids(database, { outcome: 'errors' }),
      streams: ids(database, { outcome: 'streams' }),
      zero: ids(database, { outcome: 'zero' }),
      unpriced: ids(database, { outcome: 'unpriced' }),
      open: ids(database, { outcome: 'open' }),
      provider: ids(database, { provider: 'anthropic' }),
      text: ids(database, { text: 'NOT_requested' }),
      wildcard: ids(database, { text: '%_' }),
    }).toEqual({
      errors: ['e'],
      streams: ['c', 'b', 'a'],
      zero: ['c', 'b'],
      unpriced: ['c'],
      open: ['g'],
      provider: ['d'],
      text: ['c'],
      wildcard: ['g'],
    })
  })

  it('gives one whole, or null', async () => {
    const { database } = await ledgerOf(mixed)
    expect(readRequest(database, 'a')).toMatchObject({ id: 'a', framing: 'sse', server_port: 443, cost: 0.25 })
    expect(readRequest(database, 'nobody')).toBeNull()
  })
})

describe('opening', () => {
  it('says what to do about a file that is not there, or no ledger', () => {
    const folder = folderOf()
    expect(() => openForReading(join(folder, 'no.db'))).toThrow(
      'yet. Start tokenweir and send a request through it, or name the file with --ledger FILE.',
    )
    const other = join(folder, 'other.db')
    new DatabaseSync(other).exec('CREATE TABLE t (a)')
    expect(() => openForReading(other)).toThrow('is no ledger of tokenweir. Name the right file with --ledger FILE.')
    const text = join(folder, 'text.db')
    writeFileSync(text, 'not a database, but long enough to be looked at')
    expect(() => openForReading(text)).toThrow('cannot be read (file is not a database).')
  })

  it('changes nothing', async () => {
    const { database } = await ledgerOf(mixed)
    expect(() => database.exec('DELETE FROM exchanges')).toThrow('readonly')
  })
})

describe('the reading thread', () => {
  it('reads the file that has the name now', async () => {
    const { path } = await ledgerOf(mixed)
    const reader = createReader({ path })
    onTestFinished(() => reader.close())
    expect((await reader.ask({ kind: 'state' })).rows).toBe(6)
    renameSync(path, `${path}.aside`)
    await ledgerOf(mixed.slice(0, 2), [], path)
    expect((await reader.ask({ kind: 'state' })).rows).toBe(2)
  })

  it('answers, says what is wrong, and refuses when too many wait', async () => {
    const { path } = await ledgerOf(mixed)
    const reader = createReader({ path, waitingMax: 2 })
    onTestFinished(() => reader.close())
    const answers = await Promise.allSettled([
      reader.ask({ kind: 'request', id: 'a' }),
      reader.ask({ kind: 'state' }),
      reader.ask({ kind: 'state' }),
    ])
    expect(answers).toEqual([
      { status: 'fulfilled', value: expect.objectContaining({ id: 'a' }) },
      { status: 'fulfilled', value: { rows: 6, bytes: expect.any(Number), oldestStartedAt: began } },
      { status: 'rejected', reason: new ReadingError('Too many questions wait for the ledger. Ask again in a moment.') },
    ])
    const nowhere = createReader({ path: `${path}.not` })
    onTestFinished(() => nowhere.close())
    await expect(nowhere.ask({ kind: 'state' })).rejects.toThrow('There is no ledger')
  })
})
