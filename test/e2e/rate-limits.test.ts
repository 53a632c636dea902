/** What an answer's head tells of limits on rate, in ledger and metrics of the running product; nothing else of these fields is recorded. */
import { expect, it, onTestFinished } from 'vitest'
import { rawClient, rawUpstream, until } from '../proxy/harness.ts'
import { startProduct } from './product.ts'

it('A refusal for its rate is told with the limits, the wait and the caller.', async () => {
  const body = JSON.stringify({ error: { type: 'rate_limit_error', message: 'too many' } })
  const head = [
    'HTTP/1.1 429 Too Many Requests',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'X-RateLimit-Limit-Tokens: 30000',
    'X-RateLimit-Remaining-Tokens: 12',
    'X-RateLimit-Reset-Tokens: 1h',
    'X-RateLimit-Key: sk-planted-secret',
    'Retry-After: 7',
  ].join('\r\n')
  const well = JSON.stringify({
    object: 'chat.completion',
    model: 'gpt-4o',
    choices: [],
    usage: { prompt_tokens: 1, completion_tokens: 1 },
  })
  let answered = 0
  const upstream = await rawUpstream((text, socket) => {
    if (!text.includes('messages')) return
    // What was never answered with success takes no place of a label.
    const first = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${well.length}\r\n\r\n${well}`
    socket.write(answered++ === 0 ? first : `${head}\r\n\r\n${body}`)
  })
  const product = await startProduct({ upstream: upstream.url, capture: 'observe' })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const request = JSON.stringify({ model: 'gpt-4o', messages: [] })
  const send = () =>
    rawClient(
      Number(new URL(product.url).port),
      `POST /v1/chat/completions HTTP/1.1\r\nHost: me\r\nAuthorization: Bearer sk-a\r\nContent-Type: application/json\r\nContent-Length: ${request.length}\r\n\r\n${request}`,
    )
  send()
  await product.closedRows(1)
  send()
  const [, row] = await product.closedRows(2)
  expect(JSON.parse(String(row?.['rate_limits']))).toEqual({ tokens: { limit: 30000, remaining: 12, resetMs: 3_600_000 } })
  expect(row?.['retry_after_ms']).toBe(7000)
  await until(() => product.stdout().includes('429'))
  const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
  expect(metrics).toMatch(/^tokenweir_ratelimit_remaining\{.*rate_limit="tokens".*\} 12$/m)
  expect(metrics).toMatch(/^tokenweir_ratelimit_limit\{.*rate_limit="tokens".*\} 30000$/m)
  expect(metrics).toMatch(/^tokenweir_ratelimit_refusals_total\{.*gen_ai_provider_name="openai".*\} 1$/m)
  expect(metrics).toMatch(/^tokenweir_ratelimit_retry_after_seconds_sum\{.*\} 7$/m)
  expect(JSON.stringify(row) + metrics + product.stdout()).not.toContain('planted')
})
