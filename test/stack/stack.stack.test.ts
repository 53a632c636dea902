/**
 * What an operator sees, with the real programs: the sidecar's telemetry goes through the collector into Prometheus and comes out as panels and
 * alerts; its numbers are the ledger's.
 */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { events, series, windowOf } from '../../grafana/src/promql.ts'
import { recordName, seen } from '../../grafana/src/recordings.ts'
import { missingTools } from '../../scripts/stack-tools.ts'
import type { LedgerRow } from '../e2e/product.ts'
import {
  annotationQueries,
  isFallback,
  type PanelQuery,
  panelQueries,
  readDashboards,
  variableQueries,
  withoutRules,
} from './dashboards.ts'
import { until } from './programs.ts'
import type { Sample } from './prometheus.ts'
import { root, type Stack, startStack } from './stack.ts'
import { firstOfItsKind, round, sendAll } from './traffic.ts'
import type { Notified, Webhook } from './webhook.ts'

const missing = missingTools()
if (missing.length > 0) {
  process.stderr.write(
    `\n*** ${missing.join(', ').toUpperCase()} NOT INSTALLED: the stack is not tested. Run: npm run stack:install ***\n\n`,
  )
}

const dashboards = readDashboards(join(root, 'grafana/dashboards'))
const allQueries = dashboards.flatMap(panelQueries)
const rounds = 3
/** A bound for a busy machine. */
const waitMsMax = 150_000

let stack: Stack
let rows: readonly LedgerRow[]
let startedMs = 0
/** What the panels showed of a sidecar that had nothing to do. */
let idle: ReadonlyMap<PanelQuery, readonly Sample[]>

/** Graphs show all of the test's time, and not much more. */
const secondsSinceStart = () => Math.ceil((Date.now() - startedMs) / 1000)

const last = (sample: Sample | undefined) => sample?.values.at(-1)?.[1]
const hasNaN = (samples: readonly Sample[]) => samples.some(({ values }) => values.some(([, value]) => Number.isNaN(value)))
const hasData = (samples: readonly Sample[]) => samples.some(({ values }) => values.some(([, value]) => !Number.isNaN(value)))

/** Between rounds the series are seen by Prometheus, so that rates have something to grow from. */
async function sendRounds(): Promise<void> {
  for (let done = 1; done <= rounds; done++) {
    await sendAll(stack.product().url, round)
    await until(`Prometheus has all requests of round ${done}`, waitMsMax, async () => {
      const [sum] = await stack.prometheus.query('sum(tokenweir_requests_total)')
      return last(sum) === done * round.length
    })
  }
}

/** Adds up a column by another, where it is not NULL. */
function sumBy(key: string, column: string): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { [key]: name, [column]: value } of rows) {
    if (typeof name === 'string' && typeof value === 'number') sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}

async function tokensOf(type: string): Promise<Record<string, number | undefined>> {
  const query = `sum by (gen_ai_provider_name) (gen_ai_client_token_usage_sum{gen_ai_token_type="${type}"})`
  return Object.fromEntries((await stack.prometheus.query(query)).map((sample) => [sample.labels['gen_ai_provider_name'], last(sample)]))
}

/** As the dashboards count them, of any range. */
async function recordedTokensOf(type: string): Promise<Record<string, number | undefined>> {
  const query = `sum by (gen_ai_provider_name) (sum_over_time(${recordName('tokenweir.tokens')}{token_type="${type}"}[1h]))`
  return Object.fromEntries((await stack.prometheus.query(query)).map((sample) => [sample.labels['gen_ai_provider_name'], last(sample)]))
}

/** As the alerts count them. */
async function zeroUsageEvents(): Promise<number | undefined> {
  const [sum] = await stack.prometheus.query(`sum(${events(series('tokenweir.streams.zero_usage'), windowOf(3600))})`)
  return last(sum)
}

const streamsWithoutUsage = (): number =>
  rows.filter(
    ({ streamed, usage_outcome, end_reason, error_type, notes }) =>
      streamed === 1 &&
      // Let pass unchanged, to see what the upstream sends unasked.
      !`${notes}`.includes('usage_probe') &&
      end_reason === 'completed' &&
      error_type === null &&
      ['missing', 'zero', 'undecodable'].includes(`${usage_outcome}`),
  ).length

const withoutNull = (row: LedgerRow) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))

/** The alert of a reason that the traffic has more than once. */
const burst = ({ alerts }: Webhook, status: string, pace: string | undefined) =>
  alerts.find(
    ({ labels, ...alert }) =>
      labels['alertname'] === 'TokenweirZeroUsageBurst' &&
      labels['reason'] === 'upstream_omitted' &&
      labels['pace'] === pace &&
      alert.status === status,
  )

describe.skipIf(missing.length > 0)('the stack', () => {
  beforeAll(async () => {
    startedMs = Date.now()
    stack = await startStack()
    await until('the sidecar reports', waitMsMax, async () => (await stack.prometheus.query(seen)).length > 0)
    idle = new Map(await Promise.all(allQueries.map(async (query) => [query, await stack.prometheus.query(query.expr)] as const)))
    await sendRounds()
    rows = await stack.product().closedRows(rounds * round.length)
  }, 600_000)
  afterAll(() => stack?.stop())

  describe.each(dashboards)('dashboard $file', (dashboard) => {
    // The stack has no week before it.
    const asked = panelQueries(dashboard).filter(({ expr }) => !expr.includes('offset 1w'))
    it.each(asked.filter((it) => !isFallback(it)))('$name has data', async ({ expr, instant, stat }) => {
      const { query, range } = stack.prometheus
      const found = await until(expr, waitMsMax, async () => {
        const samples = instant ? await query(expr) : await range(expr, secondsSinceStart(), 5)
        return hasData(samples) && samples
      })
      if (stat) expect(hasNaN(found)).toBe(false)
    })

    it.each(asked.filter(isFallback))('$name is asked only where the recording rules are not loaded', async ({ expr }) => {
      const { query } = stack.prometheus
      expect(await query(expr)).toEqual([])
      await until(expr, waitMsMax, async () => hasData(await query(withoutRules(expr))))
    })

    it('marks what Prometheus can say', async () => {
      for (const expr of annotationQueries(dashboard)) await stack.prometheus.range(expr, secondsSinceStart(), 60)
    })

    it('offers values for every variable', async () => {
      const offered = await Promise.all(
        variableQueries(dashboard).map(async ({ name, selector, label }) => [
          name,
          (await stack.prometheus.labelValues(selector, label)).length > 0,
        ]),
      )
      expect(offered.filter(([, some]) => some === false)).toEqual([])
    })
  })

  it('shows nothing where there is no data: no error, no number that looks like health', async () => {
    const dayBefore = Date.now() / 1000 - 86_400
    const shown = await Promise.all(
      allQueries.map(async ({ name, expr }) => [name, await stack.prometheus.query(expr, dayBefore)] as const),
    )
    expect(shown.filter(([, samples]) => samples.length > 0)).toEqual([])
  })

  it('says that nothing is lost before there was any traffic, by the rules alone', () => {
    const lost = [...idle].filter(([{ name }]) => name.startsWith('overview.json: Records lost'))
    expect(lost.map(([, samples]) => samples.map((sample) => last(sample)))).toEqual([[0]])
  })

  it.each(['input', 'output'])('records the %s tokens of each provider as the ledger does', async (type) => {
    await until('the rules have been evaluated', waitMsMax, async () =>
      isDeepStrictEqual(await recordedTokensOf(type), sumBy('provider', `${type}_tokens`)),
    )
  })

  it.each(['input', 'output'])('counts the %s tokens of each provider as the ledger does', async (type) => {
    const counted = await tokensOf(type)
    expect(counted).toEqual(sumBy('provider', `${type}_tokens`))
    expect(Object.keys(counted).length).toBeGreaterThan(2)
  })

  it('shows every request as a span with the numbers of its ledger row', async () => {
    const spans = await until('every span has arrived', waitMsMax, async () => {
      const arrived = stack.spans()
      return arrived.length >= rows.length && arrived
    })
    const told = spans.map(({ traceId, spanId, attributes }) => [
      ...[attributes['tokenweir.exchange.id'], traceId, spanId, attributes['gen_ai.provider.name'] ?? null],
      ...[attributes['gen_ai.usage.input_tokens'] ?? null, attributes['gen_ai.usage.output_tokens'] ?? null],
    ])
    const kept = rows.map(({ id, trace_id, span_id, provider, input_tokens, output_tokens }) => [
      ...[id, trace_id, span_id, provider, input_tokens, output_tokens],
    ])
    expect(told.toSorted()).toEqual(kept.toSorted())
  })

  it('leads from a duration to a trace that is there', async () => {
    const traceIds = await until('there are exemplars', waitMsMax, async () => {
      const found = await stack.prometheus.exemplars('traces_span_metrics_duration_seconds_bucket')
      return found.length > 0 && found
    })
    const known = new Set(stack.spans().map(({ traceId }) => traceId))
    expect(traceIds.filter((id) => !known.has(id))).toEqual([])
  })

  it('counts every stream without usage, also the first of its kind', async () => {
    expect(await zeroUsageEvents()).toBe(streamsWithoutUsage())
    expect(streamsWithoutUsage()).toBeGreaterThan(rounds)
  })

  it('shows every request as a log record with the columns of its ledger row', async () => {
    const logs = await until('every record has arrived', waitMsMax, async () => {
      const arrived = stack.logs()
      return arrived.length >= rows.length && arrived
    })
    const byId = Object.fromEntries(logs.map((log) => [log.attributes['id'], log.attributes]))
    expect(byId).toEqual(Object.fromEntries(rows.map((row) => [row['id'], withoutNull(row)])))
    expect(new Set(logs.map(({ name }) => name))).toEqual(new Set(['Streaming request logged', 'Request logged']))
  })

  it('goes on counting where a killed sidecar stopped, and sees the first of a kind after it', async () => {
    await stack.killProduct()
    // The others meet series that are there: had they begun anew, Prometheus would see them fall.
    await sendAll(stack.product().url, [firstOfItsKind, ...round])
    rows = await stack.product().closedRows(rows.length + 1 + round.length)
    await until('Prometheus has the last request', waitMsMax, async () => {
      const [sum] = await stack.prometheus.query('sum(tokenweir_requests_total)')
      return last(sum) === rows.length
    })
    expect(await tokensOf('input')).toEqual(sumBy('provider', 'input_tokens'))
    await until('the rules have been evaluated', waitMsMax, async () =>
      isDeepStrictEqual(await recordedTokensOf('input'), sumBy('provider', 'input_tokens')),
    )
    expect(await zeroUsageEvents()).toBe(streamsWithoutUsage())
    expect(await stack.prometheus.labelValues('tokenweir_requests_total', 'instance')).toHaveLength(1)
  })

  it('keeps what Tempo cannot take, on disk', async () => {
    const before = stack.spans().length
    await stack.store.stop() // killed, the stand-in would lose what it has taken: its file is no queue
    await sendAll(stack.product().url, round)
    const all = await stack.product().closedRows(rows.length + round.length)
    await until('the collector has every span', waitMsMax, async () => {
      const [sum] = await stack.prometheus.query(`sum(traces_span_metrics_calls_total)`)
      return last(sum) === all.length
    })
    await stack.collector.kill()
    await stack.collector.start()
    await stack.store.start()
    await until('every span of the outage', waitMsMax, async () => stack.spans().length >= before + round.length)
    expect(new Set(stack.spans().map(({ spanId }) => spanId))).toEqual(new Set(all.map((row) => row['span_id'])))
  }, 400_000)

  it('evaluates every rule, the shipped and the quick ones', async () => {
    const rules = await until('every rule has been evaluated', waitMsMax, async () => {
      const all = await stack.prometheus.rules()
      return all.every(({ health }) => health !== 'unknown') && all
    })
    expect(rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`)).toEqual([])
  })

  it('tells of streams without usage over HTTP, with the reason and where the traces are', async () => {
    const alert = await until('the notification', 300_000, async () => burst(stack.webhook, 'firing', undefined))
    expect(alert).toMatchObject({
      receiver: 'page',
      labels: { severity: 'page' },
      annotations: {
        summary: expect.stringContaining('told no usage: upstream_omitted'),
        traces_url: expect.stringContaining('/explore?'),
      },
    })
  }, 320_000)

  it('tells of a budget that is spent, once, and of no other', async () => {
    const spent = ({ labels }: Notified) => labels['alertname'] === 'TokenweirBudgetExceeded' && labels['pace'] === undefined
    await until('the notification', 300_000, async () => stack.webhook.alerts.some(spent))
    const told = stack.webhook.alerts.filter(spent).map(({ receiver, status, labels }) => [receiver, status, labels['budget']])
    expect(told).toEqual([['page', 'firing', 'tiny']])
  }, 320_000)

  it('tells when it is over', async () => {
    await until('the quick alert', waitMsMax, async () => burst(stack.quickWebhook, 'firing', 'quick'))
    await until('its end', 300_000, async () => burst(stack.quickWebhook, 'resolved', 'quick'))
  }, 480_000)

  it('shows no NaN as a large number when the traffic has ended', async () => {
    await until(
      'no traffic',
      waitMsMax,
      async () => last((await stack.prometheus.query('sum(rate(tokenweir_requests_total[15s]))'))[0]) === 0,
    )
    const stats = allQueries.filter(({ stat }) => stat).map(({ name, expr }) => ({ name, expr: expr.replaceAll('[5m]', '[15s]') }))
    const shown = await Promise.all(stats.map(async ({ name, expr }) => ({ name, samples: await stack.prometheus.query(expr) })))
    expect(shown.filter(({ samples }) => hasNaN(samples)).map(({ name }) => name)).toEqual([])
  })
})
