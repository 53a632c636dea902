/** A corporate network: the upstream's name resolves nowhere here, and only the forward proxy reaches it. */
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { forwardProxyOf } from '../../src/config/forward-proxy.ts'
import type { Upstream, UpstreamOptions } from '../../src/proxy/upstream.ts'
import { certificate } from './certificate.ts'
import { send, upstreamOf } from './collect.ts'
import { until } from './harness.ts'

const listening = async (server: net.Server): Promise<number> => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Tunnels to the loopback, whatever the name; asks for the credentials where there are some. */
async function startForwardProxy(credentials?: string) {
  const asked: string[] = []
  const sockets: net.Socket[] = []
  const isAllowed = (request: http.IncomingMessage) =>
    credentials === undefined || request.headers['proxy-authorization'] === `Basic ${Buffer.from(credentials).toString('base64')}`
  const proxy = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (!isAllowed(request)) response.writeHead(407).end()
    else response.writeHead(200, { 'x-by': 'proxy' }).end('forwarded')
  })
  proxy.on('connect', (request, client) => {
    asked.push(`CONNECT ${request.url}`)
    sockets.push(client as net.Socket)
    client.on('error', () => undefined)
    if (!isAllowed(request)) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n')
      return
    }
    const target = net.connect(Number(request.url?.split(':').pop()), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      target.pipe(client).pipe(target)
    })
    target.on('error', () => client.destroy())
  })
  const port = await listening(proxy)
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  return { port, asked }
}

async function startSecureUpstream() {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, certificate.cert])
  let seen = ''
  const server = tls.createServer(certificate, (socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      seen += data.toString('latin1')
      if (seen.includes('upgrade: websocket')) socket.write('HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello')
      else if (seen.endsWith('{}') || seen.startsWith('GET')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const port = await listening(server)
  onTestFinished(() => tls.setDefaultCACertificates(before))
  return { origin: `https://weir.test:${port}`, port, seen: () => seen }
}

function proxied(origin: string, proxy: string, options: Partial<UpstreamOptions> = {}): Upstream {
  const { origin: at, username, password } = new URL(proxy)
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const authorization = username === '' ? undefined : `Basic ${Buffer.from(user).toString('base64')}`
  return upstreamOf(origin, { proxy: { origin: at, authorization }, ...options })
}

describe('an upstream that only a proxy reaches', () => {
  it.each([
    ['without credentials', undefined],
    ['with credentials', 'me:p%40ss'],
  ])('is asked through it, %s, with the fields as they are', async (_, credentials) => {
    const upstream = await startSecureUpstream()
    const proxy = await startForwardProxy(credentials === undefined ? undefined : decodeURIComponent(credentials))
    const at = `http://${credentials === undefined ? '' : `${credentials}@`}127.0.0.1:${proxy.port}`
    const headers = ['X-Two', '1', 'x-one', '2', 'X-Two', '3']
    const { outcome } = send(proxied(upstream.origin, at), {
      method: 'POST',
      headers,
      host: `weir.test:${upstream.port}`,
      body: Buffer.from('{}'),
    })
    expect(await outcome).toMatchObject({ status: 200, body: 'ok' })
    expect(proxy.asked).toEqual([`CONNECT weir.test:${upstream.port}`])
    expect(upstream.seen()).toContain('X-Two: 1\r\nx-one: 2\r\nX-Two: 3\r\n')
    expect(upstream.seen()).not.toContain('proxy-authorization')
  })

  it('is upgraded through it', async () => {
    const upstream = await startSecureUpstream()
    const proxy = await startForwardProxy()
    const reached = proxied(upstream.origin, `http://127.0.0.1:${proxy.port}`)
    const early = await new Promise<string>((resolve, reject) => {
      reached.dispatch(
        { method: 'GET', path: '/', headers: [], host: `weir.test:${upstream.port}`, body: null, upgrade: 'websocket' },
        {
          ...{ bodySent() {}, requestSent() {}, interim() {}, head() {}, data() {}, end() {}, failed: reject },
          upgraded: (_fields, socket) => void socket.once('data', (data) => resolve(String(data))),
        },
      )
    })
    expect(early).toBe('hello')
  })

  it('keeps its connection for the next request, the last one used first', async () => {
    const upstream = await startSecureUpstream()
    const proxy = await startForwardProxy()
    const reached = proxied(upstream.origin, `http://127.0.0.1:${proxy.port}`)
    const request = { host: `weir.test:${upstream.port}`, headers: [] }
    await Promise.all([send(reached, request).outcome, send(reached, request).outcome])
    for (let i = 0; i < 3; i++) expect(await send(reached, request).outcome).toMatchObject({ status: 200 })
    expect(proxy.asked.length).toBe(2)
  })

  const failing = (reached: Upstream) =>
    new Promise<[string | undefined, string]>((resolve) => {
      reached.dispatch(
        { method: 'GET', path: '/', headers: [], host: 'weir.test', body: null },
        {
          ...{ bodySent() {}, requestSent() {}, interim() {}, head() {}, data() {}, end() {} },
          failed: (error: NodeJS.ErrnoException) => resolve([error.code, error.message]),
        },
      )
    })

  it.each(['http', 'https'])('fails over %s with the names of proxy and host where the proxy refuses', async (scheme) => {
    const { port } = await startForwardProxy('me:secret')
    expect(await failing(proxied(`${scheme}://weir.test:8443`, `http://other:wrong@127.0.0.1:${port}`))).toEqual([
      'PROXY_REFUSED',
      `The proxy http://127.0.0.1:${port} opened no way to weir.test:8443: it answered 407. Write the user and the password that it asks for into its URL: http://user:password@host:port.`,
    ])
  })

  it.each(['http', 'https'])('fails over %s with the names of proxy and host where there is no proxy', async (scheme) => {
    expect(await failing(proxied(`${scheme}://weir.test:8443`, 'http://other:wrong@127.0.0.1:1'))).toEqual([
      'PROXY_UNREACHABLE',
      'The proxy http://127.0.0.1:1 on the way to weir.test:8443 cannot be reached: ECONNREFUSED.',
    ])
  })

  it.each([
    ['hangs up', (socket: net.Socket) => void socket.destroy(), 'CLOSED'],
    ['says nothing', () => undefined, 'CONNECT_TIMEOUT'],
    ['speaks no HTTP', (socket: net.Socket) => void socket.write('SSH-2.0-OpenSSH\r\n'), 'BAD_RESPONSE'],
  ])('fails, and asks once, where the proxy %s', async (_, act, why) => {
    let connections = 0
    const sockets: net.Socket[] = []
    const proxy = net.createServer((socket) => {
      connections++
      sockets.push(socket.on('error', () => undefined))
      socket.once('data', () => act(socket))
    })
    const port = await listening(proxy)
    const reached = proxied('https://weir.test', `http://127.0.0.1:${port}`, { connectMs: 300 })
    expect(await failing(reached)).toEqual([
      'PROXY_UNREACHABLE',
      `The proxy http://127.0.0.1:${port} on the way to weir.test cannot be reached: ${why}.`,
    ])
    expect(connections).toBe(1)
    await until(() => sockets.every((socket) => socket.destroyed))
  })

  it('that breaks the handshake, or has another name, fails by itself and not by the proxy', async () => {
    const plain = net.createServer((socket) => void socket.on('error', () => undefined).once('data', () => socket.destroy()))
    const port = await listening(plain)
    const proxy = await startForwardProxy()
    const at = `http://127.0.0.1:${proxy.port}`
    expect((await failing(proxied(`https://weir.test:${port}`, at)))[0]).toBe('ECONNRESET')
    const upstream = await startSecureUpstream()
    expect(await send(proxied(upstream.origin, at), { name: 'other.test' }).outcome).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  it('that does not end the handshake fails in time; one that does keeps its connection beyond that', async () => {
    const silent = net.createServer((socket) => void socket.on('error', () => undefined).resume())
    const proxy = await startForwardProxy()
    const at = `http://127.0.0.1:${proxy.port}`
    const limits = { connectMs: 300 }
    expect((await failing(proxied(`https://weir.test:${await listening(silent)}`, at, limits)))[0]).toBe('CONNECT_TIMEOUT')
    const upstream = await startSecureUpstream()
    const reached = proxied(upstream.origin, at, limits)
    for (let i = 0; i < 2; i++) {
      expect(await send(reached, { host: 'weir.test' }).outcome).toMatchObject({ status: 200 })
      await new Promise((done) => setTimeout(done, 500))
    }
    expect(proxy.asked.length).toBe(2)
  })

  it('without TLS is upgraded through a tunnel', async () => {
    const upstream = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write('HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello'))
    })
    const port = await listening(upstream)
    const proxy = await startForwardProxy()
    const early = await new Promise<string>((resolve, reject) => {
      proxied(`http://weir.test:${port}`, `http://127.0.0.1:${proxy.port}`).dispatch(
        { method: 'GET', path: '/', headers: [], host: 'weir.test', body: null, upgrade: 'websocket' },
        {
          ...{ bodySent() {}, requestSent() {}, interim() {}, head() {}, data() {}, end() {}, failed: reject },
          upgraded: (_fields, socket) => void socket.once('data', (data) => resolve(String(data))),
        },
      )
    })
    expect([early, proxy.asked]).toEqual(['hello', [`CONNECT weir.test:${port}`]])
  })

  it('is let go of where the call is aborted while the tunnel is made', async () => {
    const sockets: net.Socket[] = []
    const proxy = net.createServer((socket) => void sockets.push(socket.resume().on('error', () => undefined)))
    const { call } = send(proxied('https://weir.test', `http://127.0.0.1:${await listening(proxy)}`))
    await until(() => sockets.length === 1)
    call.abort()
    await until(() => sockets[0]?.destroyed === true)
  })

  it('without TLS is asked for by its whole URL', async () => {
    const proxy = await startForwardProxy()
    const { outcome } = send(proxied('http://weir.test:8000', `http://127.0.0.1:${proxy.port}`), {
      path: '/v1/models',
      host: 'weir.test:8000',
    })
    expect(await outcome).toMatchObject({ status: 200, body: 'forwarded' })
    expect(proxy.asked).toEqual(['GET http://weir.test:8000/v1/models'])
  })
})

describe('the proxy of an upstream', () => {
  const proxyOf = async (url: string, env: Record<string, string>) => {
    const found = await forwardProxyOf(new URL(url), env)
    return typeof found === 'object' ? found.origin : found
  }
  const at = 'http://proxy:3128'

  it.each<[string, Record<string, string>, string, string | undefined]>([
    ['is none where no variable is set', {}, 'https://api.openai.com', undefined],
    ['is HTTPS_PROXY’s for https', { HTTPS_PROXY: 'http://me:secret@proxy:3128' }, 'https://api.openai.com', at],
    ['is not HTTPS_PROXY’s for http', { HTTPS_PROXY: at }, 'http://gateway', undefined],
    ['is HTTP_PROXY’s for http', { HTTP_PROXY: at }, 'http://gateway', at],
    ['is not HTTP_PROXY’s for https', { HTTP_PROXY: at }, 'https://gateway', undefined],
    ['is of the lower case first', { https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, 'https://x', 'http://a:1'],
    ['is the upper case’s where the lower is empty', { https_proxy: '', HTTPS_PROXY: 'http://b:2' }, 'https://x', 'http://b:2'],
    ['is ALL_PROXY’s else', { ALL_PROXY: at }, 'https://x', at],
    ['may be written without a scheme', { ALL_PROXY: 'proxy:3128' }, 'https://x', at],
    ['is none for a name in NO_PROXY', { HTTPS_PROXY: at, NO_PROXY: 'a.com,.corp' }, 'https://llm.corp', 'none'],
    ['is none for a name in no_proxy', { HTTPS_PROXY: at, no_proxy: 'llm.corp' }, 'https://llm.corp', 'none'],
    ['is none for a name below one in NO_PROXY', { HTTPS_PROXY: at, NO_PROXY: 'corp' }, 'https://llm.corp', 'none'],
    ['is none for an address and port in NO_PROXY', { HTTP_PROXY: at, NO_PROXY: '10.0.0.1:80' }, 'http://10.0.0.1', 'none'],
    ['is there for another port than the one in NO_PROXY', { HTTP_PROXY: at, NO_PROXY: '10.0.0.1:81' }, 'http://10.0.0.1', at],
    ['is none where NO_PROXY is *', { HTTPS_PROXY: at, NO_PROXY: '*' }, 'https://x', 'none'],
    ['is there for a name that NO_PROXY does not hold', { HTTPS_PROXY: at, NO_PROXY: 'a.com' }, 'https://b.com', at],
    ['is none for the loopback', { HTTP_PROXY: at }, 'http://127.0.0.1:8000', 'none'],
  ])('%s', async (_, variables, url, expected) => {
    expect(await proxyOf(url, variables)).toBe(expected)
  })

  it.each(['ftp://me:secret@proxy', 'socks5://me:secret@proxy:1080', 'http://me:secret@:3128', 'http://me:%zz@proxy'])(
    'is refused where the variable holds %s, without its credentials',
    async (value) => {
      const error = await proxyOf('https://api.openai.com', { https_proxy: value }).catch((thrown) => thrown)
      expect(error).toMatchObject({ key: 'https_proxy' })
      expect(error.message).toMatch(/ is not a proxy\. Write http:\/\/host:port, or name the upstream's host in NO_PROXY\.$/)
      expect(error.message).not.toMatch(/secret|zz/)
    },
  )
})
