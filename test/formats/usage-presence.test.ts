/** Unknown is never zero, and zero is never unknown: T5 of the plan, through the fold that the proxying thread uses. */
import { describe, expect, it } from 'vitest'
import type { ResponseFacts } from '../../src/lib/exchange.ts'
import type { Json } from '../../src/lib/json.ts'
import { createFold } from '../../src/observe/fold.ts'
import { formatNamed } from '../../src/observe/formats/index.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

function chat(...messages: readonly (object | '[DONE]')[]): ResponseFacts | undefined {
  const fold = createFold('POST', '/v1/chat/completions', {})
  for (const message of messages) fold.message(undefined, bytes(message === '[DONE]' ? message : JSON.stringify(message)))
  return fold.facts()
}

const delta = (more: object = {}) => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  model: 'm',
  choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }],
  ...more,
})
const finish = (more: object = {}) => delta({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], ...more })
const usageChunk = (usage: unknown) => delta({ choices: [], usage })
const usage = (input: number, output: number) => ({ prompt_tokens: input, completion_tokens: output, total_tokens: input + output })
const counts = (input: number, output: number) => ({ inputTokens: input, outputTokens: output, totalTokens: input + output })

describe('a chat stream', () => {
  it('without usage has none', () => {
    expect(chat(delta(), finish(), '[DONE]')?.usage).toBeUndefined()
  })

  it('with usage null has none, and that is understood', () => {
    const facts = chat(delta({ usage: null }), finish({ usage: null }), '[DONE]')
    expect([facts?.usage, facts?.usageNotUnderstood]).toEqual([undefined, undefined])
  })

  it('with an empty usage object has none, and that is understood', () => {
    const facts = chat(finish(), usageChunk({}), '[DONE]')
    expect([facts?.usage, facts?.usageNotUnderstood]).toEqual([undefined, undefined])
  })

  it('with 0/0 has 0/0', () => {
    expect(chat(finish(), usageChunk(usage(0, 0)), '[DONE]')?.usage).toStrictEqual(counts(0, 0))
  })

  it('with cumulative usage has the last, never the sum', () => {
    expect(
      chat(delta({ usage: usage(12, 1) }), delta({ usage: usage(12, 5) }), finish({ usage: usage(12, 8) }), '[DONE]')?.usage,
    ).toStrictEqual(counts(12, 8))
  })

  it('with usage in the finish chunk has it, and is finished', () => {
    const facts = chat(delta(), finish({ usage: usage(9, 4) }))
    expect([facts?.usage, facts?.finished]).toStrictEqual([counts(9, 4), true])
  })

  it('with usage after [DONE] has it', () => {
    expect(chat(delta(), finish(), '[DONE]', usageChunk(usage(9, 4)))?.usage).toStrictEqual(counts(9, 4))
  })

  it('with the same usage twice has it once', () => {
    expect(chat(finish({ usage: usage(9, 4) }), usageChunk(usage(9, 4)), '[DONE]')?.usage).toStrictEqual(counts(9, 4))
  })

  it('with null after usage keeps the usage', () => {
    expect(chat(delta({ usage: usage(9, 4) }), finish({ usage: null }), '[DONE]')?.usage).toStrictEqual(counts(9, 4))
  })

  it('is not finished before its end, and finished by [DONE]', () => {
    expect([chat(delta(), finish())?.finished, chat(delta(), finish(), '[DONE]')?.finished]).toEqual([undefined, true])
  })

  it('has what it had reported when it is cut', () => {
    expect(chat(delta({ usage: usage(12, 1) }), delta({ usage: usage(12, 5) }))).toStrictEqual({
      id: 'c1',
      model: 'm',
      usage: counts(12, 5),
    })
  })
})

describe('a usage object', () => {
  const read = (usage: Json) => formatNamed('openai-chat')?.readResponse({}, { choices: [], usage }, undefined)

  it.each([
    ['texts of digits', { prompt_tokens: '12', completion_tokens: '3' }],
    ['other names', { tokens_in: 12, tokensOut: 3 }],
    ['camel case', { promptTokens: 12, completionTokens: 3 }],
  ])('of %s is read by its words', (_title, value) => {
    expect(read(value as Json)).toStrictEqual({ usage: { inputTokens: 12, outputTokens: 3 } })
  })

  it.each([
    ['texts', { prompt_tokens: 'twelve', completion_tokens: 'three' }],
    ['negative numbers', { prompt_tokens: -1 }],
    ['fractions', { prompt_tokens: 1.5 }],
    ['names that nobody knows', { tokens_first: 5, tokens_second: 7 }],
    ['a total alone', { total_tokens: 5 }],
    ['an array', [5]],
  ])('of %s is no usage, and is said to be not understood', (_title, value) => {
    expect(read(value as Json)).toStrictEqual({ usageNotUnderstood: true })
  })

  it.each([
    ['seconds', { type: 'duration', seconds: 7 }],
    ['money that is no amount', { cost_in_usd_ticks: 0, cost: null }],
    ['nulls', { prompt_tokens: null, completion_tokens: null }],
  ])('of %s is no usage of tokens, and is understood', (_title, value) => {
    expect(read(value as Json)).toStrictEqual({})
  })

  it('with one count has that one alone', () => {
    expect(read({ prompt_tokens: 0 })).toStrictEqual({ usage: { inputTokens: 0 } })
  })
})

describe('Anthropic usage', () => {
  const format = formatNamed('anthropic-messages')
  const fold = (...messages: readonly Json[]) =>
    messages.reduce<ResponseFacts>((facts, message) => format?.readResponse(facts, message, undefined) ?? facts, {}).usage
  const start = (usage: Json) => ({ type: 'message_start', message: { usage } })
  const end = (usage: Json) => ({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage })

  it('never shows the placeholder of message_start as output', () => {
    expect(fold(start({ input_tokens: 9, output_tokens: 1 }))).toStrictEqual({ inputTokens: 9 })
  })

  it('shows an output of one token that was really one', () => {
    expect(fold(start({ input_tokens: 9, output_tokens: 1 }), end({ output_tokens: 1 }))).toStrictEqual({ inputTokens: 9, outputTokens: 1 })
  })

  it('keeps an explicit 0', () => {
    expect(fold(start({ input_tokens: 0, cache_read_input_tokens: 0 }), end({ output_tokens: 0 }))).toStrictEqual({
      inputTokens: 0,
      outputTokens: 0,
      cacheReadTokens: 0,
    })
  })

  it('has cached tokens and no input when the input is not told', () => {
    expect(fold(start({ cache_read_input_tokens: 5 }))).toStrictEqual({ cacheReadTokens: 5 })
  })

  it('overlays cumulative deltas and does not sum them', () => {
    expect(fold(start({ input_tokens: 5 }), end({ output_tokens: 3 }), end({ output_tokens: 8 }))).toStrictEqual({
      inputTokens: 5,
      outputTokens: 8,
    })
  })

  it('has both readings where iterations add up to more (compaction)', () => {
    const usage = {
      input_tokens: 612,
      output_tokens: 2819,
      iterations: [
        { input_tokens: 60_385, output_tokens: 522 },
        { input_tokens: 612, output_tokens: 2819 },
      ],
    }
    expect(format?.readResponse({}, { type: 'message', usage }, undefined)).toStrictEqual({
      usage: { inputTokens: 612, outputTokens: 2819 },
      usageOfIterations: { inputTokens: 60_997, outputTokens: 3341 },
      finished: true,
    })
  })

  it.each([
    [
      'add up to the same',
      [
        { input_tokens: 2, output_tokens: 1 },
        { input_tokens: 3, output_tokens: 3 },
      ],
    ],
    [
      'hold a fallback message',
      [
        { input_tokens: 50, output_tokens: 1 },
        { type: 'fallback_message', input_tokens: 5, output_tokens: 4 },
      ],
    ],
    ['are empty', []],
  ])('has one reading where iterations %s', (_title, iterations) => {
    const usage = { input_tokens: 5, output_tokens: 4, iterations }
    expect(format?.readResponse({}, { type: 'message', usage }, undefined)).toStrictEqual({
      usage: { inputTokens: 5, outputTokens: 4 },
      finished: true,
    })
  })
})

describe('Gemini usage', () => {
  const format = formatNamed('gemini')
  const read = (facts: ResponseFacts, usageMetadata: Json) => format?.readResponse(facts, { usageMetadata }, undefined) ?? facts

  it('is replaced by the next that holds a count, also where that one counts less', () => {
    const first = read({}, { promptTokenCount: 9, candidatesTokenCount: 15, thoughtsTokenCount: 78 })
    expect(read(first, { promptTokenCount: 87, thoughtsTokenCount: 78 }).usage).toStrictEqual({
      inputTokens: 87,
      outputTokens: 78,
      reasoningTokens: 78,
    })
  })

  it('stays when the next holds no count', () => {
    const first = read({}, { promptTokenCount: 9 })
    expect(read(first, { trafficType: 'ON_DEMAND' })).toBe(first)
  })
})

describe('a count', () => {
  const format = formatNamed('anthropic-messages')
  const read = (usage: Json) => format?.readResponse({}, { type: 'message', usage }, undefined).usage
  const most = Number.MAX_SAFE_INTEGER

  it('that could only be told inexactly, as a sum of two, is not told', () => {
    expect(read({ input_tokens: most, cache_read_input_tokens: 2, output_tokens: 3 })).toStrictEqual({
      outputTokens: 3,
      cacheReadTokens: 2,
    })
    expect(read({ input_tokens: most - 2, cache_read_input_tokens: 2 })).toStrictEqual({ inputTokens: most, cacheReadTokens: 2 })
  })
})

describe('what an answer names', () => {
  const long = 'x'.repeat(1_000_000)

  it('is cut to what a record can hold', () => {
    const facts = chat(
      { ...delta(), id: long, model: long },
      { choices: [{ index: 0, finish_reason: long }] },
      { error: { type: long, message: long } },
    )
    expect([facts?.id?.length, facts?.model?.length, facts?.finishReasons?.map((reason) => reason.length)]).toEqual([2048, 2048, [100]])
    expect([facts?.error?.type.length, facts?.error?.message?.length]).toEqual([100, 2048])
  })
})
