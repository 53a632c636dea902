import http from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connectionOver } from '../../src/admin/connection.ts'
import { type FrontOptions, startFront } from '../../src/admin/front.ts'
import { metricsRoute } from '../../src/admin/routes.ts'
import { type AdminRoute, connectionsMax, createAdminServer, startAdmin } from '../../src/admin/server.ts'

interface Overrides extends Partial<FrontOptions> {
  readonly host?: string
  readonly routes?: readonly AdminRoute[]
  readonly scrape?: () => string
}

/** The front, and the recorder's server behind it. */
async function start({ host = '127.0.0.1', scrape = () => 'tokenweir_requests_total 3\n', routes, ...overrides }: Overrides = {}) {
  const lines: string[] = []
  const report = (line: string) => void lines.push(line)
  const address = { host, port: 0 }
  const behind = createAdminServer({ address, routes: routes ?? [metricsRoute(scrape)], report })
  const open = new Set<MessagePort>()
  const connect: FrontOptions['connect'] = (peer) => {
    const { port1, port2 } = new MessageChannel()
    open.add(port2.on('close', () => open.delete(port2)))
    behind.emit('connection', Object.assign(connectionOver(port2), peer))
    return port1
  }
  const records = () => ({ instance: 'one', problems: [] })
  const admin = await startFront({ address, unready: () => undefined, records, connect, report, ...overrides })
  onTestFinished(() => admin.close())
  const get = (path: string, options: http.RequestOptions = {}) => request(admin.port, path, options)
  return { get, lines, port: admin.port, open }
}

interface Answer {
  readonly status: number | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

function request(port: number, path: string, options: http.RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host: '127.0.0.1', port, path, agent: false, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => (body += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

const told = ({ status, body }: Answer) => [status, JSON.parse(body)]

/** A recorder that takes connections and answers nothing. */
function blocked(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  onTestFinished(() => port2.close())
  return port1
}

describe('/livez', () => {
  it('is 200 for as long as it is answered', async () => {
    const { get } = await start({ unready: () => 'It is stopping.', connect: blocked })
    expect(told(await get('/livez'))).toEqual([200, { live: true }])
  })
})

describe('/readyz', () => {
  it('is 200 while requests are served, with the ledger that they are recorded in', async () => {
    const { get } = await start()
    expect(told(await get('/readyz'))).toEqual([200, { ready: true, instance: 'one', records: { ok: true, problems: [] } }])
  })

  it('tells the day of the prices, once they are loaded', async () => {
    const { get } = await start({ records: () => ({ instance: 'one', problems: [], pricesDate: '2026-11-28' }) })
    expect(told(await get('/readyz'))).toEqual([
      200,
      { ready: true, instance: 'one', records: { ok: true, problems: [] }, pricesDate: '2026-11-28' },
    ])
  })

  it('is 200 with what is wrong with the records, also when the recorder is blocked', async () => {
    const problems = ['The ledger cannot be written.']
    const { get } = await start({ records: () => ({ instance: undefined, problems }), connect: blocked })
    expect(told(await get('/readyz'))).toEqual([200, { ready: true, records: { ok: false, problems } }])
  })

  it('is 503 with the reason while they are not served', async () => {
    const { get } = await start({ unready: () => 'It is stopping.' })
    const reasons = ['It is stopping.']
    expect(told(await get('/readyz'))).toEqual([503, { ready: false, reasons, instance: 'one', records: { ok: true, problems: [] } }])
  })
})

describe('what the recorder answers', () => {
  it('is 503 when it does not answer, or there is none', async () => {
    const silent = await start({ connect: blocked, answerMsMax: 10 })
    const error = 'The recorder does not answer: it is busy, blocked or has died. Requests are served; /readyz says what is wrong.'
    expect(told(await silent.get('/metrics'))).toEqual([503, { error }])
    const none = await start({ connect: () => undefined })
    expect(told(await none.get('/metrics'))).toEqual([
      503,
      { error: 'The recorder is being started. Ask again in a moment; /readyz answers.' },
    ])
  })

  it('is 503 when it dies meanwhile, and cut when it has begun', async () => {
    const hanging = await start({ routes: [{ path: '/', answer: () => new Promise(() => undefined) }] })
    const unanswered = hanging.get('/')
    await expect.poll(() => hanging.open.size).toBe(1)
    for (const port of hanging.open) port.close()
    expect((await unanswered).status).toBe(503)
    const streaming: AdminRoute = { path: '/', answer: (_request, response) => void response.writeHead(200).write('begun') }
    const begun = await start({ routes: [streaming] })
    const cut = begun.get('/')
    await expect.poll(() => begun.open.size).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (const port of begun.open) port.close()
    await expect(cut).rejects.toThrow('aborted')
  })

  it('arrives whole when it is long, and ends when the client leaves', async () => {
    const body = '0123456789abcdef'.repeat(200_000)
    const { get, open, port } = await start({ scrape: () => body })
    expect((await get('/metrics')).body === body).toBe(true)
    await expect.poll(() => open.size).toBe(0)
    const leaving = http.get({ host: '127.0.0.1', port, path: '/metrics', agent: false }).on('error', () => undefined)
    await new Promise((resolve) => leaving.on('response', resolve))
    expect(open.size).toBe(1)
    leaving.destroy()
    await expect.poll(() => open.size).toBe(0)
  })

  it('knows who asks, and what came with the request', async () => {
    const route: AdminRoute = {
      path: '/who',
      method: 'POST',
      answer: ({ socket, headers }) => ({
        status: 200,
        contentType: 'text/plain',
        body: [socket.remoteAddress, socket.localPort, headers.authorization].join(' '),
        headers: { 'set-cookie': 'a=b' },
      }),
    }
    const { get, port } = await start({ routes: [route] })
    const { body, headers } = await get('/who', { method: 'POST', headers: { authorization: 'Bearer x', 'content-length': 0 } })
    expect([body, headers['set-cookie']]).toEqual([`127.0.0.1 ${port} Bearer x`, ['a=b']])
  })
})

describe('/metrics', () => {
  it('is Prometheus text', async () => {
    const { get } = await start()
    const { status, headers, body } = await get('/metrics')
    expect([status, headers['content-type'], body]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
      'tokenweir_requests_total 3\n',
    ])
  })

  it('is 500 with the reason in the log alone when it cannot be collected', async () => {
    const scrape = () => {
      throw new Error('secret detail')
    }
    const { get, lines } = await start({ scrape })
    expect(told(await get('/metrics'))).toEqual([500, { error: 'This failed; see the log.' }])
    expect(lines).toEqual(['The admin port failed on GET /metrics: secret detail'])
  })
})

describe('any other request', () => {
  it('is 404 for a path that is not there, and 405 for a method that changes something', async () => {
    const { get } = await start()
    expect(told(await get('/secrets'))).toEqual([404, { error: 'There is no such page.' }])
    const refused = await get('/metrics', { method: 'POST' })
    expect([told(refused), refused.headers.allow]).toEqual([[405, { error: 'Only GET and HEAD are answered here.' }], 'GET, HEAD'])
  })

  it('is answered without a body when it is HEAD', async () => {
    const { get } = await start()
    const { status, headers, body } = await get('/metrics', { method: 'HEAD' })
    expect([status, headers['content-length'], body]).toEqual([200, '27', ''])
  })
})

describe('the Host header', () => {
  it.each(['localhost', 'localhost:4142', '127.0.0.1:1', '127.0.0.2', '[::1]:4142', 'LOCALHOST'])(
    '%s is answered on a loopback address',
    async (host) => {
      const { get } = await start()
      expect((await get('/livez', { headers: { host } })).status).toBe(200)
    },
  )

  it.each(['evil.example', 'evil.example:4142', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1'])(
    '%s is refused there',
    async (host) => {
      const { get } = await start()
      expect(told(await get('/metrics', { headers: { host } }))).toEqual([421, { error: 'This address answers only to its own name.' }])
    },
  )

  it('is not looked at on an address that other machines reach', async () => {
    const { get } = await start({ host: '0.0.0.0' })
    expect((await get('/livez', { headers: { host: 'pod.cluster.local' } })).status).toBe(200)
  })
})

describe('connections that ask nothing', () => {
  it('are bounded, so that the proxy keeps its descriptors, and make room again by themselves', async () => {
    const { get, port } = await start()
    const sockets = Array.from({ length: connectionsMax + 20 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    const open = () => sockets.filter(({ destroyed, readyState }) => !destroyed && readyState === 'open').length
    for (const socket of sockets) socket.resume()
    await expect.poll(open).toBe(connectionsMax)
    await expect.poll(open, { timeout: 30_000 }).toBe(0)
    expect((await get('/livez')).status).toBe(200)
  })
})

describe('an address that cannot be listened on', () => {
  it('is refused with what mends it', async () => {
    const occupying = net.createServer()
    await new Promise<void>((resolve) => {
      occupying.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void occupying.close())
    const { port } = occupying.address() as AddressInfo
    await expect(startAdmin({ address: { host: '127.0.0.1', port }, routes: [], report: () => {} })).rejects.toThrow(
      new RegExp(`^The admin port 127\\.0\\.0\\.1:${port} is in use.* Stop .*, or choose another .*with --admin HOST:PORT\\.$`),
    )
    await expect(startAdmin({ address: { host: '192.0.2.1', port: 0 }, routes: [], report: () => {} })).rejects.toThrow(
      'The admin address 192.0.2.1:0 is not one of this machine. Choose another with --admin HOST:PORT.',
    )
  })
})

describe('a route of its own', () => {
  it('may write its answer itself, for a stream of events', async () => {
    const events: AdminRoute = {
      path: '/api/events',
      answer(_request, response) {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n')
        return undefined
      },
    }
    const { get } = await start({ routes: [events] })
    const { status, body } = await get('/api/events')
    expect([status, body]).toEqual([200, 'data: 1\n\n'])
  })
})
