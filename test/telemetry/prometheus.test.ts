import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { emptyResource } from '@opentelemetry/resources'
import { expect, it } from 'vitest'
import { type MetricName, prometheusName } from '../../src/telemetry/catalog.ts'
import { createMeter, type Meter } from '../../src/telemetry/meter.ts'
import { createProducer } from '../../src/telemetry/producer.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'

function filled(): Meter {
  const meter = createMeter(Date.now)
  meter.counter('tokenweir.requests', { 'http.route': 'a "b" \\ c\nd', reason: undefined }).add(3)
  meter.counter('tokenweir.requests', { 'http.route': 'default' })
  meter.reading('process.memory.usage', {}).set(1.5e9)
  meter.reading('nodejs.eventloop.delay.p99', { 'thread.name': 'recorder' }).set(1e-7)
  const duration = meter.histogram('gen_ai.client.operation.duration', { 'server.port': 443, 'gen_ai.request.model': 'größer' })
  for (const seconds of [0.001, 0.02, 1000]) duration.record(seconds)
  meter.histogram('tokenweir.overhead.chunk', {}).addToBucket(2, 2)
  return meter
}

/** The exporter's serializer with the names that the default translation gives: without them it leaves units out. */
async function reference(meter: Meter): Promise<string> {
  const { resourceMetrics } = await createProducer(meter, Date.now).collect()
  const scopeMetrics = resourceMetrics.scopeMetrics.map(({ scope, metrics }) => ({
    scope,
    metrics: metrics.map((metric) => ({
      ...metric,
      descriptor: { ...metric.descriptor, unit: '', name: prometheusName(metric.descriptor.name as MetricName) },
    })),
  }))
  return new PrometheusSerializer(undefined, false, undefined, true, true).serialize({ resource: emptyResource(), scopeMetrics })
}

it("is the text of the exporter's own serializer", async () => {
  const meter = filled()
  expect(prometheusText(meter.collect())).toBe(await reference(meter))
})

it('writes units into names and bounds into buckets', () => {
  const lines = prometheusText(filled().collect()).split('\n')
  expect(lines.slice(0, 4)).toEqual([
    '# HELP tokenweir_requests_total Proxied requests that ended, by what is known of their usage and how they ended.',
    '# TYPE tokenweir_requests_total counter',
    'tokenweir_requests_total{http_route="a \\"b\\" \\\\ c\\nd"} 3',
    'tokenweir_requests_total{http_route="default"} 0',
  ])
  expect(lines).toContain('gen_ai_client_operation_duration_seconds_bucket{server_port="443",gen_ai_request_model="größer",le="0.02"} 2')
  expect(lines).toContain('tokenweir_overhead_chunk_seconds_bucket{le="0.00002"} 2')
})
