/** The fleet's rollups in ClickHouse: the totals of a sidecar's own ledger and of the rows, also of rows that arrive twice or late. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingDeployTools } from '../../scripts/deploy-tools.ts'
import { columns } from '../../src/ledger/columns.ts'
import { openForReading } from '../../src/ledger/queries/open.ts'
import type { Dimension, Summary } from '../../src/ledger/queries/queries.ts'
import { readSummary } from '../../src/ledger/queries/summary.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { writeLedger } from '../reading/ledger-of.ts'
import { exchangeOf, failedExchangeOf } from '../sinks/exchange-of.ts'
import { clickhouse, exampleQueries, panelQueries, refresh, rollups } from './clickhouse.ts'
import type { LogRecord } from './tiers/traffic.ts'

const missing = missingDeployTools(['clickhouse'])
if (missing.length > 0)
  process.stderr.write('\n*** CLICKHOUSE NOT INSTALLED: its rollups are not tested. Run: npm run deploy:install ***\n\n')

const root = resolve(import.meta.dirname, '../..')
const hourMs = 3_600_000
const count = 3000
/** Over a day that ends now. */
const sinceMs = Date.now() - 24 * hourMs

function exchange(index: number): Exchange {
  const opening = { id: `id-${String(index).padStart(6, '0')}`, startedAt: sinceMs + (index / count) * 24 * hourMs, route: `r${index % 2}` }
  const ending = { endMs: 50 + ((index * 7919) % 9000), firstChunkMs: 20 + ((index * 104_729) % 700) }
  const provider = ['openai', 'anthropic', 'gcp.gemini'][index % 3] as string
  if (index % 11 === 0) return failedExchangeOf(429, { opening, ending })
  const model = { operation: 'chat', usageExpected: true, model: `m-${index % 5}`, stream: true }
  const known = { opening, ending, provider, request: model, ...(index % 4 === 0 ? {} : { caller: `team-${index % 4}` }) }
  if (index % 13 === 0)
    return exchangeOf({ ...known, response: {}, usageOutcome: 'missing', usageReason: 'upstream_omitted', cost: { status: 'unpriced' } })
  if (index % 17 === 0)
    return exchangeOf({ ...known, response: {}, usageOutcome: 'missing', usageReason: 'not_requested', notes: ['usage_probe'] })
  return exchangeOf({
    ...known,
    response: { usage: { inputTokens: index % 500, outputTokens: index % 70, ...(index % 3 === 0 ? { cacheReadTokens: 5 } : {}) } },
    cost: { status: 'priced', usd: (index % 100) / 1000, source: 'table' },
  })
}

/** As src/sinks/otlp-log.ts makes them. */
function recordOf(one: Exchange): LogRecord {
  const attributes = columns.flatMap(({ name, ofExchange }): LogRecord['attributes'] => {
    const value = ofExchange(one)
    if (typeof value === 'string') return [{ key: name, value: { stringValue: value } }]
    if (typeof value !== 'number') return []
    return [{ key: name, value: Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value } }]
  })
  const { traceId, spanId, startedAt } = one.opening
  return { timeUnixNano: `${Math.round(startedAt)}000000`, traceId, spanId, body: { stringValue: 'Request logged' }, attributes }
}

const sets: readonly Dimension[][] = [['provider'], ['model', 'caller'], ['route']]
const sums = `toUInt32(sum(requests)) AS requests, toUInt32(sum(errors)) AS errors, toUInt32(sum(streams)) AS streams, toUInt32(sum(zero_usage)) AS zeroUsage,
  toUInt32(sum(input)) AS input, toUInt32(sum(input_reported)) AS inputReported, toUInt32(sum(input_unreported)) AS inputUnreported,
  toUInt32(sum(output)) AS output, toUInt32(sum(cache_read)) AS cacheRead, toUInt32(sum(cache_read_reported)) AS cacheReadReported,
  round(sum(cost_usd), 6) AS usd, toUInt32(sum(priced)) AS priced, toUInt32(sum(unpriced)) AS unpriced`

const sumsOf = (rollup: string, by: readonly string[]) =>
  `SELECT ${by.join(', ')}, ${sums} FROM tokenweir.${rollup} FINAL GROUP BY ${by.join(', ')}`

/** A breakdown of the ledger in the words of `sums`. */
function expected({ breakdowns }: Summary, at: number) {
  return (breakdowns[at]?.groups ?? []).map(({ key, requests, errors, streams, zeroUsage, tokens, cost }) => ({
    ...Object.fromEntries(Object.entries(key).map(([name, value]) => [name, value ?? ''])),
    ...{ requests, errors, streams, zeroUsage },
    ...{ input: tokens.input.sum ?? 0, inputReported: tokens.input.reported, inputUnreported: tokens.input.unreported },
    ...{ output: tokens.output.sum ?? 0, cacheRead: tokens.cacheRead.sum ?? 0, cacheReadReported: tokens.cacheRead.reported },
    ...{ usd: cost.usd ?? 0, priced: cost.priced, unpriced: cost.unpriced },
  }))
}

const sorted = (rows: readonly object[]) => rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort()

describe.skipIf(missing.length > 0)('the rollups in ClickHouse', { timeout: 600_000 }, () => {
  const ended = Array.from({ length: count }, (_, index) => exchange(index))
  const statements = rollups.flatMap((rollup) => sets.map((by) => sumsOf(rollup, by)))
  const quantilesOf = (rollup: string) =>
    `SELECT provider, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(time_to_first_chunk) AS first, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration) AS whole
      FROM tokenweir.${rollup} FINAL GROUP BY provider`
  const quantiles = [
    ...rollups.map(quantilesOf),
    `SELECT ifNull(provider, '') AS provider, quantilesDD(0.01, 0.5, 0.95, 0.99)(time_to_first_chunk_ms) AS first,
      quantilesDD(0.01, 0.5, 0.95, 0.99)(duration_ms) AS whole FROM tokenweir.exchanges FINAL GROUP BY provider`,
  ]
  const again = 'INSERT INTO tokenweir.otel_logs SELECT * FROM tokenweir.otel_logs'
  const late = (id: string, index: number) => `INSERT INTO tokenweir.otel_logs
    SELECT * REPLACE (mapUpdate(LogAttributes, map('id', '${id}')) AS LogAttributes)
    FROM (SELECT * FROM tokenweir.otel_logs WHERE LogAttributes['id'] = '${ended[index]?.opening.id}' LIMIT 1)`
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-clickhouse-'))
  const ledger = join(folder, 'ledger.db')
  afterAll(() => rmSync(folder, { recursive: true }))
  let first: Record<string, unknown>[][]
  let second: Record<string, unknown>[][]
  let quantileRows: Record<string, unknown>[][]
  let summary: Summary
  let withLate: Summary

  beforeAll(() => {
    const summaryOf = (path: string, exchanges: readonly Exchange[]) => {
      writeLedger(path, { opened: [], ended: exchanges })
      const database = openForReading(path)
      const range = { sinceMs: sinceMs - hourMs, untilMs: Date.now() + hourMs }
      const found = readSummary(database, { range, sets, groupsMax: Number.POSITIVE_INFINITY })
      database.close()
      return found
    }
    summary = summaryOf(ledger, ended)
    const lates = [10, 1500].map((index): Exchange => {
      const one = ended[index] as Exchange
      return { ...one, opening: { ...one.opening, id: `late-${index}` } }
    })
    withLate = summaryOf(join(folder, 'late.db'), [...ended, ...lates])
    const afterwards = [again, late('late-10', 10), late('late-1500', 1500), ...refresh]
    const answers = clickhouse(ended.map(recordOf), [...refresh, ...statements, ...quantiles, ...afterwards, ...statements])
    const take = (from: number, length: number) => answers.slice(from, from + length)
    first = take(refresh.length, statements.length)
    quantileRows = take(refresh.length + statements.length, quantiles.length)
    second = answers.slice(-statements.length)
  }, 600_000)

  it.each(rollups.flatMap((rollup, at) => sets.map((by, set) => [rollup, by, at * sets.length + set, set] as const)))(
    'have the totals of the ledger: %s by %j',
    (_, __, at, set) => {
      expect(sorted(first[at] ?? [])).toEqual(sorted(expected(summary, set)))
    },
  )

  it.each(rollups.flatMap((rollup, at) => sets.map((by, set) => [rollup, by, at * sets.length + set, set] as const)))(
    'count a row once that arrives twice, and one that arrives late: %s by %j',
    (_, __, at, set) => {
      expect(sorted(second[at] ?? [])).toEqual(sorted(expected(withLate, set)))
      expect(withLate.total.requests).toBe(count + 2)
    },
  )

  it('have the quantiles of the rows', () => {
    const ofRows = sorted(quantileRows.at(-1) ?? [])
    expect(ofRows.length).toBe(4 - 1)
    for (const rows of quantileRows.slice(0, -1)) expect(sorted(rows)).toEqual(ofRows)
  })

  it('have the sums of a report, which ClickHouse reads as Parquet', () => {
    const path = join(folder, 'report.parquet')
    const since = new Date(sinceMs - hourMs).toISOString()
    const args = ['report', '--ledger', ledger, '--since', since, '--by', 'model,caller,hour', '--format', 'parquet']
    writeFileSync(path, execFileSync(process.execPath, [join(root, 'src/tokenweir.ts'), ...args], { env: cleanEnvironment() }))
    const sumsOfFile = `SELECT ifNull(model, '') AS model, ifNull(caller, '') AS caller, toUInt32(sum(requests)) AS requests, toUInt32(sum(errors)) AS errors,
      toUInt32(sum(streams)) AS streams, toUInt32(sum(zero_usage_streams)) AS zeroUsage, toUInt32(sum(ifNull(input_tokens, 0))) AS input,
      round(sum(ifNull(cost_usd, 0)), 6) AS usd FROM file('${path}', Parquet) GROUP BY model, caller`
    const [rows = []] = clickhouse(ended.slice(0, 1).map(recordOf), [sumsOfFile])
    const names = Object.keys(rows[0] ?? {})
    const wanted = expected(summary, 1).map((group) => Object.fromEntries(Object.entries(group).filter(([name]) => names.includes(name))))
    expect(names.length).toBe(8)
    expect(sorted(rows)).toEqual(sorted(wanted))
  })

  it.each(rollups)('answer every query and every panel: %s', (rollup) => {
    const panels = panelQueries(rollup)
    const queries = exampleQueries()
    const answers = clickhouse(ended.map(recordOf), [...refresh, ...queries, ...panels.map(({ sql }) => sql)]).slice(refresh.length)
    const empty = [...queries, ...panels.map(({ title }) => title)].filter((_, at) => answers[at]?.length === 0)
    expect(empty).toEqual([])
    const value = (title: string) => answers[queries.length + panels.findIndex((panel) => panel.title === title)]?.[0]?.['value']
    const { total } = summary
    expect([Number(value('Requests')), Number(value('Tokens'))]).toEqual([
      total.requests,
      (total.tokens.input.sum ?? 0) + (total.tokens.output.sum ?? 0),
    ])
    expect(Number(value('Cost'))).toBeCloseTo(total.cost.usd ?? 0, 6)
    expect(Number(value('Streams without usage'))).toBeCloseTo(total.zeroUsage / total.streams, 9)
  })
})
