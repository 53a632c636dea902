import { describe, expect, it, onTestFinished } from 'vitest'
import type { Route } from '../../src/config/config.ts'
import { cellCount } from '../../src/lib/shared-counters.ts'
import { UpstreamFault } from '../../src/proxy/fault.ts'
import { createHealth, failureReason } from '../../src/proxy/health.ts'
import { startProbes } from '../../src/proxy/probe.ts'
import { createUpstreams } from '../../src/proxy/upstreams.ts'
import { freePort } from '../ports.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const coded = (code: string) => Object.assign(new Error(code), { code })

it.each([
  ['refused', coded('ECONNREFUSED')],
  ['refused', coded('EHOSTUNREACH')],
  ['dns', coded('ENOTFOUND')],
  ['tls', coded('CERT_HAS_EXPIRED')],
  ['timeout', coded('ETIMEDOUT')],
  ['timeout', new UpstreamFault('HEAD_TIMEOUT')],
  ['reset', coded('ECONNRESET')],
  ['reset', new UpstreamFault('CLOSED')],
  ['protocol', new UpstreamFault('BAD_RESPONSE')],
  ['proxy_refused', new UpstreamFault('PROXY_REFUSED')],
  [undefined, new UpstreamFault('STOPPED')],
  [undefined, new UpstreamFault('REQUEST_CUT')],
  [undefined, new UpstreamFault('REQUEST_LENGTH')],
  [undefined, coded('EMFILE')],
])('a failure is %s', (reason, error) => {
  expect(failureReason(error)).toBe(reason)
})

describe('health', () => {
  it('is told once as change, and as state for good', () => {
    const clock = { now: 1000 }
    const health = createHealth({ now: () => clock.now, connectBuckets: [0.001, 0.01] })
    health.use(['http://a.example', 'https://[::1]'])
    const a = health.of('http://a.example')
    for (const ms of [0.5, 1, 5, 11]) a.connected(ms)
    a.answered(404)
    clock.now = 2000
    a.answered(503)
    a.failed(coded('ECONNRESET'))
    a.failed(coded('ECONNRESET'))
    a.failed(new UpstreamFault('STOPPED'))
    a.probed('timeout', 12.3456)
    expect(health.changes()).toEqual([
      {
        ...{ upstream: 'a.example:80', lastSuccessAt: 1000, failures: { '5xx': 1, reset: 2 }, connects: [2, 1, 1], probes: { timeout: 1 } },
      },
    ])
    expect(health.changes()).toEqual([])
    a.answered(200)
    expect(health.changes()).toEqual([{ upstream: 'a.example:80', lastSuccessAt: 2000, failures: {}, connects: [0, 0, 0], probes: {} }])
    health.of('https://[::1]').answered(200)
    expect(health.changes()).toEqual([{ upstream: '::1:443', lastSuccessAt: 2000, failures: {}, connects: [0, 0, 0], probes: {} }])
    const second = '1970-01-01T00:00:02.000Z'
    expect(health.states()).toEqual([
      {
        ...{
          upstream: 'http://a.example',
          lastSuccess: second,
          lastFailure: { at: second, reason: 'reset' },
          failures: { '5xx': 1, reset: 2 },
        },
        ...{ connect: { count: 4, meanMs: 4.375, maxMs: 11 }, probe: { at: second, result: 'timeout', ms: 12.346 } },
      },
      { upstream: 'https://[::1]', lastSuccess: second, failures: {} },
    ])
  })

  it('is of the upstreams of now: one that goes is forgotten, one that stays goes on', () => {
    const health = createHealth({ now: () => 0, connectBuckets: [] })
    health.use(['http://a', 'http://b'])
    const [a, b] = [health.of('http://a'), health.of('http://b')]
    b.answered(500)
    health.use(['http://b', 'http://c'])
    a.answered(200)
    health.of('http://a').answered(200)
    b.answered(500)
    expect(health.states().map(({ upstream, failures }) => [upstream, failures])).toEqual([
      ['http://b', { '5xx': 2 }],
      ['http://c', {}],
    ])
  })
})

describe('the proxy tells the health of', () => {
  const failuresOf = ({ health }: Awaited<ReturnType<typeof startProxy>>) => health.states()[0]?.failures
  const upgrade = 'GET / HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  const get = 'GET / HTTP/1.1\r\nHost: me\r\n\r\n'

  it.each([
    ['a request', get],
    ['an upgrade', upgrade],
  ])('an upstream that refuses %s, resets it, or answers 503', async (_, text) => {
    const gone = await startProxy(`http://127.0.0.1:${await freePort()}`)
    const resetting = await startProxy((await rawUpstream((_, socket) => void socket.destroy())).url)
    const failing = await startProxy(
      (await rawUpstream((_, socket) => void socket.write('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n'))).url,
    )
    for (const proxy of [gone, resetting, failing]) {
      rawClient(proxy.port, text)
      await proxy.ended()
    }
    expect([gone, resetting, failing].map(failuresOf)).toEqual([{ refused: 1 }, { reset: 1 }, { '5xx': 1 }])
  })

  it('an upstream that breaks off amid its response', async () => {
    const { url } = await rawUpstream((_, socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'))
    const proxy = await startProxy(url)
    rawClient(proxy.port, get)
    await proxy.ended()
    expect(proxy.health.states()).toMatchObject([{ lastSuccess: expect.any(String), failures: { reset: 1 } }])
  })

  it('an upstream that accepts an upgrade, which a client that leaves does not change', async () => {
    const { url } = await rawUpstream(
      (_, socket) => void socket.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    )
    const proxy = await startProxy(url)
    const client = rawClient(proxy.port, upgrade)
    await client.until((received) => received.includes('101'))
    client.socket.destroy()
    await proxy.ended()
    expect(proxy.health.states()).toMatchObject([{ lastSuccess: expect.any(String), failures: {} }])
  })

  it('no upstream when the client leaves before a response', async () => {
    const { url, connections } = await rawUpstream(() => undefined)
    const proxy = await startProxy(url)
    const client = rawClient(proxy.port, get)
    await until(() => connections.length === 1)
    client.socket.destroy()
    await proxy.ended()
    expect(proxy.health.states()).toEqual([{ upstream: url, failures: {} }])
  })
})

const times = { connectMs: 5000, headMs: 5000, idleMs: 5000, headerBytes: 65_536 }
const routeOf = (upstream: string, more: Partial<Route> = {}): Route => ({
  ...{ name: 'default', prefix: '/', stripPrefix: false, upstream: new URL(upstream), provider: undefined, host: 'upstream' },
  ...{ disconnect: 'cancel', trace: 'child', ...more },
})

function made() {
  const health = createHealth({ now: Date.now, connectBuckets: [] })
  const upstreams = createUpstreams({ health, cells: new Int32Array(cellCount), report: () => undefined })
  onTestFinished(() => upstreams.destroy())
  return { health, upstreams }
}

/** The body of a GET. */
function get(upstream: ReturnType<ReturnType<ReturnType<typeof createUpstreams>['use']>>, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    let body = ''
    const rest = { bodySent: () => undefined, requestSent: () => undefined, interim: () => undefined, head: () => undefined }
    upstream.dispatch(
      { method: 'GET', path, headers: [], host: 'x', body: null },
      { ...rest, data: (chunk) => void (body += chunk), end: () => resolve(body), failed: reject },
    )
  })
}

describe('the upstreams of other routes', () => {
  it('keep their connections where they are reached as before', async () => {
    const { connections, url } = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
    const { upstreams } = made()
    const route = routeOf(url)
    expect(await get(upstreams.use([route], times)(route, url, false))).toBe('ok')
    expect(await get(upstreams.use([routeOf(url, { name: 'other', prefix: '/x' })], { ...times })(route, url, false))).toBe('ok')
    expect(connections.length).toBe(1)
  })

  it('lose free connections where they are not, and let what has begun go on', async () => {
    const { connections, url } = await rawUpstream((text, socket) => {
      if (!text.includes('/held')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    })
    const { upstreams } = made()
    const route = routeOf(url)
    const earlier = upstreams.use([route], times)
    expect(await get(earlier(route, url, false))).toBe('ok')
    const held = get(earlier(route, url, false), '/held')
    expect(await get(earlier(route, url, false))).toBe('ok')
    const open = () => connections.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded).length
    expect(open()).toBe(2)
    const later = upstreams.use([route], { ...times, headMs: 6000 })
    await until(() => open() === 1)
    // A request that began before, and is sent now, gets a connection that nobody uses again.
    const { length } = connections
    expect([await get(earlier(route, url, false)), await get(earlier(route, url, false)), connections.length]).toEqual([
      'ok',
      'ok',
      length + 2,
    ])
    expect([await get(later(route, url, false)), await get(later(route, url, false)), connections.length]).toEqual(['ok', 'ok', length + 3])
    await until(() => open() === 2)
    for (const socket of connections) if (!socket.destroyed) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nheld')
    expect(await held).toBe('held')
  })

  it('that were never asked are made for a request that began before, and kept from no other', async () => {
    const { connections, url } = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
    const { upstreams } = made()
    const route = routeOf(url)
    const earlier = upstreams.use([route], times)
    const later = upstreams.use([route], times)
    expect([await get(later(route, url, false)), await get(earlier(route, url, false)), await get(later(route, url, false))]).toEqual([
      'ok',
      'ok',
      'ok',
    ])
    expect(connections.length).toBe(1)
    const never = upstreams.use([route], { ...times, headMs: 6000 })
    upstreams.use([route], times)
    expect([await get(never(route, url, false)), await get(never(route, url, false)), connections.length]).toEqual(['ok', 'ok', 3])
  })
})

describe('a probe', () => {
  const probe = { path: '/health', everyMs: 1000 }
  const resultOf = async (upstream: string) => {
    const { health, upstreams } = made()
    const routes = [routeOf(upstream, { probe })]
    health.use([upstream])
    const { stop } = startProbes(routes, upstreams.use(routes, { ...times, headMs: 0 }), health)
    onTestFinished(stop)
    await expect.poll(() => health.states()[0]?.probe).toBeDefined()
    return { result: health.states()[0]?.probe?.result, failures: health.states()[0]?.failures, changes: health.changes() }
  }
  const answering = (head: string) => rawUpstream((_, socket) => void socket.write(`HTTP/1.1 ${head}\r\ncontent-length: 0\r\n\r\n`))

  it('succeeds by any answer below 500, and is no failure of a request otherwise', async () => {
    expect(await resultOf((await answering('401 Unauthorized')).url)).toMatchObject({ result: 'success', failures: {} })
    expect(await resultOf((await answering('503 Service Unavailable')).url)).toMatchObject({ result: '5xx', failures: {} })
    expect(await resultOf(`http://127.0.0.1:${await freePort()}`)).toMatchObject({ result: 'refused', failures: {} })
  })

  it('that gets no answer before the next is due failed by time, and its connection is not left open', async () => {
    const { url, connections } = await rawUpstream(() => undefined)
    const { changes } = await resultOf(url)
    expect(changes[0]?.probes).toEqual({ timeout: 1 })
    await until(() => connections[0]?.destroyed === true || connections[0]?.readableEnded === true)
  })
})
