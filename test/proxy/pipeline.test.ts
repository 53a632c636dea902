/** Several requests on one connection, sent before the first is answered. */
import type net from 'node:net'
import { describe, expect, it } from 'vitest'
import { Cell } from '../../src/lib/shared-counters.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: me\r\n${fields}\r\n`
const answerTo = (path: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`

/** Answers with the path, and with `hold` only when told. */
async function scene(hold: (path: string) => boolean = () => false, options = {}) {
  const asked: string[] = []
  const held: (() => void)[] = []
  let open = 0
  let openMax = 0
  const upstream = await rawUpstream((text, socket) => {
    const path = text.split(' ')[1] as string
    asked.push(path)
    openMax = Math.max(openMax, ++open)
    const answer = () => {
      open--
      socket.write(answerTo(path))
    }
    if (hold(path)) held.push(answer)
    else answer()
  })
  const proxy = await startProxy(upstream.url, options)
  return { upstream, proxy, asked, held, openMax: () => openMax }
}

const bodies = (received: string) => received.split(/HTTP\/1\.1 [\s\S]*?\r\n\r\n/).slice(1)
const statuses = (received: string) => [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))

describe('requests of one connection', () => {
  it('go on one after another, and are answered in their order', async () => {
    const { proxy, asked, held, openMax, upstream } = await scene((path) => path === '/0')
    const paths = Array.from({ length: 200 }, (_, n) => `/${n}`)
    const client = rawClient(proxy.port, paths.map((path) => get(path)).join(''))
    await until(() => held.length === 1)
    expect([asked, proxy.seen.length]).toEqual([['/0'], 1])
    held[0]?.()
    await client.until((text) => text.endsWith('/199'))
    expect(bodies(client.received())).toEqual(paths)
    expect([asked, openMax(), upstream.connections.length]).toEqual([paths, 1, 1])
    await proxy.ended(200)
    expect(proxy.seen.every(({ ends }) => ends.length === 1 && ends[0]?.outcome.kind === 'answered')).toBe(true)
  })

  it.each([
    ['has no route', get('/'), 404],
    ['has no path', get('*'), 404],
    ['has no route and a body', 'POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 5\r\n\r\nhello', 404],
    ['is not answered', get('/v1/gone'), 502],
  ])('are answered behind one that %s', async (_, first, status) => {
    const upstream = await rawUpstream((text, socket) => {
      const path = text.split(' ')[1] as string
      if (path === '/v1/gone') socket.destroy()
      else socket.write(answerTo(path))
    })
    const proxy = await startProxy(upstream.url, { route: { prefix: '/v1' } })
    const client = rawClient(proxy.port, first + get('/v1/a') + get('/v1/b'))
    await client.until((text) => text.endsWith('/v1/b'))
    expect(statuses(client.received())).toEqual([status, 200, 200])
    expect(bodies(client.received()).slice(1)).toEqual(['/v1/a', '/v1/b'])
  })

  it('with bodies keep them', async () => {
    const arrived: string[] = []
    const upstream = await rawUpstream((text, socket) => {
      arrived.push(text.slice(text.indexOf('\r\n\r\n') + 4))
      socket.write(answerTo('/'))
    })
    const proxy = await startProxy(upstream.url)
    const posts = ['one', 'two', 'three'].map((body) => `POST / HTTP/1.1\r\nHost: me\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    await rawClient(proxy.port, posts.join('')).until((text) => text.split('HTTP/1.1 200').length === 4)
    expect(arrived).toEqual(['one', 'two', 'three'])
  })

  it('end with a record each when the client leaves, and are not passed on', async () => {
    const { proxy, asked, held } = await scene(() => true)
    const client = rawClient(proxy.port, get('/0') + get('/1') + get('/2'))
    await until(() => held.length === 1)
    client.socket.destroy()
    await proxy.ended(3)
    const aborted = [{ outcome: { kind: 'client-aborted' }, status: undefined }]
    expect(proxy.seen.map(({ ends }) => ends)).toEqual([aborted, aborted, aborted])
    expect([asked, proxy.forwarder.openCount(), proxy.cells[Cell.open]]).toEqual([['/0'], 0, 0])
  })

  it('are recorded a few at a time when the client of many leaves, so that others have their turn', async () => {
    const { proxy, held } = await scene(() => true)
    const client = rawClient(proxy.port, get('/').repeat(900))
    await until(() => held.length === 1)
    const ended = () => proxy.seen.filter(({ ends }) => ends.length > 0).length
    let most = 0
    let before = 0
    const look = () => {
      most = Math.max(most, ended() - before)
      before = ended()
      if (before < 900) setImmediate(look)
    }
    look()
    client.socket.destroy()
    await proxy.ended(900)
    look()
    expect(most).toBeLessThan(50)
  })

  it('end with a record each when the sidecar stops', async () => {
    const { proxy, held } = await scene(() => true)
    const client = rawClient(proxy.port, get('/0') + get('/1') + get('/2'))
    await until(() => held.length === 1)
    void proxy.listener.close()
    proxy.forwarder.cutAll()
    proxy.listener.destroyConnections()
    expect(proxy.seen.map(({ ends }) => ends)).toEqual([
      [{ outcome: { kind: 'sidecar-stopped' }, status: 503 }],
      [{ outcome: { kind: 'sidecar-stopped' }, status: undefined }],
      [{ outcome: { kind: 'sidecar-stopped' }, status: undefined }],
    ])
    expect(statuses(await client.closed())).toEqual([503])
  })

  it.each([
    ['one connection', 1, 1100],
    ['all connections', 20, 900],
  ])('beyond what is kept of %s close theirs, which is counted', async (_, connections, each) => {
    const { proxy, asked, held } = await scene((path) => path !== '/again')
    const good = rawClient(proxy.port, get('/good'))
    await until(() => held.length === 1)
    const flood = Array.from({ length: connections }, () => rawClient(proxy.port, get('/').repeat(each)))
    await until(() => flood.some(({ socket }) => socket.destroyed))
    expect(proxy.cells[Cell.pipelineOverflow]).toBeGreaterThan(0)
    for (const { socket } of flood) socket.destroy()
    await until(() => proxy.forwarder.openCount() === 1)
    held[0]?.()
    await good.until((text) => text.endsWith('/good'))
    // What waits no longer is not counted any more.
    const dropped = proxy.cells[Cell.pipelineOverflow]
    const again = rawClient(proxy.port, get('/again').repeat(900))
    await again.until((text) => text.split('/again').length === 901)
    expect(asked.filter((path) => path === '/again').length).toBe(900)
    expect(proxy.cells[Cell.pipelineOverflow]).toBe(dropped)
  })
})

describe('behind a request under way', () => {
  const upgrade = get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')

  it('an upgrade is a plain request in its turn, and the last', async () => {
    const heads: string[] = []
    const held: net.Socket[] = []
    const upstream = await rawUpstream((text, socket) => {
      heads.push(text)
      if (text.startsWith('GET /slow')) held.push(socket)
      else socket.write(answerTo(text.split(' ')[1] as string))
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, get('/slow') + upgrade + get('/last'))
    await until(() => held.length === 1)
    held[0]?.write(answerTo('/slow'))
    expect(bodies(await client.closed())).toEqual(['/slow', '/ws'])
    expect(heads[1]).not.toMatch(/upgrade/i)
  })

  it.each([
    ['h2c', get('/h2c', 'Connection: Upgrade\r\nUpgrade: h2c\r\n')],
    ['h2c beside another', get('/h2c', 'Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n')],
    ['any, with a body', 'POST /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n{}'],
  ])('an upgrade to %s is not made, and what stands behind it is not taken for half of it', async (_, request) => {
    const { proxy, asked } = await scene()
    const client = rawClient(proxy.port, `${request}POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\n`)
    await until(() => client.socket.destroyed || client.received().endsWith('/h2c'))
    client.socket.write(get('/smuggled'))
    expect(bodies(await client.closed())).toEqual(['/h2c'])
    expect(asked).toEqual(['/h2c'])
  })

  it('an upgrade to h2c with nothing behind it keeps its connection', async () => {
    const { proxy } = await scene()
    const client = rawClient(proxy.port, get('/0', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'))
    await client.until((text) => text.endsWith('/0'))
    client.socket.write(get('/1'))
    await client.until((text) => text.endsWith('/1'))
    expect(bodies(client.received())).toEqual(['/0', '/1'])
  })

  it('CONNECT is refused in its turn, also where the client reads slowly', async () => {
    const size = 8 << 20
    const upstream = await rawUpstream((_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
      socket.write('x'.repeat(size))
    })
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port)
    client.socket.pause()
    client.socket.write(`${get('/')}CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`)
    await until(() => (proxy.seen[0]?.responseBytes.length ?? 0) > 1 << 16)
    client.socket.resume()
    const received = await client.closed()
    expect(statuses(received)).toEqual([200, 405])
    expect(received.indexOf('HTTP/1.1 405') - received.indexOf('\r\n\r\n')).toBe(4 + size)
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status: 200 }])
  })

  it('bytes behind Connection: close are not read', async () => {
    const { proxy } = await scene()
    const received = await rawClient(proxy.port, `${get('/0', 'Connection: close\r\n')}X${get('/1')}`).closed()
    expect(bodies(received)).toEqual(['/0'])
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status: 200 }])
    expect([proxy.seen.length, proxy.cells[Cell.malformed]]).toEqual([1, 0])
  })
})
