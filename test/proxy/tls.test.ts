import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { certificate } from './certificate.ts'
import { send, upstreamOf } from './collect.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

interface Connected {
  readonly servername: string | false | null
  readonly protocol: string | false | null
  readonly resumed: boolean
}

async function secureUpstream(closes = false) {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, certificate.cert])
  const connected: Connected[] = []
  const server = tls.createServer({ ...certificate, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    connected.push({ servername: socket.servername ?? null, protocol: socket.alpnProtocol, resumed: socket.isSessionReused() })
    socket.on('error', () => undefined)
    socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${closes ? 'Connection: close\r\n' : ''}\r\nok`))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    tls.setDefaultCACertificates(before)
    server.close()
  })
  return { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, connected }
}

it('asks for the name it is told, or the upstream’s own, and for HTTP/1.1 alone, and one connection serves one name', async () => {
  const { origin, connected } = await secureUpstream()
  const upstream = upstreamOf(origin)
  for (const name of ['weir.test', 'weir.test:443', 'localhost', undefined, 'weir.test']) {
    expect(await send(upstream, { host: 'any.test', name, method: 'POST', body: Buffer.from('abc') }).outcome).toMatchObject({
      status: 200,
      body: 'ok',
    })
  }
  expect(connected.map(({ servername, protocol }) => [servername, protocol])).toEqual([
    ['weir.test', 'http/1.1'],
    ['localhost', 'http/1.1'],
    [false, 'http/1.1'],
  ])
})

it('takes up a session again', async () => {
  const { origin, connected } = await secureUpstream(true)
  const upstream = upstreamOf(origin)
  for (let i = 0; i < 3; i++) await send(upstream, { name: 'weir.test' }).outcome
  expect(connected.map(({ resumed }) => resumed)).toEqual([false, true, true])
})

it('does not speak with a server of another name', async () => {
  const { origin } = await secureUpstream()
  expect(await send(upstreamOf(origin), { name: 'other.test' }).outcome).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
})

it('does not trust a certificate that nobody vouches for', async () => {
  const { origin } = await secureUpstream()
  tls.setDefaultCACertificates([])
  expect(await send(upstreamOf(origin), { name: 'weir.test' }).outcome).toMatch(/SELF_SIGNED|UNABLE_TO/)
})

it('gives up a handshake that does not come to an end', async () => {
  const silent = await rawUpstream(() => undefined)
  const outcome = await send(upstreamOf(silent.url.replace('http:', 'https:'), { connectMs: 100 })).outcome
  expect(outcome).toBe('CONNECT_TIMEOUT')
  await until(() => silent.connections[0]?.destroyed === true)
})

it('aborts while it connects', async () => {
  const silent = await rawUpstream(() => undefined)
  const { call } = send(upstreamOf(silent.url.replace('http:', 'https:')))
  await until(() => silent.connections.length === 1)
  call.abort()
  await until(() => silent.connections[0]?.destroyed === true)
})

it('asks for the upstream’s own name also where the client’s Host goes on', async () => {
  const { origin, connected } = await secureUpstream()
  const proxy = await startProxy(origin.replace('127.0.0.1', 'localhost'), { route: { host: 'client' } })
  const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: other.test\r\n\r\n')
  expect(await client.until((text) => text.endsWith('ok'))).toContain('HTTP/1.1 200 OK')
  expect(connected.map(({ servername }) => servername)).toEqual(['localhost'])
})
