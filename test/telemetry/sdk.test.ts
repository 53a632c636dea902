import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { columns } from '../../src/ledger/columns.ts'
import { wholeRow } from '../../src/ledger/rows.ts'
import { exchangeOf, failedExchangeOf, openingOf } from '../sinks/exchange-of.ts'
import { plain, spansOf, startCollector } from './collector.ts'
import { start } from './started.ts'

const jsonTo = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' })

describe('an exported span', () => {
  it('has the ids, the times and the parent of the exchange', async () => {
    const collector = await startCollector()
    const { send } = await start(jsonTo(collector.url))
    const opening = openingOf({ parentSpanId: 'aaaaaaaaaaaaaaaa', traceFlags: 1, traceState: 'vendor=1' })
    expect(await send(failedExchangeOf(429, { opening }))).toEqual([])
    const [{ resourceSpans }] = collector.json('/v1/traces') as [never]
    const [{ scope, spans }] = (resourceSpans as [{ scopeSpans: [never] }])[0].scopeSpans
    expect(scope).toEqual({ name: 'tokenweir' })
    const { attributes, ...span } = (spans as [Record<string, unknown>])[0]
    expect(span).toEqual({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      parentSpanId: 'aaaaaaaaaaaaaaaa',
      traceState: 'vendor=1',
      name: 'chat gpt-4o',
      kind: 3,
      startTimeUnixNano: '1790000000000250000',
      endTimeUnixNano: '1790000000260750000',
      flags: 0x301,
      status: { code: 2 },
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
      events: [],
      links: [],
    })
    expect(plain(attributes)).toMatchObject({ 'gen_ai.request.model': 'gpt-4o', 'error.type': '429', 'http.response.status_code': 429 })
  })

  it('is a root when the caller sent no traceparent', async () => {
    const collector = await startCollector()
    const { send } = await start(jsonTo(collector.url))
    await send(exchangeOf())
    const [request] = collector.json('/v1/traces')
    const [span] = request.resourceSpans[0].scopeSpans[0].spans
    expect([span.traceId, span.spanId, span.parentSpanId]).toEqual(['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', undefined])
  })

  it('is there also when the caller sampled its trace out', async () => {
    const collector = await startCollector()
    const { send } = await start(jsonTo(collector.url))
    await send(exchangeOf({ opening: { parentSpanId: 'aaaaaaaaaaaaaaaa', traceFlags: 0 } }))
    expect(collector.json('/v1/traces')[0].resourceSpans[0].scopeSpans[0].spans).toHaveLength(1)
  })

  it('is left out by a sampler that was asked for', async () => {
    const collector = await startCollector()
    const { send } = await start({ ...jsonTo(collector.url), OTEL_TRACES_SAMPLER: 'parentbased_always_on' })
    await send(exchangeOf({ opening: { parentSpanId: 'aaaaaaaaaaaaaaaa', traceFlags: 0 } }))
    expect(collector.json('/v1/traces')).toEqual([])
  })

  it('keeps to the limits that were set', async () => {
    const collector = await startCollector()
    const { send } = await start({ ...jsonTo(collector.url), OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '2', OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '6' })
    await send(exchangeOf())
    const [span] = collector.json('/v1/traces')[0].resourceSpans[0].scopeSpans[0].spans
    expect(plain(span.attributes)).toEqual({ 'http.request.method': 'POST', 'url.path': '/v1/ch' })
  })
})

describe('the export', () => {
  it('is of metrics alone when only those have an endpoint', async () => {
    const collector = await startCollector()
    const { send, lines } = await start({
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${collector.url}/v1/metrics`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    })
    expect(await send(exchangeOf())).toEqual([])
    expect([collector.received.map(({ path }) => path), lines]).toEqual([['/v1/metrics'], []])
  })

  it('is protobuf unless told otherwise, with the headers and the compression of the variables', async () => {
    const collector = await startCollector()
    const { send } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=blue',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    })
    expect(await send(exchangeOf())).toEqual([])
    const traces = collector.received.filter(({ path }) => path === '/v1/traces')
    expect(traces.map(({ headers }) => [headers['content-type'], headers['content-encoding'], headers['x-tenant']])).toEqual([
      ['application/x-protobuf', 'gzip', 'blue'],
    ])
  })

  it('speaks gRPC when told to', async () => {
    const paths: string[] = []
    const server = http2.createServer()
    server.on('stream', (stream, headers) => {
      paths.push(`${headers['content-type']} ${headers[':path']}`)
      stream.resume()
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.from([0, 0, 0, 0, 0]))
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void server.close())
    const { send } = await start({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    })
    expect(await send(exchangeOf())).toEqual([])
    expect(paths).toEqual(['application/grpc /opentelemetry.proto.collector.trace.v1.TraceService/Export'])
  })

  it('drops and counts the spans that the collector refuses, and says so', async () => {
    const collector = await startCollector(400)
    const { send, meter, lines } = await start({ ...jsonTo(collector.url), OTEL_METRICS_EXPORTER: 'none' })
    expect(await send(exchangeOf(), exchangeOf())).toEqual([])
    expect([...new Set(lines)]).toEqual(['The collector refused spans: 400 Bad Request. They are dropped and counted.'])
    expect([meter.total('tokenweir.spool.delivered'), meter.total('tokenweir.spool.dropped')]).toEqual([0, 2])
  })

  it('sends every span at the end, in requests no larger than asked for', async () => {
    const collector = await startCollector()
    const { send, meter } = await start({ ...jsonTo(collector.url), OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '20', OTEL_METRICS_EXPORTER: 'none' })
    expect(await send(...Array.from({ length: 50 }, () => exchangeOf()))).toEqual([])
    expect([meter.total('tokenweir.spool.delivered'), meter.total('tokenweir.spool.dropped')]).toEqual([50, 0])
    expect(collector.json('/v1/traces').map((request) => spansOf(request).length)).toEqual([20, 20, 10])
  })
})

describe('an exported log record', () => {
  it('has the message, the ids and the time of its line, and the columns of the row that are not NULL', async () => {
    const collector = await startCollector()
    const { send } = await start({ ...jsonTo(collector.url), OTEL_LOGS_EXPORTER: 'otlp', OTEL_TRACES_EXPORTER: 'none' })
    const opening = { parentSpanId: 'aaaaaaaaaaaaaaaa', caller: 'alice' }
    expect(await send(failedExchangeOf(429, { opening }))).toEqual([])
    const [{ scope, logRecords }] = collector.json('/v1/logs')[0].resourceLogs[0].scopeLogs
    expect(scope).toEqual({ name: 'tokenweir' })
    const [{ attributes, ...record }] = logRecords
    expect(record).toEqual({
      timeUnixNano: '1790000000260750000',
      observedTimeUnixNano: '1790000000260750000',
      severityNumber: 13,
      severityText: 'WARN',
      body: { stringValue: 'Request logged' },
      droppedAttributesCount: 0,
      flags: 1,
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
    })
    const exchange = failedExchangeOf(429, { opening })
    const row = wholeRow(exchange)
    const expected = columns.map(({ name }, index) => [name, row[index]] as const).filter(([, value]) => value !== null)
    expect(plain(attributes)).toEqual(Object.fromEntries(expected))
  })

  it('is not asked for by the endpoint of everything: standard output has the lines', async () => {
    const collector = await startCollector()
    const { send } = await start(jsonTo(collector.url))
    await send(exchangeOf())
    expect(collector.received.map(({ path }) => path).sort()).toEqual(['/v1/metrics', '/v1/traces'])
  })
})

describe('the resource', () => {
  const resourceOf = async (env: Record<string, string>) => {
    const collector = await startCollector()
    const { send } = await start({ ...jsonTo(collector.url), ...env })
    await send(exchangeOf())
    return plain(collector.json('/v1/traces')[0].resourceSpans[0].resource.attributes)
  }

  it('is tokenweir, with an instance id, and without the command line', async () => {
    const resource = await resourceOf({})
    expect(resource).toMatchObject({
      'service.name': 'tokenweir',
      'service.version': '1.2.3',
      'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'host.name': expect.any(String),
      'telemetry.sdk.language': 'nodejs',
    })
    expect(Object.keys(resource).filter((name) => name.startsWith('process.'))).toEqual([])
  })

  it('is what the variables say', async () => {
    const resource = await resourceOf({
      OTEL_SERVICE_NAME: 'edge',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.instance.id=one',
      OTEL_NODE_RESOURCE_DETECTORS: 'process',
    })
    expect(resource).toMatchObject({
      'service.name': 'edge',
      'deployment.environment.name': 'test',
      'service.instance.id': 'one',
      'process.pid': process.pid,
    })
    expect(resource['host.name']).toBeUndefined()
  })
})

describe('the metrics that are pushed', () => {
  const pushed = async (env: Record<string, string>) => {
    const collector = await startCollector()
    const { exported, meter } = await start({ ...jsonTo(collector.url), ...env })
    meter.counter('tokenweir.ledger.written', {}).add(3)
    await exported.shutdown()
    const [{ resourceMetrics }] = collector.json('/v1/metrics') as [
      { resourceMetrics: [{ scopeMetrics: { metrics: { name: string }[] }[] }] },
    ]
    return resourceMetrics[0].scopeMetrics.flatMap(({ metrics }) => metrics).find(({ name }) => name === 'tokenweir.ledger.written')
  }

  it('are cumulative', async () => {
    expect(await pushed({})).toEqual({
      name: 'tokenweir.ledger.written',
      description: 'Ledger rows opened or closed.',
      unit: '{row}',
      sum: {
        aggregationTemporality: 2,
        isMonotonic: true,
        dataPoints: [{ attributes: [], asDouble: 3, startTimeUnixNano: expect.any(String), timeUnixNano: expect.any(String) }],
      },
    })
  })

  it('are deltas where those are preferred', async () => {
    expect(await pushed({ OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta' })).toMatchObject({
      sum: { aggregationTemporality: 1 },
    })
  })
})
