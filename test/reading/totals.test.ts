/** One number everywhere: the page's totals, `report`, rollups, rows and Prometheus, for ranges that cut a minute, an hour, a day and a month. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { apiRoutes } from '../../src/admin/api.ts'
import { type Io, runCli } from '../../src/cli/cli.ts'
import { createReader } from '../../src/ledger/queries/reader.ts'
import { readSummary } from '../../src/ledger/queries/summary.ts'
import { openStore } from '../../src/ledger/store.ts'
import { periodAt } from '../../src/lib/period.ts'
import type { Range } from '../../src/lib/range.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import { createMetricsSink } from '../../src/sinks/metrics/metrics.ts'
import { createMeter, type Meter } from '../../src/telemetry/meter.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { samples } from '../sinks/scrape.ts'

const zones = ['UTC', 'Asia/Kathmandu', 'America/St_Johns'] // +05:45; -02:30 and, from 1 November, -03:30
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-totals-'))
const path = join(folder, 'ledger.db')
const rowsPath = join(folder, 'rows.db')
const timeZone = process.env['TZ']
afterAll(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true })
  if (timeZone === undefined) delete process.env['TZ']
  else process.env['TZ'] = timeZone
})

const first = Date.UTC(2026, 9, 1, 3, 17, 23, 456)
const day = 86_400_000

/** Ends of days and months in each zone, and moments in the middle of a minute, an hour and a day. */
const moments = [
  first,
  ...zones.flatMap((zone) => {
    const { sinceMs, untilMs } = periodAt(Date.UTC(2026, 10, 12), 'month', zone)
    const { sinceMs: dayMs } = periodAt(Date.UTC(2026, 9, 20, 12), 'day', zone)
    return [sinceMs, untilMs, dayMs, dayMs + day]
  }),
  Date.UTC(2026, 9, 20, 7, 0, 0),
  Date.UTC(2026, 9, 20, 7, 45, 0),
  Date.UTC(2026, 9, 20, 7, 45, 30, 250),
  Date.UTC(2026, 9, 20, 7, 45, 31),
  Date.UTC(2026, 11, 3, 23, 59, 59, 999),
].sort((a, b) => a - b)

interface Totals {
  readonly requests: number
  readonly input: number
  readonly output: number
  readonly zeroUsage: number
  readonly usd: number
}

const counters: Readonly<Record<keyof Totals, RegExp>> = {
  requests: /^tokenweir_requests_total/,
  input: /^tokenweir_tokens_total.*token_type="input"/,
  output: /^tokenweir_tokens_total.*token_type="output"/,
  zeroUsage: /^tokenweir_streams_zero_usage_total/,
  usd: /^tokenweir_cost_total/,
}

function scraped(meter: Meter): Totals {
  const all = Object.entries(samples(meter))
  const sum = (name: RegExp) => all.filter(([series]) => name.test(series)).reduce((total, [, value]) => total + value, 0)
  return Object.fromEntries(Object.entries(counters).map(([name, pattern]) => [name, sum(pattern)])) as unknown as Totals
}

/** What Prometheus would have seen at each moment. */
const seen: Totals[] = []

beforeAll(() => {
  vi.useFakeTimers()
  let now = first
  const meter = createMeter(() => now)
  const store = openStore({
    path,
    shape: ledgerShape,
    meter,
    report: () => undefined,
    now: () => now,
    retention: { ageMsMax: 0, bytesMax: 2 ** 40, rollupAgeMsMax: 0 },
  })
  const sinks = [createLedgerSink(store), createMetricsSink({ meter, generation: '1.41', labelValuesMax: 100, metricLabels: [] })]
  let number = 0
  moments.forEach((moment, index) => {
    const before = moments[index - 1] ?? moment
    const length = moment - before
    for (let each = 0; each < 40 && length > 10; each++) {
      now = before + (each * length) / 40
      number++
      const isZero = number % 7 === 0
      const exchange = exchangeOf({
        opening: { id: `id-${number}`, startedAt: now, route: 'default' },
        ending: { endMs: Math.min(1500, length / 50), firstChunkMs: 1 },
        provider: number % 3 === 0 ? 'anthropic' : 'openai',
        response: { usage: isZero ? { inputTokens: 0, outputTokens: 0 } : { inputTokens: number, outputTokens: number % 11 } },
        usageOutcome: isZero ? 'zero' : 'reported',
        cost: number % 5 === 0 ? { status: 'unpriced' } : { status: 'priced', usd: number / 1024, source: 'table' },
      })
      for (const sink of sinks) sink.record({ opened: [], ended: [exchange] })
      store.commit()
      if (each % 10 === 0) vi.advanceTimersByTime(4000) // hours and days are added up
    }
    now = moment
    seen.push(scraped(meter))
  })
  vi.advanceTimersByTime(60_000)
  store.close()
  vi.useRealTimers()
  copyFileSync(path, rowsPath)
  const rows = new DatabaseSync(rowsPath)
  rows.exec('DROP TABLE rollup_state')
  rows.close()
})

function inPrometheus(from: number, to: number): Totals {
  const [before, after] = [seen[from], seen[to]] as [Totals, Totals]
  return Object.fromEntries(
    Object.keys(counters).map((name) => [name, after[name as keyof Totals] - before[name as keyof Totals]]),
  ) as unknown as Totals
}

interface SummaryLike {
  readonly total: {
    readonly requests: number
    readonly zeroUsage: number
    readonly tokens: { readonly input: { readonly sum: number | null }; readonly output: { readonly sum: number | null } }
    readonly cost: { readonly usd: number | null }
  }
}

const told = ({ total: { requests, zeroUsage, tokens, cost } }: SummaryLike): Totals => ({
  ...{ requests, zeroUsage },
  ...{ input: tokens.input.sum ?? 0, output: tokens.output.sum ?? 0, usd: cost.usd ?? 0 },
})

function inFile(file: string, range: Range): Totals {
  const database = new DatabaseSync(file, { readOnly: true })
  const summary = readSummary(database, { range, sets: [['provider'], ['day']], groupsMax: 100 })
  database.close()
  for (const { groups } of summary.breakdowns) expect(groups.reduce((sum, { requests }) => sum + requests, 0)).toBe(summary.total.requests)
  return told(summary)
}

async function report(since: string, until: string): Promise<Totals> {
  let text = ''
  const io: Io = {
    stdout: { isTTY: false, columns: undefined, write: (given: string) => void (text += given) },
    stderr: { isTTY: false, columns: undefined, write: () => undefined },
    readFile: () => '',
    start: () => Promise.reject(new Error('not expected')),
    onStopSignal: () => undefined,
    onHangup: () => undefined,
    onUncaught: () => undefined,
  }
  expect(await runCli(['report', '--ledger', path, '--since', since, '--until', until, '--json'], {}, io)).toBe(0)
  return told(JSON.parse(text) as SummaryLike)
}

async function onPage({ sinceMs, untilMs }: Range): Promise<Totals> {
  const reader = createReader({ path })
  const route = apiRoutes({ reader, now: Date.now, state: () => ({}) }).find(({ path }) => path === '/api/summary')
  const query = new URLSearchParams({ since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString(), by: 'provider' })
  const answer = (await route?.answer({ url: `/api/summary?${query}` } as never, {} as never)) as { readonly body: string }
  await reader.close()
  return told(JSON.parse(answer.body) as SummaryLike)
}

const pairs = moments
  .flatMap((_, from) => moments.map((_, to) => [from, to] as const))
  .filter(([from, to]) => (moments[from] ?? 0) < (moments[to] ?? 0))

describe('one number everywhere', { timeout: 240_000 }, () => {
  it('in rollups, rows and Prometheus, between any two moments', () => {
    expect(pairs.length).toBeGreaterThan(100)
    for (const [from, to] of pairs) {
      const range = { sinceMs: moments[from] as number, untilMs: moments[to] as number }
      const rollups = inFile(path, range)
      expect([range, rollups]).toEqual([range, inFile(rowsPath, range)])
      expect([range, rollups]).toEqual([range, inPrometheus(from, to)])
    }
  })

  it.each(zones)('on the page and in report too, in %s', async (zone) => {
    process.env['TZ'] = zone
    const local = (name: string) => moments.indexOf(Date.parse(`${name}T00:00`))
    for (const [since, until] of [
      ['2026-10-20', '2026-10-21'],
      ['2026-11-01', '2026-12-01'],
      ['2026-10-20', '2026-12-01'],
    ] as const) {
      const [from, to] = [local(since), local(until)]
      const totals = await report(since, until)
      expect([since, until, totals]).toEqual([since, until, inPrometheus(from, to)])
      expect(totals).toEqual(await onPage({ sinceMs: moments[from] as number, untilMs: moments[to] as number }))
    }
    const cut = moments.indexOf(Date.UTC(2026, 9, 20, 7, 45, 30, 250))
    expect(await report('2026-10-20T07:45:30.250Z', '2026-12-03T23:59:59.999Z')).toEqual(inPrometheus(cut, moments.length - 1))
    expect(await report('2026-10-20T07:45:30.250Z', '2026-10-20T07:45:31Z')).toEqual(inPrometheus(cut, cut + 1))
  })
})
