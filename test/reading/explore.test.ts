/** What the page explores with: groups by pages, hours of the week, distributions, sorted requests; held to exchanges that the sink recorded. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { readDistribution } from '../../src/ledger/queries/distribution.ts'
import { readGroups } from '../../src/ledger/queries/groups.ts'
import { readHeatmap } from '../../src/ledger/queries/heatmap.ts'
import { openForReading } from '../../src/ledger/queries/open.ts'
import type { GroupSort, GroupsQuestion, RequestSort } from '../../src/ledger/queries/queries.ts'
import { readRequests } from '../../src/ledger/queries/requests.ts'
import { readSeries } from '../../src/ledger/queries/series.ts'
import { readSummary } from '../../src/ledger/queries/summary.ts'
import { conditionsOf } from '../../src/ledger/queries/where.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import { createMetricsSink } from '../../src/sinks/metrics/metrics.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf, failedExchangeOf } from '../sinks/exchange-of.ts'
import { writeLedger } from './ledger-of.ts'

const began = Date.UTC(2026, 10, 23, 12)
const range = { sinceMs: began, untilMs: began + 60_000 }

function ledgerOf(ended: readonly Exchange[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-explore-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'ledger.db')
  writeLedger(path, { opened: [], ended })
  const database = openForReading(path)
  onTestFinished(() => database.close())
  return database
}

let made = 0
/** A request of a caller: its input tokens, its cost and its time to the first chunk; undefined is not known. */
function call(caller: string | undefined, input: number | undefined, usd?: number, firstChunkMs = 50, startedAt = began + 1000): Exchange {
  return exchangeOf({
    opening: { id: `id-${String(++made).padStart(4, '0')}`, startedAt },
    ending: { firstChunkMs },
    ...(caller === undefined ? {} : { caller }),
    response: { usage: { inputTokens: input, outputTokens: 1 } },
    // So that the orders by speed and by what was saved are those of other columns.
    ...(usd === undefined ? {} : { timePerOutputTokenMs: 10 - usd }),
    cost: usd === undefined ? { status: 'unpriced' } : { status: 'priced', usd, source: 'table', cacheSavedUsd: usd },
  })
}

const callers: readonly Exchange[] = [
  call('ann', 10, 3, 40),
  call('ann', 20, 3, 60),
  call('Bob', 5, undefined, 900),
  call('cleo', undefined, 7, 10),
  call(undefined, 100, 1, 20),
  call('bobby', 7, 0.5, 400),
  call('ann', 1000, 1, 5, began - 30_000),
]

const usual: GroupsQuestion = {
  kind: 'groups',
  range,
  by: 'caller',
  where: [],
  search: '',
  sort: 'tokens',
  order: 'desc',
  offset: 0,
  limit: 25,
}
const names = (given: { groups: readonly { key: object }[] }) => given.groups.map(({ key }) => Object.values(key)[0])

it.each<[GroupSort, 'asc' | 'desc', (string | null)[]]>([
  ['tokens', 'desc', [null, 'ann', 'bobby', 'Bob', 'cleo']],
  ['name', 'asc', ['Bob', 'ann', 'bobby', 'cleo', null]],
  ['name', 'desc', ['cleo', 'bobby', 'ann', 'Bob', null]],
  ['requests', 'desc', ['ann', null, 'bobby', 'Bob', 'cleo']],
  ['input', 'asc', ['Bob', 'bobby', 'ann', null, 'cleo']],
  ['input', 'desc', [null, 'ann', 'bobby', 'Bob', 'cleo']],
  ['cost', 'asc', ['bobby', null, 'ann', 'cleo', 'Bob']],
  ['cost', 'desc', ['cleo', 'ann', null, 'bobby', 'Bob']],
  ['firstP95', 'desc', ['Bob', 'bobby', 'ann', null, 'cleo']],
  ['speed', 'desc', ['cleo', 'ann', null, 'bobby', 'Bob']],
  ['saved', 'asc', ['bobby', null, 'ann', 'cleo', 'Bob']],
  ['firstP50', 'asc', ['cleo', null, 'ann', 'bobby', 'Bob']],
])('groups are sorted by %s, %s, and what is not known comes last', (sort, order, expected) => {
  expect(names(readGroups(ledgerOf(callers), { ...usual, sort, order }))).toEqual(expected)
})

it('groups are searched, counted, and read by pages', () => {
  const database = ledgerOf(callers)
  const found = readGroups(database, { ...usual, search: 'BOB' })
  expect([names(found), found.found, found.all, found.total.requests]).toEqual([['bobby', 'Bob'], 2, 5, 6])
  const pages = [0, 2, 4, 6].map((offset) => names(readGroups(database, { ...usual, offset, limit: 2 })))
  expect(pages).toEqual([[null, 'ann'], ['bobby', 'Bob'], ['cleo'], []])
})

it('a group has the totals of the summary, its first chunks, and what it had in the range before', () => {
  const database = ledgerOf(callers)
  const before = { sinceMs: began - 60_000, untilMs: began }
  const page = readGroups(database, { ...usual, before })
  const summary = readSummary(database, { range, sets: [['caller']], groupsMax: 10 })
  expect([page.total, page.zeroUsage]).toEqual([summary.total, summary.zeroUsage])
  expect(page.groups.map(({ firstChunkMs, before: earlier, ...group }) => group)).toEqual(summary.breakdowns[0]?.groups)
  const [nobody, ann] = page.groups
  expect(ann?.firstChunkMs).toEqual({
    count: 2,
    p50: expect.closeTo(40, -0.5),
    p95: expect.closeTo(60, -0.5),
    p99: expect.closeTo(60, -0.5),
  })
  expect([nobody?.before, ann?.before?.tokens.input.sum, page.before?.requests]).toEqual([null, 1000, 1])
})

it('conditions hold for groups, series, hours and distributions alike', () => {
  const database = ledgerOf(callers)
  const where = conditionsOf(['caller=ann'])
  const page = readGroups(database, { ...usual, by: 'provider', where })
  const series = readSeries(database, { range, bucketMs: 60_000, providersMax: 8, where })
  const hours = readHeatmap(database, { kind: 'heatmap', range, where, timeZone: 'UTC' })
  const distribution = readDistribution(database, { kind: 'distribution', range, where })
  expect([
    page.total.requests,
    page.groups[0]?.requests,
    page.groups[0]?.firstChunkMs?.count,
    series.requests,
    series.providers[0]?.tokens,
    series.firstChunkP95Ms[0],
    hours.days.flat().reduce((sum, { requests }) => sum + requests, 0),
    distribution.durationMs?.count,
  ]).toEqual([2, 2, 2, [2], [32], expect.closeTo(60, -0.5), 2, 2])
})

it('a reason finds the very streams that the list of streams without usage counts', () => {
  const missing = (usageReason: Exchange['usageReason'], usageOutcome: 'missing' | 'undecodable' = 'missing') =>
    exchangeOf({ opening: { id: `r-${++made}`, startedAt: began }, response: {}, usageOutcome, ...(usageReason && { usageReason }) })
  const zero = exchangeOf({ opening: { id: 'zero', startedAt: began }, usageOutcome: 'zero' })
  const database = ledgerOf([missing('not_requested'), missing('parse_error', 'undecodable'), missing(undefined), zero, ...callers])
  const { zeroUsage } = readSummary(database, { range, sets: [], groupsMax: 1 })
  const listed = zeroUsage.map(({ reason }) => ({
    reason,
    streams: readRequests(database, { ...range, outcome: 'zero', where: conditionsOf([`reason=${reason}`]), limit: 100 }).requests.length,
  }))
  expect([listed, zeroUsage.map(({ reason }) => reason).sort()]).toEqual([
    zeroUsage,
    ['not_requested', 'parse_error', 'upstream_omitted', 'zero'],
  ])
})

it('streams, and those without usage, are the same in the counters as in the ledger', () => {
  const ended = [
    exchangeOf({}),
    exchangeOf({ usageOutcome: undefined }),
    exchangeOf({ usageOutcome: undefined, operation: 'image_generation' }),
    exchangeOf({ request: { operation: 'chat', usageExpected: false } }),
    exchangeOf({ response: {}, usageOutcome: 'missing', usageReason: 'upstream_omitted' }),
    exchangeOf({ response: {}, usageOutcome: 'missing', usageReason: 'not_requested', notes: ['usage_probe'] }),
    exchangeOf({ usageOutcome: 'zero' }),
    exchangeOf({ usageOutcome: 'missing', usageReason: 'client_left', endReason: 'client-aborted' }),
    exchangeOf({ usageOutcome: 'missing', usageReason: 'upstream_cut', errorType: 'overloaded_error' }),
    exchangeOf({ usageOutcome: 'missing', ending: { streamed: false, framing: 'whole' } }),
    exchangeOf({ usageOutcome: 'missing', ending: { status: 101, framing: 'websocket' } }),
    exchangeOf({ usageOutcome: undefined, ending: { status: 101, framing: 'websocket' } }),
  ].map((exchange, n) => ({ ...exchange, opening: { ...exchange.opening, id: `same-${n}`, startedAt: began } }))
  const { total, zeroUsage } = readSummary(ledgerOf(ended), { range, sets: [], groupsMax: 1 })
  const counters = createMeter(Date.now)
  createMetricsSink({ meter: counters, generation: '1.41', labelValuesMax: 100 }).record({ opened: [], ended })
  const count = (name: string) =>
    counters
      .collect()
      .flatMap((family) => ('sums' in family && family.name === name ? family.sums.map(({ value }) => value) : []))
      .reduce((sum, value) => sum + value, 0)
  expect([count('tokenweir.streams.completed'), count('tokenweir.streams.zero_usage')]).toEqual([total.streams, total.zeroUsage])
  expect([total.streams, zeroUsage.reduce((sum, { streams }) => sum + streams, 0)]).toEqual([6, 3])
})

it.each([
  // 12:00 UTC on a Monday.
  ['UTC', 0, 12],
  ['Asia/Kathmandu', 0, 17],
  ['Pacific/Kiritimati', 1, 2],
  ['America/Los_Angeles', 0, 4],
])('a request stands in the hour of its zone: %s', (timeZone, weekday, hour) => {
  const { days } = readHeatmap(ledgerOf([call('ann', 10, 2), call('ann', undefined)]), { kind: 'heatmap', range, where: [], timeZone })
  const some = days.flatMap((hours, day) => hours.flatMap((cell, at) => (cell.requests > 0 ? [[day, at, cell]] : [])))
  expect(some).toEqual([[weekday, hour, { requests: 2, tokens: 12, usd: 2 }]])
})

it('an hour follows the clock of its zone through a change', () => {
  // In Berlin the clock went from 3 back to 2 at 01:00 UTC on Sunday, 2026-10-25.
  const change = Date.UTC(2026, 9, 25, 1)
  const ended = [change - 1, change, change + 3_599_999].map((startedAt) => call('ann', 1, 1, 50, startedAt))
  const wide = { sinceMs: change - 7_200_000, untilMs: change + 7_200_000 }
  const { days } = readHeatmap(ledgerOf(ended), { kind: 'heatmap', range: wide, where: [], timeZone: 'Europe/Berlin' })
  expect(days[6]?.[2]?.requests).toBe(3)
})

it('what nobody reported in an hour is not known, which is not zero', () => {
  const unknown = exchangeOf({
    opening: { id: 'u', startedAt: began },
    response: {},
    usageOutcome: 'missing',
    cost: { status: 'unpriced' },
  })
  const { days } = readHeatmap(ledgerOf([unknown]), { kind: 'heatmap', range, where: [], timeZone: 'UTC' })
  expect([days[0]?.[12], days[0]?.[13]]).toEqual([
    { requests: 1, tokens: null, usd: null },
    { requests: 0, tokens: null, usd: null },
  ])
})

it('a distribution counts each request once, in bins without a gap, and leaves out what was not measured', () => {
  const speeds = [10, 100, 100, 1000].map((tokens, n) =>
    exchangeOf({ opening: { id: `s-${n}`, startedAt: began }, ending: { endMs: 2000 }, timePerOutputTokenMs: 1000 / tokens }),
  )
  const whole = exchangeOf({
    opening: { id: 'whole', startedAt: began },
    ending: { streamed: false, firstChunkMs: 1000, endMs: 100_000_000 },
  })
  const { tokensPerSecond, durationMs } = readDistribution(ledgerOf([...speeds, whole]), { kind: 'distribution', range, where: [] })
  const bins = tokensPerSecond?.bins ?? []
  expect([tokensPerSecond?.count, bins.reduce((sum, { count }) => sum + count, 0)]).toEqual([4, 4])
  expect(bins.slice(1).map(({ from }) => from)).toEqual(bins.slice(0, -1).map(({ to }) => to))
  const binOf = (value: number) => bins.find(({ from, to }) => from <= value * 1.01 && value * 1.01 < to)?.count
  expect([10, 100, 1000].map(binOf)).toEqual([1, 2, 1])
  expect([durationMs?.count, (durationMs?.bins.length ?? 0) <= 36]).toEqual([5, true])
  expect(
    readDistribution(ledgerOf([failedExchangeOf(429, { opening: { startedAt: began }, ending: { firstChunkMs: undefined } })]), {
      kind: 'distribution',
      range,
      where: [],
    }).firstChunkMs,
  ).toBeNull()
})

it.each<[RequestSort, 'asc' | 'desc', (number | string | null)[], 'input_tokens' | 'cost' | 'caller' | 'time_to_first_chunk_ms']>([
  ['input', 'desc', [100, 20, 10, 7, 5, null], 'input_tokens'],
  ['cost', 'asc', [0.5, 1, 3, 3, 7, null], 'cost'],
  ['caller', 'asc', ['Bob', 'ann', 'ann', 'bobby', 'cleo', null], 'caller'],
  ['first', 'desc', [900, 400, 60, 40, 20, 10], 'time_to_first_chunk_ms'],
])('requests are sorted by %s, %s, page by page', (sort, order, expected, column) => {
  const database = ledgerOf(callers)
  const values: unknown[] = []
  let before: string | undefined
  do {
    const page = readRequests(database, { ...range, sort, order, limit: 4, before })
    values.push(...page.requests.map((row) => row[column]))
    before = page.next ?? undefined
  } while (before !== undefined)
  expect(values).toEqual(expected)
})

it('requests go from the oldest on, page by page', () => {
  const database = ledgerOf([3, 1, 2].map((second) => call(`c${second}`, 1, 1, 50, began + second * 1000)))
  const first = readRequests(database, { ...range, order: 'asc', limit: 2 })
  const second = readRequests(database, { ...range, order: 'asc', limit: 2, before: first.next ?? undefined })
  expect([...first.requests, ...second.requests].map(({ caller }) => caller)).toEqual(['c1', 'c2', 'c3'])
})
