/** tokenweir in front of a real model server, llama.cpp: the ledger has the tokens that the server itself counted, through each of its APIs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LedgerRow, type Product, startProduct } from '../e2e/product.ts'
import { type ModelServer, startLlamacpp } from './gateways.ts'
import { isInstalled } from './places.ts'

const messages = [{ role: 'user', content: 'How much water went through the gate?' }]
const stream = true

const requests: readonly (readonly [what: string, path: string, body: Readonly<Record<string, unknown>>])[] = [
  ['a chat', '/v1/chat/completions', { messages, max_tokens: 5 }],
  [
    'a streamed chat that asks for usage',
    '/v1/chat/completions',
    { messages, max_tokens: 6, stream, stream_options: { include_usage: true } },
  ],
  ['a streamed legacy completion', '/v1/completions', { prompt: 'Water', max_tokens: 7, stream, stream_options: { include_usage: true } }],
  ['a streamed message', '/v1/messages', { messages, max_tokens: 8, stream }],
  ['a streamed response', '/v1/responses', { input: 'How much?', max_output_tokens: 9, stream }],
  ["a completion of llama.cpp's own API, streamed", '/completion', { prompt: 'Water', n_predict: 10, stream }],
]

describe.skipIf(!isInstalled.servers())('llama.cpp', () => {
  let server: ModelServer
  let product: Product
  beforeAll(async () => {
    server = await startLlamacpp()
    product = await startProduct({ upstream: server.url })
  }, 240_000)
  afterAll(async () => {
    await product?.stop()
    await server?.stop()
  })

  /** One request; its row, and what the server says that it counted meanwhile. */
  async function send(path: string, body: Readonly<Record<string, unknown>>) {
    const [rowsBefore, before] = [product.ledgerRows().length, await server.counted()]
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify({ model: 'tiny', ...body }) }
    const text = await (await fetch(`${product.url}${path}`, request)).text()
    const row = (await product.closedRows(rowsBefore + 1)).at(-1) as LedgerRow
    const after = await server.counted()
    return { text, row, counted: [after.input - before.input, after.output - before.output] }
  }
  const recorded = (row: LedgerRow) => [row['input_tokens'], row['output_tokens']]

  it.each(requests)('%s', async (_what, path, body) => {
    const { text, row, counted } = await send(path, body)
    expect([row['status'], row['end_reason'], row['usage_outcome']]).toEqual([200, 'completed', 'reported'])
    expect(counted[1]).toBeGreaterThan(0)
    // This server leaves out the first event of some streamed messages, and with it how many tokens the prompt had.
    const isCut = path === '/v1/messages' && !text.includes('message_start')
    expect(recorded(row)).toEqual(isCut ? [null, counted[1]] : counted)
  })

  it('a streamed chat that does not ask: its usage is asked for and taken out again, its timings stay', async () => {
    const plain = { messages, max_tokens: 4, stream }
    // The first two streams pass unchanged: they show that usage does not come unasked.
    for (let n = 0; n < 2; n++) await send('/v1/chat/completions', plain)
    const { text, row, counted } = await send('/v1/chat/completions', plain)
    expect(recorded(row)).toEqual(counted)
    expect([text.includes('"usage"'), text.includes('"timings"')]).toEqual([false, true])
  })
})
