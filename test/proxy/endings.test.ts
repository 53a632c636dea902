import http from 'node:http'
import type net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Cell } from '../../src/lib/shared-counters.ts'
import { rawClient, rawUpstream, split, startProxy, until } from './harness.ts'

const get = 'GET / HTTP/1.1\r\nHost: me\r\n\r\n'
const post = 'POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 2\r\n\r\n{}'
const last = 'POST / HTTP/1.1\r\nHost: me\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}'
const chunkedHead = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

describe('a client that closes', () => {
  it('while it sends its body: ends as client-aborted', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, 'POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 100\r\n\r\n{')
    await until(() => proxy.seen.length === 1)
    client.socket.destroy()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'client-aborted' }, status: undefined }])
    expect(upstream.connections).toEqual([])
  })

  it('before the head: ends as client-aborted, and the upstream is cancelled', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, post)
    await until(() => upstream.connections.length === 1)
    client.socket.destroy()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'client-aborted' }, status: undefined }])
    await until(() => (upstream.connections[0] as net.Socket).destroyed)
  })

  it.each([
    ['before the first byte', ''],
    ['in the middle of the stream', chunk('data: 1\n\n')],
    ['right after the terminal event', chunk('data: 1\n\ndata: [DONE]\n\n')],
  ])('%s: ends as client-aborted, and the upstream is cancelled', async (_, sent) => {
    const upstream = await rawUpstream((_text, socket) => socket.write(chunkedHead + sent))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, post)
    await client.until((text) => text.endsWith(chunkedHead.slice(-4) + sent))
    client.socket.destroy()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'client-aborted' }, status: 200 }])
    await until(() => (upstream.connections[0] as net.Socket).destroyed)
  })

  it('with more requests in the pipeline: each of them ends once', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, get + get + get)
    await until(() => upstream.connections.length === 1)
    client.socket.destroy()
    await proxy.ended(3)
    expect(proxy.seen.map((seen) => seen.ends)).toEqual(Array(3).fill([{ outcome: { kind: 'client-aborted' }, status: undefined }]))
    expect([proxy.forwarder.openCount(), proxy.cells[Cell.open]]).toEqual([0, 0])
  })
})

describe('an upstream that fails before the head', () => {
  const failing = async (onData: (text: string, socket: net.Socket) => void, options = {}) => {
    const upstream = await rawUpstream(onData)
    const proxy = await startProxy(upstream.url, options)
    const received = split((await rawClient(proxy.port, last).closed()).replaceAll('HTTP/1.1 103 Early Hints\r\n\r\n', ''))
    return { status: Number(received.head.split(' ')[1]), head: received.head, body: received.body, seen: await proxy.ended() }
  }

  it.each([
    ['closes', (_: string, socket: net.Socket) => socket.end(), 502, 'closed'],
    ['resets', (_: string, socket: net.Socket) => socket.resetAndDestroy(), 502, 'closed'],
    ['speaks garbage', (_: string, socket: net.Socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n\r\n'), 502, 'protocol'],
    ['sends half a head and closes', (_: string, socket: net.Socket) => socket.end('HTTP/1.1 200 OK\r\nX-A'), 502, 'closed'],
    [
      'sends a head too large',
      (_: string, socket: net.Socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70000)}\r\n\r\n`),
      502,
      'protocol',
    ],
    [
      'upgrades unasked',
      (_: string, socket: net.Socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      502,
      'protocol',
    ],
    [
      'has two lengths',
      (_: string, socket: net.Socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'),
      502,
      'protocol',
    ],
    ['is silent', () => undefined, 504, 'timeout'],
    [
      'sends interim responses alone',
      (_: string, socket: net.Socket) => {
        const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 50)
        socket.once('close', () => clearInterval(timer))
      },
      504,
      'timeout',
    ],
  ])('%s: is answered for it', async (_, onData, status, reason) => {
    const result = await failing(onData, { headMs: 300 })
    expect([result.status, result.seen.ends.length]).toEqual([status, 1])
    expect(result.head).toContain(`x-tokenweir-error: upstream_${reason}`)
    expect(JSON.parse(result.body).error.type).toBe(`tokenweir_upstream_${reason}`)
    expect(result.seen.ends[0]).toMatchObject({ outcome: { kind: 'unreachable', reason }, status })
  })

  it.each([
    ['refuses the connection', 'http://127.0.0.1:1', 'connect'],
    ['has a name that does not resolve', 'http://no..such.name', 'dns'], // no resolver is asked for one with an empty label
  ])('%s: is answered for it', async (_, url, reason) => {
    const proxy = await startProxy(url)
    const received = split(await rawClient(proxy.port, last).closed())
    expect(received.head).toContain('HTTP/1.1 502 ')
    expect(received.head).toContain(`x-tokenweir-error: upstream_${reason}`)
    expect((await proxy.ended()).ends).toMatchObject([{ outcome: { kind: 'unreachable', reason }, status: 502 }])
  })

  it('speaks plain HTTP where TLS is due: is answered for it', async () => {
    const upstream = await rawUpstream((_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const proxy = await startProxy(`https://127.0.0.1:${upstream.port}`)
    const received = split(await rawClient(proxy.port, last).closed())
    expect(received.head).toContain('x-tokenweir-error: upstream_tls')
  })
})

describe('an upstream that fails after the head', () => {
  it.each([
    ['resets', (socket: net.Socket) => socket.resetAndDestroy()],
    ['closes in the middle of a chunked body', (socket: net.Socket) => socket.end()],
    ['breaks its chunking', (socket: net.Socket) => socket.write('zz\r\nnot a chunk\r\n')],
    ['goes silent', () => undefined],
  ])('%s: the client gets what came, and a body without an end', async (_, fail) => {
    const upstream = await rawUpstream((_text, socket) => {
      socket.write(chunkedHead + chunk('data: 1\n\n'))
      setTimeout(() => fail(socket), 50)
    })
    const proxy = await startProxy(upstream.url, { idleMs: 300 })
    const received = split(await rawClient(proxy.port, last).closed())
    expect(received.body).toBe(chunk('data: 1\n\n'))
    expect((await proxy.ended()).ends).toMatchObject([{ outcome: { kind: 'upstream-aborted' }, status: 200 }])
  })

  it('sends less than its Content-Length: the client sees a short body, and it is no success', async () => {
    const upstream = await rawUpstream((_, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'))
    const proxy = await startProxy(upstream.url)
    const received = split(await rawClient(proxy.port, last).closed())
    expect(received.body).toBe('abc')
    expect((await proxy.ended()).ends).toMatchObject([{ outcome: { kind: 'upstream-aborted' }, status: 200 }])
  })

  it('sends more than its Content-Length: the client gets the announced body, and the next request another connection', async () => {
    const upstream = await rawUpstream((_, socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
    )
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, get)
    await client.until((text) => text.endsWith('abc'))
    await proxy.ended()
    client.socket.write(get)
    await proxy.ended(2)
    expect(client.received()).not.toContain('evil')
    expect(upstream.connections.length).toBe(2)
  })
})

describe('what is no request', () => {
  it.each([
    ['garbage', '\x16\x03\x01 hello\r\n\r\n', 400, 'malformed_request'],
    ['a request without Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'bad_host'],
    [
      'both Content-Length and chunked',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'malformed_request',
    ],
    ['a head that is too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20000)}\r\n\r\n`, 431, 'header_too_large'],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'connect_refused'],
  ])('%s is answered with a clear error', async (_, sent, status, code) => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url)
    const received = await rawClient(proxy.port, sent).closed()
    expect(received).toContain(`HTTP/1.1 ${status} `)
    if (code !== undefined) {
      expect(received).toContain(`x-tokenweir-error: ${code}`)
      expect(JSON.parse(split(received).body).error).toEqual({
        type: `tokenweir_${code}`,
        message: expect.stringMatching(/^tokenweir: .+\.$/),
      })
    }
    expect(upstream.connections).toEqual([])
  })

  it('a target that is no path, and a path without a route, are refused with a record', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url, { route: { prefix: '/v1' } })
    expect(await rawClient(proxy.port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').closed()).toContain('404')
    expect(await rawClient(proxy.port, 'GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').closed()).toContain(
      'x-tokenweir-error: no_route',
    )
    await proxy.ended(2)
    expect(proxy.seen[1]?.ends).toEqual([{ outcome: { kind: 'refused', reason: 'no_route' }, status: 404 }])
  })

  it('garbage after a request under way does not mix into its answer, but is answered behind it', async () => {
    const upstream = await rawUpstream((_, socket) => socket.write(chunkedHead + chunk('data: 1\n\n')))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, get)
    await client.until((text) => text.includes('data: 1'))
    client.socket.write('\x00\x01garbage\r\n\r\n')
    client.socket.write('more of it')
    upstream.connections[0]?.write('0\r\n\r\n')
    const [answer, refusal] = (await client.closed()).split('0\r\n\r\n')
    expect(split(answer as string).body).toBe(chunk('data: 1\n\n'))
    expect(refusal).toMatch(/^HTTP\/1.1 400 [\s\S]+malformed_request/)
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status: 200 }])
    expect(proxy.cells[Cell.malformed]).toBe(1)
  })
})

it('upstream connections are used again, and each request is sent once', async () => {
  let requests = 0
  const upstream = http.createServer((_, response) => {
    requests++
    response.end('ok')
  })
  let connections = 0
  upstream.on('connection', () => connections++)
  await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done))
  onTestFinished(() => void upstream.closeAllConnections())
  const proxy = await startProxy(`http://127.0.0.1:${(upstream.address() as net.AddressInfo).port}`)
  const client = rawClient(proxy.port)
  for (let i = 1; i <= 20; i++) {
    client.socket.write(get)
    await client.until((text) => text.split('ok').length - 1 === i)
  }
  expect([requests, connections]).toEqual([20, 1])
})
