/** What an answer cost, and what is estimated where it does not say what it used, in every record of the running product. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { rawClient, rawUpstream, until } from '../proxy/harness.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { startProduct } from './product.ts'

const delta = (content: string) => ({
  ...{ id: 'chatcmpl-c1', object: 'chat.completion.chunk', model: 'gpt-4o-2024-08-06' },
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
})
const usage = { ...delta(''), choices: [], usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 } }

/** The records of one stream of these events, from a product with this configuration file. */
async function recorded(events: readonly object[], settings: string) {
  const stream = [...events.map((event) => JSON.stringify(event)), '[DONE]'].map((data) => `data: ${data}\n\n`).join('')
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: ${Buffer.byteLength(stream)}\r\n\r\n${stream}`
  const upstream = await rawUpstream((text, socket) => {
    if (text.includes('messages')) socket.write(answer)
  })
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-cost-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'tokenweir.yaml'), settings)
  const collector = await startCollector()
  const product = await startProduct({
    ...{ upstream: upstream.url, capture: 'observe', args: ['--config', join(folder, 'tokenweir.yaml')] },
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
  })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const body = JSON.stringify({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'hello world' }] })
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: me\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`
  rawClient(Number(new URL(product.url).port), `${head}\r\n\r\n${body}`)
  const [row] = await product.closedRows(1)
  await until(() => product.stdout().includes('"msg"'))
  const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
  await product.stop()
  const [span] = collector.json('/v1/traces').flatMap(spansOf)
  return { row: row ?? {}, line: JSON.parse(product.stdout().split('\n')[0] ?? ''), attributes: plain(span.attributes), metrics }
}

it('A stream with usage has its cost in ledger, log line, span and metric.', async () => {
  const { row, line, attributes, metrics } = await recorded([delta('a'), usage], '')
  expect([row['cost'], row['cost_status'], row['cost_source']]).toEqual([0.0035, 'priced', 'table'])
  expect([line.cost, line.cost_status, attributes['gen_ai.usage.cost']]).toEqual([0.0035, 'priced', 0.0035])
  expect(metrics).toMatch(/^tokenweir_cost_total\{.*gen_ai_request_model="gpt-4o".*\} 0\.0035$/m)
  expect(metrics).toMatch(/^tokenweir_cost_requests_total\{gen_ai_provider_name="openai",price_status="priced"\} 1$/m)
})

it("The operator's price stands over the public one.", async () => {
  const { row } = await recorded([delta('a'), usage], 'prices: [{model: "gpt-4o*", input: 1, output: 10}]')
  expect([row['cost'], row['cost_status'], row['cost_source']]).toEqual([0.002, 'priced', 'custom'])
})

it('A stream without usage is estimated when that is switched on, in fields of its own, without a cost.', async () => {
  const { row, line, attributes, metrics } = await recorded([delta('hello '), delta('world')], 'estimates: {enabled: true}')
  const said = { input: row['estimated_input_tokens'], output: row['estimated_output_tokens'] }
  expect(said).toEqual({ input: 2, output: 2 })
  expect({ input: line.estimated_input_tokens, output: line.estimated_output_tokens }).toEqual(said)
  expect({ input: attributes['tokenweir.estimated.input_tokens'], output: attributes['tokenweir.estimated.output_tokens'] }).toEqual(said)
  const { usage_outcome, input_tokens, output_tokens, cost, cost_status } = row
  expect({ usage_outcome, input_tokens, output_tokens, cost, cost_status }).toEqual({
    ...{ usage_outcome: 'missing', input_tokens: null, output_tokens: null, cost: null, cost_status: 'unpriced' },
  })
  expect(Object.keys(attributes).filter((name) => name.startsWith('gen_ai.usage'))).toEqual([])
  expect(metrics).not.toMatch(/^(gen_ai_client_token_usage|tokenweir_cost_total)/m)
})

it('A stream without usage is not estimated unless that is switched on.', async () => {
  const { row, attributes } = await recorded([delta('hello '), delta('world')], '')
  expect([row['usage_outcome'], row['estimated_input_tokens'], row['estimated_output_tokens']]).toEqual(['missing', null, null])
  expect(Object.keys(attributes).filter((name) => name.includes('estimated'))).toEqual([])
})

it('The day of the price table is in the body of /readyz.', async () => {
  const product = await startProduct({ upstream: 'http://127.0.0.1:9' })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const pricesDate = async () => ((await (await fetch(`${product.adminUrl}/readyz`)).json()) as { pricesDate?: string }).pricesDate
  await expect.poll(pricesDate, { timeout: 30_000 }).toMatch(/^\d{4}-\d{2}-\d{2}$/)
})
