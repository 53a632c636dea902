/** The sample gateway's own request log loses its streams, and only those: what the demo shows. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { createRequestLog } from '../../examples/sample-gateway/request-log.ts'
import { readGatewayLog } from '../../src/cli/demo/gateway-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-gateway-log-'))
afterAll(() => rmSync(folder, { recursive: true }))

const none = { requests: 0, tokens: 0 }
const usage = { inputTokens: 3, outputTokens: 4 }

it('has a line for each plain response, and none for a stream that came whole, or was cut', async () => {
  const logFile = join(folder, 'gateway.log')
  const gateway = await startSampleGateway({ logFile })
  const ask = async (model: string, how: object = {}) => {
    const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'How much water?' }], ...how })
    const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })
    return response.text().catch(() => 'cut')
  }
  const stream = { stream: true, stream_options: { include_usage: true } }
  expect(readGatewayLog(logFile)).toEqual({ streamed: none, plain: none })
  const told = JSON.parse(await ask('gpt-4o')).usage
  expect(await ask('gpt-4o', stream)).toMatch(/"total_tokens":[1-9]/)
  expect(await ask('cut-1', stream)).toBe('cut')
  await ask('error-429')
  await expect.poll(() => gateway.sent.length).toBe(4)
  await gateway.close()
  expect(readGatewayLog(logFile)).toEqual({ streamed: none, plain: { requests: 1, tokens: told.total_tokens } })
  expect(readFileSync(logFile, 'utf8').split('\n')).toEqual([
    JSON.stringify({ msg: 'Request logged', status: 200, input_tokens: told.prompt_tokens, output_tokens: told.completion_tokens }),
    JSON.stringify({ msg: 'Request logged', status: 429, input_tokens: 0, output_tokens: 0 }),
    '',
  ])
})

it('has a stream whose reader does not stop at the last event: the bug is where the line is written', async () => {
  const file = join(folder, 'other.log')
  const pieces = [{ text: 'data: 1\n\n' }, { text: 'data: [DONE]\n\n', usage }]
  for await (const { text } of createRequestLog(file).streamed(pieces, 200)) if (text.includes('[DONE]')) break
  expect(readGatewayLog(file)).toEqual({ streamed: none, plain: none })
  for await (const { text } of createRequestLog(file).streamed(pieces, 200)) expect(text).toMatch(/^data/)
  expect(readGatewayLog(file)).toEqual({ streamed: { requests: 1, tokens: 7 }, plain: none })
})
