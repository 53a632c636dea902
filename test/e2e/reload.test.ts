import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import type { ReloadAnswer } from '../../src/config/reload.ts'
import { at, parseJson } from '../../src/lib/json.ts'
import { inRecorder, inspectorEnv } from '../faults/inspector.ts'
import { freePort } from '../ports.ts'
import { temporaryFolder } from './folder.ts'
import { cleanEnvironment, type Product, startProduct } from './product.ts'

const program = resolve(import.meta.dirname, '../../src/tokenweir.ts')

let product: Product | undefined
afterEach(async () => {
  await product?.stop('SIGKILL')
  product = undefined
})

const event = (more: object) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'made-up-1', ...more })}\n\n`
const word = event({ choices: [{ index: 0, delta: { content: 'word' }, finish_reason: null }] })
const last =
  event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }) +
  event({ choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }) +
  'data: [DONE]\n\n'

interface Upstream {
  readonly url: string
  readonly requests: { readonly path: string; readonly host: string | undefined; readonly body: string }[]
  /** Ends every stream that is held. */
  finish(): void
}

/** Answers at once, or with a word every few milliseconds until `finish` where the path says `hold`. */
async function startUpstream(name: string, port = 0): Promise<Upstream> {
  const held = new Set<() => void>()
  const requests: Upstream['requests'] = []
  const server = http.createServer(async (request, response) => {
    requests.push({ path: request.url ?? '', host: request.headers.host, body: await text(request) })
    if (request.url?.includes('/broken') === true) {
      response.writeHead(503).end()
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-upstream': name })
    response.write(word)
    if (request.url?.includes('hold') !== true) {
      response.end(last)
      return
    }
    const timer = setInterval(() => response.write(word), 50)
    held.add(() => {
      clearInterval(timer)
      response.end(last)
    })
  })
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    finish() {
      for (const end of held) end()
      held.clear()
    },
  }
}

const chat = (headers: Record<string, string> = {}) => ({
  ...{ method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
  body: JSON.stringify({ model: 'made-up-1', stream: true, messages: [] }),
})

/** A product with a file of settings, which `write` replaces. JSON is YAML too. */
async function start(settings: object, env: Record<string, string> = {}) {
  const file = join(temporaryFolder(), 'tokenweir.yaml')
  const write = (next: object | string) => writeFileSync(file, typeof next === 'string' ? next : JSON.stringify(next))
  write(settings)
  const running = await startProduct({ args: ['--config', file], env })
  product = running
  const reload = async (headers: Record<string, string> = {}) => {
    const response = await fetch(`${running.adminUrl}/api/reload`, { method: 'POST', headers })
    const answer = parseJson(await response.text()) as Partial<ReloadAnswer>
    return { status: response.status, ...answer }
  }
  const ready = async () => {
    const response = await fetch(`${running.adminUrl}/readyz`)
    return { status: response.status, ...(parseJson(await response.text()) as Record<string, never>) }
  }
  const metrics = async () => (await fetch(`${running.adminUrl}/metrics`)).text()
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${running.url}${path}`, chat(headers))
    await response.text()
    return response.headers.get('x-upstream')
  }
  return { running, file, write, reload, ready, metrics, ask }
}

/** Without what stands for the time of day or for the folder. */
const saidOf = (running: Product, folder: string) =>
  running
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('tokenweir: '))
    .map((line) => line.replace('tokenweir: ', '').replaceAll(folder, ''))

function command(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], { env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  return Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(([[code], stdout, stderr]) => ({
    ...{ code, stdout, stderr },
  }))
}

describe('a reload', () => {
  it('puts routes, callers, labels, prices and capture into effect for what begins after it, and names what needs a restart', async () => {
    const [a, b] = [await startUpstream('a'), await startUpstream('b')]
    const { running, write, reload, ask, ready, metrics } = await start({
      ...{ upstream: a.url, caller: 'header:x-who', capture: 'observe' },
      prices: [{ model: 'made-up-1', input: 1, output: 1 }],
    })
    const held = await fetch(`${running.url}/hold`, chat({ 'x-who': 'k1', 'x-team': 'search' }))
    const heldBody = held.text()
    expect(await ask('/before/v1/chat/completions', { 'x-who': 'k1', 'x-team': 'search' })).toBe('a')
    await running.closedRows(1)
    write({
      ...{ listen: '127.0.0.1:1', semconv: 'genai', limits: { labelValues: 5, bodyBytes: '1MiB' } },
      ...{ caller: 'header:x-who', callerNames: { k1: 'alice' }, capture: 'inject' },
      routes: [
        { name: 'rest', prefix: '/', upstream: b.url },
        { name: 'one', prefix: '/one', upstream: a.url },
      ],
      labels: { team: { from: 'header:x-team', metric: true } },
      prices: [{ model: 'made-up-1', input: 1000, output: 1000 }],
      budgets: [{ name: 'all', usd: 5 }],
    })
    expect(await reload()).toEqual({
      ...{ status: 200, result: 'applied', problems: [] },
      changed: ['capture', 'callerNames', 'labels', 'limits.bodyBytes', 'routes', 'prices', 'budgets'],
      needsRestart: ['semconv', 'limits.labelValues'],
    })
    expect(await ask('/after/v1/chat/completions', { 'x-who': 'k1', 'x-team': 'search' })).toBe('b')
    expect(await ask('/one/v1/chat/completions', { 'x-who': 'k1', 'x-team': 'search' })).toBe('a')
    a.finish()
    expect(await heldBody).toContain('[DONE]')
    const rows = await running.closedRows(4)
    const shown = ({ path, route, server_port, caller, labels, cost, usage_outcome, end_reason }: (typeof rows)[number]) => [
      ...[path, route, String(server_port), caller, labels, cost, usage_outcome, end_reason],
    ]
    const [portA, portB] = [new URL(a.url).port, new URL(b.url).port]
    expect(rows.map(shown)).toEqual([
      // It keeps where it went and who called; what it costs is of the moment at which it is concluded.
      ['/hold', 'default', portA, 'k1', null, 0.018, 'reported', 'completed'],
      ['/before/v1/chat/completions', 'default', portA, 'k1', null, 0.000018, 'reported', 'completed'],
      ['/after/v1/chat/completions', 'rest', portB, 'alice', '{"team":"search"}', 0.018, 'reported', 'completed'],
      ['/one/v1/chat/completions', 'one', portA, 'alice', '{"team":"search"}', 0.018, 'reported', 'completed'],
    ])
    // With capture inject, an upstream's first streams are looked at.
    expect(rows.map(({ path, notes }) => [path, String(notes).includes('usage_probe')])).toEqual([
      ...[
        ['/hold', false],
        ['/before/v1/chat/completions', false],
        ['/after/v1/chat/completions', true],
      ],
      ['/one/v1/chat/completions', true],
    ])
    // What was spent before the budget was there is in it too, once.
    const spent = async () => Number(/tokenweir_budget_spent\{[^}]*\} (\S+)/.exec(await metrics())?.[1])
    await expect.poll(spent).toBeCloseTo(0.000018 + 3 * 0.018, 9)
    expect(await metrics()).toContain('tokenweir_label_team="search"')
    expect(at((await ready()) as never, 'configuration')).toMatchObject({ ok: true, needsRestart: ['semconv', 'limits.labelValues'] })
    expect(running.stderr()).toContain(
      'tokenweir: The settings were read again; in effect now: capture, callerNames, labels, limits.bodyBytes, routes, prices, budgets. ' +
        'Needs a restart: semconv, limits.labelValues.\n',
    )
  })

  it('of a broken file changes nothing, and is told with the sentences of check on stderr, in the answer, the metrics and /readyz', async () => {
    const [a, b] = [await startUpstream('a'), await startUpstream('b')]
    const { running, file, write, reload, ask, ready, metrics } = await start({ upstream: a.url })
    const before = at(at((await ready()) as never, 'configuration'), 'readAt')
    for (const broken of [
      `upstream: ${b.url}\ncapture: always\nroute: []\n`,
      `upstream: ${b.url}\n  - : [`,
      `callerNamesFile: none.yaml\nupstream: ${b.url}`,
    ]) {
      write(broken)
      const checked = await command(['check', file])
      const sentences = checked.stderr.split('\n').flatMap((line) => (line === '' ? [] : line.replace('tokenweir: ', '')))
      expect(sentences.length).toBeGreaterThan(0)
      const { status, result, changed, problems } = await reload()
      expect({ code: checked.code, status, result, changed, problems }).toEqual({
        ...{ code: 2, status: 422, result: 'refused', changed: [], problems: sentences },
      })
      expect(saidOf(running, '').slice(-sentences.length - 1)).toEqual([
        ...sentences,
        'The settings were not changed: those of before stay in effect.',
      ])
      const { status: readiness, configuration } = (await ready()) as never as { status: number; configuration: unknown }
      expect([readiness, configuration]).toEqual([200, { ok: false, problems: sentences, needsRestart: [], readAt: before }])
      expect(await ask('/still')).toBe('a')
    }
    expect(await metrics()).toContain('tokenweir_config_reloads_total{result="refused"} 3\n')
    expect(await metrics()).toContain('tokenweir_config_last_reload_successful 0\n')
    write({ upstream: b.url })
    expect(await reload()).toMatchObject({ result: 'applied', changed: ['routes'] })
    expect(await reload()).toMatchObject({ result: 'unchanged', changed: [] })
    expect(await ask('/now')).toBe('b')
    const { configuration } = (await ready()) as never as { configuration: { ok: boolean; readAt: string } }
    expect([configuration.ok, configuration.readAt > String(before)]).toEqual([true, true])
    const text = await metrics()
    expect(text).toContain('tokenweir_config_reloads_total{result="applied"} 1\n')
    expect(text).toContain('tokenweir_config_reloads_total{result="unchanged"} 1\n')
    expect(text).toContain('tokenweir_config_last_reload_successful 1\n')
    const seconds = Number(/tokenweir_config_last_reload_seconds (\d+)/.exec(text)?.[1])
    expect(seconds).toBe(Math.floor(Date.parse(configuration.readAt) / 1000))
  })

  it('does not send requests to the sidecar itself, whose ports are those of the start', async () => {
    const a = await startUpstream('a')
    const { running, write, reload, ask } = await start({ upstream: a.url })
    write({ upstream: running.url })
    expect(await reload()).toMatchObject({ status: 422, problems: [expect.stringContaining("is the sidecar's own listen address")] })
    expect(await ask('/still')).toBe('a')
  })

  it('is for who has the token, and for no page of another site', async () => {
    const a = await startUpstream('a')
    const first = 'a-token-of-sixteen-characters'
    const second = 'another-token-of-sixteen-characters'
    const { running, write, reload } = await start({ upstream: a.url, adminToken: first })
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
    expect([await reload(), await reload(bearer(second))].map(({ status }) => status)).toEqual([401, 401])
    expect(await reload({ ...bearer(first), origin: 'http://elsewhere.example' })).toMatchObject({ status: 403 })
    write({ upstream: a.url, adminToken: second })
    expect(await reload(bearer(first))).toMatchObject({ status: 200, changed: ['adminToken'] })
    expect([await reload(bearer(first)), await reload(bearer(second))].map(({ status }) => status)).toEqual([401, 200])
    const state = async (token: string) => (await fetch(`${running.adminUrl}/api/state`, { headers: bearer(token) })).status
    expect([await state(first), await state(second)]).toEqual([401, 200])
    expect((await fetch(`${running.adminUrl}/api/reload`)).status).toBe(405)
    expect(running.stderr()).not.toContain('token-of')
  })

  it('on a loopback without a token is refused to a form of another site', async () => {
    const a = await startUpstream('a')
    const { running } = await start({ upstream: a.url })
    const { port } = new URL(running.adminUrl)
    const answer = async (field: string) => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.write(`POST /api/reload HTTP/1.1\r\nhost: 127.0.0.1\r\n${field}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
      return (await text(socket)).slice(9, 12)
    }
    const navigation = 'sec-fetch-mode: navigate\r\nsec-fetch-site:'
    expect([await answer(`${navigation} cross-site`), await answer(`${navigation} same-site`), await answer('origin: null')]).toEqual([
      ...['403', '403', '403'],
    ])
    expect([await answer('sec-fetch-site: same-origin'), await answer('accept: */*')]).toEqual(['200', '200'])
  })

  it('comes by tokenweir reload as well, which prints what came of it', async () => {
    const [a, b] = [await startUpstream('a'), await startUpstream('b')]
    const { running, write, ask } = await start({ upstream: a.url, adminToken: 'a-token-of-sixteen-characters' })
    const by = (env: Record<string, string> = { TOKENWEIR_ADMIN_TOKEN: 'a-token-of-sixteen-characters' }) =>
      command(['reload', '--admin', running.adminUrl], env)
    expect(await by()).toEqual({ code: 0, stdout: 'The settings were read again; nothing has changed.\n', stderr: '' })
    write({ upstream: b.url, adminToken: 'a-token-of-sixteen-characters' })
    expect(await by()).toEqual({ code: 0, stdout: 'The settings were read again; in effect now: routes.\n', stderr: '' })
    expect(await ask('/')).toBe('b')
    write('upstream: nowhere')
    expect(await by()).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: expect.stringMatching(
        /^tokenweir: .*tokenweir\.yaml:1:11: upstream: "nowhere" .*\ntokenweir: The settings were not changed: .*\n$/,
      ),
    })
    expect(await by({})).toMatchObject({ code: 1, stderr: expect.stringContaining('A token is needed') })
    const nobody = `http://127.0.0.1:${await freePort()}`
    expect(await command(['reload', '--admin', nobody])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('No sidecar answers at'),
    })
  })

  it('holds for a recorder that takes the place of one that died', async () => {
    const a = await startUpstream('a')
    const { running, write, reload, ask, metrics } = await start({ upstream: a.url, caller: 'header:x-who' }, inspectorEnv)
    write({ upstream: a.url, caller: 'header:x-who', callerNames: { k1: 'alice' } })
    expect(await reload()).toMatchObject({ changed: ['callerNames'] })
    await inRecorder(running, "setImmediate(() => { throw new Error('planted') })")
    await expect.poll(() => metrics().catch(() => '')).toContain('tokenweir_recorder_restarts_total 1\n')
    await ask('/', { 'x-who': 'k1' })
    expect((await running.closedRows(1)).map(({ caller }) => caller)).toEqual(['alice'])
  })
})

const rounds = 100
const streams = 200

it(`${rounds} reloads under ${streams} open streams cut none and lose no record, with broken files and other routes between them`, async () => {
  const [a, b] = [await startUpstream('a'), await startUpstream('b')]
  const settings = (round: number) => ({
    caller: 'header:x-who',
    callerNames: { k1: `alice-${round}` },
    labels: round % 3 === 0 ? 'none' : { team: 'header:x-team' },
    capture: round % 2 === 0 ? 'inject' : 'observe',
    timeouts: { headMs: 60_000 + round, idleMs: 120_000 + round },
    limits: { heldBytes: `${64 + round}MiB` },
    estimates: { enabled: false },
    routes: [
      { name: `turned-${round % 2}`, prefix: '/turns', upstream: round % 2 === 0 ? a.url : b.url },
      { name: 'a', prefix: '/a', upstream: a.url },
      // Gone in every fifth round, with streams on it.
      ...(round % 5 === 4 ? [] : [{ name: 'b', prefix: '/b', upstream: b.url }]),
    ],
  })
  const { running, write, reload, ask, metrics } = await start(settings(0))
  const path = (index: number) => (['/a/hold', '/b/hold', '/turns/hold'] as const)[index % 3] as string
  const bodies = await Promise.all(
    Array.from({ length: streams }, async (_, index) => {
      const response = await fetch(`${running.url}${path(index)}`, chat({ 'x-who': 'k1', 'x-team': 'search' }))
      return { upstream: response.headers.get('x-upstream'), body: response.text() }
    }),
  )
  const results: unknown[] = []
  const expected: unknown[] = []
  let signals = 0
  for (let round = 1; round <= rounds; round++) {
    const isBroken = round % 4 === 3
    write(isBroken ? 'routes: [{prefix: /a}]\nlabels: 5\n' : settings(round))
    if (round % 10 === 0) {
      signals++
      process.kill(running.pid, 'SIGHUP')
      await expect.poll(() => running.stderr().match(/The settings were /g)?.length).toBe(round)
    } else {
      results.push((await reload()).result)
      expected.push(isBroken ? 'refused' : 'applied')
    }
    const inEffect = isBroken ? round - 1 : round
    results.push(await ask('/turns', { 'x-who': 'k1', 'x-team': 'search' }))
    expected.push(inEffect % 2 === 0 ? 'a' : 'b')
  }
  expect(results).toEqual(expected)
  a.finish()
  b.finish()
  const texts = await Promise.all(bodies.map(({ body }) => body))
  expect(texts.filter((body) => !body.endsWith('data: [DONE]\n\n'))).toEqual([])
  expect(bodies.map(({ upstream }) => upstream)).toEqual(bodies.map((_, index) => (index % 3 === 1 ? 'b' : 'a')))
  const rows = await running.closedRows(streams + rounds)
  expect(rows.length).toBe(streams + rounds)
  expect(new Set(rows.map(({ end_reason, output_tokens }) => `${end_reason} ${output_tokens}`))).toEqual(new Set(['completed 7']))
  const routesOf = (suffix: string) => rows.flatMap(({ path: asked, route }) => (asked === suffix ? [route] : []))
  expect([routesOf('/a/hold'), routesOf('/b/hold'), routesOf('/turns/hold')].map((routes) => [...new Set(routes)])).toEqual([
    ...[['a'], ['b'], ['turned-0']],
  ])
  const text = await metrics()
  const refused = Number(/tokenweir_config_reloads_total\{result="refused"\} (\d+)/.exec(text)?.[1])
  const applied = Number(/tokenweir_config_reloads_total\{result="applied"\} (\d+)/.exec(text)?.[1])
  expect([signals, refused, applied]).toEqual([10, 25, 75])
  expect(await running.stop()).toBe(0)
}, 900_000) // each reload starts a thread, which takes a second on a busy machine

describe('the health of upstreams', () => {
  it('is told by /readyz and in metrics, with successes, failures by reason and the time to connect; probes are counted apart', async () => {
    const port = await freePort()
    const [a, b] = [await startUpstream('a'), await startUpstream('b')]
    const { running, ask, ready, metrics, write, reload } = await start({
      routes: [
        { prefix: '/a', upstream: a.url },
        { prefix: '/gone', upstream: `http://127.0.0.1:${port}` },
        { prefix: '/probed', upstream: b.url, probe: { path: '/health?deep=1', everyMs: '1s' } },
      ],
    })
    expect([await ask('/a/x'), await ask('/a/broken'), await ask('/gone')]).toEqual(['a', null, null])
    const upstreams = async () => {
      const body = (await ready()) as never as { status: number; ready: boolean; upstreams: Record<string, unknown>[] }
      return { ...body, upstreams: Object.fromEntries(body.upstreams.map(({ upstream, ...rest }) => [upstream, rest])) }
    }
    await expect.poll(async () => (await upstreams()).upstreams[b.url]?.['probe']).toMatchObject({ result: 'success' })
    const told = await upstreams()
    const when = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/)
    expect([told.status, told.ready]).toEqual([200, true])
    expect(told.upstreams).toEqual({
      [a.url]: {
        lastSuccess: when,
        lastFailure: { at: when, reason: '5xx' },
        failures: { '5xx': 1 },
        connect: { count: expect.any(Number), meanMs: expect.any(Number), maxMs: expect.any(Number) },
      },
      [`http://127.0.0.1:${port}`]: { lastFailure: { at: when, reason: 'refused' }, failures: { refused: 1 } },
      [b.url]: {
        failures: {},
        connect: { count: expect.any(Number), meanMs: expect.any(Number), maxMs: expect.any(Number) },
        probe: { at: when, result: 'success', ms: expect.any(Number) },
      },
    })
    expect(b.requests[0]).toMatchObject({ path: '/health?deep=1', host: new URL(b.url).host })
    const [hostA, hostB] = [new URL(a.url).host, new URL(b.url).host]
    await expect.poll(metrics).toContain(`tokenweir_upstream_failures_total{upstream="127.0.0.1:${port}",reason="refused"} 1\n`)
    const text = await metrics()
    expect(text).toContain(`tokenweir_upstream_failures_total{upstream="${hostA}",reason="5xx"} 1\n`)
    expect(text).toMatch(new RegExp(`tokenweir_upstream_last_success_seconds\\{upstream="${hostA}"\\} \\d{10}`))
    expect(text).toMatch(new RegExp(`tokenweir_upstream_connect_duration_seconds_bucket\\{upstream="${hostA}",le="\\+Inf"\\} [12]\\n`))
    expect(text).toMatch(new RegExp(`tokenweir_upstream_probes_total\\{upstream="${hostB}",result="success"\\} \\d+\\n`))
    // A probe is no exchange.
    expect(running.ledgerRows().map(({ path }) => path)).toEqual(['/a/x', '/a/broken', '/gone'])
    expect(text).toContain('tokenweir_exchanges_open 0\n')
    // Told, never acted upon: the upstream that was gone is asked all the same.
    const back = await startUpstream('back', port)
    expect(await ask('/gone/again')).toBe('back')
    write({ routes: [{ prefix: '/gone', upstream: back.url }] })
    await reload()
    const { length } = b.requests
    expect(Object.keys((await upstreams()).upstreams)).toEqual([back.url])
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(b.requests.length).toBe(length)
  })
})
