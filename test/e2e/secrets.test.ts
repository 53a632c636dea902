/** Secrets planted wherever clients, upstreams and settings have them, looked for in everything that the running product writes. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { until } from '../proxy/harness.ts'
import { startCollector } from '../telemetry/collector.ts'
import { planted } from './planted.ts'
import { cleanEnvironment, type Product, startProduct } from './product.ts'

/** Settings hold these. */
const ofSettings = ['admin token', 'collector header', 'collector URL', 'forward proxy', 'upstream URL', 'wrong admin token'] as const
const names: readonly string[] = [...planted.map(({ name }) => name), ...ofSettings]
const secretOf = (name: string) => `PLANTED${String(names.indexOf(name)).padStart(3, '0')}SECRET`

/** Base64 of a text has three forms, by where it begins; without the characters at the edges, which depend on the neighbours. */
const base64Forms = (text: string) =>
  [0, 1, 2].map((before) =>
    Buffer.from('\0'.repeat(before) + text)
      .toString('base64')
      .replaceAll('=', '')
      .slice(Math.ceil((before * 4) / 3), -2),
  )
const formsOf = (secret: string) => [
  secret.toLowerCase(),
  ...base64Forms(secret).map((form) => form.toLowerCase()),
  Buffer.from(secret).toString('hex'),
]
const allForms = names.map((name) => [name, formsOf(secretOf(name))] as const)

/** Names of the secrets that are in a text, in whatever spelling. */
function found(text: string): string[] {
  const lower = text.toLowerCase()
  const whole = allForms.filter(([, forms]) => forms.some((form) => lower.includes(form))).map(([name]) => name)
  return whole.length === 0 && lower.includes('planted') ? ['a part of one'] : whole
}

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** Answers a request, whole or not, with what its row has, or `{}`; then closes. Keeps every byte. */
async function startUpstream() {
  const got: Buffer[] = []
  const port = await listen((socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      got.push(chunk)
      text += chunk.toString('latin1')
      const headEnd = text.indexOf('\r\n\r\n')
      if (headEnd < 0) return
      const isUpgrade = text.startsWith('GET /v1/realtime')
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0)
      const isWhole = /^transfer-encoding: chunked/im.test(text) ? text.endsWith('0\r\n\r\n') : text.length >= headEnd + 4 + length
      if (isUpgrade) {
        if (text.length === chunk.length)
          socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
        setTimeout(() => socket.end(), 200)
      } else if (isWhole) {
        const name = decodeURIComponent(/[?&]of=([^ &]+)/.exec(text)?.[1] ?? '')
        const row = planted.find((one) => one.name === name)
        socket.end(
          row?.answer?.(secretOf(name)) ?? 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
          'latin1',
        )
      }
    })
  })
  return { port, got: () => Buffer.concat(got).toString('latin1') }
}

/** Sends the bytes, and gives what came until the other side has closed. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  socket.write(bytes, 'latin1')
  const closed = once(socket, 'close')
  socket.on('end', () => socket.end())
  await closed
  return text
}

const program = resolve(import.meta.dirname, '../../src/tokenweir.ts')
function command(env: Readonly<Record<string, string>>, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [program, ...args], { env: { ...cleanEnvironment(), ...env }, encoding: 'utf8' })
  return `${stdout}${stderr}`
}

async function adminTexts({ adminUrl }: Product, token: string): Promise<[string, string][]> {
  const ask = async (path: string, authorization = `Bearer ${token}`) => {
    const response = await fetch(`${adminUrl}${path}`, { headers: { authorization }, signal: AbortSignal.timeout(60_000) })
    return { text: `${await response.text()}${JSON.stringify([...response.headers])}`, status: response.status }
  }
  const queries = ['summary?by=provider,model,caller,route', 'latency', 'series', 'requests?limit=500', 'state']
  const paths = ['/', '/livez', '/readyz', '/metrics', '/nothing', ...queries.map((query) => `/api/${query}`)]
  const texts: [string, string][] = []
  for (const path of paths) texts.push([path, (await ask(path)).text])
  const wrong = secretOf('wrong admin token')
  texts.push(['a wrong token', (await ask('/api/state', `Bearer ${wrong}`)).text])
  texts.push(['a wrong token in the query', await fetch(`${adminUrl}/?token=${wrong}`).then((response) => response.text())])
  return texts
}

const filesOf = (folder: string) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

it('finds a secret in each of its spellings', () => {
  const [first = ''] = names
  const secret = secretOf(first)
  const texts = [secret, `user:${secret}`, `u:${secret}`, `x${secret}`]
  const spellings = [
    secret.toLowerCase(),
    ...texts.flatMap((text) => ['utf8', 'base64', 'base64url', 'hex'].map((encoding) => Buffer.from(text).toString(encoding as 'hex'))),
  ]
  expect(spellings.map(found)).toEqual(spellings.map(() => [first]))
  expect(found('planted00')).toEqual(['a part of one'])
})

it(`keeps ${names.length} planted secrets out of every record`, async () => {
  expect(names.length).toBeGreaterThanOrEqual(67)
  expect(new Set(names).size).toBe(names.length)
  const upstream = await startUpstream()
  const forwardProxy = await listen((socket) => {
    socket.once('data', (chunk) => {
      proxyGot += chunk.toString('latin1')
      socket.end(`HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n`)
    })
  })
  let proxyGot = ''
  const collector = await startCollector()
  const product = await start(upstream.port, {
    TOKENWEIR_ADMIN_TOKEN: secretOf('admin token'),
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secretOf('collector header')}`,
    HTTP_PROXY: `http://user:${secretOf('forward proxy')}@127.0.0.1:${forwardProxy}`,
  })
  const port = Number(new URL(product.url).port)
  const events = new AbortController()
  let live = ''
  void follow(product, events.signal, (text) => (live += text)).catch(() => undefined)
  const received = new Map<string, string>()
  for (const { name, bytes } of planted) received.set(name, await send(port, bytes(secretOf(name))))
  const rowsMin = planted.length - planted.filter(({ reaches }) => reaches === 'nobody').length
  const rows = await product.closedRows(rowsMin)
  await until(() => collector.received.filter(({ path }) => path === '/v1/traces').length > 0)
  const texts = await adminTexts(product, secretOf('admin token'))
  const ids = rows.map((row) => row['id'])
  for (const id of ids)
    texts.push([
      `row ${id}`,
      await (
        await fetch(`${product.adminUrl}/api/request?id=${id}`, { headers: { authorization: `Bearer ${secretOf('admin token')}` } })
      ).text(),
    ])
  events.abort()
  const ofLedger = ['--ledger', product.ledger]
  const commands = [
    ...[['report'], ['report', '--by', 'provider,model,caller,route'], ['report', '--csv'], ['report', '--json']],
    ...[
      ['tail', '--no-follow', '-n', '500'],
      ['tail', '--no-follow', '--json', '-n', '500'],
      ['reconcile', '--json'],
    ],
  ].map((args): [string, string] => [args.join(' '), command({}, ...args, ...ofLedger)])
  const kept = filesOf(product.folder).map((path): [string, string] => [path.slice(product.folder.length), readFileSync(path, 'latin1')])
  expect(await product.stop()).toBe(0)
  const records: [string, string][] = [
    ...[...texts, ...commands, ...kept],
    ['stdout', product.stdout()],
    ['stderr', product.stderr()],
    ['the live page', live],
    ...collector.received.map(({ path, body }): [string, string] => [`OTLP ${path}`, body.toString('latin1')]),
  ]
  // Each record is there, and has rows in it: nothing is found in what is empty.
  expect(kept.map(([name]) => name)).toEqual(expect.arrayContaining(['/ledger.db', '/ledger.db.salt']))
  for (const part of ['/v1/traces', '/v1/metrics', '/v1/logs']) expect(collector.received.map(({ path }) => path)).toContain(part)
  const written = records.filter(([name]) => /^(report|tail|stdout|the live page|OTLP ..v1.(traces|logs)|.api.requests)/.test(name))
  expect(written.filter(([, text]) => !/openai|chat/.test(text)).map(([name]) => name)).toEqual([])
  // Who should get a secret got it.
  const toUpstream = new Set(found(upstream.got()))
  const missed = planted.filter(({ name, reaches, answer }) => {
    const whom = reaches ?? (answer === undefined ? 'upstream' : 'client')
    if (whom === 'client') return !found(received.get(name) ?? '').includes(name)
    return (whom === 'upstream') !== toUpstream.has(name)
  })
  expect(missed.map(({ name }) => name)).toEqual([])
  expect(found(JSON.stringify(collector.received.map(({ headers }) => headers)))).toEqual(['collector header'])
  expect(found(proxyGot)).toContain('forward proxy')
  const leaks = (texts: readonly (readonly [string, string])[], allowed = (_place: string, _secret: string) => false) =>
    texts.flatMap(([place, text]) =>
      found(text)
        .filter((secret) => !allowed(place, secret))
        .map((secret) => `${secret} in ${place}`),
    )
  expect(leaks(records)).toEqual([])
  // What a client gets is the upstream's own, and nobody else's.
  expect(leaks([...received], (place, secret) => place === secret)).toEqual([])
})

it('keeps those of the settings out of messages, where they are accepted and where they are refused', async () => {
  const upstream = await startUpstream()
  const product = await start(upstream.port, {
    TOKENWEIR_ADMIN_TOKEN: secretOf('admin token'),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:${secretOf('collector URL')}@127.0.0.1:9`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secretOf('collector header')}`,
    HTTP_PROXY: `http://user:${secretOf('forward proxy')}@127.0.0.1:9`,
  })
  const port = Number(new URL(product.url).port)
  const answered = [
    await send(port, 'GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
    await send(port, 'GET /proxied HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
  ]
  await product.closedRows(2)
  await until(() => /collector|OTLP|export/i.test(product.stderr()))
  const kept = filesOf(product.folder).map((path) => readFileSync(path, 'latin1'))
  const config = join(product.folder, 'refused.yaml')
  writeFileSync(config, `upstream: "http://user:${secretOf('upstream URL')}@gateway.example"\nadminToken: ${secretOf('admin token')}\n`)
  const env = { TOKENWEIR_ADMIN_TOKEN: secretOf('admin token'), HTTP_PROXY: `http://user:${secretOf('forward proxy')}@proxy.example:x` }
  const messages = [
    command({}, 'check', config),
    command(env, 'check', '--upstream', 'http://gateway.example'),
    command({}, '--upstream', `http://user:${secretOf('upstream URL')}@gateway.example`),
  ]
  expect(messages.map((text) => text.length > 20)).toEqual([true, true, true])
  await product.stop()
  expect(
    [...answered, ...kept, ...messages, product.stdout(), product.stderr()].map(found).filter((secrets) => secrets.length > 0),
  ).toEqual([])
})

async function start(upstreamPort: number, env: Readonly<Record<string, string>>): Promise<Product> {
  const url = `http://127.0.0.1:${upstreamPort}`
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'tokenweir.yaml')
  const routes = [
    `{upstream: "${url}"}`,
    '{prefix: /away, upstream: "http://127.0.0.1:9"}',
    `{prefix: /tls, upstream: "https://127.0.0.1:${upstreamPort}"}`,
    '{prefix: /proxied, upstream: "http://gateway.invalid"}',
  ]
  writeFileSync(config, `routes: [${routes.join(', ')}]\ncaller: [{header: x-user-id}, api-key]\nestimates: {enabled: true}\n`)
  const product = await startProduct({
    capture: 'inject',
    env: {
      TOKENWEIR_CONFIG: config,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_METRIC_EXPORT_INTERVAL: '500',
      OTEL_LOG_LEVEL: 'verbose',
      ...env,
    },
  })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return product
}

/** The live page's events. */
async function follow({ adminUrl }: Product, signal: AbortSignal, onText: (text: string) => void): Promise<void> {
  const response = await fetch(`${adminUrl}/api/events`, { headers: { authorization: `Bearer ${secretOf('admin token')}` }, signal })
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) onText(decoder.decode(chunk, { stream: true }))
}
