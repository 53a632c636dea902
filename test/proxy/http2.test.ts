/** HTTP/2 towards an upstream that offers it. */
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { certificate } from './certificate.ts'
import { send, upstreamOf } from './collect.ts'
import { until } from './harness.ts'

async function startUpstream(onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void, allowHTTP1 = false) {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, certificate.cert])
  const sessions: http2.ServerHttp2Session[] = []
  const server = http2.createSecureServer({ ...certificate, allowHTTP1 }, (request, response) => {
    if (request.httpVersion === '1.1') response.end('by HTTP/1.1')
  })
  server.on('session', (session) => sessions.push(session))
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

  it('an upstream that breaks off fails its requests', async () => {
    const { origin, sessions } = await startUpstream((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('a')
    })
    const { answered, outcome } = send(upstreamOf(origin, { http2: true }), request)
    await until(() => answered.body === 'a')
    for (const session of sessions) session.destroy()
    expect(typeof (await outcome)).toBe('string')
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
})
