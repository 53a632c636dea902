/** The instruments are checked before they are believed: bodies equal to the fixture, counts right, delays possible. */
import { deepEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { startLoad, startSink, startUpstream } from './aides.ts'
import { contentBytes, contentFrame, jsonResponse, tailBytes, tailEvents, tailFrames } from './fixture.ts'
import { createResponseReader } from './response.ts'

const sha256 = (body: Buffer) => createHash('sha256').update(body).digest('hex')

/** The fixture's own bytes, unchunked by a rule that is not the load client's reader. */
function unchunked(frames: Buffer): Buffer {
  return Buffer.from(
    frames
      .toString('latin1')
      .replace(/(^|\r\n)[0-9a-f]+\r\n/g, '')
      .replace(/\r\n\r\n$|\r\n$/, ''),
    'latin1',
  )
}

/** Any cut of the bytes gives the same body. */
function checkReader(): void {
  const head = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  const bytes = Buffer.concat([head, contentFrame, tailFrames, jsonResponse])
  for (const step of [1, 2, 3, 7, 64, bytes.length]) {
    const bodies: Buffer[][] = [[]]
    const reader = createResponseReader({
      head() {},
      body: (slice) => void bodies.at(-1)?.push(Buffer.from(slice)),
      end: () => void bodies.push([]),
    })
    for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step))
    const lengths = bodies.map((parts) => Buffer.concat(parts).length)
    deepEqual(lengths, [contentBytes + tailBytes, jsonResponse.length - jsonResponse.indexOf('\r\n\r\n') - 4, 0])
    deepEqual(reader.idle, true)
  }
}

async function checkBodies(directory: string): Promise<void> {
  const [upstream, load] = await Promise.all([startUpstream(directory), startLoad(directory)])
  const { port } = upstream
  const events = Buffer.concat([...Array.from({ length: 20 }, () => contentFrame), tailFrames])
  const stream = unchunked(events)
  const json = jsonResponse.subarray(jsonResponse.indexOf('\r\n\r\n') + 4)
  const paced = { mode: 'paced', events: 20 + tailEvents, intervalMs: 5, stamped: false } as const
  const unpaced = { mode: 'unpaced', events: 20 + tailEvents, perWrite: 6 } as const
  for (const [ask, body] of [
    [{ mode: 'json' } as const, json],
    [paced, stream],
    [unpaced, stream],
  ] as const) {
    const { fetched } = await load.run({ kind: 'fetch', port, ask })
    deepEqual({ bytes: fetched?.bytes, sha256: fetched?.sha256 }, { bytes: body.length, sha256: sha256(body) }, ask.mode)
  }
  const many = await load.run({ kind: 'json', port, seconds: 0.3, concurrency: 8 })
  const streams = await load.run({ kind: 'paced', port, seconds: 0.4, streams: 20, intervalMs: 40 })
  deepEqual([many.failures, streams.failures, streams.requests, streams.events], [0, 0, 20, 20 * (10 + tailEvents)])
  deepEqual(streams.delay !== undefined && streams.delay.p50 > 0 && streams.delay.p50 < 1e6, true, 'delays are between 0 and 1 s')
  const rewritten = await load.run({ kind: 'paced', port, seconds: 0.4, streams: 5, intervalMs: 40, through: { headers: {} } })
  deepEqual([rewritten.failures, rewritten.requests, rewritten.events], [0, 5, 5 * (10 + tailEvents)])
  const fast = await load.run({ kind: 'unpaced', port, seconds: 0.1, concurrency: 3, events: 5_000 })
  deepEqual([fast.failures, fast.events], [0, fast.requests * 5_000])
  const open = await load.run({ kind: 'hold', port, streams: 30, intervalMs: 50, opensPerSecond: 1_000 })
  await load.run({ kind: 'release' })
  deepEqual([open.failures, open.requests], [0, 30])
  deepEqual(await upstream.requests(), load.sent(port), 'the upstream has had what the load client sent')
}

/** Length-delimited protobuf field. */
const field = (number: number, content: Buffer) => Buffer.concat([Buffer.from([number * 8 + 2, content.length]), content])

async function checkSink(directory: string): Promise<void> {
  const sink = await startSink(directory)
  const url = `http://127.0.0.1:${sink.port}/v1/traces`
  const span = (id: number) => field(2, field(2, Buffer.alloc(8, id)))
  const request = field(1, field(2, Buffer.concat([span(1), span(2), span(2)])))
  await fetch(url, { method: 'POST', headers: { 'content-type': 'application/x-protobuf' }, body: request })
  const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ spanId: '0101010101010101' }, { spanId: 'ff' }] }] }] })
  await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  await fetch(url.replace('traces', 'metrics'), { method: 'POST', body: 'x' })
  deepEqual(await sink.counts(), { spans: 5, distinctSpans: 3, requests: 3, unread: 0 })
}

export async function selfCheck(directory: string): Promise<void> {
  checkReader()
  await checkBodies(directory)
  await checkSink(directory)
}
