/** WebSockets through the running product, between a real client and a real server: not a bit changes, and one record has the sum of the usage. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import OpenAI from 'openai'
import { OpenAIRealtimeWS } from 'openai/realtime/ws'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { until } from '../proxy/harness.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { type LedgerRow, type Product, startProduct } from './product.ts'

const columns = [
  'path',
  'status',
  'streamed',
  'framing',
  'format',
  'operation',
  'provider',
  'request_model',
  'response_model',
  'response_id',
  'finish_reasons',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'total_tokens',
  'usage_outcome',
  'usage_reason',
  'end_reason',
  'error_type',
  'notes',
]
const picked = (row: LedgerRow | undefined) => Object.fromEntries(columns.map((name) => [name, row?.[name] ?? null]))
const wsUrl = (product: Product, path: string) => product.url.replace('http:', 'ws:') + path

const usageEvent = (id: string, input: number, output: number) =>
  JSON.stringify({
    type: 'response.done',
    response: { id, status: 'completed', usage: { input_tokens: input, output_tokens: output, total_tokens: input + output } },
  })
const begunEvent = (id: string) => JSON.stringify({ type: 'response.created', response: { id, status: 'in_progress' } })
const sessionEvent = JSON.stringify({ type: 'session.created', session: { id: 'sess_1', model: 'gpt-realtime-weir' } })

interface Scene {
  readonly product: Product
  readonly client: WebSocket
  /** The server's end of the connection. */
  readonly server: WebSocket
}

/** One connection through a product of its own. */
async function connect(path = '/v1/realtime?model=gpt-realtime', deflate = false, env: Record<string, string> = {}): Promise<Scene> {
  const servers = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: deflate && { threshold: 0 }, maxPayload: 2 ** 28 })
  await once(servers, 'listening')
  const product = await startProduct({ upstream: `http://127.0.0.1:${(servers.address() as AddressInfo).port}`, env })
  onTestFinished(async () => {
    for (const one of servers.clients) one.terminate()
    servers.close()
    await product.stop('SIGKILL')
  })
  const connection = once(servers, 'connection')
  const client = new WebSocket(wsUrl(product, path), { perMessageDeflate: deflate && { threshold: 0 }, maxPayload: 2 ** 28 })
  client.on('error', () => undefined)
  await once(client, 'open')
  const [server] = (await connection) as [WebSocket]
  server.on('error', () => undefined)
  return { product, client, server }
}

/** Sends, and resolves when the bytes are off the socket and at the other end. */
async function deliver(from: WebSocket, to: WebSocket, ...texts: readonly string[]): Promise<void> {
  let left = texts.length
  const arrived = new Promise<void>((resolve) => {
    to.on('message', () => --left === 0 && resolve())
  })
  for (const text of texts) from.send(text)
  await arrived
}

const session = {
  ...{
    path: '/v1/realtime',
    status: 101,
    streamed: 1,
    framing: 'websocket',
    format: 'openai-realtime',
    operation: 'chat',
    provider: 'openai',
  },
  ...{ request_model: 'gpt-realtime', response_model: 'gpt-realtime-weir', response_id: 'sess_1', finish_reasons: '["completed"]' },
  ...{ input_tokens: 30, output_tokens: 3, cache_read_tokens: null, total_tokens: 33, usage_outcome: 'reported', usage_reason: null },
  ...{ end_reason: 'completed', error_type: null, notes: null },
}
const twoResponses = [sessionEvent, begunEvent('r1'), usageEvent('r1', 10, 1), begunEvent('r2'), usageEvent('r2', 20, 2)]

describe.each([
  ['without compression', false],
  ['with permessage-deflate', true],
])('10,000 messages both ways %s', (_name, deflate) => {
  it('arrive bit for bit, and the usage among them is summed', async () => {
    const { product, client, server } = await connect('/v1/realtime', deflate)
    expect(client.extensions).toBe(deflate ? 'permessage-deflate' : '')
    const total = 10_000
    const messageAt = (index: number): string | Buffer => {
      if (index % 100 === 50) return usageEvent(`r${index}`, 3, 2)
      if (index % 10 === 3) return Buffer.alloc(index % 3000, index)
      return JSON.stringify({ type: 'response.output_audio.delta', n: index, delta: 'weir '.repeat((index * 7) % 300) })
    }
    const expected = createHash('sha256')
    for (let index = 0; index < total; index++) expected.update(`${typeof messageAt(index)}:`).update(messageAt(index))
    const digest = expected.digest('hex')
    const digestOf = (socket: WebSocket) =>
      new Promise<string>((resolve) => {
        const hash = createHash('sha256')
        let count = 0
        socket.on('message', (data: Buffer, isBinary) => {
          hash.update(`${isBinary ? 'object' : 'string'}:`).update(data)
          if (++count === total) resolve(hash.digest('hex'))
        })
      })
    const digests = Promise.all([digestOf(client), digestOf(server)])
    for (let index = 0; index < total; index++) {
      client.send(messageAt(index))
      server.send(messageAt(index))
      if (index % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await digests).toEqual([digest, digest])
    client.close(1000)
    const [row] = await product.closedRows(1)
    expect([row?.['input_tokens'], row?.['output_tokens'], row?.['usage_outcome'], row?.['end_reason'], row?.['notes']]).toEqual([
      ...[300, 200, 'reported', 'completed', null],
    ])
  })
})

describe('a session', () => {
  it('is one row, one span with an event for each response, and one log line', async () => {
    const collector = await startCollector()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }
    const { product, client, server } = await connect(undefined, false, env)
    const update = { type: 'session.update', session: { output_modalities: ['audio'], max_output_tokens: 500 } }
    await deliver(client, server, JSON.stringify(update))
    await deliver(server, client, ...twoResponses)
    client.close()
    const [row] = await product.closedRows(1)
    expect(picked(row)).toEqual(session)
    const metrics = await fetch(`${product.adminUrl}/metrics`).then((response) => response.text())
    expect(metrics).toMatch(/tokenweir_streams_completed_total\{[^}]*gen_ai_request_model="gpt-realtime"[^}]*\} 1/)
    expect(metrics).not.toMatch(/time_to_first_chunk_seconds_count/)
    expect(await product.stop()).toBe(0)
    const [span] = collector.json('/v1/traces').flatMap(spansOf)
    expect(plain(span.attributes)).toEqual({
      'http.request.method': 'GET',
      'url.path': '/v1/realtime',
      'server.address': '127.0.0.1',
      'server.port': expect.any(Number),
      'tokenweir.exchange.id': row?.['id'],
      'tokenweir.end_reason': 'completed',
      'http.response.status_code': 101,
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-realtime',
      'gen_ai.request.stream': true,
      'gen_ai.request.max_tokens': 500,
      'gen_ai.output.type': 'speech',
      'gen_ai.response.id': 'sess_1',
      'gen_ai.response.model': 'gpt-realtime-weir',
      'gen_ai.response.finish_reasons': ['completed'],
      'gen_ai.usage.cost': 0.000_168,
      'gen_ai.usage.input_tokens': 30,
      'gen_ai.usage.output_tokens': 3,
      'openai.api.type': 'realtime',
      'tokenweir.responses': 2,
      'tokenweir.usage.outcome': 'reported',
    })
    const events = span.events.map((event: { name: string; attributes: unknown }) => [event.name, plain(event.attributes)])
    const response = (id: string, input: number, output: number) => [
      'tokenweir.response',
      {
        'gen_ai.response.id': id,
        'gen_ai.response.finish_reasons': ['completed'],
        'gen_ai.usage.input_tokens': input,
        'gen_ai.usage.output_tokens': output,
      },
    ]
    expect(events).toEqual([response('r1', 10, 1), response('r2', 20, 2)])
    const times = span.events.map((event: { timeUnixNano: string }) => BigInt(event.timeUnixNano))
    expect(times.every((time: bigint) => time > BigInt(span.startTimeUnixNano) && time <= BigInt(span.endTimeUnixNano))).toBe(true)
    const line = JSON.parse(product.stdout())
    expect([line.msg, line.status, line.responses, line.input_tokens, line.output_tokens]).toEqual([
      ...['Streaming request logged', 101, 2, 30, 3],
    ])
  })

  it.each<[string, (scene: Scene) => void, Record<string, unknown>]>([
    ['the client drops right after a response', ({ client }) => client.terminate(), {}],
    ['the server says goodbye', ({ server }) => server.close(1001), {}],
    ['the server fails', ({ server }) => server.close(1011, 'oh'), { error_type: 'websocket_1011' }],
    ['the client has reasons of its own', ({ client }) => client.close(4000), {}],
    ['the server drops', ({ server }) => server.terminate(), { end_reason: 'upstream-aborted', error_type: 'upstream_aborted' }],
  ])('has its usage when %s', async (_, end, differs) => {
    const scene = await connect()
    await deliver(scene.server, scene.client, ...twoResponses)
    end(scene)
    const [row] = await scene.product.closedRows(1)
    expect(picked(row)).toEqual({ ...session, ...differs })
  })

  it.each<[string, (scene: Scene) => void, Record<string, unknown>]>([
    ['client', ({ client }) => client.terminate(), { end_reason: 'client-aborted', usage_reason: 'client_left' }],
    [
      'server',
      ({ server }) => server.terminate(),
      { end_reason: 'upstream-aborted', usage_reason: 'upstream_cut', error_type: 'upstream_aborted' },
    ],
  ])('that the %s drops amid a response has part of its usage', async (_, end, differs) => {
    const scene = await connect()
    await deliver(scene.server, scene.client, ...twoResponses, begunEvent('r3'))
    end(scene)
    const [row] = await scene.product.closedRows(1)
    expect(picked(row)).toEqual({ ...session, usage_outcome: 'partial', ...differs })
  })

  it('on which nothing was asked has no usage to miss', async () => {
    const { product, client, server } = await connect()
    await deliver(server, client, sessionEvent)
    client.close()
    const [row] = await product.closedRows(1)
    const nothing = { input_tokens: null, output_tokens: null, total_tokens: null, usage_outcome: null, finish_reasons: null }
    expect(picked(row)).toEqual({ ...session, ...nothing })
  })

  it('is cut when the sidecar stops, with a record', async () => {
    const { product, client, server } = await connect()
    await deliver(server, client, ...twoResponses)
    process.kill(product.pid, 'SIGTERM')
    await expect.poll(async () => (await fetch(`${product.adminUrl}/readyz`)).status).toBe(503)
    expect(client.readyState).toBe(WebSocket.OPEN)
    const closed = once(client, 'close')
    expect(await product.stop('SIGTERM')).toBe(0) // the second signal: no more grace
    expect((await closed)[0]).toBe(1006)
    const line = JSON.parse(product.stdout())
    expect([line.end_reason, line.input_tokens, line.output_tokens, line.usage_outcome]).toEqual(['sidecar-stopped', 30, 3, 'reported'])
  })

  it('at a path that means nothing passes unread', async () => {
    const { product, client, server } = await connect('/chat/socket', true)
    await deliver(server, client, usageEvent('r1', 1, 1))
    client.close()
    const [row] = await product.closedRows(1)
    expect(picked(row)).toEqual({
      ...Object.fromEntries(columns.map((name) => [name, null])),
      ...{ path: '/chat/socket', status: 101, streamed: 1, framing: 'websocket', end_reason: 'completed' },
    })
  })

  it('that is refused leaves the client with the status and the body, and one record', async () => {
    const product = await startProduct({ upstream: (await refusing()).url })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    const client = new WebSocket(wsUrl(product, '/v1/realtime?model=m'))
    const [, response] = await once(client, 'unexpected-response')
    const chunks = await response.toArray()
    expect([response.statusCode, Buffer.concat(chunks).toString()]).toEqual([401, '{"error":{"type":"invalid_request_error"}}'])
    const [row] = await product.closedRows(1)
    expect([row?.['status'], row?.['end_reason'], row?.['error_type'], row?.['request_model'], row?.['usage_outcome']]).toEqual([
      ...[401, 'completed', '401', 'm', null],
    ])
  })
})

async function refusing(): Promise<{ url: string }> {
  const body = '{"error":{"type":"invalid_request_error"}}'
  const server = net.createServer((socket) => {
    socket.once('data', () =>
      socket.end(
        `HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      ),
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe('the openai client', () => {
  let gateway: SampleGateway
  let product: Product
  beforeAll(async () => {
    gateway = await startSampleGateway()
    product = await startProduct({ upstream: gateway.url })
  })
  afterAll(async () => {
    expect(await product.stop()).toBe(0)
    await gateway.close()
  })
  const openai = () => new OpenAI({ baseURL: `${product.url}/v1`, apiKey: 'test' })
  const asSent = () => {
    const usage = gateway.sent.at(-1)?.usage
    return {
      input_tokens: usage?.inputTokens,
      output_tokens: usage?.outputTokens,
      cache_read_tokens: usage?.cacheReadTokens,
      total_tokens: usage?.totalTokens,
    }
  }

  it('talks over Realtime, and the row has the sum of what it was told', async () => {
    // The client insists on TLS; the sidecar is on the loopback.
    const createConnection = () => net.connect(Number(new URL(product.url).port), '127.0.0.1')
    const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime', options: { createConnection } }, openai())
    const told: number[] = []
    realtime.on('error', (error) => {
      throw error
    })
    const turns = new Promise<void>((resolve) => {
      realtime.on('response.done', ({ response }) => {
        told.push(response.usage?.output_tokens ?? 0)
        if (told.length === 3) resolve()
        else realtime.send({ type: 'response.create' })
      })
    })
    realtime.on('session.created', () => {
      realtime.send({
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] },
      })
      realtime.send({ type: 'response.create' })
    })
    await turns
    realtime.close()
    const [row] = await product.closedRows(1)
    await until(() => gateway.sent.length === 1)
    expect(row?.['output_tokens']).toBe(told.reduce((sum, count) => sum + count, 0))
    expect(picked(row)).toEqual({ ...session, response_model: 'gpt-realtime', response_id: gateway.sent[0]?.id, ...asSent() })
  })

  it('asks for Responses over a WebSocket, and the row has the sum of what it was told', async () => {
    const socket = new ResponsesWS(openai(), { perMessageDeflate: true })
    const told: number[] = []
    const ids: string[] = []
    const ask = () => socket.send({ type: 'response.create', model: 'gpt-5', input: `Question ${told.length}`, max_output_tokens: 500 })
    const turns = new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('response.completed', ({ response }) => {
        told.push(response.usage?.output_tokens ?? 0)
        ids.push(response.id)
        if (told.length === 3) resolve()
        else ask()
      })
    })
    ask()
    await turns
    socket.close()
    const rows = await product.closedRows(2)
    await until(() => gateway.sent.length === 2)
    const row = rows.at(-1)
    expect(row?.['output_tokens']).toBe(told.reduce((sum, count) => sum + count, 0))
    expect(picked(row)).toEqual({
      ...session,
      ...{ path: '/v1/responses', request_model: 'gpt-5', response_model: row?.['response_model'], response_id: ids[0], ...asSent() },
    })
    expect(row?.['response_model']).toMatch(/^gpt-5/)
  })
})
