/** Searches are billed by the call: what of an answer is one. */
import { expect, it } from 'vitest'
import { openaiChat } from '../../src/observe/formats/openai-chat.ts'
import { openaiResponses } from '../../src/observe/formats/openai-responses.ts'

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
