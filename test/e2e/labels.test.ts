/** The operator's labels in every record of the running product, from real clients and from every source. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import { exportSPKI, generateKeyPair, SignJWT } from 'jose'
import OpenAI from 'openai'
import { expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { until } from '../proxy/harness.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { startProduct } from './product.ts'
import { startChatUpstream } from './upstream.ts'

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-labels-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const messages = [{ role: 'user' as const, content: 'How much water went through the gate?' }]

it('Every source of a label gives the same value to row, span, log line and metric.', async () => {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
  const sources = {
    header: 'header:x-team',
    pair: 'pair:x-tokenweir-labels:feature',
    baggage: 'baggage:tenant',
    body: 'body:metadata.customer',
    claim: 'claim:org',
    query: 'query:stage',
    segment: 'path:1',
    client: 'client',
    caller: 'caller',
    constant: 'constant:eu-1',
  }
  const marked = Object.entries(sources).map(([name, from]) => `  ${name}: {from: "${from}", metric: true}`)
  const jwt = `{jwt: {claim: sub, jwks: ${JSON.stringify(await exportSPKI(publicKey))}}}`
  const folder = folderWith({ 'tokenweir.yaml': `caller: [${jwt}]\nlabels:\n${marked.join('\n')}\n` })
  const upstream = await startChatUpstream({}, 200)
  const collector = await startCollector()
  const product = await startProduct({
    ...{ upstream: upstream.url, capture: 'observe', args: ['--config', join(folder, 'tokenweir.yaml')] },
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
  })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const token = await new SignJWT({ sub: 'ada', org: 'acme' }).setProtectedHeader({ alg: 'EdDSA' }).setExpirationTime('5m').sign(privateKey)
  const send = async () => {
    const response = await fetch(`${product.url}/prod/v1/chat/completions?stage=beta&other=1`, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-team': 'search', 'user-agent': 'OpenAI/JS 6.0' },
        ...{ 'x-tokenweir-labels': 'team=no,feature=rag', baggage: 'tenant=blue%20sky' },
      },
      body: JSON.stringify({ model: 'made-up-1', stream: true, metadata: { customer: 42 }, messages: [] }),
    })
    await response.text()
  }
  // Once while the token is being verified, once when it is known.
  await send()
  await send()
  const wanted = {
    ...{ header: 'search', pair: 'rag', baggage: 'blue sky', body: '42', claim: 'acme', query: 'beta', segment: 'prod' },
    ...{ client: 'openai-node', caller: 'ada', constant: 'eu-1' },
  }
  const rows = await product.closedRows(2)
  expect(rows.map((row) => JSON.parse(String(row['labels'])))).toEqual([wanted, wanted])
  const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
  const [line = ''] = metrics.split('\n').filter((one) => /^tokenweir_tokens_total\{.*token_type="input"/.test(one))
  for (const [name, value] of Object.entries(wanted)) expect(line).toContain(`tokenweir_label_${name}="${value}"`)
  expect(line).toMatch(/caller="ada".* 22$/)
  const summary = await (await fetch(`${product.adminUrl}/api/summary?since=1h&by=label:header,label:body&where=label:claim=acme`)).json()
  expect((summary as { breakdowns: { groups: unknown[] }[] }).breakdowns[0]?.groups).toMatchObject([
    { key: { 'label:header': 'search', 'label:body': '42' }, requests: 2, tokens: { input: { sum: 22 } } },
  ])
  expect(await (await fetch(`${product.adminUrl}/api/requests?since=1h&where=label:header=ads`)).json()).toMatchObject({ requests: [] })
  const listed = async (query: string) =>
    ((await (await fetch(`${product.adminUrl}/api/requests?since=1h&${query}`)).json()) as { requests: readonly unknown[] }).requests.length
  expect([await listed('label.claim=acme'), await listed('label.claim=other'), await listed('label.claim=acme&label.header=ads')]).toEqual([
    ...[2, 0, 0],
  ])
  await until(() => product.stdout().split('\n').length > 2)
  await product.stop()
  const [logged] = product.stdout().split('\n')
  expect(JSON.parse(logged ?? '').labels).toEqual(wanted)
  const [span] = collector.json('/v1/traces').flatMap(spansOf)
  const attributes = plain(span.attributes)
  expect(Object.fromEntries(Object.keys(wanted).map((name) => [name, attributes[`tokenweir.label.${name}`]]))).toEqual(wanted)
})

it("The presets know the official clients, a recorded Claude Code and Codex, and one's own values have other words as soon as the file changes.", async () => {
  const folder = folderWith({
    'tokenweir.yaml': 'labels: {session: true, user: true, client: true, team: {from: caller, mapFile: MAP}}',
    'teams.yaml': '{}',
  })
  const map = join(folder, 'teams.yaml')
  writeFileSync(
    join(folder, 'tokenweir.yaml'),
    `labels: {session: true, user: true, client: true, team: {from: caller, mapFile: ${JSON.stringify(map)}}}`,
  )
  const gateway = await startSampleGateway()
  onTestFinished(() => gateway.close())
  const product = await startProduct({ upstream: gateway.url, args: ['--config', join(folder, 'tokenweir.yaml')] })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const openai = new OpenAI({ baseURL: `${product.url}/v1`, apiKey: 'test', maxRetries: 0, defaultHeaders: { 'x-session-id': 's-1' } })
  const anthropic = new Anthropic({ baseURL: product.url, apiKey: 'test', maxRetries: 0 })
  await openai.chat.completions.create({ model: 'gpt-4o', messages, user: 'u-1' })
  await anthropic.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 9, messages, metadata: { user_id: 'u-2' } })
  const labelsOf = async (count: number) => JSON.parse(String((await product.closedRows(count))[count - 1]?.['labels']))
  const caller = String((await product.closedRows(2))[0]?.['caller'])
  expect((await product.closedRows(2)).map((row) => JSON.parse(String(row['labels'])))).toEqual([
    { session: 's-1', user: 'u-1', client: 'openai-node', team: caller },
    { user: 'u-2', client: 'anthropic-typescript', team: caller },
  ])
  let count = 2
  const post = async (path: string, headers: Record<string, string>, body: object) => {
    const response = await fetch(product.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    await response.text()
    return await labelsOf(++count)
  }
  const user_id = JSON.stringify({ device_id: 'd', account_uuid: 'a-1', session_id: 'cc-1' })
  const claude = { model: 'claude-sonnet-4-5', max_tokens: 9, stream: true, messages, metadata: { user_id } }
  const agent = { 'content-type': 'application/json', 'x-api-key': 'test', 'user-agent': 'claude-cli/2.0.14 (external, cli)' }
  expect(await post('/v1/messages', agent, claude)).toEqual({ session: 'cc-1', user: 'a-1', client: 'claude-code', team: caller })
  const codex = { 'content-type': 'application/json', 'user-agent': 'codex_cli_rs/0.46.0 (Linux; x86_64)', session_id: 'cx-1' }
  expect(await post('/v1/responses', codex, { model: 'gpt-5', input: 'x', stream: true })).toEqual({ session: 'cx-1', client: 'codex' })

  writeFileSync(map, JSON.stringify({ [caller]: 'search-team' }))
  await expect.poll(async () => (await post('/v1/messages', agent, claude)).team, { timeout: 30_000, interval: 300 }).toBe('search-team')
  writeFileSync(map, 'no: [mapping')
  await expect
    .poll(async () => (await post('/v1/messages', agent, claude)) && product.stderr(), { timeout: 30_000, interval: 300 })
    .toContain('cannot be used')
  expect((await post('/v1/messages', agent, claude)).team).toBe('search-team')
})

it('A map that cannot be read is an error at start, with its place.', async () => {
  const folder = folderWith({ 'tokenweir.yaml': 'upstream: http://127.0.0.1:9\nlabels:\n  team: {from: client, mapFile: none.yaml}\n' })
  await expect(startProduct({ args: ['--config', join(folder, 'tokenweir.yaml')] })).rejects.toThrow(
    /tokenweir\.yaml:3:\d+: .*none\.yaml.*ENOENT/s,
  )
})
