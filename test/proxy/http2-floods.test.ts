/** Floods over HTTP/2, frame by frame: each ends its connection or its request, is recorded no more than once a request, and no other client is harmed. */
import http2 from 'node:http2'
import tls from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { Cell } from '../../src/lib/shared-counters.ts'
import { pemFolder } from './certificates.ts'
import { rawUpstream, startProxy, until } from './harness.ts'

const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const
const endStream = 0x1
const endHeaders = 0x4

function frame(kind: keyof typeof type, stream: number, payload: Buffer = Buffer.alloc(0), flags = 0): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type[kind], 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** GET / of https://weir.test, in HPACK. */
const get = Buffer.concat([Buffer.from([0x82, 0x84, 0x87, 0x41, 9]), Buffer.from('weir.test')])
const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0)])
const cancel = Buffer.from([0, 0, 0, 8])
/** Client streams have odd numbers. */
const streams = (count: number) => Array.from({ length: count }, (_, index) => 2 * index + 1)

async function start() {
  let requests = 0
  const upstream = await rawUpstream((_, socket) => {
    requests++
    setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 20)
  })
  const proxy = await startProxy(upstream.url, { tls: pemFolder().tls })
  return { proxy, requests: () => requests }
}

/** Sends frames as fast as they are taken, `reads` or not, until all have gone or the connection is closed. */
async function flood(port: number, frames: Iterable<Buffer>, reads = true) {
  const socket = tls.connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false })
  onTestFinished(() => void socket.destroy())
  let isClosed = false
  let received = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('close', () => void (isClosed = true))
  if (reads) socket.on('data', (data) => void (received = Buffer.concat([received, data])))
  socket.write(preface)
  for (const one of frames) {
    if (isClosed) break
    if (!socket.write(one)) await until(() => isClosed || !socket.writableNeedDrain)
  }
  return { closed: () => until(() => isClosed), received: () => received }
}

type Proxy = Awaited<ReturnType<typeof start>>['proxy']

/** Each is counted, and the operator reads of the first. */
async function isTold({ cells, reports }: Proxy, connections: number, words: RegExp): Promise<void> {
  await until(() => cells[Cell.http2Broken] === connections)
  expect(reports).toEqual([expect.stringMatching(words)])
}

async function isServed(port: number): Promise<void> {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  const stream = session.request({ ':path': '/served' })
  const status = await new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
  session.destroy()
  expect(status).toBe(200)
}

it('requests that are taken back at once (rapid reset) end the connection after a thousand, each with its record', async () => {
  const { proxy, requests } = await start()
  const all = streams(5000).map((id) => Buffer.concat([frame('headers', id, get, endHeaders | endStream), frame('reset', id, cancel)]))
  const { closed } = await flood(proxy.port, all)
  await closed()
  await isServed(proxy.port)
  await until(() => proxy.forwarder.openCount() === 0)
  expect(proxy.seen.length).toBeLessThan(1500)
  expect(proxy.seen.every(({ ends }) => ends.length === 1)).toBe(true)
  expect(requests()).toBeLessThan(1500)
  await isTold(proxy, 1, /^A client flooded an HTTP\/2 connection or broke its protocol, and the connection was closed: /)
})

it('more requests at a time than are allowed are refused, and not recorded', async () => {
  const { proxy } = await start()
  const bodies = streams(1000).map((id) => frame('headers', id, get, endHeaders))
  await flood(proxy.port, bodies)
  await isServed(proxy.port)
  expect([proxy.cells[Cell.http2Broken], proxy.reports]).toEqual([0, []])
  await until(() => proxy.forwarder.openCount() > 0)
  expect(proxy.forwarder.openCount()).toBeLessThanOrEqual(250)
})

it('a head that never ends (CONTINUATION) ends the connection, and is no request', async () => {
  const { proxy } = await start()
  function* frames() {
    yield frame('headers', 1, get, endStream)
    for (let i = 0; i < 100_000; i++) yield frame('continuation', 1, Buffer.from([0x00, 1, 0x61, 1, 0x62]))
  }
  for (const _ of [1, 2]) {
    const { closed } = await flood(proxy.port, frames())
    await closed()
  }
  await isTold(proxy, 2, /Too many CONTINUATION frames/)
  await isServed(proxy.port)
  expect(proxy.seen.map(({ opening }) => opening.path)).toEqual(['/served'])
})

it('fields that unfold to many megabytes (header bomb) are no request', async () => {
  const { proxy } = await start()
  const value = Buffer.alloc(3000, 0x61)
  // A field that is put into the table, then asked for again and again: one byte each.
  const field = Buffer.concat([Buffer.from([0x40, 1, 0x62, 0x7f, 0xb9, 0x16]), value])
  const bomb = Buffer.concat([get, field, Buffer.alloc(10_000, 0xbe)])
  const before = process.memoryUsage().rss
  const { received } = await flood(proxy.port, [frame('headers', 1, bomb, endHeaders | endStream)])
  await until(() => received().includes(Buffer.from([0, 0, 4, type.reset, 0, 0, 0, 0, 1])))
  await isServed(proxy.port)
  expect(proxy.seen.map(({ opening }) => opening.path)).toEqual(['/served'])
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20)
})

it.each([
  ['settings', frame('settings', 0)],
  ['pings', frame('ping', 0, Buffer.alloc(8))],
])('a flood of %s whose answers nobody reads ends the connection', async (_, one) => {
  const { proxy } = await start()
  const many = Buffer.concat(Array.from({ length: 1000 }, () => one))
  function* frames() {
    for (let i = 0; i < 2000; i++) yield many
  }
  const { closed } = await flood(proxy.port, frames(), false)
  await closed()
  await isTold(proxy, 1, /Flooding was detected/)
  await isServed(proxy.port)
})

it('a length that the body does not have resets the stream, and the request ends once', async () => {
  const { proxy } = await start()
  const length = Buffer.concat([
    get.subarray(0, 0),
    Buffer.from([0x83, 0x84, 0x87, 0x41, 9]),
    Buffer.from('weir.test'),
    Buffer.from([0x0f, 0x0d, 2]),
    Buffer.from('99'),
  ])
  await flood(proxy.port, [frame('headers', 1, length, endHeaders), frame('data', 1, Buffer.from('abc'), endStream)])
  expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'client-aborted' }, status: undefined }])
})
