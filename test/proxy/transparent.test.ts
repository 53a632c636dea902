import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Editor } from '../../src/proxy/edit.ts'
import { rawClient, rawUpstream, split, startProxy, until } from './harness.ts'

const answer = (body: string, extra = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${extra}\r\n${body}`

describe('a request', () => {
  it('reaches the upstream with its method, raw path, query, header order, case and body', async () => {
    let arrived = ''
    const upstream = await rawUpstream((_, socket, all) => {
      arrived = all
      if (all.endsWith('{"a":1}')) socket.write(answer('ok'))
    })
    const proxy = await startProxy(`${upstream.url}/base`)
    const client = rawClient(
      proxy.port,
      'PATCH //a/%2F%c3?q=%20&q=%C3%A4 HTTP/1.1\r\nHost: me\r\nX-Two: 1\r\nx-one: \xe9\r\nX-Two: 2\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}',
    )
    await client.until((text) => text.endsWith('ok'))
    const { head, body } = split(arrived)
    expect(head.split('\r\n')[0]).toBe('PATCH /base//a/%2F%c3?q=%20&q=%C3%A4 HTTP/1.1')
    expect(head.match(/X-Two: 1\r\nx-one: \xe9\r\nX-Two: 2/)).not.toBeNull()
    expect(body).toBe('{"a":1}')
    const seen = await proxy.ended()
    expect([seen.opening.method, seen.opening.path, seen.requestBytes, seen.ends]).toEqual([
      ...['PATCH', '//a/%2F%c3', '{"a":1}', [{ outcome: { kind: 'answered' }, status: 200 }]],
    ])
  })

  it('gets a child of the caller as its traceparent, and the caller’s tracestate', async () => {
    let arrived = ''
    const upstream = await rawUpstream((_, socket, all) => {
      arrived = all
      socket.write(answer(''))
    })
    const proxy = await startProxy(upstream.url)
    const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    rawClient(proxy.port, `GET / HTTP/1.1\r\nHost: me\r\ntraceparent: ${caller}\r\ntracestate: a=1\r\n\r\n`)
    const { opening } = await proxy.ended()
    expect(opening.parentSpanId).toBe('b7ad6b7169203331')
    expect(arrived).toContain(`traceparent: 00-0af7651916cd43dd8448eb211c80319c-${opening.spanId}-00\r\ntracestate: a=1\r\n`)
    expect(arrived).not.toContain('b7ad6b7169203331')
  })

  it.each([
    ['in origin form', 'GET /v1/x?y=1 HTTP/1.1', 'GET /v1/x?y=1 HTTP/1.1'],
    ['in absolute form', 'GET http://elsewhere.example/v1/x?y=1 HTTP/1.1', 'GET /v1/x?y=1 HTTP/1.1'],
    ['in absolute form without a path', 'GET http://elsewhere.example HTTP/1.1', 'GET / HTTP/1.1'],
    ['with a method of its own', 'REPORT /v1/x HTTP/1.1', 'REPORT /v1/x HTTP/1.1'],
  ])('%s goes to the route’s upstream', async (_, sent, expected) => {
    let arrived = ''
    const upstream = await rawUpstream((_text, socket, all) => {
      arrived = all
      socket.write(answer(''))
    })
    const proxy = await startProxy(upstream.url)
    rawClient(proxy.port, `${sent}\r\nHost: me\r\n\r\n`)
    await proxy.ended()
    expect(arrived.split('\r\n')[0]).toBe(expected)
    expect(arrived).toContain(`host: 127.0.0.1:${upstream.port}\r\n`) // as undici spells it
  })

  it.each([
    ['client' as const, 'me.example'],
    [{ literal: 'other.example' }, 'other.example'],
  ])('carries the host that the route asks for: %j', async (host, expected) => {
    let arrived = ''
    const upstream = await rawUpstream((_, socket, all) => {
      arrived = all
      socket.write(answer(''))
    })
    const proxy = await startProxy(upstream.url, { route: { host } })
    rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me.example\r\n\r\n')
    await proxy.ended()
    expect(arrived.toLowerCase()).toContain(`\r\nhost: ${expected}\r\n`)
  })

  it('that expects 100-continue is told to go on, and its body arrives', async () => {
    const upstream = await rawUpstream((_, socket, all) => {
      if (all.endsWith('body')) socket.write(answer('ok'))
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, 'POST / HTTP/1.1\r\nHost: me\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n')
    await client.until((text) => text.includes('100 Continue'))
    client.socket.write('body')
    expect(await client.until((text) => text.endsWith('ok'))).toContain('HTTP/1.1 200 OK')
  })

  it('of unknown length streams on before it is complete', async () => {
    const upstream = await rawUpstream((text, socket, all) => {
      if (text.includes('first')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n')
      if (all.endsWith('0\r\n\r\n')) socket.write('0\r\n\r\n')
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, 'POST / HTTP/1.1\r\nHost: me\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n')
    await client.until((text) => text.includes('early'))
    client.socket.write('6\r\nsecond\r\n0\r\n\r\n')
    await client.until((text) => text.endsWith('0\r\n\r\n'))
    const seen = await proxy.ended()
    expect([seen.requestBytes, seen.responseBytes]).toEqual(['firstsecond', 'early'])
  })
})

describe('an answer', () => {
  it('keeps status text, header order, case, repeats and bytes', async () => {
    const head = 'HTTP/1.1 299 Quite Fine\r\nX-Zed: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=\xe9\r\nContent-Length: 3\r\nX-Abc: 2'
    const upstream = await rawUpstream((_, socket) => socket.write(Buffer.from(`${head}\r\nConnection: keep-alive\r\n\r\nabc`, 'latin1')))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n')
    const received = split(await client.until((text) => text.endsWith('abc')))
    expect(received.head.startsWith(head)).toBe(true)
    expect(received.head.slice(head.length)).toMatch(/^(\r\nConnection: keep-alive\r\nKeep-Alive: timeout=\d+)?$/)
    expect(received.body).toBe('abc')
  })

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'],
  ])('without a body stays without one: %s %j', async (method, sent) => {
    const upstream = await rawUpstream((_, socket) => socket.write(sent))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, `${method} / HTTP/1.1\r\nHost: me\r\n\r\n${method} /again HTTP/1.1\r\nHost: me\r\n\r\n`)
    await proxy.ended(2)
    await client.until((text) => text.split('HTTP/1.1').length === 3)
    const [first] = client.received().split('\r\n\r\n')
    expect(first?.startsWith(sent.trimEnd())).toBe(true)
    expect(first?.toLowerCase()).not.toContain('transfer-encoding')
  })

  it('passes on early hints and trailers, and no 100 that nobody asked for', async () => {
    const upstream = await rawUpstream((_, socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n')
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n')
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Usage\r\n\r\n2\r\nhi\r\n0\r\nX-Usage: 42\r\n\r\n')
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n')
    const received = await client.until((text) => text.includes('X-Usage: 42'))
    expect(received.startsWith('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n')).toBe(true)
    expect(received).toContain('Trailer: X-Usage\r\n')
    expect(received.endsWith('2\r\nhi\r\n0\r\nX-Usage: 42\r\n\r\n')).toBe(true)
  })

  it('does without 1xx where Node cannot write them, as before 24.18', async () => {
    const prototype = http.ServerResponse.prototype as { writeInformation?: unknown }
    const { writeInformation } = prototype
    onTestFinished(() => void (prototype.writeInformation = writeInformation))
    delete prototype.writeInformation
    const upstream = await rawUpstream((_, socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi')
    })
    const proxy = await startProxy(upstream.url)
    const received = await rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n').until((text) => text.endsWith('hi'))
    expect(received.startsWith('HTTP/1.1 200 OK\r\n')).toBe(true)
  })

  it('does not show 1xx to an HTTP/1.0 client, and closes after the body', async () => {
    const upstream = await rawUpstream((_, socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n')
    })
    const proxy = await startProxy(upstream.url)
    const received = split(await rawClient(proxy.port, 'GET / HTTP/1.0\r\n\r\n').closed())
    expect(received.head).toContain('200 OK')
    expect(received.body).toBe('hi')
  })

  it('reaches the client head first, then event by event, as the upstream sends it', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n')
    await until(() => upstream.connections.length === 1 && (upstream.connections[0] as net.Socket).bytesRead > 0)
    const socket = upstream.connections[0] as net.Socket
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    await client.until((text) => text.includes('\r\n\r\n'))
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      socket.write(`${event.length.toString(16)}\r\n${event}\r\n`)
      await client.until((text) => text.includes(event))
    }
    socket.write('0\r\n\r\n')
    await client.until((text) => text.endsWith('0\r\n\r\n'))
    expect((await proxy.ended()).responseBytes).toBe('data: 1\n\ndata: 2\n\n')
  })

  it('is written to the client before the observer hears of it', async () => {
    const order: string[] = []
    const upstream = await rawUpstream((_, socket) => socket.write(answer('hello')))
    const proxy = await startProxy(upstream.url, {
      observe: (opening, record) => {
        const inner = record(opening)
        return { ...inner, responseData: () => void order.push('observed') }
      },
    })
    for (const method of ['write', 'end'] as const) {
      const original = http.ServerResponse.prototype[method] as (...all: unknown[]) => never
      http.ServerResponse.prototype[method] = function (this: http.ServerResponse, ...args: unknown[]) {
        order.push('written')
        return original.apply(this, args)
      } as never
      onTestFinished(() => void (http.ServerResponse.prototype[method] = original as never))
    }
    rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n')
    await proxy.ended()
    expect(order).toEqual(['written', 'observed'])
  })
})

describe('observation', () => {
  const body = 'data: {"a":1}\n\n'.repeat(500)
  const received = async (observe?: NonNullable<Parameters<typeof startProxy>[1]>['observe']) => {
    const upstream = await rawUpstream((_, socket) => socket.write(answer(body, 'Content-Type: text/event-stream\r\n')))
    const proxy = await startProxy(upstream.url, observe === undefined ? {} : { observe })
    const client = rawClient(proxy.port, 'POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 2\r\n\r\n{}')
    await client.until((text) => split(text).body.length >= body.length)
    await until(() => proxy.forwarder.openCount() === 0)
    return client.received().replace(/\r\nKeep-Alive: timeout=\d+/, '')
  }
  const fail = () => {
    throw new Error('observer')
  }

  it('on, off and throwing give the client identical bytes', async () => {
    const on = await received()
    const off = await received(() => ({
      requestData() {},
      requestEnd() {},
      requestAgain() {},
      note() {},
      clientGone() {},
      caller() {},
      responseStart() {},
      responseData() {},
      end() {},
    }))
    const throwing = await received(() => ({
      requestData: fail,
      requestEnd: fail,
      requestAgain: fail,
      note: fail,
      clientGone: fail,
      caller: fail,
      responseStart: fail,
      responseData: fail,
      end: fail,
    }))
    const failing = await received(fail)
    expect(split(on).body).toBe(body)
    expect([off, throwing, failing]).toEqual([on, on, on])
  })
})

describe('a body of every byte there is', () => {
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

  it.each([256, 8192, 8193, 60_000, 70_000])('crosses both ways as it is: %d bytes', async (bytes) => {
    const body = Buffer.concat(new Array<Buffer>(Math.ceil(bytes / 256)).fill(everyByte)).subarray(0, bytes)
    const upstream = http.createServer((request, response) => {
      if (request.url === '/whole') response.setHeader('content-length', bytes)
      const isLate = request.url === '/late'
      request.pipe(response, { end: !isLate })
      if (isLate) request.on('end', () => setTimeout(() => response.end(), 30))
    })
    await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done))
    onTestFinished(() => void upstream.close())
    const proxy = await startProxy(`http://127.0.0.1:${(upstream.address() as net.AddressInfo).port}`)
    for (const path of ['/whole', '/chunked', '/late']) {
      const answer = await fetch(`http://127.0.0.1:${proxy.port}${path}`, { method: 'POST', body })
      expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true)
    }
  })

  it('crosses without an end before its end where a filter lets nothing of a read go', async () => {
    const upstream = await rawUpstream((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
      setTimeout(() => socket.write('1\r\nb\r\n0\r\nT: 1\r\n\r\n'), 20)
    })
    const nothingOfA = (chunk: Buffer) => [chunk.toString() === 'a' ? Buffer.alloc(0) : chunk]
    const filter = () => ({ push: nothingOfA, end: () => [Buffer.from('c'), Buffer.alloc(0)] })
    const editor: Editor = {
      reads: () => ({
        push: () => true,
        edit: (body) => ({
          body,
          judge: () => 'go on',
          holds: () => false,
          first: () => 'fine',
          accepted() {},
          broken() {},
          judgedAgain() {},
          filter,
        }),
      }),
    }
    const proxy = await startProxy(upstream.url, { editor })
    const received = await rawClient(proxy.port, 'POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 1\r\n\r\n-').until((text) =>
      text.includes('\r\n0\r\n'),
    )
    expect(split(received).body).toBe('1\r\nb\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n')
  })
})

describe('back-pressure', () => {
  const chunk = randomBytes(1 << 20)
  const total = 64

  it('holds the upstream while the client does not read, and loses no byte', async () => {
    let sent = 0
    const upstream = http.createServer((_, response) => {
      response.writeHead(200)
      const more = () => {
        while (sent < total) {
          sent++
          if (!response.write(chunk)) return void response.once('drain', more)
        }
        response.end()
      }
      more()
    })
    await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done))
    onTestFinished(() => void upstream.closeAllConnections())
    const proxy = await startProxy(`http://127.0.0.1:${(upstream.address() as net.AddressInfo).port}`, { idleMs: 20000 })
    const response = await new Promise<http.IncomingMessage>((done) => http.get({ port: proxy.port, host: '127.0.0.1' }, done))
    await new Promise((done) => setTimeout(done, 300))
    expect(sent).toBeLessThan(40)
    const hash = createHash('sha256')
    for await (const part of response) hash.update(part)
    const expected = createHash('sha256')
    for (let i = 0; i < total; i++) expected.update(chunk)
    expect(hash.digest('hex')).toBe(expected.digest('hex'))
  })

  it('holds the client while the upstream does not read', async () => {
    const server = net.createServer((socket) => socket.pause())
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    const proxy = await startProxy(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`, { headMs: 20000 })
    const client = net.connect(proxy.port, '127.0.0.1')
    client.on('error', () => undefined)
    onTestFinished(() => void client.destroy())
    client.write(`POST / HTTP/1.1\r\nHost: me\r\nContent-Length: ${total << 20}\r\n\r\n`)
    let written = 0
    const more = () => {
      while (written < total) {
        written++
        if (!client.write(chunk)) return void client.once('drain', more)
      }
    }
    more()
    await new Promise((done) => setTimeout(done, 300))
    expect(written).toBeLessThan(40)
  })
})

it('listens for and reaches IPv6', async () => {
  const upstream = http.createServer((request, response) => response.end(request.headers.host))
  const bound = await new Promise<boolean>((done) => {
    upstream.once('error', () => done(false))
    upstream.listen(0, '::1', () => done(true))
  })
  if (!bound) return expect(bound, 'this machine has no IPv6 loopback').toBe(false)
  onTestFinished(() => void upstream.closeAllConnections())
  const { port } = upstream.address() as net.AddressInfo
  const proxy = await startProxy(`http://[::1]:${port}`)
  const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n')
  expect(await client.until((text) => text.includes(`[::1]:${port}`))).toContain('200 OK')
  expect((await proxy.ended()).opening.serverAddress).toBe('::1')
})
