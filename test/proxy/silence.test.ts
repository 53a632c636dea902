/** A client that stops in the middle of something is waited for a limited time; a slow one, and one that waits for its upstream, as long as it takes. */
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Cell } from '../../src/lib/shared-counters.ts'
import { Progress, takenBytes } from '../../src/proxy/silence.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const limitMs = 400
const post = (length: number) => `POST /v1/chat/completions HTTP/1.1\r\nHost: me\r\nContent-Length: ${length}\r\n\r\n`
const get = 'GET / HTTP/1.1\r\nHost: me\r\n\r\n'
const silentBody = { kind: 'client-aborted', reason: 'client_body_timeout' }
const silentReader = { kind: 'client-aborted', reason: 'client_read_timeout' }

describe('a client that stops sending its body', () => {
  it.each([
    ['that is read whole', 10_000],
    ['that goes on as it comes', 10_000_000],
  ])('%s is answered 408, and recorded with a reason', async (_, length) => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url, { silence: { bodyMs: limitMs } })
    const received = await rawClient(proxy.port, `${post(length)}{"a":`).closed()
    expect(received).toMatch(/^HTTP\/1\.1 408 .*x-tokenweir-error: client_body_timeout/s)
    expect((await proxy.ended()).ends).toEqual([{ outcome: silentBody, status: 408 }])
    expect([proxy.cells[Cell.silentBodies], proxy.bodies.heldBytes]).toEqual([1, 0])
    await until(() => upstream.connections.every(({ destroyed }) => destroyed))
  })

  it('when the limit comes with other settings is answered 408 too, though it began before', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, `${post(10_000)}{"a":`)
    await until(() => proxy.forwarder.openCount() === 1)
    proxy.use({ silence: { bodyMs: limitMs, readMs: 0 } })
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 /)
    expect((await proxy.ended()).ends).toEqual([{ outcome: silentBody, status: 408 }])
  })

  it('amid its response is disconnected', async () => {
    const upstream = await rawUpstream((_, socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n'))
    const proxy = await startProxy(upstream.url, { silence: { bodyMs: limitMs } })
    expect(await rawClient(proxy.port, `${post(10_000_000)}{`).closed()).toMatch(/^HTTP\/1\.1 200 .*a\r\n$/s)
    expect((await proxy.ended()).ends).toEqual([{ outcome: silentBody, status: 200 }])
  })

  it('but is only slow is waited for', async () => {
    const upstream = await rawUpstream(
      (_, socket, all) => all.endsWith('}') && socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    )
    const proxy = await startProxy(upstream.url, { silence: { bodyMs: 1500 } })
    const client = rawClient(proxy.port, `${post(42)}{`)
    for (let n = 0; n < 40; n++) {
      client.socket.write(' ')
      await setTimeout(50)
    }
    client.socket.write('}')
    expect(await client.until((text) => text.includes('\r\n\r\n'))).toContain('HTTP/1.1 200')
  })

  it('because the upstream takes no more of it is waited for', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url, { silence: { bodyMs: limitMs } })
    const client = rawClient(proxy.port, post(100_000_000))
    await until(() => upstream.connections.length === 1)
    upstream.connections[0]?.pause()
    client.socket.write(Buffer.alloc(50_000_000))
    await setTimeout(4 * limitMs)
    expect(proxy.seen.map(({ ends }) => ends)).toEqual([[]])
  })
})

describe('a client that stops reading its response', () => {
  const piece = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 'a'), Buffer.from('\r\n')])
  const endless = async () =>
    await rawUpstream((_, socket) => {
      const more = () => {
        while (!socket.destroyed && socket.write(piece));
      }
      socket.on('drain', more)
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      more()
    })

  it('is disconnected, and recorded with a reason', async () => {
    const upstream = await endless()
    const proxy = await startProxy(upstream.url, { silence: { readMs: limitMs } })
    const client = rawClient(proxy.port, get)
    client.socket.pause()
    expect((await proxy.ended()).ends).toEqual([{ outcome: silentReader, status: 200 }])
    expect(proxy.cells[Cell.silentReaders]).toBe(1)
    await until(() => upstream.connections.every(({ destroyed }) => destroyed))
  })

  it('but is only slow is waited for', async () => {
    const upstream = await endless()
    const proxy = await startProxy(upstream.url, { silence: { readMs: 1500 } })
    const client = rawClient(proxy.port, get)
    client.socket.pause()
    for (let n = 0; n < 15; n++) {
      await setTimeout(200)
      const before = client.received().length
      client.socket.resume()
      await until(() => client.received().length > before + 8_000_000)
      client.socket.pause()
    }
    expect(proxy.seen.map(({ ends }) => ends)).toEqual([[]])
  })

  it('because there is nothing to read is waited for', async () => {
    const upstream = await rawUpstream((_, socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'))
    const proxy = await startProxy(upstream.url, { silence: { readMs: limitMs, bodyMs: limitMs } })
    await rawClient(proxy.port, get).until((text) => text.endsWith('\r\n\r\n'))
    await setTimeout(4 * limitMs)
    expect(proxy.seen.map(({ ends }) => ends)).toEqual([[]])
  })
})

it('what is written behind what waits is no sign that anything was read', () => {
  const socket = { bytesWritten: 100, writableLength: 40 } as Socket
  const reading = new Progress()
  const looks = [0, 0, 0].map(() => {
    Object.assign(socket, { bytesWritten: socket.bytesWritten + 7, writableLength: socket.writableLength + 7 })
    return reading.stoodFor(takenBytes(socket))
  })
  expect(looks).toEqual([0, 1, 2])
  Object.assign(socket, { writableLength: 39 })
  expect(reading.stoodFor(takenBytes(socket))).toBe(0)
  Object.assign(socket, { writableLength: 0 })
  expect([takenBytes(socket), takenBytes(null)]).toEqual([undefined, undefined])
})

describe('a peer of an upgraded connection', () => {
  const upgrade = 'GET / HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n'
  const agreed = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n'
  const scene = async () => {
    const upstream = await rawUpstream((text, socket) => /upgrade/i.test(text) && socket.write(agreed))
    const proxy = await startProxy(upstream.url, { silence: { readMs: limitMs, bodyMs: limitMs } })
    const client = rawClient(proxy.port, upgrade)
    await client.until((text) => text.endsWith('\r\n\r\n'))
    return { upstream, proxy, client }
  }

  it.each([
    ['the client', silentReader, 1],
    ['the upstream', { kind: 'upstream-aborted', message: 'READ_TIMEOUT' }, 0],
  ])('that stops reading is disconnected: %s', async (who, outcome, counted) => {
    const { upstream, proxy, client } = await scene()
    const far = upstream.connections[0]
    const [silent, writing] = who === 'the client' ? [client.socket, far] : [far, client.socket]
    silent?.pause()
    writing?.write(Buffer.alloc(50_000_000))
    expect((await proxy.ended()).ends).toEqual([{ outcome, status: 101 }])
    expect(proxy.cells[Cell.silentReaders]).toBe(counted)
    silent?.resume()
    await until(() => far?.destroyed === true && client.socket.destroyed)
  })

  it('that says nothing is waited for', async () => {
    const { proxy, client } = await scene()
    await setTimeout(4 * limitMs)
    expect([proxy.seen[0]?.ends, client.socket.destroyed]).toEqual([[], false])
  })
})
