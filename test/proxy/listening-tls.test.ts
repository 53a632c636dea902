/** Clients that speak TLS with the sidecar. HTTP/2 is in http2-clients.test.ts. */
import http2 from 'node:http2'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ListenTls } from '../../src/config/certificates.ts'
import { Cell } from '../../src/lib/shared-counters.ts'
import { createCallers } from '../../src/proxy/caller/callers.ts'
import { certificate } from './certificate.ts'
import { authority, client, pemFolder, renewed, stranger } from './certificates.ts'
import { rawUpstream, startProxy, until } from './harness.ts'

const get = 'GET /v1/models HTTP/1.1\r\nHost: weir.test\r\n\r\n'
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** What comes back, until the response is whole or the connection is closed. */
function ask(port: number, options: tls.ConnectionOptions = {}) {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'weir.test', ca: [certificate.cert, authority.cert], ...options })
  let received = ''
  let isClosed = false
  socket.on('data', (data) => void (received += data.toString('latin1')))
  socket.on('error', () => undefined)
  socket.on('close', () => void (isClosed = true))
  socket.write(get)
  onTestFinished(() => void socket.destroy())
  const answer = async () => {
    await until(() => isClosed || received.endsWith('ok'))
    return received
  }
  return { socket, answer, received: () => received, isClosed: () => isClosed }
}

async function start(tlsOptions: Partial<ListenTls> = {}, folder = pemFolder()) {
  const requests: string[] = []
  const upstream = await rawUpstream((text, socket) => {
    requests.push(text)
    socket.write(ok)
  })
  const proxy = await startProxy(upstream.url, { tls: { ...folder.tls, ...tlsOptions } })
  return { ...folder, proxy, requests }
}

describe('TLS', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('%s carries a request, of which the upstream learns that it was https', async (version) => {
    const { proxy, requests } = await start()
    const { socket, answer } = ask(proxy.port, { minVersion: version, maxVersion: version })
    expect(await answer()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\nok')
    expect(socket.getProtocol()).toBe(version)
    expect(requests[0]).toContain('x-forwarded-proto: https\r\n')
    expect(requests[0]).toContain('proto=https\r\n')
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status: 200 }])
  })

  it('below the lowest version is refused', async () => {
    const { proxy } = await start({ minVersion: '1.3' })
    expect(await ask(proxy.port, { maxVersion: 'TLSv1.2' }).answer()).toBe('')
    expect(await ask(proxy.port).answer()).toContain('200 OK')
    expect([proxy.seen.length, proxy.cells[Cell.handshakesFailed]]).toEqual([1, 1])
  })

  it('is not offered HTTP/2 where that is off', async () => {
    const { proxy } = await start({ http2: false })
    const { socket, answer } = ask(proxy.port, { ALPNProtocols: ['h2', 'http/1.1'] })
    expect([await answer(), socket.alpnProtocol]).toEqual([expect.stringContaining('200 OK'), 'http/1.1'])
  })

  it('a client that speaks plain HTTP is told once to the operator', async () => {
    const { proxy } = await start()
    for (let i = 0; i < 2; i++) {
      const response = fetch(`http://127.0.0.1:${proxy.port}/`)
      await expect(response).rejects.toThrow()
    }
    await until(() => proxy.cells[Cell.handshakesFailed] === 2)
    expect(proxy.reports).toEqual(['A client speaks plain HTTP to a port that expects TLS: its base URL must begin with https://.'])
  })

  it('a listener that closes waits for the response under way, and for no connection without one', async () => {
    const upstream = await rawUpstream(() => undefined)
    const proxy = await startProxy(upstream.url, { tls: pemFolder().tls })
    const idle = tls.connect({ port: proxy.port, host: '127.0.0.1', rejectUnauthorized: false })
    onTestFinished(() => void idle.destroy())
    const { answer } = ask(proxy.port)
    await until(() => upstream.connections.length === 1)
    let isClosed = false
    const closing = proxy.listener.close().then(() => void (isClosed = true))
    await until(() => idle.destroyed)
    expect(isClosed).toBe(false)
    upstream.connections[0]?.write(ok)
    expect(await answer()).toContain('200 OK')
    await closing
  })
})

describe('certificates', () => {
  const subject = (socket: tls.TLSSocket) => socket.getPeerCertificate().subject.CN

  it('that change are used by new connections; what is open goes on', async () => {
    const { proxy, put } = await start()
    const before = ask(proxy.port)
    await before.answer()
    put('tls.crt', renewed.cert)
    put('tls.key', renewed.key)
    await until(() => proxy.cells[Cell.certificatesRead] === 1)
    const after = ask(proxy.port)
    expect(await after.answer()).toContain('200 OK')
    expect([subject(before.socket), subject(after.socket)]).toEqual(['weir.test', 'renewed.weir.test'])
    before.socket.write(get)
    await until(() => before.received().split('200 OK').length === 3)
    expect(proxy.reports).toEqual([expect.stringMatching(/^New certificates are in use, from .*tls\.crt, .*tls\.key\.$/)])
  })

  it.each([
    [
      'whose key is another’s',
      'tls.key',
      renewed.key,
      /^The private key in .* does not belong to the certificate in .*tls\.crt"\. The cert/,
    ],
    ['that are no PEM', 'tls.crt', 'not a certificate', /^There is no certificate in PEM in .*tls\.crt"/],
  ])('%s are not used; that is told once, and mended by the right ones', async (_, name, text, sentence) => {
    const { proxy, put } = await start()
    put(name, text)
    await until(() => proxy.cells[Cell.certificatesRefused] === 1)
    await new Promise((resolve) => setTimeout(resolve, 300)) // several looks
    const { socket, answer } = ask(proxy.port)
    expect(await answer()).toContain('200 OK')
    expect([subject(socket), proxy.reports, proxy.cells[Cell.certificatesRefused]]).toEqual([
      'weir.test',
      [expect.stringMatching(sentence)],
      1,
    ])
    put('tls.crt', renewed.cert)
    put('tls.key', renewed.key)
    await until(() => proxy.cells[Cell.certificatesRead] === 1)
    const mended = ask(proxy.port)
    await mended.answer()
    expect(subject(mended.socket)).toBe('renewed.weir.test')
  })
})

describe('mTLS', () => {
  const withCa = () => pemFolder({ 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.crt': authority.cert })
  const startMutual = (more: Partial<ListenTls> = {}) => {
    const folder = withCa()
    return start({ clientCa: folder.at('ca.crt'), ...more }, folder)
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('a client with a certificate of the CA is served, over %s', async (maxVersion) => {
    const { proxy } = await startMutual()
    expect(await ask(proxy.port, { ...client, maxVersion }).answer()).toContain('200 OK')
    expect(proxy.cells[Cell.clientsWithoutCertificate]).toBe(0)
  })

  it.each([
    ['without a certificate', {}, 'required'],
    ['with one of another CA', stranger, 'required'],
    ['with one of another CA, where they are optional', stranger, 'optional'],
  ] as const)('a client %s is refused, and counted', async (_, pair, clientCertificates) => {
    const { proxy } = await startMutual({ clientCertificates })
    expect(await ask(proxy.port, pair).answer()).toBe('')
    await until(() => proxy.cells[Cell.clientsWithoutCertificate] === 1)
    expect([proxy.seen, proxy.cells[Cell.handshakesFailed]]).toEqual([[], 0])
  })

  it.each([
    ['cn', 'batch-worker'],
    ['subject', 'O=Example,CN=batch-worker'],
    ['uri', 'spiffe://weir.test/ns/ml/sa/batch'],
    ['dns', 'batch.weir.test'],
    ['email', 'batch@weir.test'],
  ] as const)('the %s of a certificate names its caller, of each request on the connection', async (field, name) => {
    const folder = withCa()
    const sources = [{ kind: 'client-cert', field } as const]
    const cells = new Int32Array(64)
    const callers = await createCallers({ sources, ledger: folder.at('none.db'), cells, report: () => undefined })
    const upstream = await rawUpstream((_, socket) => void socket.write(ok))
    const proxy = await startProxy(upstream.url, {
      tls: { ...folder.tls, clientCa: folder.at('ca.crt'), clientCertificates: 'optional' },
      callers,
    })
    const { socket, answer, received } = ask(proxy.port, client)
    await answer()
    socket.write(get)
    await until(() => received().split('200 OK').length === 3)
    const session = http2.connect(`https://127.0.0.1:${proxy.port}`, { ...client, ca: certificate.cert, servername: 'weir.test' })
    onTestFinished(() => session.destroy())
    await new Promise((resolve) => session.request({ ':path': '/' }).on('close', resolve).resume())
    await ask(proxy.port).answer()
    expect(proxy.seen.map(({ opening }) => opening.caller)).toEqual([name, name, name, undefined])
  })

  it('a client without a certificate is served where they are optional', async () => {
    const { proxy } = await startMutual({ clientCertificates: 'optional' })
    expect(await ask(proxy.port).answer()).toContain('200 OK')
  })

  it('a CA that changes holds for new connections, also for those that take up a session again', async () => {
    const { proxy, put } = await startMutual()
    const before = ask(proxy.port, { ...client, maxVersion: 'TLSv1.2' })
    await before.answer()
    const session = before.socket.getSession() as Buffer
    const resumed = ask(proxy.port, { ...client, maxVersion: 'TLSv1.2', session })
    await resumed.answer()
    expect(resumed.socket.isSessionReused()).toBe(true)
    put('ca.crt', renewed.cert)
    await until(() => proxy.cells[Cell.certificatesRead] === 1)
    expect(await ask(proxy.port, { ...client, maxVersion: 'TLSv1.2', session }).answer()).toBe('')
  })
})
