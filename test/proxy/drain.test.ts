/** The disconnect policy `drain`: usage of an answer whose client has left (PAINS 18, 19). */
import type net from 'node:net'
import { expect, it } from 'vitest'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const post = 'POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 2\r\n\r\n{}'
const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const aborted = { outcome: { kind: 'client-aborted' }, status: 200 }

async function left(first: string, drain?: { msMax: number; bytesMax: number }) {
  const upstream = await rawUpstream((_, socket) => void (first !== '' && socket.write(first)))
  const proxy = await startProxy(upstream.url, { route: { disconnect: 'drain' }, ...(drain === undefined ? {} : { drain }) })
  const client = rawClient(proxy.port, post)
  await until(() => upstream.connections[0] !== undefined && upstream.connections[0].bytesRead > 0)
  if (first !== '') await client.until((text) => text.includes('data: 1'))
  client.socket.destroy()
  await until(() => proxy.seen[0]?.notes.includes('client gone') === true)
  return { proxy, socket: upstream.connections[0] as net.Socket }
}

it('reads on to the end of the answer, and ends as client-aborted', async () => {
  const { proxy, socket } = await left(head + chunk('data: 1\n\n'))
  expect(proxy.seen[0]?.ends).toEqual([])
  socket.write(`${chunk('data: usage\n\n')}0\r\n\r\n`)
  const seen = await proxy.ended()
  expect([seen.responseBytes, seen.ends]).toEqual(['data: 1\n\ndata: usage\n\n', [aborted]])
  expect(proxy.forwarder.openCount()).toBe(0)
})

it('reads an answer whose head had not come when the client left', async () => {
  const { proxy, socket } = await left('')
  socket.write(`${head}${chunk('data: usage\n\n')}0\r\n\r\n`)
  const seen = await proxy.ended()
  expect([seen.responseBytes, seen.ends]).toEqual(['data: usage\n\n', [aborted]])
})

it.each([
  ['bytes', { msMax: 60_000, bytesMax: 100 }, (socket: net.Socket) => void socket.write(chunk('x'.repeat(101)))],
  ['time', { msMax: 50, bytesMax: 1 << 20 }, () => undefined],
])('ends when its budget of %s is used up, and cancels the upstream', async (_, drain, act) => {
  const { proxy, socket } = await left(head + chunk('data: 1\n\n'), drain)
  act(socket)
  expect((await proxy.ended()).ends).toEqual([aborted])
  await until(() => socket.destroyed)
})

it('ends when the upstream breaks off', async () => {
  const { proxy, socket } = await left(head + chunk('data: 1\n\n'))
  socket.resetAndDestroy()
  expect((await proxy.ended()).ends).toEqual([aborted])
})

it('reads on although the client had stopped reading before it left', async () => {
  const big = 'x'.repeat(1 << 20)
  const upstream = await rawUpstream((_, socket) =>
    socket.write(`${head}${chunk('data: 1\n\n')}${chunk(big).repeat(16)}${chunk('data: usage\n\n')}0\r\n\r\n`),
  )
  const proxy = await startProxy(upstream.url, { route: { disconnect: 'drain' }, drain: { msMax: 60_000, bytesMax: 1 << 30 } })
  const client = rawClient(proxy.port, post)
  client.socket.pause()
  await until(() => (proxy.seen[0]?.responseBytes.length ?? 0) > 1 << 16)
  client.socket.destroy()
  const seen = await proxy.ended()
  expect([seen.responseBytes.endsWith('data: usage\n\n'), seen.ends]).toEqual([true, [aborted]])
})
