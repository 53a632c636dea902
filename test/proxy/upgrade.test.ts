import { createHash, randomBytes } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Outcome } from '../../src/lib/exchange.ts'
import { certificate } from './certificate.ts'
import { rawClient, rawUpstream, split, startProxy, until } from './harness.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const asking = (extra = '', target = '/v1/realtime?model=m') =>
  `GET ${target} HTTP/1.1\r\nHost: me\r\nConnection: keep-alive, Upgrade\r\nUPGRADE: websocket\r\nSec-WebSocket-Key: ${key}\r\n${extra}\r\n`
const agreed =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

/** An upstream that says yes, and then does with the connection what the test says. */
async function agreeingUpstream(onData: (text: string, socket: net.Socket) => void = () => undefined, answer = agreed) {
  return rawUpstream((text, socket, all) => {
    if (text.includes('\r\n\r\n') && all.startsWith('GET')) socket.write(Buffer.from(answer, 'latin1'))
    else onData(text, socket)
  })
}

/** A client whose connection has been upgraded. */
async function upgradedClient(port: number) {
  const client = rawClient(port, asking())
  await client.until((text) => text.includes('\r\n\r\n'))
  return client
}

describe('an upgrade', () => {
  it('reaches the upstream with its fields in order and case, but for the ones that are the connection’s', async () => {
    let arrived = ''
    const upstream = await rawUpstream((_, socket, all) => {
      arrived = all
      socket.write(agreed)
    })
    const proxy = await startProxy(`${upstream.url}/base`)
    const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const extra = `SEC-websocket-Version: 13\r\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-\xe9\r\ntraceparent: ${caller}\r\nX-Two: 1\r\nx-one: 2\r\nX-Two: 3\r\nKeep-Alive: 5\r\nX-Forwarded-For: 10.0.0.1\r\n`
    const client = rawClient(proxy.port, asking(extra))
    await client.until((text) => text.includes('\r\n\r\n'))
    const [{ opening } = { opening: undefined }] = proxy.seen
    expect(split(arrived).head.split('\r\n')).toEqual([
      'GET /base/v1/realtime?model=m HTTP/1.1',
      // undici writes these three first, in lower case: no server can tell.
      `host: 127.0.0.1:${upstream.port}`,
      'connection: upgrade',
      'upgrade: websocket',
      `Sec-WebSocket-Key: ${key}`,
      'SEC-websocket-Version: 13',
      'Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-\xe9',
      `traceparent: 00-0af7651916cd43dd8448eb211c80319c-${opening?.spanId}-01`,
      'X-Two: 1',
      'x-one: 2',
      'X-Two: 3',
      'X-Forwarded-For: 10.0.0.1, 127.0.0.1',
      'x-forwarded-proto: http',
      'x-forwarded-host: me',
      'forwarded: for=127.0.0.1;host=me;proto=http',
    ])
    expect([opening?.path, opening?.queryModel, opening?.parentSpanId]).toEqual(['/v1/realtime', 'm', 'b7ad6b7169203331'])
  })

  it('is answered with the upstream’s 101 as it came, and the bytes behind it', async () => {
    const answer =
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nKeep-Alive: 5\r\nconnection: keep-alive, upgrade\r\nSet-Cookie: a=1\r\nset-cookie: b=\xe9\r\n\r\n'
    const upstream = await agreeingUpstream(undefined, `${answer}\x81\x01a`)
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking())
    expect(await client.until((text) => text.endsWith('\x81\x01a'))).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: upgrade\r\nSet-Cookie: a=1\r\nset-cookie: b=\xe9\r\n\r\n\x81\x01a',
    )
    expect(proxy.seen[0]?.head?.status).toBe(101)
    expect(proxy.seen[0]?.responseBytes).toBe('\x81\x01a')
  })

  it('to any other protocol passes as well', async () => {
    const upstream = await agreeingUpstream((text, socket) => socket.write(`you said ${text}`), agreed.replace('websocket', 'weir/2'))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking().replace('websocket', 'weir/2'))
    expect(await client.until((text) => text.includes('\r\n\r\n'))).toContain('Upgrade: weir/2\r\n')
    client.socket.write('hello')
    await client.until((text) => text.endsWith('you said hello'))
  })

  it('carries what the client sent before the answer came', async () => {
    let arrived = ''
    let answer: () => void = () => undefined
    const upstream = await rawUpstream((_, socket, all) => {
      arrived = all
      answer = () => socket.write(agreed)
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, `${asking()}first`)
    await until(() => arrived !== '')
    client.socket.write('second')
    await until(() => client.socket.writableLength === 0)
    await new Promise((done) => setTimeout(done, 30))
    expect(arrived.endsWith('\r\n\r\n')).toBe(true)
    answer()
    await until(() => arrived.endsWith('firstsecond'))
    expect(proxy.seen[0]?.requestBytes).toBe('firstsecond')
  })

  it('makes a client wait that sends much before the answer came', async () => {
    const size = 16 * 1024 * 1024
    let arrived = 0
    let answer: (() => void) | undefined
    const upstream = await rawUpstream((text, socket) => {
      if (text.startsWith('GET')) answer = () => socket.write(agreed)
      else arrived += text.length
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking())
    client.socket.write(Buffer.alloc(size))
    await until(() => answer !== undefined)
    await new Promise((done) => setTimeout(done, 200))
    expect(client.socket.writableLength).toBeGreaterThan(0)
    answer?.()
    await until(() => arrived === size)
  })

  it('is told of a caller that takes a while to be known', async () => {
    const upstream = await agreeingUpstream()
    const later = (_headers: object, found: (caller: string) => void) => void setTimeout(found, 20, 'ada')
    const proxy = await startProxy(upstream.url, { callers: { now: () => 'somebody', later } })
    await upgradedClient(proxy.port)
    await until(() => proxy.seen[0]?.callers[0] === 'ada')
    expect(proxy.seen[0]?.opening.caller).toBe('somebody')
  })

  it('goes to an upstream behind TLS, whose certificate bears the name that the route gives', async () => {
    const before = tls.getCACertificates('default')
    tls.setDefaultCACertificates([...before, certificate.cert])
    onTestFinished(() => tls.setDefaultCACertificates(before))
    const names: unknown[] = []
    const server = tls.createServer({ ...certificate, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
      names.push(socket.servername, socket.alpnProtocol)
      socket.on('error', () => undefined)
      socket.once('data', () => {
        socket.write(agreed)
        socket.on('data', (data) => socket.write(data)).on('end', () => socket.end())
      })
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    const proxy = await startProxy(`https://127.0.0.1:${(server.address() as net.AddressInfo).port}`, {
      route: { host: { literal: 'weir.test:8443' } },
    })
    const client = rawClient(proxy.port, asking())
    await client.until((text) => text.includes('\r\n\r\n'))
    client.socket.write('echo')
    expect(await client.until((text) => text.endsWith('echo'))).toBe(`${agreed}echo`)
    expect(names).toEqual(['weir.test', 'http/1.1'])
    client.socket.end()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered', endedBy: 'client' }, status: 101 }])
  })

  it('goes to the route of its path, without the prefix, also to an IPv6 address', async () => {
    let arrived = ''
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (data) => {
        arrived += data
        socket.write(agreed)
      })
    })
    const listening = await new Promise<boolean>((done) => server.once('error', () => done(false)).listen(0, '::1', () => done(true)))
    if (!listening) return // a machine without IPv6
    onTestFinished(() => void server.close())
    const { port } = server.address() as net.AddressInfo
    const proxy = await startProxy(`http://[::1]:${port}/openai/`, { route: { prefix: '/llm', stripPrefix: true } })
    const client = rawClient(proxy.port, asking('', '/llm/v1/realtime?model=m'))
    await client.until((text) => text.includes('\r\n\r\n'))
    expect(split(arrived).head.split('\r\n').slice(0, 2)).toEqual(['GET /openai/v1/realtime?model=m HTTP/1.1', `host: [::1]:${port}`])
    client.socket.destroy()
    const nowhere = rawClient(proxy.port, asking('', '/other'))
    expect((await nowhere.closed()).split('\r\n')[0]).toBe('HTTP/1.1 404 Not Found')
    expect((await proxy.ended(2)).ends).toEqual([{ outcome: { kind: 'refused', reason: 'no_route' }, status: 404 }])
  })

  it.each([
    ['of HTTP/2 in plain text', asking().replace('websocket', 'h2c')],
    ['behind a body', `${asking('Content-Length: 2\r\n').replace('GET', 'POST')}{}`],
    ['in HTTP/1.0', asking().replace('HTTP/1.1', 'HTTP/1.0')],
  ])('%s is answered as a plain request', async (_, request) => {
    let arrived = ''
    const upstream = await rawUpstream((_text, socket, all) => {
      arrived = all
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, request)
    await client.until((text) => text.endsWith('ok'))
    expect(arrived.toLowerCase()).not.toContain('upgrade')
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status: 200 }])
  })
})

describe('an upgraded connection', () => {
  it('carries every byte both ways, also where an observer throws at each', async () => {
    const megabytes = 8
    const sent = randomBytes(megabytes * 1024 * 1024)
    const hash = createHash('sha1')
    let bytes = 0
    const upstream = await agreeingUpstream((text, socket) => socket.write(Buffer.from(text, 'latin1')))
    const proxy = await startProxy(upstream.url, {
      observe: (opening, record) => ({
        ...record(opening),
        requestData: () => {
          throw new Error('observer')
        },
      }),
    })
    const client = await upgradedClient(proxy.port)
    client.socket.on('data', (data) => {
      bytes += data.length
      hash.update(data)
    })
    client.socket.write(sent)
    await until(() => bytes === sent.length)
    expect(hash.digest('hex')).toBe(createHash('sha1').update(sent).digest('hex'))
    expect(proxy.cells[2]).toBe(1)
    client.socket.end()
    await proxy.ended()
  })

  it.each(['upstream', 'client'] as const)('makes the %s wait while the other side reads nothing', async (fast) => {
    const upstream = await agreeingUpstream()
    const proxy = await startProxy(upstream.url)
    const client = await upgradedClient(proxy.port)
    const [other] = upstream.connections as [net.Socket]
    const [from, to] = fast === 'client' ? [client.socket, other] : [other, client.socket]
    to.pause()
    const size = 64 * 1024 * 1024
    from.write(Buffer.alloc(size))
    const seen = proxy.seen[0]
    const passed = () => (fast === 'client' ? seen?.requestBytes : seen?.responseBytes)?.length ?? 0
    await until(() => passed() > 0)
    for (let before = -1; before !== passed(); ) {
      before = passed()
      await new Promise((done) => setTimeout(done, 300))
    }
    expect(passed()).toBeLessThan(size / 2)
    to.resume()
    await until(() => passed() === size)
  })

  it.each(['client', 'upstream'] as const)('that the %s has ended carries the other direction on', async (first) => {
    const upstream = await rawUpstream((text, socket) => text.startsWith('GET') && socket.write(agreed))
    const proxy = await startProxy(upstream.url)
    const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void socket.destroy())
    let received = ''
    socket.on('data', (data) => void (received += data))
    socket.write(asking())
    await until(() => received.includes('\r\n\r\n'))
    const [other] = upstream.connections as [net.Socket]
    other.allowHalfOpen = true
    const [one, two] = first === 'client' ? [socket, other] : [other, socket]
    let ended = false
    two.once('end', () => {
      ended = true
    })
    one.end('last words')
    await until(() => ended)
    two.write('one more')
    await until(() => (first === 'client' ? received.endsWith('one more') : proxy.seen[0]?.requestBytes === 'one more'))
    expect(proxy.seen[0]?.ends).toEqual([])
    two.end()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered', endedBy: first }, status: 101 }])
  })

  it('that the upstream has ended is whole, also for a client that breaks it then', async () => {
    const upstream = await agreeingUpstream()
    const proxy = await startProxy(upstream.url)
    const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void socket.destroy())
    socket.write(asking())
    const ended = new Promise((done) => socket.resume().once('end', done))
    await until(() => proxy.seen[0]?.head !== undefined)
    upstream.connections[0]?.end('last words')
    await ended
    socket.resetAndDestroy()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered', endedBy: 'upstream' }, status: 101 }])
  })

  it('that the client breaks ends the upstream’s too', async () => {
    const upstream = await agreeingUpstream()
    const proxy = await startProxy(upstream.url)
    const client = await upgradedClient(proxy.port)
    client.socket.resetAndDestroy()
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'client-aborted' }, status: 101 }])
    await until(() => upstream.connections[0]?.destroyed === true)
  })

  it('that the upstream breaks ends the client’s, behind all that was sent', async () => {
    const upstream = await agreeingUpstream()
    const proxy = await startProxy(upstream.url)
    const client = await upgradedClient(proxy.port)
    const [socket] = upstream.connections as [net.Socket]
    await new Promise<void>((done) => socket.write('last words', () => done()))
    await client.until((text) => text.endsWith('last words'))
    socket.resetAndDestroy()
    expect(await client.closed()).toBe(`${agreed}last words`)
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'upstream-aborted' }, status: 101 }])
  })

  it('counts as open, and is cut with a record when the grace is over', async () => {
    const upstream = await agreeingUpstream()
    const proxy = await startProxy(upstream.url)
    const client = await upgradedClient(proxy.port)
    expect([proxy.forwarder.openCount(), proxy.cells[0]]).toEqual([1, 1])
    const closed = proxy.listener.close()
    proxy.forwarder.cutAll()
    proxy.listener.destroyConnections()
    await client.closed()
    await closed
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'sidecar-stopped' }, status: 101 }])
    expect([proxy.forwarder.openCount(), proxy.cells[0]]).toEqual([0, 0])
    await until(() => upstream.connections[0]?.destroyed === true)
  })
})

describe('an upstream that does not upgrade', () => {
  it.each([
    ['refuses with a body', 'HTTP/1.1 401 No Entry\r\nContent-Length: 4\r\nX-Why: \xe9\r\n\r\nnope', 401, 'nope'],
    ['refuses in chunks', 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n', 403, 'nope'],
    ['refuses without a word', 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n', 426, ''],
    ['answers', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200, 'ok'],
    ['has nothing to say', 'HTTP/1.1 204 No Content\r\n\r\n', 204, ''],
    ['sends hints first', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n-', 404, '-'],
  ])('%s, and the client reads that', async (_, answer, status, body) => {
    const upstream = await rawUpstream((_text, socket) => socket.write(Buffer.from(answer, 'latin1')))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking())
    const received = await client.closed()
    const last = received.slice(received.lastIndexOf('HTTP/1.1 '))
    expect(last.split('\r\n')[0]).toBe(answer.slice(answer.lastIndexOf('HTTP/1.1 ')).split('\r\n')[0])
    expect(received.startsWith('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')).toBe(answer.startsWith('HTTP/1.1 103'))
    expect(last).toContain('\r\nConnection: close\r\n')
    const sent = split(last).body
    expect(last.includes('chunked') && body !== '' ? sent.split('\r\n')[1] : sent).toBe(body)
    const seen = await proxy.ended()
    expect([seen.head?.status, seen.responseBytes, seen.ends]).toEqual([status, body, [{ outcome: { kind: 'answered' }, status }]])
  })

  it('and breaks in the middle of its answer leaves the client with less than was announced', async () => {
    const upstream = await rawUpstream((_text, socket) => {
      socket.write('HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf')
      setTimeout(() => socket.resetAndDestroy(), 50)
    })
    const proxy = await startProxy(upstream.url)
    const received = await rawClient(proxy.port, asking()).closed()
    expect(split(received).body).toBe('half')
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'upstream-aborted', message: 'ECONNRESET' }, status: 500 }])
  })

  it('makes a large refusal wait for its client', async () => {
    const size = 32 * 1024 * 1024
    const upstream = await rawUpstream((_text, socket) => {
      socket.write(`HTTP/1.1 500 Oh\r\nContent-Length: ${size}\r\n\r\n`)
      socket.write(Buffer.alloc(size, 'x'))
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking())
    client.socket.pause()
    await until(() => proxy.seen[0]?.head !== undefined)
    await new Promise((done) => setTimeout(done, 300))
    expect(proxy.seen[0]?.responseBytes.length).toBeLessThan(size / 2)
    client.socket.resume()
    expect(split(await client.closed()).body.length).toBe(size)
  })

  const hangUp = (socket: net.Socket) => socket.end()
  const failures: readonly [string, (socket: net.Socket) => void, number, Outcome][] = [
    ['hangs up', hangUp, 502, { kind: 'unreachable', reason: 'closed', message: 'CLOSED' }],
    [
      'speaks no HTTP',
      (socket) => socket.write('SSH-2.0-OpenSSH\r\n'),
      502,
      { kind: 'unreachable', reason: 'protocol', message: 'BAD_RESPONSE' },
    ],
    ['says nothing', () => undefined, 504, { kind: 'unreachable', reason: 'timeout', message: 'HEAD_TIMEOUT' }],
  ]
  it.each(failures)('but %s is answered for', async (_, act, status, outcome) => {
    const upstream = await rawUpstream((_text, socket) => act(socket))
    const proxy = await startProxy(upstream.url, { headMs: 300 })
    const received = await rawClient(proxy.port, asking()).closed()
    expect(received.split(' ')[1]).toBe(String(status))
    expect(received).toContain(`x-tokenweir-error: upstream_${'reason' in outcome ? outcome.reason : ''}`)
    expect((await proxy.ended()).ends).toEqual([{ outcome, status }])
  })

  it('and is not there is answered for', async () => {
    const proxy = await startProxy('http://127.0.0.1:1')
    expect(split(await rawClient(proxy.port, asking()).closed()).head).toContain('x-tokenweir-error: upstream_connect')
    expect((await proxy.ended()).ends).toEqual([
      { outcome: { kind: 'unreachable', reason: 'connect', message: 'ECONNREFUSED' }, status: 502 },
    ])
  })

  it('and speaks no TLS is answered for', async () => {
    const upstream = await rawUpstream((_text, socket) => socket.end('HTTP/1.1 400 Bad\r\n\r\n'))
    const proxy = await startProxy(upstream.url.replace('http:', 'https:'))
    expect(split(await rawClient(proxy.port, asking()).closed()).head).toContain('x-tokenweir-error: upstream_tls')
  })

  it.each([
    ['ends', (socket: net.Socket) => socket.end()],
    ['breaks', (socket: net.Socket) => socket.resetAndDestroy()],
  ])('while the client %s is let go', async (_, leave) => {
    let asked = false
    const upstream = await rawUpstream(() => void (asked = true))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking())
    await until(() => asked)
    leave(client.socket)
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'client-aborted' }, status: undefined }])
    await until(() => upstream.connections[0]?.destroyed === true)
  })

  it('when the sidecar stops is answered for', async () => {
    let asked = false
    const upstream = await rawUpstream(() => void (asked = true))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, asking())
    await until(() => asked)
    proxy.forwarder.cutAll()
    expect((await client.closed()).split('\r\n')[0]).toBe('HTTP/1.1 503 Service Unavailable')
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'sidecar-stopped' }, status: 503 }])
  })
})
