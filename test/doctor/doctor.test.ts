/** `tokenweir doctor` beside running sidecars and without one: what passes, each finding with what to do, and no secret in any of it. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { cleanEnvironment, type Product, startProduct } from '../e2e/product.ts'
import { certificate } from '../proxy/certificate.ts'
import { startCollector } from '../telemetry/collector.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-doctor-'))
afterAll(() => rmSync(folder, { recursive: true }))
const program = join(resolve(import.meta.dirname, '../..'), 'src/tokenweir.ts')

interface Doctored {
  readonly code: number | null
  readonly statuses: Readonly<Record<string, string>>
  /** What and mend of each check, by its name. */
  readonly said: Readonly<Record<string, string>>
  readonly text: string
}

/** The real process; the servers of a test answer meanwhile. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [program, 'doctor', ...args], {
    cwd: folder,
    env: { ...cleanEnvironment(), KUBERNETES_SERVICE_HOST: '10.0.0.1', ...env }, // what a loopback address is called must not depend on the machine
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => (text += part))
  return new Promise((done) => child.on('close', (code) => done({ code, text })))
}

async function doctor(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Doctored> {
  const { code, text } = await run([...args, '--json'], env)
  const { ok, about, checks } = JSON.parse(text) as {
    ok: boolean
    about: Record<string, string>
    checks: { name: string; status: string; what: string; mend?: string }[]
  }
  expect([ok, about['node'], Object.keys(about)]).toEqual([
    code === 0,
    process.versions.node,
    ['tokenweir', 'node', 'system', 'container', 'time'],
  ])
  expect(checks.filter(({ status, mend }) => (status === 'failed' || status === 'warned') !== (mend !== undefined))).toEqual([])
  return {
    code,
    text,
    statuses: Object.fromEntries(checks.map(({ name, status }) => [name, status])),
    said: Object.fromEntries(checks.map(({ name, what, mend }) => [name, `${what} ${mend ?? ''}`])),
  }
}

async function listening(server: net.Server | http2.Http2Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function gatewayUrl(): Promise<string> {
  const gateway = await startSampleGateway()
  onTestFinished(() => gateway.close())
  return gateway.url
}

/** Ports that nobody has. */
const free = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
const placesOf = ({ url, adminUrl, ledger }: Product) => [
  '--listen',
  new URL(url).host,
  '--admin',
  new URL(adminUrl).host,
  '--ledger',
  ledger,
]

const well = {
  ...{ configuration: 'ok', sidecar: 'ok', 'proxy port': 'ok', ledger: 'ok', disk: expect.stringMatching('ok|warned') },
  ...{ 'disk speed': expect.stringMatching('ok|warned'), clock: 'ok', 'upstream default': 'ok', collector: 'skipped' },
}

describe('doctor', () => {
  it('finds nothing wrong beside a sidecar that runs, nor after it has stopped', async () => {
    const [upstream, collector] = [await gatewayUrl(), await startCollector()]
    const kept = join(folder, 'kept.db')
    const product = await startProduct({ upstream, ledger: kept })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    const args = [...placesOf(product), '--upstream', upstream]
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b' }
    const { collector: _, ...others } = well
    const beside = await doctor(args, env)
    expect({ code: beside.code, statuses: beside.statuses }).toEqual({
      code: 0,
      statuses: { ...others, 'collector traces': 'ok', 'collector metrics': 'ok' },
    })
    expect(collector.received.map(({ path, headers, body }) => [path, headers['x-key'], headers['content-type'], body.length])).toEqual(
      expect.arrayContaining([['/v1/traces', 'a b', 'application/x-protobuf', 0]]),
    )
    expect(beside.said['ledger']).toMatch(/kept\.db: version \d+, \d+\.\d MiB, quick check passed/)
    expect(beside.said['disk speed']).toMatch(/64 KiB is on the disk after \d+\.\d ms/)
    await product.stop()
    const after = await doctor(args)
    expect({ code: after.code, statuses: after.statuses }).toEqual({
      code: 0,
      statuses: { ...well, sidecar: 'skipped', 'admin port': 'ok' },
    })
    expect(after.said['proxy port']).toMatch(/ is free/)
  })

  it('prints a page for people, with a mark for each check', async () => {
    const args = [...free, '--ledger', join(folder, 'none/at/all.db'), '--upstream', await gatewayUrl()]
    const { code, text } = await run(args)
    expect(code).toBe(0)
    expect(text).toMatch(
      /^tokenweir \d+\.\d+\.\d+\nnode \d+\.\d+\.\d+\nsystem .+\ncontainer .+\ntime .+\n\n✓ configuration {7}valid; capture inject/,
    )
    expect(text).toContain('– ledger              ')
    expect(text).toMatch(/\n\nNothing is wrong that could be seen from here\.\n$/)
  })

  it('names what holds a port, and that it is no tokenweir', async () => {
    const port = await listening(http.createServer((_, response) => response.end('{}')))
    const { code, statuses, said } = await doctor([
      '--listen',
      '127.0.0.1:0',
      '--admin',
      `127.0.0.1:${port}`,
      '--ledger',
      join(folder, 'n.db'),
    ])
    expect([code, statuses['sidecar'], statuses['admin port']]).toEqual([1, 'failed', 'failed'])
    expect(said['admin port']).toContain(`The admin port 127.0.0.1:${port} is in use`)
    expect(said['sidecar']).toContain('is not tokenweir')
    if (process.platform === 'linux') expect(said['admin port']).toContain(`(process ${process.pid})`)
  })

  it('says that the sidecar which runs has another ledger and another port', async () => {
    const upstream = await gatewayUrl()
    const [one, two] = [await startProduct({ upstream }), await startProduct({ upstream })]
    for (const product of [one, two]) onTestFinished(async () => void (await product.stop('SIGKILL')))
    const places = ['--listen', '127.0.0.1:9', '--admin', new URL(one.adminUrl).host, '--ledger', two.ledger, '--upstream', upstream]
    const { code, statuses, said } = await doctor(places)
    expect([code, statuses['proxy port'], statuses['ledger file']]).toEqual([1, 'failed', 'warned'])
    expect(said['proxy port']).toContain('The sidecar runs, and nothing answers at 127.0.0.1:9 (ECONNREFUSED).')
    expect(said['ledger file']).toContain('writes another ledger')
    const missing = await doctor([...places.slice(0, 4), '--ledger', join(folder, 'absent.db'), '--upstream', upstream])
    expect(missing.said['ledger']).toContain('The sidecar runs, and there is no file')
  })

  it('tells ledgers that cannot be used', async () => {
    const made = (name: string, version: number) => {
      const database = new DatabaseSync(join(folder, name))
      database.exec(
        `PRAGMA application_id = ${0x74776572}; PRAGMA user_version = ${version}; CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(100000))`,
      )
      database.close()
      return join(folder, name)
    }
    writeFileSync(join(folder, 'notes.txt'), 'notes')
    mkdirSync(join(folder, 'place'))
    const cut = made('cut.db', 1)
    truncateSync(cut, 40_960)
    const said = async (path: string) => {
      const { code, said: all } = await doctor([...free, '--ledger', path, '--upstream', upstream])
      return [code, all['ledger']]
    }
    const upstream = await gatewayUrl()
    expect(await said(join(folder, 'notes.txt'))).toEqual([1, expect.stringContaining('notes.txt is no SQLite file. Name another file')])
    expect(await said(join(folder, 'place'))).toEqual([1, expect.stringContaining('place is a directory.')])
    expect(await said(made('later.db', 999))).toEqual([1, expect.stringContaining('later.db has version 999, and this tokenweir knows ')])
    expect(await said(made('early.db', 1))).toEqual([
      0,
      expect.stringMatching(/version 1 \(brought to \d+ at the next start\).*quick check passed/),
    ])
    expect(await said(cut)).toEqual([1, expect.stringMatching(/the quick check finds|cannot be read/)])
  })

  it.each<readonly [string, () => Promise<string>, RegExp]>([
    ['refuses connections', async () => 'http://127.0.0.1:9', /Nothing listens at 127\.0\.0\.1:9 in this pod/],
    ['speaks TLS', async () => `http://127.0.0.1:${await listening(https.createServer(certificate))}`, /speaks TLS.*https:\/\/127/],
    ['speaks no TLS', async () => (await gatewayUrl()).replace('http', 'https'), /speaks plain HTTP.*http:\/\/127/],
    [
      'has a certificate of its own',
      async () => `https://127.0.0.1:${await listening(https.createServer(certificate))}`,
      /DEPTH_ZERO_SELF_SIGNED_CERT.*NODE_EXTRA_CA_CERTS/,
    ],
    ['has no name', async () => 'http://gateway.invalid', /cannot be reached: dns \(\w+\)\. Is the name right/],
    ['says nothing', async () => `http://127.0.0.1:${await listening(net.createServer())}`, /cannot be reached: timeout/],
  ])('says that the upstream %s', async (_, upstream, sentence) => {
    const { code, statuses, said } = await doctor([...free, '--ledger', 'n.db', '--timeout', '3', '--upstream', await upstream()])
    expect([code, statuses['upstream default']]).toEqual([1, 'failed'])
    expect(said['upstream default']).toMatch(sentence)
  })

  it('says that a clock differs', async () => {
    const date = new Date(Date.now() - 3_600_000).toUTCString()
    const port = await listening(http.createServer((_, response) => response.writeHead(401, { date }).end()))
    const { code, said } = await doctor([...free, '--ledger', 'n.db', '--upstream', `http://127.0.0.1:${port}`])
    expect([code, said['clock']]).toEqual([
      0,
      expect.stringContaining(`The clock of the upstream 127.0.0.1:${port} is 60 min behind this machine's`),
    ])
    expect(said['upstream default']).toContain('with status 401')
  })

  it('looks at each collector by its protocol', async () => {
    const upstream = await gatewayUrl()
    const args = [...free, '--ledger', 'n.db', '--upstream', upstream]
    const refusing = await startCollector(401)
    const lost = await startCollector(404)
    const http1 = await doctor(args, {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${refusing.url}/v1/traces`,
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: lost.url,
    })
    expect([http1.code, http1.statuses['collector traces'], http1.statuses['collector metrics']]).toEqual([1, 'failed', 'failed'])
    expect(http1.said['collector traces']).toContain('answers an empty export with 401. Set OTEL_EXPORTER_OTLP_HEADERS')
    expect(http1.said['collector metrics']).toContain('/v1/traces and its like are added to it')

    const speaking = http2.createServer()
    speaking.on('session', (session) => session.on('error', () => undefined))
    const grpc = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_METRICS_EXPORTER: 'none', OTEL_TRACES_EXPORTER: 'otlp' }
    const good = await doctor(args, { ...grpc, OTEL_EXPORTER_OTLP_ENDPOINT: `127.0.0.1:${await listening(speaking)}` })
    expect([good.code, good.statuses['collector traces'], good.statuses['telemetry']]).toEqual([0, 'ok', 'warned'])
    expect(good.said['telemetry']).toContain('has no scheme')
    const wrong = await doctor(args, { ...grpc, OTEL_EXPORTER_OTLP_ENDPOINT: refusing.url })
    expect([wrong.code, wrong.said['collector traces']]).toEqual([
      1,
      expect.stringMatching(/does not speak gRPC: .*4317; 4318 is the one for HTTP/),
    ])
  })

  it('looks at the collectors that OTEL_CONFIG_FILE names', async () => {
    const [collector, refusing] = [await startCollector(), await startCollector(403)]
    writeFileSync(
      join(folder, 'otel.yaml'),
      `file_format: "1.0"
tracer_provider:
  processors:
    - batch: {exporter: {otlp_http: {endpoint: "\${COLLECTOR}/v1/traces", headers: [{name: x-key, value: PLANTED-in-a-file}]}}}
meter_provider:
  readers: [{periodic: {exporter: {otlp_http: {endpoint: "${refusing.url}/v1/metrics", encoding: json}}}}]
logger_provider:
  processors: [{simple: {exporter: {otlp_grpc: {endpoint: "\${NOBODY:-http://127.0.0.1:9}"}}}}]
`,
    )
    const args = [...free, '--ledger', 'n.db', '--upstream', await gatewayUrl()]
    const { code, said, statuses, text } = await doctor(args, { OTEL_CONFIG_FILE: 'otel.yaml', COLLECTOR: collector.url })
    expect([code, statuses['collector traces'], statuses['collector metrics'], statuses['collector logs']]).toEqual([
      1,
      'ok',
      'failed',
      'failed',
    ])
    expect([said['collector metrics'], said['collector logs']]).toEqual([
      expect.stringContaining('answers an empty export with 403. Set OTEL_EXPORTER_OTLP_HEADERS'),
      expect.stringContaining('http://127.0.0.1:9 cannot be reached (ECONNREFUSED).'),
    ])
    expect([collector.received[0]?.headers['x-key'], refusing.received[0]?.body.toString()]).toEqual(['PLANTED-in-a-file', '{}'])
    expect(text).not.toContain('PLANTED')
    const none = await doctor(args, { OTEL_CONFIG_FILE: 'absent.yaml' })
    expect([none.code, none.said['collector']]).toEqual([1, expect.stringContaining('OTEL_CONFIG_FILE names cannot be read: ENOENT.')])
  })

  it.each([
    [['x'], '"x" is one argument too many.'],
    [['--timeout', 'long'], '--timeout is a number of seconds, such as 10.'],
  ])('refuses wrong arguments: %s', (args, sentence) => {
    const { status, stderr } = spawnSync(process.execPath, [program, 'doctor', ...args], { env: cleanEnvironment(), encoding: 'utf8' })
    expect([status, stderr]).toEqual([2, `tokenweir: ${sentence} See tokenweir --help.\n`])
  })
})

describe('the report of doctor has no secret', () => {
  let count = 0
  const secret = () => `PLANTED${String(count++).padStart(2, '0')}-secret`
  const environment = (collector: string, proxy: string) => ({
    OPENAI_API_KEY: secret(),
    SOME_PASSWORD: secret(),
    TOKENWEIR_ADMIN_TOKEN: secret(),
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secret()},x-scope=${secret()}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.replace('://', `://${secret()}:${secret()}@`).concat(`/${secret()}`),
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `https://${secret()}:${secret()}@logs.invalid/${secret()}?key=${secret()}`,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${secret()}:nonsense:${secret()}`,
    http_proxy: proxy.replace('://', `://${secret()}:${secret()}@`),
  })

  it('where the configuration is right', async () => {
    const refusing = http.createServer((_, response) => response.writeHead(407).end(secret()))
    const proxy = `http://127.0.0.1:${await listening(refusing)}`
    const upstream = await gatewayUrl()
    writeFileSync(
      join(folder, 'secrets.yaml'),
      `routes:
  - {name: a, prefix: /a, upstream: "${upstream}/v1/${secret()}"}
  - {name: b, prefix: /b, upstream: "http://gateway.invalid/${secret()}", host: ${secret()}.example}
providers: [{provider: x, when: {header: {name: x-team, value: ${secret()}}}}]
callerNames: {"key-1": "${secret()}"}
traceUrl: "https://user.example/${secret()}?token=${secret()}&id={traceId}"
`,
    )
    const { code, statuses, text, said } = await doctor(
      [...free, '--ledger', 'n.db', '--config', 'secrets.yaml'],
      environment((await startCollector()).url, proxy),
    )

    expect([code, statuses['configuration'], statuses['upstream a'], statuses['upstream b']]).toEqual([1, 'ok', 'ok', 'failed'])
    expect(said['upstream a']).toContain(`${upstream}/v1/*** answers`)
    expect(text.match(/planted\w*/i) ?? []).toEqual([])
  })

  it('where it is wrong', async () => {
    writeFileSync(
      join(folder, 'wrong.yaml'),
      `upstream: "https://${secret()}:${secret()}@host"
listen: ${secret()}
admin: "127.0.0.1:${secret()}"
adminToken: [${secret()}]
capture: ${secret()}
timeouts: {connectMs: ${secret()}}
caller: {header: "${secret()} ${secret()}"}
traceUrl: "${secret()}"
`,
    )
    const env = { ...environment('http://127.0.0.1:9', 'http://127.0.0.1:9'), http_proxy: `ftp://${secret()}` }
    const { code, said, text } = await doctor(['--config', 'wrong.yaml'], env)
    expect([code, said['configuration']]).toEqual([1, expect.stringContaining('wrong.yaml:')])
    expect(text.match(/planted\w*/i) ?? []).toEqual([])
  })
})
