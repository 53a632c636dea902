/** A corporate network: the upstream's name resolves nowhere here, and only the forward proxy reaches it. */
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { forwardProxyOf } from '../../src/config/forward-proxy.ts'
import { createProxiedUpstream } from '../../src/proxy/proxied-upstream.ts'
import type { Upstream } from '../../src/proxy/upstream.ts'
import { certificate } from './certificate.ts'
import { send } from './collect.ts'

const limits = { connectMs: 5000, headMs: 5000, idleMs: 5000, headerBytes: 65_536 }
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

function proxied(origin: string, proxy: string): Upstream {
  const upstream = createProxiedUpstream(origin, { url: new URL(proxy), shown: new URL(proxy).origin }, limits)
  onTestFinished(() => upstream.destroy())
  return upstream
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
    expect(upstream.seen()).toContain('X-Two: 1\r\nX-Two: 3\r\nx-one: 2\r\n')
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

  it.each([
    ['refuses', 'it answered 407', true],
    ['is not there', 'ECONNREFUSED', false],
  ])('fails with the names of proxy and host where the proxy %s', async (_, why, isThere) => {
    const upstream = await startSecureUpstream()
    const port = isThere ? (await startForwardProxy('me:secret')).port : 1
    const failed = new Promise<Error>((resolve) => {
      proxied(upstream.origin, `http://other:wrong@127.0.0.1:${port}`).dispatch(
        { method: 'GET', path: '/', headers: [], host: 'weir.test', body: null },
        { bodySent() {}, requestSent() {}, interim() {}, head() {}, data() {}, end() {}, failed: resolve },
      )
    })
    const error = await failed
    expect([(error as NodeJS.ErrnoException).code, error.message]).toEqual([
      'PROXY',
      `The proxy http://127.0.0.1:${port} opened no way to weir.test:${upstream.port}: ${why}.`,
    ])
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
  const names = ['https_proxy', 'http_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()])
  const before = new Map(names.map((name) => [name, process.env[name]]))
  beforeEach(() => {
    for (const name of names) delete process.env[name]
  })
  afterEach(() => {
    for (const [name, value] of before) if (value !== undefined) process.env[name] = value
  })
  const shown = (url: string) => forwardProxyOf(new URL(url))?.shown

  it.each<[string, Record<string, string>, string, string | undefined]>([
    ['is none where no variable is set', {}, 'https://api.openai.com', undefined],
    ['is HTTPS_PROXY’s for https', { HTTPS_PROXY: 'http://me:secret@proxy:3128' }, 'https://api.openai.com', 'http://proxy:3128'],
    ['is not HTTPS_PROXY’s for http', { HTTPS_PROXY: 'http://proxy:3128' }, 'http://gateway', undefined],
    ['is HTTP_PROXY’s for http', { HTTP_PROXY: 'http://proxy:3128' }, 'http://gateway', 'http://proxy:3128'],
    ['is of the lower case first', { https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, 'https://x', 'http://a:1'],
    ['is ALL_PROXY’s else', { ALL_PROXY: 'http://proxy:3128' }, 'https://x', 'http://proxy:3128'],
    ['is none for a name in NO_PROXY', { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'a.com,.corp' }, 'https://llm.corp', undefined],
    ['is none for a name in no_proxy', { HTTPS_PROXY: 'http://proxy:3128', no_proxy: 'llm.corp' }, 'https://llm.corp', undefined],
    ['is none for the loopback', { HTTP_PROXY: 'http://proxy:3128' }, 'http://127.0.0.1:8000', undefined],
  ])('%s', (_, variables, url, expected) => {
    Object.assign(process.env, variables)
    expect(shown(url)).toBe(expected)
  })

  it('is refused where the variable holds no URL of one, without what it holds', () => {
    process.env['HTTPS_PROXY'] = 'ftp://me:secret@proxy'
    expect(() => shown('https://api.openai.com')).toThrow(
      'The proxy for api.openai.com (HTTPS_PROXY or ALL_PROXY) is no URL of a proxy. Write http://host:port, or name the host in NO_PROXY.',
    )
  })
})
