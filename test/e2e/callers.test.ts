/** Who called, in every record of the running product; and no credential in any of them (PAINS 18). */

import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http, { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../proxy/harness.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { type Product, type ProductOptions, startProduct } from './product.ts'
import { chat, startChatUpstream } from './upstream.ts'

async function start(options: ProductOptions): Promise<Product> {
  const product = await startProduct({ capture: 'observe', ...options })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return product
}

function configFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'tokenweir.yaml'), text)
  return join(folder, 'tokenweir.yaml')
}

async function ask(product: Product, headers: Record<string, string>, path = '/v1/chat/completions', more = {}): Promise<void> {
  const { method, body } = chat()
  const response = await fetch(`${product.url}${path}`, {
    ...{ method, headers: { 'content-type': 'application/json', ...headers } },
    body: JSON.stringify({ ...JSON.parse(body), ...more }),
  })
  await response.text()
}

/** `fetch` takes the fragment off a URL. */
async function askTarget(product: Product, path: string): Promise<void> {
  const [response] = await once(get(product.url, { path }), 'response')
  response.resume()
  await once(response, 'end')
}

const log = (product: Product) =>
  product
    .stdout()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const byCaller = async (product: Product) => {
  const text = await (await fetch(`${product.adminUrl}/metrics`)).text()
  return text.split('\n').filter((line) => line.startsWith('tokenweir_caller_'))
}

it('the name of a key is in row, span, log line and metrics, and its salt beside the ledger', async () => {
  const upstream = await startChatUpstream()
  const collector = await startCollector()
  const product = await start({
    upstream: upstream.url,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
  })
  await ask(product, { authorization: 'Bearer sk-one' })
  await ask(product, { 'x-api-key': 'sk-one' })
  await ask(product, { 'x-api-key': 'sk-two' })
  await ask(product, {})
  const rows = await product.closedRows(4)
  const callers = rows.map((row) => row['caller'])
  expect(callers).toEqual([expect.stringMatching(/^key:[0-9a-f]{10}$/), callers[0], expect.stringMatching(/^key:[0-9a-f]{10}$/), null])
  expect(callers[2]).not.toBe(callers[0])
  expect(await byCaller(product)).toEqual([
    `tokenweir_caller_unknown_total{reason="not_verified"} 0`,
    `tokenweir_caller_unknown_total{reason="too_many"} 0`,
    `tokenweir_caller_requests_total{caller="${callers[0]}",end_reason="completed"} 2`,
    `tokenweir_caller_requests_total{caller="${callers[2]}",end_reason="completed"} 1`,
    `tokenweir_caller_tokens_total{caller="${callers[0]}",token_type="input"} 22`,
    `tokenweir_caller_tokens_total{caller="${callers[0]}",token_type="output"} 14`,
    `tokenweir_caller_tokens_total{caller="${callers[2]}",token_type="input"} 11`,
    `tokenweir_caller_tokens_total{caller="${callers[2]}",token_type="output"} 7`,
  ])
  const salt = `${product.ledger}.salt`
  expect([statSync(salt).mode & 0o777, readFileSync(salt, 'utf8')]).toEqual([0o600, expect.stringMatching(/^[0-9a-f]{64}\n$/)])
  await product.stop()
  expect(log(product).map(({ caller }) => caller ?? null)).toEqual(callers)
  const spans = collector.json('/v1/traces').flatMap(spansOf)
  expect(spans.map(({ attributes }) => plain(attributes)['tokenweir.caller'] ?? null)).toEqual(callers)
})

it('a readable name is in every record as soon as the file has it, and stays when the file breaks', async () => {
  const upstream = await startChatUpstream()
  const collector = await startCollector()
  const file = configFile(
    `labels: {who: caller}
budgets: [{name: search, where: {caller: search-team}, tokens: 1000}]
callerNames: {nobody: nothing}
callerNamesFile: names.yaml
`,
  )
  const names = join(dirname(file), 'names.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('names.yaml', JSON.stringify(names)))
  writeFileSync(names, '{}')
  const product = await start({
    upstream: upstream.url,
    env: {
      ...{ TOKENWEIR_CONFIG: file, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
      ...{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
    },
  })
  let sent = 0
  const row = async (key: string) => {
    await ask(product, { authorization: `Bearer ${key}` })
    return (await product.closedRows(++sent)).at(-1)
  }
  const [one, two] = [String((await row('sk-one'))?.['caller']), String((await row('sk-two'))?.['caller'])]
  writeFileSync(names, `${one}: search-team\n${two}: search-team\n`)
  await expect.poll(async () => (await row('sk-one'))?.['caller'], { timeout: 30_000, interval: 300 }).toBe('search-team')
  expect(await row('sk-two')).toMatchObject({ caller: 'search-team', labels: '{"who":"search-team"}' })
  writeFileSync(names, 'no: [mapping')
  await expect
    .poll(async () => (await row('sk-one')) && product.stderr(), { timeout: 30_000, interval: 300 })
    .toContain('names.yaml cannot be used')
  expect((await row('sk-one'))?.['caller']).toBe('search-team')

  const recorded = product.ledgerRows().map((each) => each['caller'])
  const renamed = recorded.filter((caller) => caller === 'search-team').length
  expect(await byCaller(product)).toContain(`tokenweir_caller_tokens_total{caller="search-team",token_type="input"} ${11 * renamed}`)
  const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
  expect(metrics).toMatch(new RegExp(`^tokenweir_budget_spent\\{budget="search",.*\\} ${18 * renamed}$`, 'm'))
  await product.stop()
  expect(log(product).map(({ caller }) => caller)).toEqual(recorded)
  const spans = collector.json('/v1/traces').flatMap(spansOf)
  expect(spans.map(({ attributes }) => plain(attributes)['tokenweir.caller'])).toEqual(recorded)
})

it('callers are not told apart where that is turned off', async () => {
  const upstream = await startChatUpstream()
  const product = await start({ upstream: upstream.url, env: { TOKENWEIR_CALLER: 'none' } })
  await ask(product, { authorization: 'Bearer sk-one' })
  const rows = await product.closedRows(1)
  expect(rows.map((row) => row['caller'])).toEqual([null])
  expect(readdirSync(product.folder).filter((name) => name.endsWith('.salt'))).toEqual([])
})

describe('a token', () => {
  it('names the caller when it verifies, and nobody when it does not', async () => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
    const forger = await generateKeyPair('EdDSA')
    const pem = JSON.stringify(await exportSPKI(publicKey))
    const file = configFile(`caller: [{jwt: {claim: sub, jwks: ${pem}, audience: gateway}}, {header: x-tenant}]\n`)
    const upstream = await startChatUpstream({}, 50)
    const product = await start({ upstream: upstream.url, env: { TOKENWEIR_CONFIG: file } })
    const token = (key: typeof privateKey) =>
      new SignJWT({ sub: 'alice' }).setProtectedHeader({ alg: 'EdDSA' }).setAudience('gateway').setExpirationTime('5m').sign(key)
    const [good, forged] = [await token(privateKey), await token(forger.privateKey)]
    await ask(product, { authorization: `Bearer ${good}`, 'x-tenant': 'blue' })
    await ask(product, { authorization: `Bearer ${good}`, 'x-tenant': 'blue' })
    await ask(product, { authorization: `Bearer ${forged}` })
    await ask(product, { authorization: `Bearer ${forged}`, 'x-tenant': 'blue' })
    const rows = await product.closedRows(4)
    expect(rows.map((row) => row['caller'])).toEqual(['alice', 'alice', null, 'blue'])
    expect(upstream.heads.map(({ authorization }) => authorization)).toEqual([good, good, forged, forged].map((sent) => `Bearer ${sent}`))
    expect((await byCaller(product)).slice(0, 2)).toEqual([
      'tokenweir_caller_unknown_total{reason="not_verified"} 2',
      'tokenweir_caller_unknown_total{reason="too_many"} 0',
    ])
  })

  it('names the caller once the server of its keys is there; without it the start and requests go on, and that is said once', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] })
    const server = http.createServer((_request, response) => void response.end(keys))
    const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    await listen(0)
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    onTestFinished(() => void server.close())
    const upstream = await startChatUpstream({}, 50)
    const file = configFile(`caller: [{jwt: {claim: sub, jwks: "http://127.0.0.1:${port}/keys"}}]\n`)
    const product = await start({ upstream: upstream.url, env: { TOKENWEIR_CONFIG: file } })
    let sent = 0
    const callerOf = async (sub: string) => {
      const token = await new SignJWT({ sub }).setProtectedHeader({ alg: 'ES256', kid: 'one' }).setExpirationTime('5m').sign(privateKey)
      await ask(product, { authorization: `Bearer ${token}` })
      return (await product.closedRows(++sent)).at(-1)?.['caller']
    }
    expect([await callerOf('alice'), await callerOf('bob')]).toEqual([null, null])
    expect(await byCaller(product)).toEqual([
      'tokenweir_caller_unknown_total{reason="not_verified"} 2',
      'tokenweir_caller_unknown_total{reason="too_many"} 0',
    ])
    await listen(port)
    await expect.poll(() => callerOf(`carol-${sent}`), { timeout: 60_000, interval: 1000 }).toMatch(/^carol-/)
    const said = product
      .stderr()
      .split('\n')
      .filter((line) => line.includes('token keys'))
    expect(said).toEqual([expect.stringContaining(`The token keys at http://127.0.0.1:${port}/keys cannot be fetched (ECONNREFUSED).`)])
  }, 120_000)
})

describe('a credential', () => {
  const secret = (name: string) => `HUNTER2-${name.toUpperCase()}`
  const headers = {
    authorization: `Bearer ${secret('bearer')}`,
    'proxy-authorization': `Basic ${secret('proxy')}`,
    ...Object.fromEntries(
      [
        ...[
          'x-api-key',
          'api-key',
          'x-goog-api-key',
          'x-portkey-api-key',
          'x-portkey-virtual-key',
          'helicone-auth',
          'cf-aig-authorization',
        ],
        ...['x-amz-security-token', 'x-litellm-api-key', 'ocp-apim-subscription-key', 'openai-organization', 'x-access-token'],
      ].map((name) => [name, secret(name)]),
    ),
    cookie: `session=${secret('cookie')}`,
    'x-portkey-config': JSON.stringify({ api_key: secret('config') }),
  }

  it('of any kind is in no output, whether the request ends well or not', async () => {
    const upstream = await startChatUpstream({ 'set-cookie': `sid=${secret('set-cookie')}` })
    const collector = await startCollector()
    const file = configFile(
      `routes: [{upstream: "${upstream.url}"}, {prefix: /gone, upstream: "http://127.0.0.1:9"}]\ncaller: [{header: x-user-id}, api-key]\n`,
    )
    const product = await start({
      env: {
        TOKENWEIR_CONFIG: file,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_LOG_LEVEL: 'verbose',
      },
    })
    await ask(product, headers)
    await ask(product, headers, `/v1beta/models/x:generateContent?key=${secret('query')}`)
    await ask(product, { 'x-api-key': secret('alone') }, '/gone')
    await askTarget(product, `/v1/models#${secret('fragment')}?key=x`)
    await askTarget(product, `http://a/v1/models#${secret('fragment')}`)
    await ask(product, {}, '/v1/chat/completions', { stop: secret('stop') })
    await ask(product, {}, '/v1/messages', { stop_sequences: [secret('stop')] })
    for (const name of Object.keys(headers)) await ask(product, { [name]: headers[name as keyof typeof headers] })
    const count = 7 + Object.keys(headers).length
    await product.closedRows(count)
    const pages = ['/', '/metrics', '/livez', '/readyz', '/api/', '/nothing']
    const admin = await Promise.all(pages.map(async (page) => (await fetch(`${product.adminUrl}${page}`)).text()))
    const kept = readdirSync(product.folder).map((name) => [name, readFileSync(join(product.folder, name), 'latin1')])
    expect(upstream.heads[0]?.authorization).toBe(headers.authorization)
    expect(kept.map(([name]) => name)).toEqual(expect.arrayContaining(['ledger.db', 'ledger.db.salt']))
    expect(await product.stop()).toBe(0)
    const outputs = {
      stdout: product.stdout(),
      stderr: product.stderr(),
      ...Object.fromEntries(kept),
      ...Object.fromEntries(pages.map((page, index) => [page, admin[index]])),
      otlp: collector.received.map(({ body, headers: sent }) => body.toString('latin1') + JSON.stringify(sent)).join('\n'),
    }
    expect(outputs.stdout.split('\n').length - 1).toBe(count)
    expect(outputs.otlp).toContain('tokenweir.caller')
    expect(Object.entries(outputs).filter(([, text]) => /hunter2/i.test(String(text)))).toEqual([])
  })

  it('is in no file that a killed process leaves behind', async () => {
    const upstream = await startChatUpstream({}, 60_000)
    const product = await start({ upstream: upstream.url })
    ask(product, headers, '/v1/chat/completions?key=HUNTER2').catch(() => undefined)
    await until(() => product.ledgerRows().length === 1)
    process.kill(product.pid, 'SIGKILL')
    const kept = readdirSync(product.folder).map((name) => [name, readFileSync(join(product.folder, name), 'latin1')])
    expect(product.ledgerRows().map((row) => [row['path'], row['end_reason']])).toEqual([['/v1/chat/completions', null]])
    expect(kept.map(([name]) => name)).toEqual(expect.arrayContaining(['ledger.db', 'ledger.db-wal', 'ledger.db.salt']))
    expect(kept.filter(([, text]) => /hunter2/i.test(String(text)))).toEqual([])
  })
})
