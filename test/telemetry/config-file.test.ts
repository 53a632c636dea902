/** OTEL_CONFIG_FILE: what the file says is what is exported. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { id } from '../store/harness.ts'
import { waitingRows } from '../store/rows.ts'
import { plain, spansOf, startCollector } from './collector.ts'
import { start } from './started.ts'

function written(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-otel-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'otel.yaml')
  writeFileSync(path, text)
  return path
}

const resource = `
resource:
  attributes:
    - name: service.name
      value: edge-gateway
    - name: deployment.environment.name
      value: test`

const otlp = (url: string, signal: string, more = '') => `
          otlp_http:
            endpoint: ${url}/v1/${signal}
            encoding: json${more}`

const tracer = (url: string, more = '') => `
tracer_provider:
  processors:
    - batch:
        schedule_delay: 20
        max_export_batch_size: 3
        exporter:${otlp(url, 'traces')}${more}`

const logger = (url: string) => `
logger_provider:
  processors:
    - simple:
        exporter:${otlp(url, 'logs')}`

const meter = (url: string) => `
meter_provider:
  readers:
    - periodic:
        exporter:${otlp(url, 'metrics', '\n            temporality_preference: delta')}`

const file = (...parts: string[]) => ({ OTEL_CONFIG_FILE: written(`file_format: "1.0"${parts.join('')}\n`) })
const exchanges = (count: number) => Array.from({ length: count }, (_, index) => exchangeOf({ opening: { id: id(index + 1) } }))

describe('a configuration file', () => {
  it('says the resource and the exporters of spans, log records and metrics; ids and times are those of the exchange', async () => {
    const collector = await startCollector()
    const { send, meter: counts, lines } = await start(file(resource, tracer(collector.url), logger(collector.url), meter(collector.url)))
    expect(await send(...exchanges(4))).toEqual([])
    const [first, second] = collector.json('/v1/traces')
    const attributes = plain(first.resourceSpans[0].resource.attributes)
    expect(attributes).toMatchObject({ 'service.name': 'edge-gateway', 'deployment.environment.name': 'test' })
    expect([spansOf(first).length, spansOf(second).length]).toEqual([3, 1])
    const [span] = spansOf(first)
    expect([span.traceId, span.spanId, span.startTimeUnixNano, span.name]).toEqual([
      '0af7651916cd43dd8448eb211c80319c',
      'b7ad6b7169203331',
      '1790000000000250000',
      'chat gpt-4o',
    ])
    const records = collector.json('/v1/logs').flatMap(({ resourceLogs }) => resourceLogs[0].scopeLogs[0].logRecords)
    expect(records.map(({ attributes: columns }: { attributes: never }) => plain(columns)['id'])).toEqual([1, 2, 3, 4].map(id))
    const [{ scopeMetrics }] = collector.json('/v1/metrics')[0].resourceMetrics
    const written = scopeMetrics.flatMap(({ metrics }: { metrics: { name: string }[] }) => metrics)
    expect(written.find(({ name }: { name: string }) => name === 'tokenweir.spool.delivered')).toMatchObject({
      sum: { aggregationTemporality: 1 },
    })
    expect([lines, counts.total('tokenweir.spool.delivered')]).toEqual([[], 8])
  })

  it('says the sampler, which decides by the recorded trace', async () => {
    const collector = await startCollector()
    const sampler = '\n  sampler:\n    parent_based:\n      root:\n        always_on:'
    const { send, meter: counts } = await start(file(tracer(collector.url, sampler)))
    const unsampled = { parentSpanId: 'aaaaaaaaaaaaaaaa', traceFlags: 0 }
    await send(exchangeOf({ opening: { id: id(1), ...unsampled } }), exchangeOf({ opening: { id: id(2) } }))
    const names = collector
      .json('/v1/traces')
      .flatMap(spansOf)
      .map(({ attributes }) => plain(attributes)['tokenweir.exchange.id'])
    expect([names, counts.total('tokenweir.spool.written')]).toEqual([[id(2)], 1])
  })

  it('says the limits', async () => {
    const collector = await startCollector()
    const { send } = await start(file(tracer(collector.url, '\n  limits:\n    attribute_count_limit: 2')))
    await send(exchangeOf())
    expect(collector.json('/v1/traces').flatMap(spansOf)[0].attributes).toHaveLength(2)
  })

  it('stands above the variables', async () => {
    const [one, other] = [await startCollector(), await startCollector()]
    const { send } = await start({ ...file(tracer(one.url)), OTEL_EXPORTER_OTLP_ENDPOINT: other.url, OTEL_TRACES_SAMPLER: 'always_off' })
    await send(exchangeOf())
    expect([one.received.length, other.received.length]).toEqual([1, 0])
  })

  it('exports what waits to its collector when that is back', async () => {
    let status = 503
    const collector = await startCollector(() => ({ status }))
    const first = await start(file(tracer(collector.url)))
    expect(await first.send(...exchanges(2))).toEqual(['2 spans stay in the spool and are sent at the next start.'])
    expect(waitingRows(first.path)).toBe(2)
    first.store.close()
    status = 200
    const second = await start(file(tracer(collector.url)), { path: first.path })
    await expect.poll(() => second.meter.total('tokenweir.spool.replayed')).toBe(2)
    expect(waitingRows(first.path)).toBe(0)
  })

  it.each([
    ['that is missing', () => '/nowhere/otel.yaml', /Could not load OpenTelemetry configuration.*nowhere/],
    ['that is no YAML', () => written('{'), /Could not load OpenTelemetry configuration/],
    [
      'with an exporter that is not known',
      () => written('file_format: "1.0"\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n          pigeon:\n'),
      /pigeon/,
    ],
  ])('%s is named, nothing is exported, and standard output stays the log', async (_title, path, sentence) => {
    const info = vi.spyOn(console, 'info')
    onTestFinished(() => info.mockRestore())
    const { send, lines } = await start({ OTEL_CONFIG_FILE: path() })
    expect(await send(exchangeOf())).toEqual([])
    expect(lines).toEqual([expect.stringMatching(sentence)])
    expect(info).not.toHaveBeenCalled()
  })
})
