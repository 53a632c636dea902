/** The live page's files, data, events and guard, over real sockets. */
import { readdirSync, readFileSync } from 'node:fs'
import http from 'node:http'
import { resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createEvents } from '../../src/admin/events.ts'
import { pageFiles } from '../../src/admin/files.ts'
import { startAdmin } from '../../src/admin/server.ts'
import { type Stage, type StageOptions, startStage, trafficOf, trafficOver } from '../browser/stage.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'

async function setStage(options: StageOptions = {}): Promise<Stage> {
  const stage = await startStage(options)
  onTestFinished(() => stage.close())
  return stage
}

interface Answer {
  readonly status: number | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

function ask({ port }: { readonly port: number }, path: string, options: http.RequestOptions = {}): Promise<Answer> {
  return new Promise((done, failed) => {
    const request = http.request({ host: '127.0.0.1', port, path, agent: false, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part) => (body += part))
      response.on('end', () => done({ status: response.statusCode, headers: response.headers, body }))
    })
    request.on('error', failed).end()
  })
}

const told = ({ status, body }: Answer) => [status, JSON.parse(body)]

/** The events of a stream as they come; `close` leaves it. */
async function listen({ port }: { readonly port: number }) {
  const events: { readonly event: string; readonly data: Record<string, unknown> }[] = []
  const response = await new Promise<http.IncomingMessage>((done, failed) => {
    http.get({ host: '127.0.0.1', port, path: '/api/events', agent: false }, done).on('error', failed)
  })
  let rest = ''
  response.on('error', () => undefined)
  response.setEncoding('utf8').on('data', (part) => {
    const parts = `${rest}${part}`.split('\n\n')
    rest = parts.pop() ?? ''
    for (const each of parts) {
      events.push({ event: /^event: (.*)$/m.exec(each)?.[1] ?? '', data: JSON.parse(/^data: (.*)$/m.exec(each)?.[1] ?? 'null') })
    }
  })
  return { events, status: response.statusCode, close: () => response.destroy() }
}

/** Each that a request can have, but `zero`, which is an outcome. */
const reasons = [
  'not_requested',
  'upstream_omitted',
  'client_left',
  'upstream_cut',
  'sidecar_stopped',
  'parse_error',
  'unsupported_encoding',
  'limit_hit',
  'unknown_format',
]

const token = 'a-token-of-32-characters-0123456'
const bearer = (value: string) => ({ headers: { authorization: `Bearer ${value}` } })

describe('the files', () => {
  it('are those of the folder, each with its type, and the plotting library', async () => {
    const stage = await setStage()
    const folder = readdirSync(resolve(import.meta.dirname, '../../src/admin/page')).filter((name) => !/\.(html|d\.ts)$/.test(name))
    expect([...pageFiles].sort()).toEqual(folder.sort())
    for (const [name, type] of [
      ['app.js', 'text/javascript; charset=utf-8'],
      ['uplot.js', 'text/javascript; charset=utf-8'],
      ['uplot.css', 'text/css; charset=utf-8'],
      ['icon.svg', 'image/svg+xml'],
    ] as const) {
      const { status, headers, body } = await ask(stage, `/page/${name}`)
      expect([status, headers['content-type'], body.length > 100]).toEqual([200, type, true])
    }
    expect((await ask(stage, '/page/../server.ts')).status).toBe(404)
  })

  it('are the documents too, with an anchor at each heading and links between them', async () => {
    const { status, headers, body } = await ask(await setStage(), '/docs/zero-usage.md')
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(body).toContain('<h1 id="why-is-my-usage-zero">Why is my usage zero?</h1>')
    expect(body).toContain('<h3 id="not_requested">`not_requested`</h3>')
    expect(body).toContain('sqlite3 tokenweir.db &quot;SELECT')
    expect(body).not.toMatch(/<style|style=|<script/)
    expect((await ask(await setStage(), '/docs/../package.json')).status).toBe(404)
  })

  it('link to headings that the documents have', async () => {
    const stage = await setStage()
    const folder = resolve(import.meta.dirname, '../../src/admin/page')
    const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'))
    const calls = scripts.flatMap((name) => [
      ...readFileSync(resolve(folder, name), 'utf8').matchAll(/docLink\('([\w-]+)'(?:, '([^']+)')?/g),
    ])
    const links = [
      ...calls.map(([, file, anchor]) => [file, anchor]),
      ...['the-provider-says-0', ...reasons].map((reason) => ['zero-usage', reason]),
    ]
    expect(links.length).toBeGreaterThan(15)
    for (const [file, anchor] of links) {
      const { status, body } = await ask(stage, `/docs/${file}.md`)
      expect([file, anchor, status, anchor === undefined || body.includes(` id="${anchor}"`)]).toEqual([file, anchor, 200, true])
    }
  })

  it('have no inline script or style, under a policy that would forbid one', async () => {
    const { body, headers } = await ask(await setStage(), '/')
    expect(body).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*src=)/)
    expect(headers).toMatchObject({
      'content-security-policy':
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
  })
})

describe('the data', () => {
  it('is what the ledger holds', async () => {
    const stage = await setStage()
    const now = Date.now()
    stage.record(trafficOver(60_000, 40, now))
    const range = `since=${new Date(now - 3_600_000).toISOString()}&until=${new Date(now + 1000).toISOString()}`
    const [, summary] = told(await ask(stage, `/api/summary?${range}&by=provider&by=model,route`))
    expect([summary.total.requests, summary.breakdowns.map(({ by }: { by: string[] }) => by)]).toEqual([
      40,
      [['provider'], ['model', 'route']],
    ])
    const [, page] = told(await ask(stage, `/api/requests?${range}&limit=15`))
    expect([page.requests.length, typeof page.next]).toEqual([15, 'string'])
    const [, request] = told(await ask(stage, `/api/request?id=${page.requests[3].id}`))
    expect(request).toMatchObject(page.requests[3])
    const [, series] = told(await ask(stage, `/api/series?${range}`))
    expect([series.bucketMs, series.requests.reduce((sum: number, each: number) => sum + each, 0)]).toEqual([60_000, 40])
    const [, groups] = told(await ask(stage, `/api/groups?${range}&by=provider&sort=requests&order=asc&limit=2&compare=1`))
    expect([groups.found, groups.groups.length, groups.total, groups.before.requests]).toEqual([5, 2, summary.total, 0])
    const [, hours] = told(await ask(stage, `/api/heatmap?${range}&zone=Asia/Tokyo`))
    expect([hours.timeZone, hours.days.flat().reduce((sum: number, each: { requests: number }) => sum + each.requests, 0)]).toEqual([
      'Asia/Tokyo',
      40,
    ])
    const [, distribution] = told(await ask(stage, `/api/distribution?${range}`))
    expect(distribution.durationMs.count).toBe(40)
    const where = 'where=provider%3Dopenai'
    const [, some] = told(await ask(stage, `/api/series?${range}&${where}`))
    expect(some.providers.map(({ provider }: { provider: string }) => provider)).toEqual(['openai'])
    const [, longest] = told(await ask(stage, `/api/requests?${range}&sort=duration&limit=1`))
    const [, all] = told(await ask(stage, `/api/requests?${range}`))
    const longestMs = Math.max(...all.requests.map(({ duration_ms: ms }: { duration_ms: number }) => ms))
    expect([longest.requests[0].duration_ms, longest.next]).toEqual([longestMs, '1'])
    const [, latency] = told(await ask(stage, `/api/latency?${range}`))
    expect(latency.total.durationMs.count).toBe(40)
    const [, state] = told(await ask(stage, '/api/state'))
    expect(state).toMatchObject({
      version: '1.2.3',
      pricesDate: '2026-11-28',
      ledgerWritable: true,
      exports: false,
      ledgerFile: { rows: 40 },
    })
    expect(state.metrics['tokenweir.ledger.written']).toEqual([{ labels: {}, value: 40 }])
  })

  it.each([
    [
      '/api/summary?since=yesterday',
      '"yesterday" is no time. Write how long ago (15m, 24h, 30d) or a date (2026-11-23, 2026-11-23T08:00:00Z).',
    ],
    ['/api/summary?since=500d', 'The range is longer than 400 days. Ask for less at a time.'],
    ['/api/summary?by=planet', 'by="planet" is none of provider, model, caller, route, day, outcome, reason or label:NAME.'],
    ['/api/summary?form=csv', 'There is no parameter "form". The parameters are since, until, by, where, label.NAME.'],
    ['/api/series?since=1h&until=2h', 'The range is empty: since is not before until. Swap the two, or take one away.'],
    ['/api/requests?limit=501', 'limit is no whole number from 1 to 500.'],
    ['/api/requests?limit=x', 'limit is no whole number from 1 to 500.'],
    ['/api/requests?outcome=bad', 'outcome is none of errors, streams, zero, unpriced, open.'],
    ['/api/requests?before=1%20OR%201', 'before is not the next of an earlier page.'],
    [`/api/requests?text=${'x'.repeat(201)}`, 'text is longer than 200 characters.'],
    ['/api/groups', 'by is needed once, with one dimension: by=model.'],
    ['/api/groups?by=model&sort=size', expect.stringMatching(/^sort is none of tokens, name, requests, .+, cost, cached, saved, speed\.$/)],
    ['/api/groups?by=model&order=up', 'order is none of asc, desc.'],
    ['/api/groups?by=model&limit=101', 'limit is no whole number from 1 to 100.'],
    ['/api/groups?by=model&offset=-1', 'offset is no whole number from 0 to 10000000.'],
    ['/api/heatmap?zone=Mars/Base', 'zone="Mars/Base" is no time zone. Write an IANA name: zone=Europe/Berlin.'],
    ['/api/requests?sort=cost&before=1_a', 'before is not the next of an earlier page.'],
    ['/api/request?id=%27%20OR', 'id is no id of a request. Write /api/request?id=ID.'],
  ])('%s is refused with what mends it', async (path, error) => {
    expect(told(await ask(await setStage(), path))).toEqual([400, { error }])
  })

  it('is 404 for a request that nobody recorded', async () => {
    expect(told(await ask(await setStage(), '/api/request?id=none'))).toEqual([404, { error: 'There is no such request in the ledger.' }])
  })
})

describe('the events', () => {
  it('say hello, then each second what happened since', async () => {
    const stage = await setStage({ traceUrl: 'http://traces/{traceId}' })
    stage.record([trafficOf(1, Date.now())]) // before anybody looked
    const { events, close } = await listen(stage)
    onTestFinished(() => void close())
    await expect.poll(() => events.length).toBe(1)
    stage.cells[0] = 3
    stage.record([
      exchangeOf({ opening: { id: 'x' }, ending: { firstChunkMs: 50 } }),
      exchangeOf({ opening: { id: 'y' }, response: {}, usageOutcome: 'missing', usageReason: 'not_requested' }),
    ])
    await expect.poll(() => events.length).toBe(2)
    expect(events[0]).toEqual({
      event: 'hello',
      data: { version: '1.2.3', labels: ['team', 'session'], traceUrl: 'http://traces/{traceId}', atMs: expect.any(Number) },
    })
    expect(events[1]).toEqual({
      event: 'tick',
      data: {
        atMs: expect.any(Number),
        seconds: expect.any(Number),
        requests: 2,
        errors: 0,
        streams: 2,
        zeroUsage: { not_requested: 1 },
        providers: [{ provider: 'openai', tokens: 27, requests: 2 }],
        newest: [expect.objectContaining({ id: 'y', input_tokens: null }), expect.objectContaining({ id: 'x', input_tokens: 20 })],
        notShown: 0,
        firstChunkMs: { count: 3, p50: expect.closeTo(50, 0), p95: expect.any(Number), p99: expect.any(Number) },
        open: 3,
        ledgerWritable: true,
      },
    })
  })

  it('go to a bounded number of pages, and nothing runs when the last has left', async () => {
    let ticks = 0
    const events = createEvents({ tick: () => ({ ticks: ++ticks }), hello: () => ({}), clientsMax: 2, everyMs: 5 })
    const server = await startAdmin({ address: { host: '127.0.0.1', port: 0 }, routes: [events.route], report: () => undefined })
    onTestFinished(() => server.close())
    const first = await listen(server)
    const second = await listen(server)
    expect(told(await ask(server, '/api/events'))).toEqual([
      503,
      { error: '2 pages are already open. Close one, and this one comes by itself.' },
    ])
    await expect.poll(() => second.events.length).toBeGreaterThan(3)
    first.close()
    second.close()
    let seen = -1
    await expect.poll(() => seen === (seen = ticks), { interval: 60 }).toBe(true)
  })
})

describe('the guard', () => {
  const guarded = [
    '/',
    '/api/summary',
    '/api/latency',
    '/api/series',
    '/api/groups?by=model',
    '/api/heatmap',
    '/api/distribution',
    '/api/requests',
    '/api/request',
    '/api/state',
    '/api/events',
  ]

  it('lets nobody in off the loopback while no token is set, and says how to set one', async () => {
    const stage = await setStage({ host: '0.0.0.0' })
    for (const path of guarded) {
      const { status, body } = await ask(stage, path)
      expect([path, status, body]).toEqual([path, 403, expect.stringContaining('Set TOKENWEIR_ADMIN_TOKEN (16 characters or more)')])
    }
    expect((await ask(stage, '/metrics')).status).toBe(200)
  })

  it.each(['0.0.0.0', '127.0.0.1'])('asks for the token where one is set, on %s', async (host) => {
    for (const path of guarded) {
      const stage = await setStage({ host, token }) // each with attempts of its own
      for (const options of [
        {},
        bearer('wrong'),
        bearer(`${token}x`),
        { headers: { cookie: `tokenweir_${stage.port}=9999999999999.${'A'.repeat(43)}` } },
      ]) {
        const { status } = await ask(stage, path, options)
        expect([path, status]).toEqual([path, 401])
      }
    }
    const stage = await setStage({ host, token })
    expect((await ask(stage, '/api/summary', bearer(token))).status).toBe(200)
    expect((await ask(stage, '/metrics')).status).toBe(200)
    expect((await ask(stage, '/page/login.js')).status).toBe(200)
  })

  it('exchanges the token for a cookie that scripts cannot read, and takes the token out of the address', async () => {
    const stage = await setStage({ host: '0.0.0.0', token })
    const login = await ask(stage, '/api/session', { method: 'POST', ...bearer(token) })
    const link = await ask(stage, `/?token=${token}`)
    expect([login.status, link.status, link.headers.location, link.body]).toEqual([200, 303, '/', ''])
    for (const { headers } of [login, link]) {
      const [cookie = ''] = headers['set-cookie'] ?? []
      expect(cookie).toMatch(new RegExp(`^tokenweir_${stage.port}=\\d+\\.[\\w-]{43}; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800$`))
      expect(cookie).not.toContain(token)
      const session = { headers: { cookie: `a=b; ${cookie.split(';')[0]}` } }
      expect([(await ask(stage, '/api/summary', session)).status, (await ask(stage, '/', session)).status]).toEqual([200, 200])
      const later = { headers: { cookie: (cookie.split(';')[0] as string).replace(/=\d/, '=9') } }
      expect((await ask(stage, '/api/summary', later)).status).toBe(401)
    }
    const wrong = await ask(stage, '/api/session', { method: 'POST', ...bearer('wrong') })
    expect([wrong.status, wrong.headers['set-cookie'], (await ask(stage, '/?token=wrong')).status]).toEqual([401, undefined, 401])
    expect((await ask(stage, '/api/session')).status).toBe(405)
  })

  it('answers 429 after ten wrong tokens, to the right one too; sessions go on', async () => {
    const stage = await setStage({ token })
    const { headers } = await ask(stage, '/api/session', { method: 'POST', ...bearer(token) })
    const session = { headers: { cookie: (headers['set-cookie']?.[0] ?? '').split(';')[0] as string } }
    for (let n = 0; n < 4; n++) expect((await ask(stage, '/api/state', bearer(`wrong-${n}`))).status).toBe(401)
    for (let n = 0; n < 3; n++) expect((await ask(stage, '/api/session', { method: 'POST', ...bearer(`wrong-${n}`) })).status).toBe(401)
    for (let n = 0; n < 3; n++) {
      expect((await ask(stage, `/?token=wrong-${n}`)).status).toBe(401)
      expect((await ask(stage, '/')).status).toBe(401) // without a token it is no attempt
    }
    const error = 'Too many wrong tokens came from this address. Wait a minute, and send the right one.'
    for (const [path, options] of [
      ['/api/state', bearer(token)],
      ['/api/state', bearer('wrong')],
      ['/api/session', { method: 'POST', ...bearer(token) }],
    ] as const) {
      const answer = await ask(stage, path, options)
      expect([told(answer), answer.headers['retry-after'], answer.headers['set-cookie']]).toEqual([[429, { error }], '60', undefined])
    }
    const link = await ask(stage, `/?token=${token}`)
    expect([link.status, link.headers['retry-after'], link.headers['set-cookie']]).toEqual([429, '60', undefined])
    expect([(await ask(stage, '/')).status, (await ask(stage, '/api/state')).status]).toEqual([401, 401])
    expect([(await ask(stage, '/', session)).status, (await ask(stage, '/api/state', session)).status]).toEqual([200, 200])
    expect((await ask(stage, '/metrics', bearer('wrong'))).status).toBe(200)
  })

  it('answers no page from elsewhere', async () => {
    const stage = await setStage()
    for (const site of ['cross-site', 'same-site']) {
      const { status } = await ask(stage, '/api/events', { headers: { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' } })
      expect(status).toBe(403)
    }
    expect((await ask(stage, '/api/summary', { headers: { 'sec-fetch-site': 'same-origin' } })).status).toBe(200)
  })
})
