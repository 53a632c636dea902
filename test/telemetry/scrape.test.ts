import { expect, it } from 'vitest'
import { countersOfText } from '../../src/cli/reconcile/counters.ts'
import { countersOf } from '../../src/cli/verify/admin.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'
import { samplesOf, sumOf } from '../../src/telemetry/scrape.ts'

it('reads what the sidecar itself writes, labels of any text included', () => {
  const meter = createMeter(Date.now)
  meter.counter('tokenweir.requests', { 'http.route': 'a "b", {c} \\ d\ne' }).add(3)
  meter.counter('tokenweir.requests', { 'http.route': 'default', 'gen_ai.provider.name': 'openai' }).add(4)
  meter.reading('nodejs.eventloop.delay.p99', { 'thread.name': 'recorder' }).set(1e-7)
  const samples = samplesOf(prometheusText(meter.collect()))
  expect(samples).toEqual([
    { name: 'tokenweir_requests_total', labels: { http_route: 'a "b", {c} \\ d\ne' }, value: 3 },
    { name: 'tokenweir_requests_total', labels: { http_route: 'default', gen_ai_provider_name: 'openai' }, value: 4 },
    { name: 'nodejs_eventloop_delay_p99_seconds', labels: { thread_name: 'recorder' }, value: 1e-7 },
  ])
  const sums = [{}, { http_route: 'default' }, { http_route: 'default', gen_ai_provider_name: 'openai' }, { http_route: 'none' }]
  expect(sums.map((labels) => sumOf(samples, 'tokenweir_requests_total', labels))).toEqual([7, 4, 4, undefined])
})

it('spans are exported where some can wait, not where an earlier start on the same ledger exported', () => {
  const earlier = 'tokenweir_spool_failures_total{signal="traces"} 0\n'
  const exports = (text: string) => countersOf(text).exportsSpans
  expect([exports(earlier), exports(`${earlier}tokenweir_spool_depth{signal="traces"} 0\n`)]).toEqual([false, true])
})

it('a series that is not there is unknown to verify, and counts nothing for reconcile', () => {
  const text = 'tokenweir_spool_delivered_total{signal="traces"} 5\ntokenweir_spool_delivered_total{signal="logs"} 2\n'
  expect(countersOf(text)).toEqual({ spansDelivered: 5, exportsSpans: false })
  const { total } = countersOfText(text)
  expect([total('tokenweir.spool.delivered'), total('tokenweir.spool.failures')]).toEqual([7, 0])
})
