/** Upstreams that want a client certificate, have a CA of their own, or bear another name than their host. */
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { watchCertificates } from '../../src/proxy/certificates.ts'
import { createHealth } from '../../src/proxy/health.ts'
import { createUpstreams } from '../../src/proxy/upstreams.ts'
import { certificate } from './certificate.ts'
import { authority, client, pemFolder, renewed, stranger } from './certificates.ts'
import { send } from './collect.ts'
import { rawClient, startProxy, until } from './harness.ts'

/** Its certificate is signed by `authority`; it wants one of that CA. */
async function startUpstream() {
  const peers: (string | undefined)[] = []
  const options = { cert: renewed.cert, key: renewed.key, ca: authority.cert, requestCert: true }
  const server = https.createServer(options, (request, response) => {
    peers.push([(request.socket as TLSSocket).getPeerCertificate().subject.CN].flat()[0])
    response.setHeader('connection', 'close')
    response.end('ok')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, peers }
}

function watched(pem: Record<string, string>, files: readonly ('ca' | 'cert' | 'key')[]) {
  const folder = pemFolder(pem)
  const cells = new Int32Array(cellCount)
  const paths = Object.fromEntries(files.map((name) => [name, folder.at(name)]))
  const certificates = watchCertificates({ files: paths, cells, report: () => undefined, everyMs: 20 })
  onTestFinished(() => certificates.stop())
  return { ...folder, cells, certificates }
}

async function ask(port: number): Promise<string> {
  const asked = rawClient(port, 'GET / HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n')
  return asked.closed()
}

it('a client certificate and a CA are used, and read again when they change', async () => {
  const upstream = await startUpstream()
  const { certificates, put, cells } = watched({ ca: authority.cert, ...client }, ['ca', 'cert', 'key'])
  const proxy = await startProxy(upstream.url, { certificates, route: { tls: { serverName: 'weir.test' } } })
  expect(await ask(proxy.port)).toContain('200 OK')
  expect(upstream.peers).toEqual(['batch-worker'])
  put('cert', renewed.cert)
  put('key', renewed.key)
  await until(() => cells[Cell.certificatesRead] === 1)
  expect(await ask(proxy.port)).toMatch(/x-tokenweir-error: upstream_(tls|closed)/) // that one is for servers alone
  put('cert', client.cert)
  put('key', client.key)
  await until(() => cells[Cell.certificatesRead] === 2)
  expect(await ask(proxy.port)).toContain('200 OK')
  expect(upstream.peers).toEqual(['batch-worker', 'batch-worker'])
})

it.each([
  ['without its CA', {}, [], 'weir.test'],
  ['with another CA', { ca: certificate.cert }, ['ca'], 'weir.test'],
  ['without a client certificate', { ca: authority.cert }, ['ca'], 'weir.test'],
  ['with one of another CA', { ca: authority.cert, ...stranger }, ['ca', 'cert', 'key'], 'weir.test'],
  ['under another name', { ca: authority.cert, ...client }, ['ca', 'cert', 'key'], 'other.test'],
] as const)('an upstream is not spoken to %s', async (_, pem, files, serverName) => {
  const upstream = await startUpstream()
  const { certificates } = watched({ ...pem }, files)
  const proxy = await startProxy(upstream.url, { certificates, route: { tls: { serverName } } })
  expect(await ask(proxy.port)).toMatch(/x-tokenweir-error: upstream_(tls|closed)/)
  expect(upstream.peers).toEqual([])
})

it('routes of one origin share its connections, but for those with certificates of their own', async () => {
  const { at } = pemFolder({ ca: authority.cert, ...client })
  const usual = { stripPrefix: false, provider: undefined, host: 'upstream', disconnect: 'cancel', trace: 'child' } as const
  const upstream = new URL('https://127.0.0.1:1')
  const routes = [
    { ...usual, name: 'a', prefix: '/a', upstream },
    { ...usual, name: 'b', prefix: '/b', upstream },
    { ...usual, name: 'c', prefix: '/c', upstream, tls: { ca: at('ca') } },
  ]
  const settings = { connectMs: 1000, headMs: 1000, idleMs: 1000, headerBytes: 65_536 }
  const health = createHealth({ now: Date.now, connectBuckets: [] })
  health.use([upstream.origin])
  const upstreams = createUpstreams({ health, cells: new Int32Array(cellCount), report: () => undefined })
  const upstreamOf = upstreams.use(routes, settings)
  onTestFinished(() => upstreams.destroy())
  const [a, b, c] = routes.map((route) => upstreamOf(route, upstream.origin, false))
  expect([a === b, a === c]).toEqual([true, false])
  expect(await send(a as NonNullable<typeof a>).outcome).toBe('ECONNREFUSED')
})
