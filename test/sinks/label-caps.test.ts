import { expect, it } from 'vitest'
import { createMetricsSink } from '../../src/sinks/metrics/metrics.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
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
