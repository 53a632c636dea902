import { expect, it } from 'vitest'
import { createMetricsSink } from '../../src/sinks/metrics/metrics.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'
import { exchangeOf } from './exchange-of.ts'
import { samples } from './scrape.ts'

const exchanges = 100_000
const labelValuesMax = 100

it('a hundred thousand models and callers stay within the caps, and are all counted', () => {
  const meter = createMeter(Date.now)
  const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax })
  const seen: number[] = []
  for (let from = 0; from < exchanges; from += 10_000) {
    const ended = Array.from({ length: 10_000 }, (_, index) => {
      const name = (from + index).toString(36)
      const usage = { inputTokens: 3, outputTokens: 2 }
      const request = { operation: 'chat', usageExpected: true, model: `m-${name}`, stream: true }
      return exchangeOf({
        caller: `c-${name}`,
        provider: `p-${name}`,
        errorType: `e-${name}`,
        request,
        response: { model: `r-${name}`, usage },
      })
    })
    sink.record({ opened: [], ended })
    seen.push(Object.keys(samples(meter)).length)
  }
  const all = samples(meter)
  const overflow = (label: string) => all[`tokenweir_label_overflow_total{label="${label}"}`]
  const sum = (start: string) => Object.entries(all).reduce((total, [name, value]) => (name.startsWith(start) ? total + value : total), 0)

  expect(new Set(seen).size).toBe(1)
  expect(seen[0]).toBeLessThan(labelValuesMax * 130)
  expect(['caller', 'gen_ai.provider.name', 'gen_ai.request.model', 'gen_ai.response.model', 'error.type'].map(overflow)).toEqual(
    Array(5).fill(exchanges - labelValuesMax),
  )
  expect([
    all['tokenweir_caller_requests_total{caller="other",end_reason="completed"}'],
    all['tokenweir_caller_tokens_total{caller="other",token_type="output"}'],
  ]).toEqual([exchanges - labelValuesMax, 2 * (exchanges - labelValuesMax)])
  expect([
    sum('tokenweir_requests_total'),
    sum('tokenweir_caller_requests_total'),
    sum('gen_ai_client_operation_duration_seconds_count'),
  ]).toEqual(Array(3).fill(exchanges))
})

it('what refused requests name takes no place, and what failed ones name a tenth: the budget is there for the traffic that is answered', () => {
  const meter = createMeter(Date.now)
  const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 20 })
  const named = (name: string, status: number) =>
    exchangeOf({
      caller: `c-${name}`,
      provider: 'openai',
      ending: { status },
      request: { operation: 'chat', usageExpected: true, model: `m-${name}`, stream: true },
      response: { usage: { inputTokens: 3, outputTokens: 2 } },
    })
  for (const status of [404, 400, 429])
    sink.record({ opened: [], ended: Array.from({ length: 50 }, (_, index) => named(`typed${index}`, status)) })
  sink.record({ opened: [], ended: Array.from({ length: 50 }, (_, index) => named(`guess${index}`, 503)) })
  sink.record({ opened: [], ended: [...Array(18)].flatMap((_, index) => [named(`real${index}`, 200), named(`real${index}`, 429)]) })

  const models = new Set(
    Object.keys(samples(meter, 'gen_ai_client_operation_duration_seconds_count')).map((one) => /request_model="([^"]*)"/.exec(one)?.[1]),
  )
  const callers = samples(meter, 'tokenweir_caller_requests_total')
  expect([...models].sort()).toEqual(
    ['m-guess0', 'm-guess1', ...Array.from({ length: 18 }, (_, index) => `m-real${index}`), 'other'].sort(),
  )
  expect(Object.values(callers)).toEqual([198, 1, 1, ...Array(18).fill(2)])
  expect(Object.values(samples(meter, 'tokenweir_label_overflow')).filter((count) => count > 0)).toEqual([])
})

it('a stream let pass to see what the upstream does is a completed one, and none without usage', () => {
  const meter = createMeter(Date.now)
  const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 3 })
  const without = { usageOutcome: 'missing', usageReason: 'not_requested', response: {} } as const
  sink.record({ opened: [], ended: [exchangeOf({ ...without, notes: ['usage_probe'] }), exchangeOf({ ...without, notes: [] })] })
  const total = (metric: string) => Object.values(samples(meter, metric)).reduce((sum, one) => sum + one, 0)
  expect([total('tokenweir_streams_completed_total'), total('tokenweir_streams_zero_usage_total')]).toEqual([2, 1])
})

it('a hundred thousand values of labels leave the scrape below 2 MB, other series whole, and every token counted', () => {
  const meter = createMeter(Date.now)
  const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 1000, metricLabels: ['team', 'session'] })
  const sizes: number[] = []
  const lines: number[] = []
  const usage = { inputTokens: 3, outputTokens: 2 }
  for (let from = 0; from < exchanges; from += 10_000) {
    const ended = Array.from({ length: 10_000 }, (_, index) => {
      const name = (from + index).toString(36)
      return exchangeOf({ caller: `c-${name}`, labels: { team: `t-${name}`, session: `s-${name}` }, response: { usage } })
    })
    sink.record({ opened: [], ended: [...ended, exchangeOf({ provider: 'quiet', response: { usage } })] })
    const text = prometheusText(meter.collect())
    sizes.push(text.length)
    lines.push(text.split('\n').length)
  }
  expect(new Set(lines.slice(-5)).size).toBe(1)
  expect(sizes.at(-1)).toBeLessThan(2 * 2 ** 20)
  const all = Object.entries(samples(meter, 'tokenweir_tokens'))
  const sum = (part: string) => all.reduce((total, [name, value]) => (name.includes(part) ? total + value : total), 0)
  expect([sum('gen_ai_provider_name="openai"'), sum('gen_ai_provider_name="quiet"')]).toEqual([5 * exchanges, 50])
  expect(samples(meter, 'tokenweir_label_overflow')).toMatchObject({
    'tokenweir_label_overflow_total{label="tokenweir.label.team"}': exchanges - 1000,
  })
})

it('payers over all operations are bounded too: those beyond are one, and lose no token', () => {
  const meter = createMeter(Date.now)
  const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 10, metricLabels: ['team'] })
  const usage = { inputTokens: 1 }
  const ended = Array.from({ length: 1000 }, (_, index) =>
    exchangeOf({ caller: `c-${index % 10}`, labels: { team: `t-${Math.floor(index / 10) % 10}` }, response: { usage } }),
  )
  sink.record({ opened: [], ended })
  const all = samples(meter, 'tokenweir_tokens')
  expect(Object.keys(all)).toHaveLength(41)
  expect(Object.values(all).reduce((total, value) => total + value)).toBe(1000)
  expect(Object.keys(all).filter((name) => name.includes('caller="other"') && name.includes('tokenweir_label_team="other"'))).toHaveLength(
    1,
  )
})

it('labels that become metric labels are so from then on, and what was counted before stays as it is', () => {
  const meter = createMeter(Date.now)
  const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 10, metricLabels: ['team'] })
  const one = exchangeOf({ caller: 'c', labels: { team: 'search', feature: 'search' }, response: { usage: { inputTokens: 1 } } })
  sink.record({ opened: [], ended: [one] })
  sink.use(['feature'])
  sink.record({ opened: [], ended: [one, one] })
  sink.use([])
  sink.record({ opened: [], ended: [one, one, one, one] })
  const found = Object.entries(samples(meter, 'tokenweir_tokens')).map(([name, value]) => [
    /(tokenweir_label_\w+="\w+")/.exec(name)?.[1],
    value,
  ])
  expect(found).toEqual([
    ['tokenweir_label_team="search"', 1],
    ['tokenweir_label_feature="search"', 2],
    [undefined, 4],
  ])
})
