/** Clients that speak HTTP/2 with the sidecar; its upstreams speak HTTP/1.1. */
import http2 from 'node:http2'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { certificate } from './certificate.ts'
import { pemFolder } from './certificates.ts'
import { type ProxyOptions, rawUpstream, startProxy, until } from './harness.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
const sse = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const last = '0\r\n\r\n'

function connect(port: number, options: http2.SecureClientSessionOptions = {}) {
  const session = http2.connect(`https://127.0.0.1:${port}`, { ca: certificate.cert, servername: 'weir.test', ...options })
  session.on('error', () => undefined)
  onTestFinished(() => session.destroy())
  return session
}

interface Asked {
  readonly stream: http2.ClientHttp2Stream
  headers: http2.IncomingHttpHeaders
  readonly interim: http2.IncomingHttpHeaders[]
  trailers: http2.IncomingHttpHeaders
  body: string
  isClosed: boolean
  whole(): Promise<Asked>
}

function ask(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}, body?: string): Asked {
  const stream = session.request({ ':path': '/v1/chat', ...headers }, { endStream: body === undefined && headers[':method'] === undefined })
  const asked: Asked = {
    ...{ stream, headers: {}, interim: [], trailers: {}, body: '', isClosed: false },
    whole: async () => {
      await until(() => asked.isClosed)
      return asked
    },
  }
  stream.on('headers', (headers) => void asked.interim.push(headers))
  stream.on('response', (headers) => void (asked.headers = headers))
  stream.on('trailers', (headers) => void (asked.trailers = headers))
  stream.on('data', (data) => void (asked.body += data.toString('latin1')))
  stream.on('error', () => undefined)
  stream.on('close', () => void (asked.isClosed = true))
  if (body !== undefined) stream.end(body)
  return asked
}

async function start(onData: (text: string, socket: Socket, all: string) => void, options: ProxyOptions = {}) {
  const upstream = await rawUpstream(onData)
  const proxy = await startProxy(upstream.url, { tls: pemFolder().tls, ...options })
  return { upstream, proxy }
}

const answered = [{ outcome: { kind: 'answered' }, status: 200 }]
const aborted = (status: number | undefined) => [{ outcome: { kind: 'client-aborted' }, status }]

describe('over HTTP/2', () => {
  it('a request crosses as HTTP/1.1 with its fields, and its answer back', async () => {
    let seen = ''
    const { proxy } = await start((_, socket, all) => {
      seen = all
      if (all.endsWith('{}')) {
        socket.write('HTTP/1.1 201 Made\r\nX-Two: a\r\nX-Two: b\r\nConnection: X-Hop\r\nX-Hop: 1\r\nDate: D\r\nContent-Length: 2\r\n\r\nok')
      }
    })
    const headers = { ':method': 'POST', ':authority': 'weir.test', 'x-one': ['1', '2'], te: 'trailers', cookie: ['a=1', 'b=2'] }
    const asked = await ask(connect(proxy.port), { ...headers, 'content-length': '2' }, '{}').whole()
    expect([asked.headers, asked.body]).toEqual([
      expect.objectContaining({ ':status': 201, 'x-two': 'a, b', date: 'D', 'content-length': '2' }),
      'ok',
    ])
    expect(Object.keys(asked.headers)).not.toContain('x-hop')
    const [line, ...fields] = seen.slice(0, seen.indexOf('\r\n\r\n')).split('\r\n')
    expect(line).toBe('POST /v1/chat HTTP/1.1')
    expect(fields.filter((field) => !/^(connection|traceparent|x-forwarded-for|forwarded):/.test(field))).toEqual([
      `host: ${new URL(`http://127.0.0.1:${seen.match(/host: 127\.0\.0\.1:(\d+)/)?.[1]}`).host}`,
      ...['x-one: 1', 'x-one: 2', 'cookie: a=1; b=2', 'x-forwarded-proto: https', 'x-forwarded-host: weir.test', 'content-length: 2'],
    ])
    const mine = await proxy.ended()
    expect([mine.requestBytes, mine.responseBytes, mine.ends]).toEqual(['{}', 'ok', [{ outcome: { kind: 'answered' }, status: 201 }]])
  })

  it('a body without a length crosses in chunks', async () => {
    let seen = ''
    const { proxy } = await start((_, socket, all) => {
      seen = all
      if (all.endsWith(last)) socket.write(ok)
    })
    const asked = ask(connect(proxy.port), { ':method': 'POST' })
    asked.stream.write('one')
    await until(() => seen.includes('3\r\none'))
    asked.stream.end('three')
    expect((await asked.whole()).body).toBe('ok')
    expect(seen).toContain('transfer-encoding: chunked\r\n')
    expect((await proxy.ended()).requestBytes).toBe('onethree')
  })

  it('events come one by one, and several requests share a connection without waiting for each other', async () => {
    const { proxy, upstream } = await start((_, socket) => void socket.write(sse + chunk('data: 1\n\n')))
    const session = connect(proxy.port)
    const asked = [ask(session), ask(session), ask(session)]
    await until(() => asked.every(({ body }) => body === 'data: 1\n\n'))
    for (const socket of upstream.connections.toReversed()) socket.write(chunk('data: 2\n\n') + last)
    for (const one of asked) expect((await one.whole()).body).toBe('data: 1\n\ndata: 2\n\n')
    await proxy.ended(3)
    expect([upstream.connections.length, proxy.seen.map(({ ends }) => ends)]).toEqual([3, [answered, answered, answered]])
  })

  it('interim responses and trailers cross', async () => {
    const { proxy } = await start(
      (_, socket) =>
        void socket.write(
          `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${sse}${chunk('data: 1\n\n')}0\r\nX-Usage: 42\r\nX-Usage: 43\r\n\r\n`,
        ),
    )
    const asked = await ask(connect(proxy.port)).whole()
    expect(asked.interim).toEqual([expect.objectContaining({ ':status': 103, link: '</a>' })])
    expect([asked.body, asked.trailers['x-usage']]).toEqual(['data: 1\n\n', '42, 43'])
  })

  it('who expects 100 is told to go on', async () => {
    const { proxy } = await start((_, socket, all) => void (all.endsWith('{}') && socket.write(ok)))
    const asked = ask(connect(proxy.port), { ':method': 'POST', expect: '100-continue', 'content-length': '2' })
    const told = new Promise((resolve) => asked.stream.once('continue', resolve))
    await told
    asked.stream.end('{}')
    expect((await asked.whole()).headers[':status']).toBe(200)
  })

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 304],
  ])('%s: a response without a body ends with its head: %j', async (method, response, status) => {
    const { proxy } = await start((_, socket) => void socket.write(response))
    const asked = ask(connect(proxy.port), { ':method': method })
    asked.stream.end()
    expect((await asked.whole()).headers[':status']).toBe(status)
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status }])
  })

  it('repeated fields that HTTP allows once cross as they came', async () => {
    const { proxy } = await start((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nETag: a\r\nETag: b\r\nContent-Length: 2\r\n\r\nok'))
    expect((await ask(connect(proxy.port)).whole()).body).toBe('ok')
  })
})

describe('what ends early', () => {
  it('a stream that the client resets ends its exchange and the upstream’s, and harms no other', async () => {
    const { proxy, upstream } = await start((_, socket) => void socket.write(sse + chunk('data: 1\n\n')))
    const session = connect(proxy.port)
    const [one, two] = [ask(session), ask(session)]
    await until(() => one.body !== '' && two.body !== '')
    one.stream.close(http2.constants.NGHTTP2_CANCEL)
    const mine = await proxy.ended()
    expect(mine.ends).toEqual(aborted(200))
    await until(() => upstream.connections.filter((socket) => socket.destroyed).length === 1)
    upstream.connections.find((socket) => !socket.destroyed)?.write(last)
    expect((await two.whole()).body).toBe('data: 1\n\n')
    expect((await proxy.ended(2)).ends).toEqual(answered)
  })

  it.each(['NGHTTP2_CANCEL', 'NGHTTP2_NO_ERROR'] as const)('a request that is reset (%s) amid its body', async (code) => {
    const { proxy, upstream } = await start(() => undefined)
    const asked = ask(connect(proxy.port), { ':method': 'POST' })
    asked.stream.write('one')
    await until(() => upstream.connections.length === 1)
    asked.stream.close(http2.constants[code])
    expect((await proxy.ended()).ends).toEqual(aborted(undefined))
    await until(() => upstream.connections[0]?.destroyed === true)
  })

  it('a request that is reset (NGHTTP2_NO_ERROR) amid a body that the upstream does not take', async () => {
    const { proxy, upstream } = await start((_, socket) => void socket.pause())
    const asked = ask(connect(proxy.port), { ':method': 'POST' })
    asked.stream.write('x'.repeat(32 << 20))
    await until(() => upstream.connections.length === 1)
    await setTimeout(300) // what the system takes by itself has gone
    asked.stream.close(http2.constants.NGHTTP2_NO_ERROR)
    expect((await proxy.ended()).ends).toEqual(aborted(undefined))
  })

  it('a connection that breaks ends every request on it, once', async () => {
    const { proxy } = await start((_, socket) => void socket.write(sse + chunk('data: 1\n\n')))
    const session = connect(proxy.port)
    const asked = [ask(session), ask(session)]
    await until(() => asked.every(({ body }) => body !== ''))
    session.socket.destroy()
    session.destroy()
    await proxy.ended(2)
    expect(proxy.seen.map(({ ends }) => ends)).toEqual([aborted(200), aborted(200)])
    await until(() => proxy.forwarder.openCount() === 0)
  })

  it('what an upstream sent before it broke off arrives, and then the stream is reset', async () => {
    const { proxy } = await start((_, socket) => {
      socket.write(sse + chunk('data: 1\n\n'))
      setTimeout(50).then(() => socket.destroy())
    })
    const asked = await ask(connect(proxy.port)).whole()
    expect([asked.body, asked.stream.rstCode]).toEqual(['data: 1\n\n', http2.constants.NGHTTP2_INTERNAL_ERROR])
    expect((await proxy.ended()).ends[0]?.outcome.kind).toBe('upstream-aborted')
  })

  it('an upstream that is not there is 502, also amid a body, of which no more is asked for', async () => {
    const proxy = await startProxy('http://127.0.0.1:1', { tls: pemFolder().tls })
    const asked = ask(connect(proxy.port), { ':method': 'POST' })
    asked.stream.write('one')
    await asked.whole()
    expect([asked.headers[':status'], asked.headers['x-tokenweir-error'], asked.stream.rstCode]).toEqual([502, 'upstream_connect', 0])
    expect((await proxy.ended()).ends).toMatchObject([{ outcome: { kind: 'unreachable' } }])
  })

  it('a client that stops amid its body is answered 408', async () => {
    const { proxy } = await start(() => undefined, { silence: { bodyMs: 200 } })
    const session = connect(proxy.port)
    const asked = ask(session, { ':method': 'POST' })
    asked.stream.write('one')
    const pings = setInterval(() => session.ping(() => undefined), 20) // the connection is not silent
    await asked.whole()
    clearInterval(pings)
    expect(asked.headers[':status']).toBe(408)
    expect((await proxy.ended()).ends).toMatchObject([{ outcome: { kind: 'client-aborted', reason: 'client_body_timeout' } }])
  })

  it('a client that stops reading one stream holds up its upstream alone, and is waited for no longer than that', async () => {
    const big = 'x'.repeat(1 << 20)
    let sent = 0
    const { proxy, upstream } = await start(
      (text, socket) => {
        if (text.includes('/small')) socket.write(ok)
        else {
          socket.write(sse)
          for (let i = 0; i < 32; i++) socket.write(chunk(big), () => void sent++)
        }
      },
      { silence: { readMs: 1500 } },
    )
    const session = connect(proxy.port)
    const slow = ask(session)
    slow.stream.pause()
    await until(() => upstream.connections.length === 1)
    expect((await ask(session, { ':path': '/small' }).whole()).body).toBe('ok')
    expect(sent).toBeLessThan(32)
    await until(() => proxy.seen.find(({ opening }) => opening.path === '/v1/chat')?.ends.length === 1)
    expect(proxy.seen.find(({ opening }) => opening.path === '/v1/chat')?.ends).toMatchObject([
      { outcome: { kind: 'client-aborted', reason: 'client_read_timeout' } },
    ])
    expect((await ask(session, { ':path': '/small' }).whole()).body).toBe('ok')
  })

  it('a server that stops asks for no more (GOAWAY), and lets what is open come to its end', async () => {
    const { proxy, upstream } = await start((_, socket) => void socket.write(sse + chunk('data: 1\n\n')))
    const session = connect(proxy.port)
    const asked = ask(session)
    await until(() => asked.body !== '')
    const gone = new Promise((resolve) => session.once('goaway', (code) => resolve(code)))
    const closing = proxy.listener.close()
    expect(await gone).toBe(http2.constants.NGHTTP2_NO_ERROR)
    upstream.connections[0]?.write(chunk('data: 2\n\n') + last)
    expect((await asked.whole()).body).toBe('data: 1\n\ndata: 2\n\n')
    await closing
    expect((await proxy.ended()).ends).toEqual(answered)
  })

  it('what is still open when the grace is over ends with a word to the client, and its record', async () => {
    const { proxy, upstream } = await start((text, socket) => void (text.includes('/begun') && socket.write(sse + chunk('data: 1\n\n'))))
    const session = connect(proxy.port)
    const begun = ask(session, { ':path': '/begun' })
    const waiting = ask(session)
    await until(() => begun.body !== '' && upstream.connections.length === 2)
    proxy.forwarder.cutAll()
    proxy.listener.destroyConnections()
    expect([(await waiting.whole()).headers[':status'], (await begun.whole()).stream.rstCode !== 0]).toEqual([503, true])
    await proxy.ended(2)
    expect(proxy.seen.map(({ ends }) => ends[0]?.outcome.kind)).toEqual(['sidecar-stopped', 'sidecar-stopped'])
  })
})

/** Each counts 32 bytes more than it has. */
const fields = (count: number) => Array.from({ length: count }, (_, index) => [`x-${index}`, 'a'])

describe('what is refused', () => {
  it.each([
    ['with an authority that is no host', { ':authority': '[::1' }, 400, 'bad_host'],
    ['with another expectation', { expect: 'more' }, 417, 'bad_expectation'],
    ['with a header section of more than 16 KiB', { cookie: 'a'.repeat(16384) }, 431, 'header_too_large'],
    ['with more fields than the limit has room for', Object.fromEntries(fields(500)), 431, 'header_too_large'],
  ])('a request %s', async (_, headers, status, code) => {
    const { proxy } = await start(() => undefined)
    const asked = await ask(connect(proxy.port), headers).whole()
    expect([asked.headers[':status'], asked.headers['x-tokenweir-error']]).toEqual([status, code])
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'refused', reason: code }, status }])
  })

  it('not a request whose header section has just the allowed size', async () => {
    const { proxy } = await start((_, socket) => void socket.write(ok))
    const others = [':method', 'GET', ':path', '/v1/chat', ':scheme', 'https', ':authority', `127.0.0.1:${proxy.port}`, 'x-a', '']
    const bytes = others.join('').length + 32 * (others.length / 2)
    const asked = await ask(connect(proxy.port), { 'x-a': 'a'.repeat(16384 - bytes) }).whole()
    expect(asked.headers[':status']).toBe(200)
    const more = await ask(connect(proxy.port), { 'x-a': 'a'.repeat(16385 - bytes) }).whole()
    expect(more.headers[':status']).toBe(431)
  })

  it('CONNECT, with a clear answer', async () => {
    const { proxy } = await start(() => undefined)
    const session = connect(proxy.port)
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'other.test:443' })
    const status = await new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
    expect(status).toBe(405)
  })
})
