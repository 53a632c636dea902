import type net from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Call } from '../../src/proxy/call.ts'
import { type Answered, send, upstreamOf } from './collect.ts'
import { rawUpstream, until } from './harness.ts'

const ok = (body: string, more = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`
const body = (outcome: Answered | string) => (typeof outcome === 'string' ? outcome : outcome.body)
const turn = () => new Promise((done) => setTimeout(done, 20))

// undici writes `host` first, in lower case, then `connection`, and what frames the body last: no server can tell that from what the client wrote.
const line = (request: string, persists = true) =>
  `${request} HTTP/1.1\r\nhost: up.example\r\nconnection: ${persists ? 'keep-alive' : 'close'}\r\n`

describe('a request', () => {
  it.each([
    ['without a body', { method: 'GET' }, `${line('GET /')}\r\n`],
    ['without a body where one is expected', { method: 'POST' }, `${line('POST /')}content-length: 0\r\n\r\n`],
    ['for a head', { method: 'HEAD' }, `${line('HEAD /', false)}\r\n`],
    [
      'with a body and its length',
      { method: 'PUT', path: '/%20?\xe9', headers: ['A', '\xe9', 'cOntent-Length', '2', 'B', ''], body: Buffer.from('{}') },
      `${line('PUT /%20?\xe9')}A: \xe9\r\nB: \r\ncontent-length: 2\r\n\r\n{}`,
    ],
    [
      'with a body of another length than it had',
      { method: 'POST', headers: ['Content-Length', '7', 'content-length', '7'], body: Buffer.from('{}') },
      `${line('POST /')}content-length: 2\r\n\r\n{}`,
    ],
    [
      'with a large body',
      { method: 'POST', body: Buffer.alloc(70_000, 'a') },
      `${line('POST /')}content-length: 70000\r\n\r\n${'a'.repeat(70_000)}`,
    ],
  ])('%s is written so', async (_, request, expected) => {
    let arrived = ''
    const server = await rawUpstream((_text, socket, all) => {
      arrived = all
      if (all.length === expected.length) socket.write(ok(''))
    })
    const { outcome, answered } = send(upstreamOf(server.url), request)
    await outcome
    expect(arrived).toBe(expected)
    expect([answered.sent, answered.isSent]).toEqual([expected.slice(expected.indexOf('\r\n\r\n') + 4), true])
  })

  it('whose body is a stream goes in chunks, or as long as it says', async () => {
    let arrived = ''
    const server = await rawUpstream((_text, socket, all) => {
      arrived = all
      if (all.endsWith('0\r\n\r\n') || all.endsWith('\r\n\r\nhello')) socket.write(ok(''))
    })
    const upstream = upstreamOf(server.url)
    const stream = () => {
      const made = new PassThrough()
      made.write('hel')
      void until(() => arrived.endsWith('hel')).then(() => made.end('lo'))
      return made
    }
    await send(upstream, { method: 'POST', body: stream() }).outcome
    expect(arrived).toBe(`${line('POST /')}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`)
    await send(upstream, { method: 'POST', headers: ['Content-Length', '5'], body: stream() }).outcome
    expect(arrived.slice(arrived.lastIndexOf('POST'))).toBe(`${line('POST /')}content-length: 5\r\n\r\nhello`)
  })

  it.each([
    ['more', 'hello!', 'REQUEST_LENGTH'],
    ['less', 'hell', 'REQUEST_LENGTH'],
  ])('whose stream has %s than its length fails, and nothing beyond it is sent', async (_, text, code) => {
    const server = await rawUpstream(() => undefined)
    const stream = new PassThrough()
    stream.end(text)
    expect(await send(upstreamOf(server.url), { method: 'POST', headers: ['Content-Length', '5'], body: stream }).outcome).toBe(code)
    await until(() => server.connections[0]?.destroyed === true)
  })

  it('whose stream breaks off fails, and its connection ends', async () => {
    let arrived = ''
    const server = await rawUpstream((_text, _socket, all) => void (arrived = all))
    const stream = new PassThrough()
    const { outcome } = send(upstreamOf(server.url), { method: 'POST', body: stream })
    stream.write('a')
    await until(() => arrived.endsWith('1\r\na')) // what ends a chunk comes with the next one
    stream.destroy()
    expect(await outcome).toBe('REQUEST_CUT')
    await until(() => server.connections[0]?.destroyed === true)
  })

  it.each([
    ['a method', { method: 'GE T' }],
    ['CONNECT', { method: 'CONNECT' }],
    ['a path with a space', { path: '/a b' }],
    ['a path with a line of its own', { path: '/ HTTP/1.1\r\nA: b' }],
    ['no path', { path: 'http://elsewhere.example/' }],
    ['a path beyond latin1', { path: '/\u010a' }],
    ['a name', { headers: ['A:', 'b'] }],
    ['an empty name', { headers: ['', 'b'] }],
    ['a value with a line of its own', { headers: ['A', 'b\r\nC: d'] }],
    ['a value with NUL', { headers: ['A', 'b\0'] }],
    ['a value that would become CRLF in latin1', { headers: ['A', '\u010d\u010aC: d'] }],
    ['a transfer coding', { headers: ['Transfer-Encoding', 'gzip'] }],
    ['a length that is none', { headers: ['Content-Length', '1x'], body: new PassThrough() }],
    ['two lengths', { headers: ['Content-Length', '1', 'content-length', '2'], body: new PassThrough() }],
  ])('that cannot be sent is refused: %s', (_, request) => {
    expect(() => send(upstreamOf('http://127.0.0.1:1'), request)).toThrow(TypeError)
  })
})

describe('a connection', () => {
  const counting = async (answer: (n: number, socket: net.Socket) => void) => {
    let requests = 0
    const server = await rawUpstream((text, socket) => {
      if (text.includes(' HTTP/1.1\r\n')) answer(++requests, socket)
    })
    return { server, upstream: upstreamOf(server.url), requests: () => requests }
  }

  it('carries one request after another, the last one used first', async () => {
    const ports: (number | undefined)[] = []
    const { server, upstream } = await counting((_, socket) => {
      ports.push(socket.remotePort)
      setTimeout(() => socket.write(ok('a')), 10)
    })
    await Promise.all([send(upstream).outcome, send(upstream).outcome])
    for (let i = 0; i < 3; i++) await send(upstream).outcome
    expect([server.connections.length, new Set(ports.slice(2)).size]).toEqual([2, 1])
  })

  it.each([
    ['Connection: close', 'GET', ok('a', 'Connection: close\r\n')],
    ['HTTP/1.0', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na'],
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n'],
    ['a 304 that speaks of a body', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\n'],
    ['bytes behind the answer', 'GET', `${ok('a')}HTTP/1.1 200 OK\r\n`],
    ['an upstream that keeps it two seconds', 'GET', ok('a', 'Keep-Alive: timeout=2\r\n')],
  ])('is not used again after %s', async (_, method, wire) => {
    const { server, upstream } = await counting((_n, socket) => void socket.write(wire))
    await send(upstream, { method }).outcome
    await send(upstream, { method }).outcome
    expect(server.connections.length).toBe(2)
  })

  it('is not used again after a body where none is expected', async () => {
    const { server, upstream } = await counting((_n, socket) => void socket.write(ok('a')))
    for (let i = 0; i < 2; i++) await send(upstream, { method: 'GET', body: Buffer.from('b') }).outcome
    expect(server.connections.length).toBe(2)
  })

  it('that the upstream closes while it is idle is let go of, and the next request gets another, also a POST', async () => {
    const { server, upstream, requests } = await counting((n, socket) => void socket.write(ok(`${n}`)))
    await send(upstream).outcome
    server.connections[0]?.end()
    await turn()
    expect(body(await send(upstream, { method: 'POST', body: Buffer.from('b') }).outcome)).toBe('2')
    expect([server.connections.length, requests()]).toEqual([2, 2])
  })

  it('on which bytes come that nobody asked for is destroyed, and they answer nothing', async () => {
    const { server, upstream } = await counting((n, socket) => void socket.write(ok(`${n}`)))
    await send(upstream).outcome
    server.connections[0]?.write(ok('evil'))
    await turn()
    expect(body(await send(upstream).outcome)).toBe('2')
    expect(server.connections.length).toBe(2)
  })

  it('on which such bytes have arrived but were not read yet is not used', async () => {
    const { server, upstream } = await counting((n, socket) => void socket.write(ok(`${n}`)))
    await send(upstream).outcome
    await new Promise((done) => setImmediate(done)) // the next look at the sockets is one turn away
    server.connections[0]?.write(ok('evil'))
    const end = performance.now() + 20
    while (performance.now() < end); // the bytes are in the system's buffer now
    expect(body(await send(upstream).outcome)).toBe('2')
  })

  it.each([
    ['is closed', (socket: net.Socket) => void socket.end()],
    ['is reset', (socket: net.Socket) => void socket.resetAndDestroy()],
  ])('that %s under an idempotent request sends it once more, on a fresh one', async (_, breakOff) => {
    const { server, upstream, requests } = await counting((n, socket) => (n === 2 ? breakOff(socket) : void socket.write(ok(`${n}`))))
    await send(upstream, { method: 'PUT', body: Buffer.from('b') }).outcome
    const { outcome, answered } = send(upstream, { method: 'PUT', body: Buffer.from('b') })
    expect([body(await outcome), answered.sent, server.connections.length, requests()]).toEqual(['3', 'b', 2, 3])
  })

  it.each([
    ['a POST', { method: 'POST', body: Buffer.from('b') }],
    ['a stream', { method: 'PUT', headers: ['Content-Length', '1'] }],
  ])('that is closed under %s does not: it may have arrived', async (_, request) => {
    const { upstream, requests } = await counting((n, socket) => void (n === 2 ? socket.end() : socket.write(ok(`${n}`))))
    await send(upstream).outcome
    const stream = new PassThrough()
    stream.end('a')
    expect(await send(upstream, { body: stream, ...request }).outcome).toBe('CLOSED')
    expect(requests()).toBe(2)
  })

  it('that was reset before anything could be written to it sends also a POST on another', async () => {
    const { server, upstream, requests } = await counting((n, socket) => void socket.write(ok(`${n}`)))
    await send(upstream).outcome
    server.connections[0]?.resetAndDestroy() // in the turn in which the sockets were looked at
    const { outcome, answered } = send(upstream, { method: 'POST', body: Buffer.from('b') })
    expect([body(await outcome), answered.sent, server.connections.length, requests()]).toEqual(['2', 'b', 2, 2])
  })

  it('that is closed under a request twice fails it', async () => {
    const { upstream, requests } = await counting((n, socket) => void (n > 1 ? socket.end() : socket.write(ok(`${n}`))))
    await send(upstream).outcome
    expect(await send(upstream).outcome).toBe('CLOSED')
    expect(requests()).toBe(3)
  })

  it('that is closed behind the first byte of an answer fails the request', async () => {
    const { upstream, requests } = await counting((n, socket) => void (n === 2 ? socket.end('H') : socket.write(ok(`${n}`))))
    await send(upstream).outcome
    expect(await send(upstream).outcome).toBe('CLOSED')
    expect(requests()).toBe(2)
  })

  it('is ended by its own idle time', async () => {
    const server = await rawUpstream((_, socket) => void socket.write(ok('a', 'Keep-Alive: timeout=3\r\n')))
    await send(upstreamOf(server.url, { headMs: 100 })).outcome
    await until(() => server.connections[0]?.destroyed === true)
  })
})

describe('the idle time of an upstream', () => {
  /** Closes a free connection after so long, and says how long each had been free when it ended. */
  const closing = async (idleMs: number | undefined, more = '') => {
    const freeMs: number[] = []
    const server = await rawUpstream((_, socket) => {
      socket.write(ok('a', more))
      const freeSince = performance.now()
      socket.once('close', () => freeMs.push(performance.now() - freeSince))
      if (idleMs !== undefined) setTimeout(() => socket.end(), idleMs)
    })
    return { server, upstream: upstreamOf(server.url), freeMs }
  }

  it('is learnt from its first close: ours are closed earlier from then on', async () => {
    const { server, upstream, freeMs } = await closing(1500)
    await send(upstream).outcome
    await until(() => freeMs.length === 1)
    await send(upstream).outcome
    await until(() => freeMs.length === 2)
    expect(freeMs[0]).toBeGreaterThan(1400)
    expect(freeMs[1]).toBeLessThan(1400)
    expect(server.connections.length).toBe(2)
  })

  it('is not learnt from a close at once, as of an upstream that stops', async () => {
    const { server, upstream, freeMs } = await closing(undefined)
    await send(upstream).outcome
    server.connections[0]?.end()
    await until(() => freeMs.length === 1)
    await send(upstream).outcome
    await new Promise((done) => setTimeout(done, 500))
    expect([body(await send(upstream).outcome), server.connections.length]).toEqual(['a', 2])
  })

  it('is what Keep-Alive says, also where that is longer than what is usual', async () => {
    const { server, upstream } = await closing(undefined, 'Keep-Alive: timeout=60\r\n')
    await send(upstream).outcome
    await new Promise((done) => setTimeout(done, 4500))
    expect([body(await send(upstream).outcome), server.connections.length]).toEqual(['a', 1])
  })
})

describe('what comes before the response', () => {
  it.each([
    ['one', ['HTTP/1.1 100 Continue\r\n\r\n', ok('a')]],
    ['several', ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nA: b\r\n\r\n', ok('a')]],
    ['one in the same segment', [`HTTP/1.1 100 Continue\r\n\r\n${ok('a')}`]],
    ['one in two parts', ['HTTP/1.1 100 Con', 'tinue\r\n\r\n', ok('a')]],
  ])('a 100 that nobody asked for is read over: %s', async (_, parts) => {
    const server = await rawUpstream(async (_text, socket) => {
      for (const part of parts) {
        socket.write(part)
        await turn()
      }
    })
    const upstream = upstreamOf(server.url)
    for (let i = 0; i < 2; i++) expect(await send(upstream).outcome).toMatchObject({ status: 200, body: 'a', interim: [] })
    expect(server.connections.length).toBe(1)
  })

  it.each([
    ['a 100 without an end', 'HTTP/1.1 100 Continue\r\nA: ', 'a'.repeat(10_000)],
    ['interim responses without an end', '', `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(60_000)}\r\n\r\n`],
  ])('has a limit: %s', async (_, first, next) => {
    const server = await rawUpstream((_text, socket) => {
      const more = () => {
        if (socket.destroyed) return
        socket.write(next)
        setImmediate(more)
      }
      socket.write(first)
      more()
    })
    expect(await send(upstreamOf(server.url)).outcome).toBe('HEAD_TOO_LARGE')
    await until(() => server.connections[0]?.destroyed === true)
  })

  it.each([
    ['in UTF-8 is kept byte by byte', Buffer.from('Très bien'), Buffer.from('Très bien').toString('latin1')],
    // undici reads it as UTF-8; a reason phrase says nothing to a client.
    ['in latin1 loses what is beyond ASCII', Buffer.from('Tr\xe8s bien', 'latin1'), 'Trï¿½s bien'],
  ])('a reason phrase %s', async (_, phrase, expected) => {
    const server = await rawUpstream((_text, socket) => {
      socket.write(Buffer.concat([Buffer.from('HTTP/1.1 299 '), phrase, Buffer.from('\r\nContent-Length: 0\r\n\r\n')]))
    })
    expect(await send(upstreamOf(server.url)).outcome).toMatchObject({ status: 299, statusText: expected })
  })
})

describe('an answer before the whole request has been sent', () => {
  it('arrives, the upload ends, what is left of it is thrown away, and the connection is not used again', async () => {
    const early = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\ntoo'
    const server = await rawUpstream((text, socket) => void socket.write(text.startsWith('POST') ? early : ok('a')))
    const upstream = upstreamOf(server.url)
    const stream = new PassThrough()
    stream.write('a')
    const { outcome, answered } = send(upstream, { method: 'POST', body: stream })
    expect(await outcome).toMatchObject({ status: 413, body: 'too' })
    for (let i = 0; i < 64; i++) stream.write(Buffer.alloc(65_536))
    stream.end()
    await until(() => stream.readableEnded)
    expect([answered.sent, answered.isSent]).toEqual(['a', false])
    await send(upstream).outcome
    expect(server.connections.length).toBe(2)
  })

  it('may begin while the upload goes on', async () => {
    const server = await rawUpstream((text, socket) => {
      if (text.startsWith('POST')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
      if (text.includes('0\r\n\r\n')) socket.write('0\r\n\r\n')
    })
    const stream = new PassThrough()
    const { outcome, answered } = send(upstreamOf(server.url), { method: 'POST', body: stream })
    stream.write('a') // the head goes out with the first of the body
    await until(() => answered.body === 'a')
    stream.end('b')
    expect(await outcome).toMatchObject({ status: 200, sent: 'ab', isSent: true })
  })
})

describe('a limit', () => {
  it.each([
    ['on the head', { headMs: 100 }, '', 'HEAD_TIMEOUT'],
    ['between two reads of a body', { idleMs: 100 }, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na', 'BODY_TIMEOUT'],
  ])('%s ends the exchange', async (_, options, wire, code) => {
    const server = await rawUpstream((_text, socket) => void socket.write(wire))
    expect(await send(upstreamOf(server.url, options)).outcome).toBe(code)
    await until(() => server.connections[0]?.destroyed === true)
  })

  it('on the head begins when the upload has ended', async () => {
    const server = await rawUpstream((text, socket) => void (text.includes('0\r\n\r\n') && socket.write(ok('a'))))
    const stream = new PassThrough()
    const { outcome } = send(upstreamOf(server.url, { headMs: 100 }), { method: 'POST', body: stream })
    setTimeout(() => stream.write('a'), 200)
    setTimeout(() => stream.end(), 400)
    expect(body(await outcome)).toBe('a')
  })

  it('on the head runs also behind an upload that took longer than it', async () => {
    const server = await rawUpstream(() => undefined)
    const stream = new PassThrough()
    const { outcome } = send(upstreamOf(server.url, { headMs: 200 }), { method: 'POST', body: stream })
    stream.write('a')
    setTimeout(() => stream.end('b'), 600)
    expect(await outcome).toBe('HEAD_TIMEOUT')
  })

  it('between two reads does not run while nobody wants to read', async () => {
    const server = await rawUpstream((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
      setTimeout(() => socket.write('b'), 10)
    })
    let isPaused = false
    const pause = (running: Call) => {
      isPaused = true
      running.pause()
    }
    const { call, outcome } = send(upstreamOf(server.url, { idleMs: 100 }), {}, (running) => (isPaused ? undefined : pause(running)))
    setTimeout(() => call.resume(), 400)
    expect(body(await outcome)).toBe('ab')
  })

  it('of 0 is none', async () => {
    const server = await rawUpstream((_, socket) => void setTimeout(() => socket.write(ok('a')), 150))
    expect(body(await send(upstreamOf(server.url, { connectMs: 20, headMs: 0, idleMs: 0 })).outcome)).toBe('a')
  })
})

describe('the end', () => {
  it('of a call that is aborted is not told, whether it waits, connects or runs', async () => {
    const server = await rawUpstream((text, socket) => void (text.startsWith('GET /warm') && socket.write(ok('a'))))
    const upstream = upstreamOf(server.url)
    let told = false
    const abort = (path: string) => {
      const running = send(upstream, { path })
      void running.outcome.then(() => void (told = true))
      return running
    }
    abort('/connects').call.abort()
    await send(upstream, { path: '/warm' }).outcome
    abort('/waits').call.abort()
    const running = abort('/runs')
    await until(() => running.answered.isSent)
    running.call.abort()
    await until(() => server.connections.every((socket) => socket.destroyed))
    expect(told).toBe(false)
  })

  it('of everything fails what runs, and what comes after', async () => {
    const server = await rawUpstream(() => undefined)
    const upstream = upstreamOf(server.url)
    const { outcome, answered } = send(upstream)
    await until(() => answered.isSent)
    upstream.destroy()
    expect([await outcome, await send(upstream).outcome]).toEqual(['STOPPED', 'STOPPED'])
    await until(() => server.connections.every((socket) => socket.destroyed))
  })

  it('of a handler that throws is an error of its call alone', async () => {
    const server = await rawUpstream((_, socket) => void socket.write(ok('a')))
    const upstream = upstreamOf(server.url)
    const { outcome } = send(upstream, {}, () => {
      throw new Error('handler')
    })
    expect([await outcome, body(await send(upstream).outcome)]).toEqual(['handler', 'a'])
  })
})

it('holds the upstream while nobody reads, and loses nothing', async () => {
  const bytes = 64 << 20
  const server = await rawUpstream((_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`)
    socket.write(Buffer.alloc(bytes, 'a'))
  })
  let received = 0
  let paused = 0
  const upstream = upstreamOf(server.url)
  await new Promise<void>((done, fail) => {
    const call = upstream.dispatch(
      { method: 'GET', path: '/', headers: [], host: 'a', body: null },
      {
        bodySent() {},
        requestSent() {},
        interim() {},
        head() {},
        data(chunk) {
          received += chunk.length
          if (paused++ > 0) return
          call.pause()
          setTimeout(() => {
            paused = received
            call.resume()
          }, 100)
        },
        end: () => done(),
        failed: fail,
      },
    )
  })
  expect(paused).toBeLessThan(2 << 20)
  expect(received).toBe(bytes)
})
