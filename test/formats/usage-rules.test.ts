/** What stands when counts disagree: with earlier ones, with their total, with each other. */
import { describe, expect, it } from 'vitest'
import type { Usage } from '../../src/lib/exchange.ts'
import { createFold } from '../../src/observe/fold.ts'
import { formats } from '../../src/observe/formats/index.ts'
import { openaiUsage } from '../../src/observe/formats/openai-usage.ts'
import { concluded } from './exchanges.ts'

function folded(path: string, ...messages: readonly object[]): Usage | undefined {
  const fold = createFold('POST', path, {})
  for (const message of messages) fold.message(undefined, Buffer.from(JSON.stringify(message)))
  return fold.facts()?.usage
}

describe('a zero never overwrites a number', () => {
  const start = (usage: object) => ({ type: 'message_start', message: { id: 'm', model: 'c', usage } })
  const delta = (usage: object) => ({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage })

  it.each([
    ['zeros', { input_tokens: 0, output_tokens: 45, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 }],
    ['nulls', { input_tokens: null, output_tokens: 45 }],
    ['nothing', { output_tokens: 45 }],
  ])('when message_delta has %s for what message_start named', (_title, usage) => {
    const first = start({ input_tokens: 12, output_tokens: 1, cache_read_input_tokens: 30_000, cache_creation_input_tokens: 500 })
    expect(folded('/v1/messages', first, delta(usage))).toEqual({
      inputTokens: 30_512,
      outputTokens: 45,
      cacheReadTokens: 30_000,
      cacheWriteTokens: 500,
    })
  })

  it('but input that is named as cached from then on has moved there', () => {
    const usage = folded(
      '/v1/messages',
      start({ input_tokens: 900, output_tokens: 1 }),
      delta({ input_tokens: 0, output_tokens: 5, cache_read_input_tokens: 900 }),
    )
    expect(usage).toEqual({ inputTokens: 900, outputTokens: 5, cacheReadTokens: 900 })
  })

  it('in any other format', () => {
    const chunk = (usage: object) => ({ object: 'chat.completion.chunk', choices: [], usage })
    const full = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 }
    const none = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
    const kept = { inputTokens: 9, outputTokens: 5, totalTokens: 14 }
    expect(folded('/v1/chat/completions', chunk(full), chunk(none))).toEqual(kept)
    expect(folded('/v1/chat/completions', chunk(none), chunk(full))).toEqual(kept)
    expect(folded('/v1/chat/completions', chunk(full), chunk({ completion_tokens: 7, prompt_tokens: null }))).toMatchObject({
      inputTokens: 9,
      outputTokens: 7,
    })
    expect(
      folded(
        '/v1beta/models/weir:streamGenerateContent',
        { usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 5 } },
        { usageMetadata: { promptTokenCount: 0, candidatesTokenCount: 0 } },
      ),
    ).toEqual({ inputTokens: 9, outputTokens: 5 })
  })

  it('while a smaller number does', () => {
    const at = (candidatesTokenCount: number) => ({ usageMetadata: { promptTokenCount: 9, candidatesTokenCount } })
    expect(folded('/v1beta/models/weir:streamGenerateContent', at(8), at(5))?.outputTokens).toBe(5)
  })
})

describe('a total that contradicts its parts', () => {
  const read = (usage: object) => openaiUsage(usage as never, { thinks: true })

  it('holds the thinking that no part names', () => {
    expect(read({ prompt_tokens: 20, completion_tokens: 424, total_tokens: 1016 })?.outputTokens).toBe(996)
    expect(
      read({ prompt_tokens: 20, completion_tokens: 4, total_tokens: 90, completion_tokens_details: { reasoning_tokens: 0 } })?.outputTokens,
    ).toBe(70)
  })

  it.each([
    ['is too small', { prompt_tokens: 20, completion_tokens: 10, total_tokens: 14 }, 10],
    ['is 0', { prompt_tokens: 20, completion_tokens: 10, total_tokens: 0 }, 10],
    ['is explained by what a connector read', { prompt_tokens: 20, completion_tokens: 10, total_tokens: 35, connector_tokens: 5 }, 10],
    [
      'is explained by sound',
      { prompt_tokens: 20, completion_tokens: 10, total_tokens: 35, prompt_tokens_details: { audio_tokens: 5 } },
      10,
    ],
    ['is explained by the cache beside', { prompt_tokens: 20, completion_tokens: 10, total_tokens: 130, cache_read_input_tokens: 100 }, 10],
    [
      'has reasoning beside it',
      { prompt_tokens: 20, completion_tokens: 10, total_tokens: 37, completion_tokens_details: { reasoning_tokens: 7 } },
      17,
    ],
  ])('says nothing of thinking when it %s', (_title, usage, output) => {
    expect(read(usage)?.outputTokens).toBe(output)
  })

  it.each([
    ['a total below its sum', { prompt_tokens: 20, completion_tokens: 10, total_tokens: 14 }],
    ['more cached than read', { prompt_tokens: 20, completion_tokens: 10, prompt_tokens_details: { cached_tokens: 21 } }],
    [
      'more reasoning than output',
      { prompt_tokens: 20, completion_tokens: 10, completion_tokens_details: { reasoning_tokens: 11 }, total_tokens: 30 },
    ],
  ])('is recorded as reported, with a note, when it cannot be mended: %s', (_title, usage) => {
    const exchange = concluded({ body: { object: 'chat.completion', choices: [], usage } })
    expect([exchange.usageOutcome, exchange.response?.usage?.outputTokens, exchange.notes]).toEqual([
      'reported',
      10,
      ['usage_contradictory'],
    ])
  })

  it('is no contradiction where it agrees, or is not there', () => {
    for (const total_tokens of [30, 0, undefined]) {
      const usage = { prompt_tokens: 20, completion_tokens: 10, total_tokens, prompt_tokens_details: { cached_tokens: 20 } }
      expect(concluded({ body: { object: 'chat.completion', choices: [], usage } }).notes).toEqual([])
    }
  })
})

describe('usages of several choices', () => {
  const end = (index: number, prompt: number, completion: number) => ({
    object: 'text_completion',
    choices: [{ index, text: '', finish_reason: 'length' }],
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  })
  const middle = (index: number, usage?: object) => ({
    object: 'text_completion',
    choices: [{ index, text: 'a', finish_reason: '' }],
    usage,
  })

  it('are summed where they stand beside the last chunk of each', () => {
    expect(folded('/v1/completions', middle(0), middle(1), end(1, 6, 10), middle(0), end(0, 5, 9), end(2, 1, 1))).toEqual({
      inputTokens: 12,
      outputTokens: 20,
      totalTokens: 32,
    })
  })

  it('are not summed where they come with every chunk, or for all of them at the end', () => {
    const running = (output: number) => ({ prompt_tokens: 5, completion_tokens: output })
    const last = { object: 'text_completion', choices: [], usage: { prompt_tokens: 5, completion_tokens: 8 } }
    const cumulative = [middle(0, running(1)), end(0, 5, 3), middle(1, running(4)), middle(1, running(6)), end(1, 5, 8)]
    const all = { inputTokens: 5, outputTokens: 8 }
    expect(folded('/v1/completions', ...cumulative)).toMatchObject(all)
    expect(folded('/v1/completions', end(0, 5, 3), end(1, 5, 5), last)).toMatchObject(all)
  })

  it('are summed within one body', () => {
    const choice = (index: number) => ({
      index,
      message: {},
      finish_reason: 'stop',
      usage: { prompt_tokens: 3, completion_tokens: index + 1 },
    })
    expect(folded('/v1/chat/completions', { object: 'chat.completion', choices: [choice(0), choice(1)] })).toEqual({
      inputTokens: 6,
      outputTokens: 3,
    })
  })
})

describe('other spellings', () => {
  it.each([
    [
      'singular details',
      { prompt_token_details: { cached_tokens: 4 }, completion_token_details: { reasoning_tokens: 2 } },
      { cacheReadTokens: 4, reasoningTokens: 2 },
    ],
    [
      'LiteLLM\u2019s cache writes',
      { cache_creation_input_tokens: 3, cache_read_input_tokens: 4 },
      { cacheReadTokens: 4, cacheWriteTokens: 3 },
    ],
    [
      'cache writes in the details',
      { prompt_tokens_details: { cached_tokens: 4, cache_creation_tokens: 3 } },
      { cacheReadTokens: 4, cacheWriteTokens: 3 },
    ],
    ['a number beside a zero', { prompt_tokens_details: { cached_tokens: 0 }, cache_read_input_tokens: 4 }, { cacheReadTokens: 4 }],
    ['zeros of a gateway, which say nothing', { cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }, {}],
  ])('%s are read', (_title, more, expected) => {
    const usage = openaiUsage({ prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, ...more } as never)
    expect(usage).toEqual({ inputTokens: 9, outputTokens: 5, totalTokens: 14, ...expected })
  })
})

it.each([-1, 1.5, 2 ** 60, '-3', Number.NaN])('%s is no count, in any format', (tokens) => {
  const message = JSON.parse(
    JSON.stringify({ embeddings: [], usage: { tokens, inputTokens: tokens, input_tokens: tokens, prompt_tokens: tokens } }),
  )
  for (const format of formats) {
    expect([format.name, format.readResponse({}, message, undefined as never).usage?.inputTokens]).toEqual([format.name, undefined])
  }
})
