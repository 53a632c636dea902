/** However a stream ends, the running product keeps exactly one span, one log line and one closed row of it, with the right reason (PAINS T3, T4). */
import type net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type RawClient, rawClient, rawUpstream, split, unchunked, until } from '../proxy/harness.ts'
import { type Collector, plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { type Product, startProduct } from './product.ts'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const event = (data: string) => {
  const text = `data: ${data}\n\n`
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}
const delta = (content: string | undefined, finish: string | null = null) =>
  event(
    JSON.stringify({
      ...{ id: 'chatcmpl-e1', object: 'chat.completion.chunk', model: 'made-up-1' },
      choices: [{ index: 0, delta: content === undefined ? {} : { content }, finish_reason: finish }],
    }),
  )
const usage = event(
  JSON.stringify({
    ...{ id: 'chatcmpl-e1', object: 'chat.completion.chunk', model: 'made-up-1', choices: [] },
    usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
  }),
)
const body = JSON.stringify({ model: 'made-up-1', stream: true, stream_options: { include_usage: true }, messages: [] })
const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: me\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

interface Scene {
  readonly product: Product
  readonly collector: Collector
  readonly client: RawClient
}

/** The product between an upstream that answers with `answer` and one client that has sent its request. */
async function play(answer: (socket: net.Socket) => void, env: Record<string, string> = {}): Promise<Scene> {
  const upstream = await rawUpstream((text, socket) => {
    if (text.includes('messages')) answer(socket)
  })
  const collector = await startCollector()
  const product = await startProduct({
    upstream: upstream.url,
    capture: 'observe',
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50', ...env },
  })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return { product, collector, client: rawClient(Number(new URL(product.url).port), request) }
}

/** What each of the four records says of the one exchange; the sidecar is stopped first, so that nothing more can come. */
async function recorded({ product, collector }: Scene) {
  const rows = await product.closedRows(1)
  await until(() => product.stdout().includes('"msg"'))
  const code = await product.stop()
  const lines = product
    .stdout()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
  const spans = collector.json('/v1/traces').flatMap(spansOf)
  const [row] = rows
  const attributes = plain(spans[0]?.attributes ?? [])
  return {
    counts: { rows: rows.length, spans: spans.length, lines: lines.length, exit: code },
    row: row && {
      ...{ end: row['end_reason'], status: row['status'], input: row['input_tokens'], output: row['output_tokens'] },
      ...{ outcome: row['usage_outcome'], reason: row['usage_reason'], error: row['error_type'] },
    },
    agree: {
      spanIsRow: row?.['span_id'] === spans[0]?.spanId && row?.['trace_id'] === spans[0]?.traceId,
      endOfSpan: attributes['tokenweir.end_reason'],
      endOfLine: lines[0]?.end_reason,
      tokensOfSpan: attributes['gen_ai.usage.output_tokens'] ?? null,
      spanFailed: spans[0]?.status?.code === 2,
    },
    message: lines[0]?.msg,
  }
}

const expected = (row: Record<string, unknown>, message: string, spanFailed = false) => ({
  counts: { rows: 1, spans: 1, lines: 1, exit: 0 },
  row,
  agree: { spanIsRow: true, endOfSpan: row['end'], endOfLine: row['end'], tokensOfSpan: row['output'], spanFailed },
  message,
})

describe('a client that closes', () => {
  const left = { end: 'client-aborted', status: 200, input: null, output: null, outcome: 'missing', reason: 'client_left', error: null }
  const streaming = 'Streaming request logged'

  it('before the head leaves one record without a status', async () => {
    let asked = false
    const scene = await play(() => void (asked = true))
    await until(() => asked)
    scene.client.socket.destroy()
    const row = { ...left, status: null, outcome: null, reason: null }
    expect(await recorded(scene)).toEqual(expected(row, 'Request logged'))
  })

  it.each([
    ['before the first byte', '', left],
    ['in the middle of the stream', delta('Hel') + delta('lo'), left],
    [
      'right after the usage chunk',
      delta('Hello') + delta(undefined, 'stop') + usage,
      { ...left, end: 'completed', input: 11, output: 7, outcome: 'reported', reason: null },
    ],
    [
      'right after [DONE]',
      delta('Hello') + delta(undefined, 'stop') + usage + event('[DONE]'),
      { ...left, end: 'completed', input: 11, output: 7, outcome: 'reported', reason: null },
    ],
  ])('%s leaves one record', async (_, sent, row) => {
    const scene = await play((socket) => socket.write(head + sent))
    await scene.client.until((text) => text.includes('\r\n\r\n') && unchunked(split(text).body) === unchunked(sent))
    scene.client.socket.destroy()
    expect(await recorded(scene)).toEqual(expected(row, streaming))
  })
})

describe('an upstream', () => {
  const cut = {
    end: 'upstream-aborted',
    status: 200,
    input: null,
    output: null,
    outcome: 'missing',
    reason: 'upstream_cut',
    error: 'upstream_aborted',
  }

  it.each([
    ['that resets', (socket: net.Socket) => socket.resetAndDestroy(), {}],
    ['that falls silent', () => undefined, { TOKENWEIR_CONFIG: 'idle.yaml' }],
  ])('%s in the middle of a stream leaves one record', async (_, fail, env) => {
    const fs = await import('node:fs')
    const folder = fs.mkdtempSync('/tmp/tokenweir-config-')
    onTestFinished(() => fs.rmSync(folder, { recursive: true }))
    fs.writeFileSync(`${folder}/idle.yaml`, 'timeouts: { idleMs: 300 }\n')
    const scene = await play(
      (socket) => {
        socket.write(head + delta('Hel'))
        setTimeout(() => fail(socket), 100)
      },
      'TOKENWEIR_CONFIG' in env ? { TOKENWEIR_CONFIG: `${folder}/idle.yaml` } : {},
    )
    await scene.client.closed()
    expect(await recorded(scene)).toEqual(expected(cut, 'Streaming request logged', true))
  })

  it('that reports an error inside a 200 is no success', async () => {
    const scene = await play((socket) => {
      const error = event(JSON.stringify({ error: { type: 'overloaded_error', message: 'later' } }))
      socket.write(`${head + delta('Hel') + error}0\r\n\r\n`)
    })
    await scene.client.until((text) => text.endsWith('0\r\n\r\n'))
    const row = { ...cut, end: 'completed', error: 'overloaded_error' }
    expect(await recorded(scene)).toEqual(expected(row, 'Streaming request logged', true))
  })

  it('that cannot be reached leaves one record of a 502', async () => {
    const scene = await play((socket) => socket.resetAndDestroy())
    await scene.client.until((text) => text.endsWith('}}'))
    const row = { ...cut, end: 'unreachable', status: 502, outcome: null, reason: null, error: 'closed' }
    expect(await recorded(scene)).toEqual(expected(row, 'Request logged', true))
  })
})

it('a whole stream leaves one record, and so does each of many at once', async () => {
  const scene = await play((socket) =>
    socket.write(`${head + delta('Hello') + delta(undefined, 'stop') + usage + event('[DONE]')}0\r\n\r\n`),
  )
  const others = Array.from({ length: 49 }, () => rawClient(Number(new URL(scene.product.url).port), request))
  for (const client of [scene.client, ...others]) await client.until((text) => text.endsWith('0\r\n\r\n'))
  const rows = await scene.product.closedRows(50)
  expect(await scene.product.stop()).toBe(0)
  const spans = scene.collector.json('/v1/traces').flatMap(spansOf)
  expect(rows.map((row) => [row['end_reason'], row['output_tokens'], row['usage_outcome']])).toEqual(
    Array(50).fill(['completed', 7, 'reported']),
  )
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(50)
  expect(spans.length).toBe(50)
  expect(scene.product.stdout().split('Streaming request logged').length - 1).toBe(50)
})

it('the row has the moments of the request in their order', async () => {
  const scene = await play((socket) => socket.write(`${head}${delta('Hello')}${usage}${event('[DONE]')}0\r\n\r\n`))
  const [row = {}] = await scene.product.closedRows(1)
  const moments = ['request_sent_ms', 'response_head_ms', 'time_to_first_chunk_ms', 'duration_ms'].map((column) => row[column])
  expect(moments).toEqual(Array(4).fill(expect.any(Number)))
  expect(moments.map(Number)).toEqual(moments.map(Number).toSorted((a, b) => a - b))
})

it('a client that leaves costs no usage where the answer is drained', async () => {
  let goOn = () => {}
  const scene = await play(
    (socket) => {
      socket.write(head + delta('Hello'))
      goOn = () => void socket.write(`${delta(undefined, 'stop') + usage + event('[DONE]')}0\r\n\r\n`)
    },
    { TOKENWEIR_DISCONNECT: 'drain' },
  )
  await scene.client.until((text) => text.includes('Hello'))
  scene.client.socket.destroy()
  setTimeout(goOn, 400) // the sidecar has seen it leave by then, or sees it first
  const [row] = await scene.product.closedRows(1)
  expect([row?.['end_reason'], row?.['output_tokens'], row?.['usage_outcome'], Number(row?.['drained_bytes']) > 200]).toEqual([
    ...['client-aborted', 7, 'reported', true],
  ])
})
