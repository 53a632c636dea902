/**
 * `docs/destinations.md`: the product is started with the variables of each block as they stand there, with a receiver on the loopback in the place of
 * the destination's host. What arrives, where and with which headers is what the page's table says.
 */
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { anchorOf } from '../../src/lib/anchor.ts'
import { startProduct } from '../e2e/product.ts'
import { blocksIn, destinationsPage, variablesFor } from './destination-blocks.ts'
import { metricsOf, spanNamesOf } from './otlp-protobuf.ts'

/** What the table says of each: paths, or — where nothing is sent. */
const table = [...destinationsPage.matchAll(/^\| \[(.+?)\]\(#(.+?)\) +\| (.+?) +\| (.+?) +\| (.+?) +\| (.+?) +\| (.+?) +\|$/gm)].map(
  ([, name, anchor, protocol, traces, metrics, logs, temporality]) => ({ name, anchor, protocol, traces, metrics, logs, temporality }),
)

/** The headers that let a request in, as the vendors name them. Words in capitals are the reader's own values. */
const credentials: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'Grafana Cloud': { authorization: 'Basic BASE64_OF_INSTANCE_ID_AND_TOKEN' },
  'Datadog, without an Agent': { 'dd-api-key': 'API_KEY' },
  Honeycomb: { 'x-honeycomb-team': 'API_KEY' },
  'New Relic': { 'api-key': 'LICENSE_KEY' },
  Langfuse: { authorization: 'Basic BASE64_OF_PUBLIC_AND_SECRET_KEY', 'x-langfuse-ingestion-version': '4' },
  SigNoz: { 'signoz-ingestion-key': 'INGESTION_KEY' },
  Elastic: { authorization: 'ApiKey API_KEY' },
  Dynatrace: { authorization: 'Api-Token API_TOKEN' },
  Phoenix: { authorization: 'Bearer API_KEY' },
}

/** Headers of one signal only. */
const headersOfSignal: Readonly<Record<string, readonly [signal: string, headers: Readonly<Record<string, string>>]>> = {
  'Datadog, without an Agent': ['traces', { 'dd-otlp-source': 'llmobs' }],
  Honeycomb: ['metrics', { 'x-honeycomb-dataset': 'tokenweir-metrics' }],
}

interface Received {
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

/** Takes what an exporter sends, over HTTP or gRPC. */
async function startReceiver(isGrpc: boolean) {
  const received: Received[] = []
  const take = async (path: string, headers: Received['headers'], body: Readable, answer: () => void) => {
    received.push({ path, headers, body: await buffer(body) })
    answer()
  }
  const plain = () =>
    http.createServer((request, response) => void take(request.url ?? '', request.headers, request, () => response.writeHead(200).end()))
  const grpc = () =>
    http2.createServer().on('stream', (stream, headers) => {
      void take(String(headers[':path']), headers, stream, () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.from([0, 0, 0, 0, 0]))
      })
    })
  const server = isGrpc ? grpc() : plain()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void server.close())
  return { received, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The message itself: without compression and without gRPC's frame of five bytes. */
const messageOf = ({ headers, body }: Received, isGrpc: boolean) => {
  const message = isGrpc ? body.subarray(5) : body
  return (headers['content-encoding'] ?? headers['grpc-encoding']) === 'gzip' ? gunzipSync(message) : message
}

const destinations = blocksIn('dotenv')

describe.each(destinations)('$name', ({ name, text }) => {
  it('gets what the table says, where and how it wants it', async () => {
    const said = table.find((row) => row.name === name)
    const isGrpc = said?.protocol === 'grpc'
    const { received, origin } = await startReceiver(isGrpc)
    const provider = await startSampleGateway()
    onTestFinished(() => provider.close())
    const product = await startProduct({ upstream: provider.url, env: variablesFor(text, origin) })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    const stream = { stream: true, stream_options: { include_usage: true } }
    const body = JSON.stringify({ model: 'gpt-4o', ...stream, messages: [{ role: 'user', content: 'How much water?' }] })
    await (await fetch(`${product.url}/v1/chat/completions`, { method: 'POST', body })).text()
    await product.closedRows(1)
    // What still waits is sent at the end.
    expect([await product.stop(), product.stderr()]).toEqual([0, expect.not.stringMatching(/refused|could not/)])

    const byKind = (kind: RegExp) => received.filter(({ path }) => kind.test(path))
    const [traces, metrics, logs] = [/trace/i, /metrics/i, /logs/i].map(byKind) as [Received[], Received[], Received[]]
    const pathOf = (list: readonly Received[]) => [...new Set(list.map(({ path }) => `\`${path}\``))].join() || '—'
    const found = metrics.flatMap((one) => metricsOf(messageOf(one, isGrpc)))
    const temporalities = [...new Set(found.flatMap(({ monotonic, temporality }) => (monotonic ? [temporality] : [])))]
    const types = { 'application/x-protobuf': 'http/protobuf', 'application/grpc': 'grpc' } as Record<string, string>
    const protocols = [...new Set(received.map(({ headers }) => types[String(headers['content-type'])]))]
    expect(said).toEqual({
      ...{ name, anchor: anchorOf(name), protocol: protocols.join() },
      ...{ traces: pathOf(traces), metrics: pathOf(metrics), logs: pathOf(logs), temporality: temporalities.join() || '—' },
    })
    if (traces.length > 0) expect(traces.flatMap((one) => spanNamesOf(messageOf(one, isGrpc)))).toContain('chat gpt-4o')
    if (metrics.length > 0) expect(found.map((metric) => metric.name)).toContain('gen_ai.client.token.usage')
    const [signal, signalHeaders] = headersOfSignal[name] ?? []
    for (const { path, headers } of received) {
      expect(headers).toMatchObject({ ...credentials[name], ...(path === `/v1/${signal}` ? signalHeaders : {}) })
    }
  })
})

it('the table has each destination once, and each has a block', () => {
  expect(table.map(({ name }) => name)).toEqual(destinations.map(({ name }) => name))
  expect(destinations.length).toBeGreaterThan(10)
})
