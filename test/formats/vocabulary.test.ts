/** Usage that no format of its own reads: in which words and places it is found, and what is never taken for it. */
import { describe, expect, it } from 'vitest'
import type { Usage } from '../../src/lib/exchange.ts'
import type { Json } from '../../src/lib/json.ts'
import { createFold } from '../../src/observe/fold.ts'
import { findUsage } from '../../src/observe/formats/vocabulary.ts'
import { readThrough } from '../observe/read-through.ts'
import { corporaBeside, corpusRecordings } from '../recordings/corpus.ts'
import { ownRecordings } from '../recordings/recording.ts'
import { concluded } from './exchanges.ts'

const both: Usage = { inputTokens: 7, outputTokens: 3 }

describe('usage is found', () => {
  const table: readonly (readonly [title: string, body: Json, usage: Usage])[] = [
    ['in snake case', { usage: { prompt_tokens: 7, completion_tokens: 3 } }, both],
    ['in camel case', { usage: { inputTokens: 7, outputTokens: 3 } }, both],
    ['in Pascal case', { Response: { Usage: { PromptTokens: 7, CompletionTokens: 3, TotalTokens: 10 } } }, { ...both, totalTokens: 10 }],
    ['with counts as texts', { result: { usage: { inputTextTokens: '7', completionTokens: '3' } } }, both],
    ['named as counts', { usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3 } }, both],
    [
      'without the word, in an object of usage',
      { data: { usage: { input_count: 7, output_count: 3, token_count: 10 } } },
      { ...both, totalTokens: 10 },
    ],
    ['at the top', { text: 'a', tokens_evaluated: 7, tokens_predicted: 3 }, both],
    ['as generated tokens', { details: { prompt_tokens: 7, generated_tokens: 3 } }, both],
    ['deep inside', { output: { response: { meta_info: { num_input_tokens: 7, num_generated_tokens: 3 } } } }, both],
    ['of a bot', { message: { bot_usage: { prompt_tokens: 7, completion_tokens: 3 } } }, both],
    ['in metadata', { metadata: { token_usage: { prompt: 7, completion: 3 } } }, both],
    [
      'with its details',
      {
        usage: {
          input_tokens: 7,
          output_tokens: 3,
          inputTokensDetails: { cachedTokens: 2 },
          output_tokens_details: { reasoning_tokens: 1 },
        },
      },
      { ...both, cacheReadTokens: 2, reasoningTokens: 1 },
    ],
    [
      'with what was cached and thought beside',
      { stats: { input_tokens: 7, cached_input_tokens: 2, total_output_tokens: 3, reasoning_output_tokens: 1 } },
      { ...both, cacheReadTokens: 2, reasoningTokens: 1 },
    ],
    [
      'with a cache beside the input, as Anthropic counts',
      { usage: { input_tokens: 7, output_tokens: 3, cache_read_input_tokens: 100, cache_creation_input_tokens: 20 } },
      { inputTokens: 127, outputTokens: 3, cacheReadTokens: 100, cacheWriteTokens: 20 },
    ],
    ['as a zero where zero is said', { usage: { prompt_tokens: 0, completion_tokens: 0 } }, { inputTokens: 0, outputTokens: 0 }],
  ]

  it.each(table)('%s', (_title, body, usage) => {
    expect(findUsage(body)?.usage).toEqual(usage)
  })
})

const talk = '{"usage":{"prompt_tokens":7,"completion_tokens":3}}'
const innocent: readonly (readonly [title: string, body: Json])[] = [
  ['a text that holds JSON', { message: { content: talk }, data: talk }],
  [
    'the arguments of a tool',
    { message: { tool_calls: [{ function: { arguments: talk, parsed: { usage: { input_tokens: 1, output_tokens: 2 } } } }] } },
  ],
  ['a tool\u2019s input as an object', { content: [{ type: 'tool_use', input: { usage: { input_tokens: 1, output_tokens: 2 } } }] }],
  ['a list of reports', { data: [{ usage: { prompt_tokens: 7, completion_tokens: 3 } }] }],
  ['settings', { usage: { max_tokens: 7, max_output_tokens: 9, token_budget: 3 } }],
  ['limits and what is left of them', { usage: { tokens_per_minute: 100, remaining_tokens: 30, input_tokens_limit: 5 } }],
  ['prices', { usage: { prompt_tokens_price: 7, output_token_unit_price: 2, input_cost: 3 } }],
  ['an answer that counts tokens', { input_tokens: 14 }],
  ['an answer that counts tokens for another API', { totalTokens: 31, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 31 }] }],
  ['a total alone', { usage: { total_tokens: 9 } }],
  ['a page about disks', { usage: { cpu: 7, memory: 3, disk: { in: 'x', out: 'y' } } }],
  ['tokens of a session', { access_token: 'a', tokens: { access: 'b', refresh: 'c' }, token_type: 'bearer', expires_in: 3600 }],
  [
    'words in other objects',
    { request: { usage: { prompt_tokens: 7, completion_tokens: 3 } }, example: { usage: { prompt_tokens: 1, completion_tokens: 2 } } },
  ],
  ['counts that are none', { usage: { prompt_tokens: -1, completion_tokens: 2.5 } }],
  ['JSON-RPC', { jsonrpc: '2.0', id: 1, result: { usage: { input_tokens: 3, output_tokens: 4 } } }],
]

describe('nothing is found in', () => {
  it.each(innocent)('%s', (_title, body) => {
    expect(findUsage(body)?.usage).toBeUndefined()
  })

  it.each(innocent)('%s, whole or in a stream to a path of one\u2019s own', (_title, body) => {
    const whole = concluded({ opening: { path: '/app/answer' }, body })
    expect([whole.format, whole.inference, whole.usageOutcome, whole.response]).toEqual([undefined, false, undefined, undefined])
    const fold = createFold('POST', '/app/answer', {})
    for (let message = 0; message < 100; message++) fold.message(undefined, Buffer.from(JSON.stringify(body)))
    expect(fold.facts()?.usage).toBeUndefined()
  })

  it('what is no object, however deep or wide', () => {
    const deep = JSON.parse(`${'{"data":'.repeat(500)}{"usage":{"prompt_tokens":1}}${'}'.repeat(500)}`) as Json
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, index]))
    for (const body of [null, 7, 'usage', [], {}, deep, wide]) expect(findUsage(body)?.usage).toBeUndefined()
  })
})

describe('the vocabulary', () => {
  it('reads a stream of any length, before and behind its usage', () => {
    const fold = createFold('POST', '/app/answer', {})
    for (let message = 0; message < 300; message++) fold.message(undefined, Buffer.from('{"chunk":"a"}'))
    fold.message('done', Buffer.from('{"bot_usage":{"promptTokens":"7","completionTokens":"3"}}'))
    for (let message = 0; message < 300; message++) fold.message(undefined, Buffer.from('{"chunk":"a"}'))
    expect([fold.format, fold.facts()?.usage]).toEqual(['usage-vocabulary', both])
  })

  it('takes the last usage of a stream, but no 0 over a number', () => {
    const fold = createFold('POST', '/app/answer', {})
    for (const [input, output] of [
      [7, 1],
      [7, 3],
      [0, 0],
    ])
      fold.message(undefined, Buffer.from(JSON.stringify({ usage: { input, output } })))
    expect(fold.facts()?.usage).toEqual(both)
  })

  it('reads a whole body whose path another format claims, and names that format no more', () => {
    const exchange = concluded({ opening: { path: '/v2/chat' }, body: { result: { usage: { inputTokens: 7, outputTokens: 3 } } } })
    expect([exchange.format, exchange.usageOutcome, exchange.provider]).toEqual(['usage-vocabulary', 'reported', 'unknown'])
  })

  it('says nothing where a format of the path recognises the answer', () => {
    const body = { object: 'chat.completion', choices: [], metadata: { usage: { prompt_tokens: 7, completion_tokens: 3 } } }
    expect([concluded({ body }).format, concluded({ body }).usageOutcome]).toEqual(['openai-chat', 'missing'])
  })

  it('changes nothing in any recording that a format of its own reads', async () => {
    const recordings = [...ownRecordings(), ...corporaBeside().flatMap(corpusRecordings)]
    for (const recording of recordings) {
      const exchange = await readThrough(recording)
      expect([recording.name, exchange.format]).not.toEqual([recording.name, 'usage-vocabulary'])
      if (recording.expected === undefined || exchange.inference === false) continue
      const { calls: _calls, startOutputTokens: _start, ...facts } = recording.expected.facts
      expect([recording.name, exchange.format, exchange.response?.usage]).toEqual([recording.name, recording.expected.format, facts.usage])
    }
  })
})
