import http from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type AdminState, adminRoutes } from '../../src/admin/routes.ts'
import { type AdminRoute, startAdmin } from '../../src/admin/server.ts'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'

interface Overrides extends Partial<AdminState> {
  readonly host?: string
  readonly routes?: readonly AdminRoute[]
}

async function start({ host = '127.0.0.1', routes, ...overrides }: Overrides = {}) {
  const cells = new Int32Array(cellCount)
  cells[Cell.listening] = 1
  const lines: string[] = []
  const state: AdminState = {
    cells,
    isLedgerWritable: () => true,
    scrape: () => 'tokenweir_requests_total 3\n',
    uptime: () => 10,
    pricesDate: () => '2026-11-28',
    ...overrides,
  }
  const admin = await startAdmin({ address: { host, port: 0 }, routes: routes ?? adminRoutes(state), report: (line) => lines.push(line) })
  onTestFinished(() => admin.close())
  const get = (path: string, options: http.RequestOptions = {}) => request(admin.port, path, options)
  return { cells, get, lines, port: admin.port }
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
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

const told = ({ status, body }: Answer) => [status, JSON.parse(body)]

describe('/livez', () => {
  it('is 200 while the proxying thread shows itself', async () => {
    const { cells, get } = await start({ uptime: () => 100 })
    cells[Cell.heartbeat] = 85
    expect(told(await get('/livez'))).toEqual([200, { live: true }])
  })

  it('is 503 when it has been silent for more than 15 s', async () => {
    const { cells, get } = await start({ uptime: () => 100 })
    cells[Cell.heartbeat] = 84
    expect(told(await get('/livez'))).toEqual([503, { live: false, reasons: ['The proxying thread has given no sign of life for 16 s.'] }])
  })
})

describe('/readyz', () => {
  it('is 200 when the proxy port listens and the ledger can be written, and tells the day of the prices', async () => {
    const { get } = await start()
    expect(told(await get('/readyz'))).toEqual([200, { ready: true, pricesDate: '2026-11-28' }])
    const early = await start({ pricesDate: () => undefined })
    expect(told(await early.get('/readyz'))).toEqual([200, { ready: true }])
  })

  it('is 503 with every reason when they do not', async () => {
    const { cells, get } = await start({ isLedgerWritable: () => false })
    cells[Cell.listening] = 0
    const reasons = ['The proxy port does not listen.', 'The ledger cannot be written.']
    expect(told(await get('/readyz'))).toEqual([503, { ready: false, reasons }])
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

describe('an address that cannot be listened on', () => {
  it('is refused with what mends it', async () => {
    const occupying = net.createServer()
    await new Promise<void>((resolve) => {
      occupying.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void occupying.close())
    const { port } = occupying.address() as AddressInfo
    await expect(startAdmin({ address: { host: '127.0.0.1', port }, routes: [], report: () => {} })).rejects.toThrow(
      `The admin port 127.0.0.1:${port} is in use. Stop what listens there, or choose another with --admin HOST:PORT.`,
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
