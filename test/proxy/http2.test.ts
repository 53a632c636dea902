/** HTTP/2 towards an upstream that offers it. */
import http from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { certificate } from './certificate.ts'
import { send, upstreamOf } from './collect.ts'
import { until } from './harness.ts'

async function startUpstream(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  settings: http2.Settings = {},
) {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, certificate.cert])
  const sessions: http2.ServerHttp2Session[] = []
  const server = http2.createSecureServer({ ...certificate, settings })
  server.on('session', (session) => sessions.push(session))
  server.on('sessionError', () => undefined)
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    onStream(stream, headers)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    tls.setDefaultCACertificates(before)
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions }
}

const request = {
  method: 'POST',
  path: '/v1/chat',
  host: 'weir.test',
  headers: ['Host', 'weir.test', 'X-One', '1'],
  body: Buffer.from('{}'),
}

describe('over HTTP/2', () => {
  it('a request and its answer cross with their fields, several on one connection', async () => {
    const seen: unknown[] = []
    const { origin, sessions } = await startUpstream((stream, headers) => {
      let body = ''
      stream.on('data', (data) => void (body += data))
      stream.on('end', () => {
        seen.push([headers[':method'], headers[':path'], headers[':authority'], headers['x-one'], body])
        stream.respond({ ':status': 201, 'x-two': ['a', 'b'], 'content-type': 'application/json' })
        stream.end('{"a":1}')
      })
    })
    const upstream = upstreamOf(origin, { http2: true })
    await send(upstream, request).outcome
    const answers = await Promise.all([send(upstream, request).outcome, send(upstream, request).outcome, send(upstream, request).outcome])
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 201, body: '{"a":1}', sent: '{}', isSent: true })
      expect((answer as { fields: string[] }).fields).toEqual(expect.arrayContaining(['content-type', 'application/json', 'x-two']))
    }
    expect([sessions.length, seen[0]]).toEqual([1, ['POST', '/v1/chat', 'weir.test', '1', '{}']])
    // Names in lower case, and repeated ones in one field: HTTP/2 has no other spelling, and node:http2 joins them.
    expect((answers[0] as { fields: string[] }).fields).toEqual(expect.arrayContaining(['x-two', 'a, b']))
  })

  it('a stream comes event by event, and one that is aborted harms no other', async () => {
    const streams: http2.ServerHttp2Stream[] = []
    const { origin } = await startUpstream((stream) => {
      streams.push(stream)
      stream.respond({ ':status': 200, 'content-type': 'text/event-stream' })
      stream.write('data: 1\n\n')
    })
    const upstream = upstreamOf(origin, { http2: true })
    const [one, two] = [send(upstream, request), send(upstream, request)]
    await until(() => one.answered.body === 'data: 1\n\n' && two.answered.body === 'data: 1\n\n')
    one.call.abort()
    await until(() => streams.some((stream) => stream.closed || stream.destroyed))
    for (const stream of streams) if (!stream.destroyed) stream.end('data: 2\n\n')
    expect(await two.outcome).toMatchObject({ status: 200, body: 'data: 1\n\ndata: 2\n\n' })
  })

  it('opens another connection when all streams of one are in use: none waits', async () => {
    const { origin, sessions } = await startUpstream(
      (stream) => {
        stream.respond({ ':status': 200 })
        stream.write('a')
      },
      { maxConcurrentStreams: 2 },
    )
    const upstream = upstreamOf(origin, { http2: true })
    const first = send(upstream, request)
    await until(() => first.answered.body === 'a')
    const others = Array.from({ length: 4 }, () => send(upstream, request))
    await until(() => others.every(({ answered }) => answered.body === 'a'))
    expect(sessions.length).toBeGreaterThanOrEqual(3)
  })

  it('interim responses and trailers cross', async () => {
    const { origin } = await startUpstream((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-usage': '42' }))
      stream.end('a')
    })
    expect(await send(upstreamOf(origin, { http2: true }), request).outcome).toMatchObject({
      ...{ interim: [[103, ['link', '</a>']]], body: 'a', trailers: ['x-usage', '42'] },
    })
  })

  it('a body that is a stream crosses, and only what was sent is told', async () => {
    let body = ''
    const { origin } = await startUpstream((stream) => {
      stream.on('data', (data) => void (body += data))
      stream.on('end', () => {
        stream.respond({ ':status': 200 })
        stream.end('answer')
      })
    })
    const stream = new PassThrough()
    const { outcome } = send(upstreamOf(origin, { http2: true }), { ...request, body: stream })
    stream.write('one')
    setTimeout(() => stream.end('two'), 20)
    expect([await outcome, body]).toMatchObject([{ body: 'answer', sent: 'onetwo', isSent: true }, 'onetwo'])
  })

  it('what the upstream resets in the middle is no whole response', async () => {
    const { origin } = await startUpstream((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('a')
      setTimeout(() => stream.destroy(new Error('cut')), 50)
    })
    const { answered, outcome } = send(upstreamOf(origin, { http2: true }), request)
    expect([await outcome, answered.body]).toEqual(['ERR_HTTP2_STREAM_ERROR', 'a'])
  })

  it.each([
    ['closes the connection', (stream: http2.ServerHttp2Stream) => void stream.session?.destroy(), 'CLOSED'],
    ['resets the stream', (stream: http2.ServerHttp2Stream) => void stream.destroy(new Error('cut')), 'ERR_HTTP2_STREAM_ERROR'],
    ['goes away with an error', (stream: http2.ServerHttp2Stream) => void stream.session?.goaway(2), 'ERR_HTTP2_SESSION_ERROR'],
    ['says nothing', () => undefined, 'HEAD_TIMEOUT'],
  ])('an upstream that %s before its response fails the request', async (_, act, code) => {
    const { origin } = await startUpstream(act)
    expect(await send(upstreamOf(origin, { http2: true, headMs: 500 }), request).outcome).toBe(code)
  })

  it('an upstream that goes away in order answers what it has begun, and the next request gets another connection', async () => {
    const { origin, sessions } = await startUpstream((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('a')
      stream.session?.goaway(0)
      setTimeout(() => stream.end('b'), 50)
    })
    const upstream = upstreamOf(origin, { http2: true })
    expect(await send(upstream, request).outcome).toMatchObject({ body: 'ab' })
    expect(await send(upstream, request).outcome).toMatchObject({ body: 'ab' })
    expect(sessions.length).toBe(2)
  })

  it('each name that is asked for has connections of its own, and none waits for another', async () => {
    const names: unknown[] = []
    const { origin } = await startUpstream((stream, headers) => {
      names.push([headers[':authority'], (stream.session?.socket as tls.TLSSocket | undefined)?.servername])
      stream.respond({ ':status': 200 })
      stream.write('a')
    })
    const upstream = upstreamOf(origin, { http2: true })
    for (const name of ['weir.test', 'weir.test', 'localhost']) {
      const { answered } = send(upstream, { ...request, host: name, name })
      await until(() => answered.body === 'a')
    }
    expect(names).toEqual([
      ['weir.test', 'weir.test'],
      ['weir.test', 'weir.test'],
      ['localhost', 'localhost'],
    ])
  })

  it('goes through a forward proxy’s tunnel too', async () => {
    const { origin, sessions } = await startUpstream((stream) => {
      stream.respond({ ':status': 200 })
      stream.end('a')
    })
    const proxy = http.createServer().on('connect', (asked, client: net.Socket) => {
      const target = net.connect(Number(asked.url?.split(':').pop()), '127.0.0.1', () => void client.write('HTTP/1.1 200 OK\r\n\r\n'))
      client.on('error', () => target.destroy())
      target.on('error', () => client.destroy()).pipe(client)
      client.pipe(target)
    })
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
    onTestFinished(() => void proxy.close())
    const at = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const upstream = upstreamOf(origin.replace('127.0.0.1', 'weir.test'), { http2: true, proxy: { origin: at, authorization: undefined } })
    expect(await send(upstream, request).outcome).toMatchObject({ status: 200, body: 'a' })
    expect(sessions.length).toBe(1)
  })

  it('an upstream that speaks HTTP/1.1 alone is asked by it', async () => {
    const before = tls.getCACertificates('default')
    tls.setDefaultCACertificates([...before, certificate.cert])
    const server = tls.createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => {
      tls.setDefaultCACertificates(before)
      server.close()
    })
    const upstream = upstreamOf(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, { http2: true })
    const answers = await Promise.all([send(upstream, request).outcome, send(upstream, request).outcome])
    expect(answers).toMatchObject([{ body: 'ok' }, { body: 'ok' }])
  })

  it('lets what is under way end when it is retired, and keeps no connection for what comes after', async () => {
    const held: http2.ServerHttp2Stream[] = []
    const { origin, sessions } = await startUpstream((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('a')
      held.push(stream)
    })
    const upstream = upstreamOf(origin, { http2: true })
    const first = send(upstream, request)
    await until(() => held.length === 1)
    upstream.retire()
    const second = send(upstream, request)
    await until(() => held.length === 2)
    for (const stream of held) stream.end('b')
    expect(await Promise.all([first.outcome, second.outcome])).toMatchObject([{ body: 'ab' }, { body: 'ab' }])
    const third = send(upstream, request)
    await until(() => held.length === 3)
    held[2]?.end('b')
    expect([await third.outcome, sessions.length]).toMatchObject([{ body: 'ab' }, 3])
    await until(() => sessions.every(({ closed, destroyed }) => closed || destroyed))
  })
})
