/** The sample gateway's further formats, read by the product as a recording: the usage is the one that the gateway knows it sent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { replay } from '../../src/cli/replay/replay.ts'
import { createPricer } from '../../src/conclude/pricing/pricer.ts'
import { loadConfig } from '../../src/config/config.ts'

let gateway: SampleGateway
beforeAll(async () => {
  gateway = await startSampleGateway({ gzip: false })
})
afterAll(() => gateway.close())

const loaded = await loadConfig({ flags: {}, env: {}, readFile: () => '', upstreamNeeded: false })

async function read(path: string, body: object) {
  if ('errors' in loaded) throw new Error('The defaults are no configuration.')
  const response = await fetch(`${gateway.url}${path}`, { method: 'POST', body: JSON.stringify(body) })
  const recording = {
    ...{ method: 'POST', path, host: '', requestHeaders: {}, requestBody: Buffer.from(JSON.stringify(body)) },
    ...{ status: response.status, responseHeaders: Object.fromEntries(response.headers) },
    responseBody: Buffer.from(await response.arrayBuffer()),
  }
  const options = { config: loaded.config, pricer: createPricer({ prices: [] }), outcome: { kind: 'answered' }, at: 0 } as const
  const { exchange, framing } = await replay(recording, options)
  return { exchange, framing: framing.name, sent: gateway.sent.at(-1) }
}

const messages = [{ role: 'user', content: 'How much?' }]

describe.each([
  ['cohere-chat-v2', 'sse', '/v2/chat', '/v2/chat', { stream: true }, {}],
  ['ollama', 'ndjson', '/api/chat', '/api/chat', {}, { stream: false }],
  ['bedrock-converse', 'eventstream', '/model/MODEL/converse-stream', '/model/MODEL/converse', {}, {}],
] as const)('%s', (format, framing, streamPath, wholePath, streamed, whole) => {
  const ask = (path: string, model: string, more: object) => read(path.replace('MODEL', model), { model, messages, ...more })

  it.each([
    ['streamed', streamPath, streamed, framing],
    ['whole', wholePath, whole, 'whole'],
  ] as const)('tells its usage, %s', async (_how, path, more, framed) => {
    const { exchange, sent, ...read } = await ask(path, 'weir-1', more)
    expect({ ...read, format: exchange.format, outcome: exchange.usageOutcome, model: sent?.model }).toEqual({
      ...{ framing: framed, format, outcome: 'reported' },
      model: 'weir-1',
    })
    expect(exchange.response?.usage).toEqual(sent?.usage)
  })

  it('keeps it to itself, or fails, for a model named after that', async () => {
    const silent = await ask(streamPath, 'silent-1', streamed)
    expect([silent.exchange.usageOutcome, silent.sent?.usage]).toEqual(['missing', undefined])
    const broken = await ask(streamPath, 'broken-1', streamed)
    expect([broken.exchange.errorType !== undefined, broken.sent?.ended]).toEqual([true, 'failed'])
    expect((await ask(streamPath, 'error-429', streamed)).exchange.ending.status).toBe(429)
  })
})
