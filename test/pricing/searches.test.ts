/** Searches are billed by the call: what of an answer is one. */
import { expect, it } from 'vitest'
import { createPricer } from '../../src/conclude/pricing/pricer.ts'
import { openaiChat } from '../../src/observe/formats/openai-chat.ts'
import { openaiResponses } from '../../src/observe/formats/openai-responses.ts'
import { readThrough } from '../observe/read-through.ts'

const call = (action: string | undefined, status = 'completed') => ({
  type: 'web_search_call',
  status,
  ...(action && { action: { type: action } }),
})
const answer = (output: unknown[], usage: object = {}) =>
  ({ object: 'response', status: 'completed', output, usage: { input_tokens: 5, output_tokens: 2, total_tokens: 7, ...usage } }) as never

it.each([
  ['searches', [call('search'), call('search'), { type: 'message' }], {}, 2],
  ['a search that does not say what it does', [call(undefined)], {}, 1],
  ['pages that are opened', [call('open_page'), call('find_in_page')], {}, undefined],
  ['a search that failed', [call('search', 'failed')], {}, undefined],
  ["xAI's own count", [call('search')], { server_side_tool_usage_details: { web_search_calls: 3 } }, 3],
])('%s', (_, output, usage, expected) => {
  expect(openaiResponses.readResponse({}, answer(output, usage), undefined as never).usage?.webSearches).toBe(expected)
})

it.each([
  ['high', 'high'],
  ['huge', undefined],
])('a request for %s context of searches', (size, expected) => {
  const request = { model: 'sonar', messages: [], web_search_options: { search_context_size: size } }
  expect(openaiChat.readRequest(request as never, '/chat/completions').searchContext).toBe(expected)
})

it.each<[string, object, object | undefined]>([
  ['no tool', {}, undefined],
  ['the search', { tools: [{ type: 'function' }, { type: 'web_search' }] }, undefined],
  ['the search in preview', { tools: [{ type: 'web_search_preview_2025_03_11' }] }, { previewSearch: true }],
  ['a file search', { output: [{ type: 'file_search_call' }] }, { paidTools: true }],
  ['a picture', { output: [{ type: 'image_generation_call' }] }, { paidTools: true }],
  ['a search on X', { usage: { input_tokens: 1, server_side_tool_usage_details: { x_search_calls: 1 } } }, { paidTools: true }],
  ['a server of tools', { usage: { input_tokens: 1, server_side_tool_usage_details: { mcp_calls: 1 } } }, undefined],
])('an answer with %s', (_, fields, expected) => {
  const { previewSearch, paidTools } = openaiResponses.readResponse(
    {},
    { ...(answer([]) as object), ...fields } as never,
    undefined as never,
  )
  expect({ previewSearch, paidTools }).toEqual({ previewSearch: undefined, paidTools: undefined, ...expected })
})

it('an answer too large to keep has lost some of its searches, and has no price', async () => {
  const pricer = createPricer({ prices: [] })
  await pricer.load()
  const output = [
    ...Array.from({ length: 200 }, () => call('search')),
    { type: 'message', content: [{ type: 'output_text', text: 'x'.repeat(5000) }] },
  ]
  const body = Buffer.from(JSON.stringify({ ...(answer(output) as object), model: 'gpt-4.1', id: 'resp_1' }))
  const exchange = (bodyBytesMax: number) =>
    readThrough(
      {
        ...{ method: 'POST', path: '/v1/responses', requestHeaders: {}, requestBody: Buffer.from('{"model":"gpt-4.1"}') },
        ...{ status: 200, responseHeaders: { 'content-type': 'application/json' }, body },
      },
      { bodyBytesMax },
    )
  const [kept, sketched] = [await exchange(1 << 20), await exchange(1 << 12)]
  expect([kept.response?.usage?.webSearches, sketched.response?.usage?.webSearches]).toEqual([200, 128])
  expect([kept, sketched].map((one) => pricer.costOf({ ...one, provider: 'openai' }))).toEqual([
    { status: 'priced', usd: 2.000026, source: 'table' },
    { status: 'unpriced' },
  ])
})
