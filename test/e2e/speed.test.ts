/** How fast a stream's tokens came and what caching saved, the same in every record of the running product; nothing where it cannot be known. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { until } from '../proxy/harness.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { startProduct } from './product.ts'

const about = { id: 'chatcmpl-1', model: 'gpt-4o-2024-08-06' }
const usage = { prompt_tokens: 1000, completion_tokens: 12, total_tokens: 1012, prompt_tokens_details: { cached_tokens: 400 } }
const tokenMs = 20

/** Twelve tokens, one after the other, or all in one body. */
async function startUpstream(): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (!body.includes('"stream":true')) {
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({ ...about, object: 'chat.completion', choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }], usage }),
      )
      return
    }
    response.setHeader('content-type', 'text/event-stream')
    const send = (event: object) => response.write(`data: ${JSON.stringify({ ...about, object: 'chat.completion.chunk', ...event })}\n\n`)
    send({ choices: [{ delta: { role: 'assistant', content: '' } }] })
    await setTimeout(10 * tokenMs)
    for (let token = 0; token < 12; token++) {
      send({ choices: [{ delta: { content: ` word${token}` } }] })
      await setTimeout(tokenMs)
    }
    send({ choices: [{ delta: {}, finish_reason: 'stop' }] })
    send({ choices: [], usage })
    response.end('data: [DONE]\n\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('The time of a token and what caching saved are the same in row, log line, span, metric and totals.', async () => {
  const collector = await startCollector()
  const product = await startProduct({
    ...{ upstream: await startUpstream(), capture: 'observe' },
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
  })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  for (const stream of [true, false]) {
    const response = await fetch(`${product.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o', stream, messages: [] }),
    })
    await response.text()
    await product.closedRows(stream ? 1 : 2)
  }
  const [streamed, whole] = await product.closedRows(2)
  const each = Number(streamed?.['time_per_output_token_ms'])
  // From the first token, not from the role before it; a timer never fires early, but for its rounding.
  expect(each).toBeGreaterThan(tokenMs * 0.9)
  expect(each * 11).toBeLessThan(Number(streamed?.['duration_ms']) - Number(streamed?.['time_to_first_chunk_ms']) - 9 * tokenMs)
  expect([streamed?.['cache_saved'], whole?.['time_per_output_token_ms'], whole?.['cache_saved']]).toEqual([0.0005, null, 0.0005])

  await until(() => product.stdout().split('\n').length > 2)
  const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
  const sum = /^gen_ai_server_time_per_output_token_seconds_sum\{.*\} (.*)$/m.exec(metrics)?.[1]
  expect([Number(sum) * 1000, /^tokenweir_cache_saved_total\{.*\} (.*)$/m.exec(metrics)?.[1]]).toEqual([expect.closeTo(each, 6), '0.001'])
  expect(await (await fetch(`${product.adminUrl}/api/summary?since=1h`)).json()).toMatchObject({
    total: { timePerOutputTokenMs: each, cache: { hitShare: 0.4, savedUsd: 0.001 } },
  })
  await product.stop()
  const [line, otherLine] = product
    .stdout()
    .split('\n')
    .slice(0, 2)
    .map((text) => JSON.parse(text))
  expect([line.time_per_output_token_ms, line.output_tokens_per_second, line.cache_saved, otherLine.time_per_output_token_ms]).toEqual([
    ...[expect.closeTo(each, 3), expect.closeTo(1000 / each, 3), 0.0005, undefined],
  ])
  const told = collector
    .json('/v1/traces')
    .flatMap(spansOf)
    .map((span) => plain(span.attributes))
  expect(told.map((attributes) => [attributes['tokenweir.time_per_output_token'], attributes['tokenweir.cache.saved']])).toEqual([
    [expect.closeTo(each / 1000, 9), 0.0005],
    [undefined, 0.0005],
  ])
})
