import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { createEstimator, type Estimator } from '../../src/conclude/estimates/estimator.ts'
import type { Exchange, TextSample } from '../../src/lib/exchange.ts'
import type { Json } from '../../src/lib/json.ts'
import { createFold } from '../../src/observe/fold.ts'
import { addRead, addWritten, createTextCollector } from '../../src/observe/texts.ts'
import { endingOf, exchangeOf, openingOf } from '../sinks/exchange-of.ts'

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

function textOf(add: typeof addRead, ...messages: readonly Json[]): string | undefined {
  const collector = createTextCollector()
  for (const message of messages) add(collector, message)
  return collector.sample()?.beginning
}

describe('the text of an answer', () => {
  it.each<[string, readonly Json[], string]>([
    ['OpenAI chat', [{ choices: [{ message: { role: 'assistant', content: 'ab', refusal: null } }] }], 'ab'],
    [
      'an OpenAI chat stream, with reasoning and a tool call',
      [
        { id: 'x', choices: [{ delta: { role: 'assistant', reasoning_content: 'a' } }] },
        { choices: [{ delta: { content: 'b' } }] },
        { choices: [{ delta: { tool_calls: [{ id: 'call', function: { name: 'f', arguments: '{"c"' } }] } }] },
      ],
      'ab{"c"',
    ],
    [
      'an OpenAI Responses stream, whose later events repeat the earlier ones',
      [
        { type: 'response.output_text.delta', delta: 'a' },
        { type: 'response.output_text.delta', delta: 'b' },
        { type: 'response.output_text.done', text: 'ab' },
        { type: 'response.content_part.done', part: { text: 'ab' } },
        { type: 'response.output_item.done', item: { content: [{ text: 'ab' }] } },
        { type: 'response.completed', response: { output: [{ content: [{ text: 'ab' }] }] } },
      ],
      'ab',
    ],
    ['OpenAI Responses', [{ object: 'response', output: [{ type: 'message', content: [{ type: 'output_text', text: 'ab' }] }] }], 'ab'],
    ['legacy completions', [{ choices: [{ text: 'a' }, { text: 'b' }] }], 'ab'],
    [
      'an Anthropic stream',
      [
        { type: 'message_start', message: { id: 'm', content: [] } },
        { type: 'content_block_delta', delta: { type: 'thinking_delta', thinking: 'a' } },
        { type: 'content_block_delta', delta: { type: 'text_delta', text: 'b' } },
        { type: 'content_block_delta', delta: { type: 'input_json_delta', partial_json: '{' } },
      ],
      'ab{',
    ],
    ['Gemini', [{ candidates: [{ content: { role: 'model', parts: [{ text: 'a' }, { text: 'b' }] } }] }], 'ab'],
    ['a Bedrock Converse stream', [{ contentBlockIndex: 0, delta: { text: 'a' } }, { contentBlockDelta: { delta: { text: 'b' } } }], 'ab'],
    ['Cohere', [{ type: 'content-delta', delta: { message: { content: { text: 'ab' } } } }], 'ab'],
    [
      'Ollama',
      [
        { response: 'a', done: false },
        { message: { role: 'assistant', content: 'b' }, done: true },
      ],
      'ab',
    ],
  ])('is found in %s', (_title, messages, text) => {
    expect(textOf(addWritten, ...messages)).toBe(text)
  })
})

describe('the text of a request', () => {
  it.each<[string, Json, string]>([
    [
      'OpenAI chat, without its images',
      {
        model: 'm',
        messages: [
          { role: 'system', content: 'a' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'b' },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,xxxx' } },
            ],
          },
        ],
        tools: [{ type: 'function', function: { name: 'f', description: 'c', parameters: { type: 'object' } } }],
      },
      'abc',
    ],
    ['OpenAI Responses', { instructions: 'a', input: [{ role: 'user', content: [{ type: 'input_text', text: 'b' }] }] }, 'ab'],
    ['embeddings', { model: 'm', input: ['a', 'b'] }, 'ab'],
    ['Anthropic', { system: [{ type: 'text', text: 'a' }], messages: [{ role: 'user', content: 'b' }] }, 'ab'],
    [
      'Gemini',
      { systemInstruction: { parts: [{ text: 'a' }] }, contents: [{ parts: [{ text: 'b' }, { inlineData: { data: 'xx' } }] }] },
      'ab',
    ],
    ['legacy completions', { prompt: 'ab' }, 'ab'],
    ['Bedrock Titan', { inputText: 'ab' }, 'ab'],
  ])('is found in %s', (_title, body, text) => {
    expect(textOf(addRead, body)).toBe(text)
  })

  it('is kept up to its limit, and counted beyond it', () => {
    const collector = createTextCollector()
    for (let index = 0; index < 3; index++) collector.add('x'.repeat(1000))
    expect(collector.sample()).toEqual({ characters: 3000, beginning: 'x'.repeat(2048) })
  })

  it('is none where there is no text', () => {
    expect(createTextCollector().sample()).toBeUndefined()
  })

  it('is looked for no deeper than the formats go', () => {
    let body: Json = { content: 'deep' }
    for (let depth = 0; depth < 5000; depth++) body = { messages: [body] }
    expect(textOf(addRead, body)).toBeUndefined()
  })
})

const prose = 'The weir measures the stream without stopping it. '

describe('an estimate', () => {
  let estimator: Estimator
  beforeAll(async () => {
    estimator = createEstimator({ bodyBytesMax: 1 << 20 })
    await estimator.load()
  })

  const sampleOf = (text: string): TextSample => {
    const collector = createTextCollector()
    collector.add(text)
    return collector.sample() as TextSample
  }
  const estimates = ({ estimatedInputTokens, estimatedOutputTokens }: Exchange) => [estimatedInputTokens, estimatedOutputTokens]
  const missing = (overrides: Parameters<typeof exchangeOf>[0] = {}) =>
    exchangeOf({ response: undefined, usageOutcome: 'missing', ...overrides })

  it('of a stream is made of the text that was kept of it', () => {
    const exchange = missing({ ending: { outputText: sampleOf(prose) } })
    expect(estimates(estimator.estimated(exchange, sampleOf('hello world'), undefined))).toEqual([2, 11])
  })

  it('of a long text goes by the ratio of its beginning', () => {
    const exchange = missing({ ending: { outputText: sampleOf(prose.repeat(1000)) } })
    const [, output = 0] = estimates(estimator.estimated(exchange, undefined, undefined))
    // Counted whole it is 10,001.
    expect(output).toBeGreaterThan(9800)
    expect(output).toBeLessThan(10_200)
  })

  it('of a whole answer is made of its body, also a compressed one', () => {
    const body = bytes({ choices: [{ message: { content: prose } }] })
    const whole = { streamed: false, framing: 'whole' } as const
    const plain = estimator.estimated(missing({ ending: whole }), undefined, body)
    const compressed = estimator.estimated(missing({ ending: { ...whole, contentEncoding: 'gzip' } }), undefined, gzipSync(body))
    expect([estimates(plain), estimates(compressed)]).toEqual([
      [undefined, 11],
      [undefined, 11],
    ])
  })

  it('of a request is made of its body', () => {
    const text = estimator.textOfRequest(openingOf(), bytes({ messages: [{ role: 'user', content: 'hello world' }] }))
    expect(text).toEqual({ characters: 11, beginning: 'hello world' })
  })

  it.each([
    ['no JSON', bytes('hello')],
    ['nothing', undefined],
    ['no text', bytes({ model: 'm' })],
  ])('of %s is none', (_title, body) => {
    const text = estimator.textOfRequest(openingOf(), body)
    const exchange = missing({ ending: { streamed: false, framing: 'whole' } })
    expect([text, estimates(estimator.estimated(exchange, text, body))]).toEqual([undefined, [undefined, undefined]])
  })

  it('is made only of a count that was not reported', () => {
    const ending = { outputText: sampleOf(prose) }
    const partial = exchangeOf({ ending, response: { usage: { inputTokens: 9 } }, usageOutcome: 'partial' })
    expect(estimates(estimator.estimated(partial, sampleOf('hello world'), undefined))).toEqual([undefined, 11])
  })

  it.each([exchangeOf(), exchangeOf({ usageOutcome: 'zero' }), exchangeOf({ usageOutcome: undefined, response: undefined })])(
    'is not made where nothing is missing',
    (exchange) => {
      expect(estimates(estimator.estimated(exchange, sampleOf('hello world'), undefined))).toEqual([undefined, undefined])
    },
  )

  it('takes what looks like a control token for text', () => {
    const exchange = missing({ ending: { outputText: sampleOf('<|endoftext|>') } })
    expect(estimates(estimator.estimated(exchange, undefined, undefined))).toEqual([undefined, 7])
  })

  it('lets no text of the answer go further', () => {
    const given = { ending: { outputText: sampleOf(prose) } }
    for (const exchange of [missing(given), exchangeOf(given)]) {
      expect('outputText' in estimator.estimated(exchange, undefined, undefined).ending).toBe(false)
    }
  })

  it('is none while the tokenizer is not loaded, or fails', async () => {
    const unloaded = createEstimator({ bodyBytesMax: 1 })
    const failing = createEstimator({
      bodyBytesMax: 1,
      loadTokenizer: async () => () => {
        throw new Error('broken')
      },
    })
    await failing.load()
    const exchange = missing({ ending: { outputText: sampleOf(prose) } })
    const { outputText: _text, ...ending } = exchange.ending
    const all = [unloaded, failing].map((one) => one.estimated(exchange, undefined, undefined))
    expect(all.map((one) => [estimates(one), one.ending])).toEqual(new Array(2).fill([[undefined, undefined], endingOf(ending)]))
  })
})

describe('the fold of a stream', () => {
  const chunk = (content: string) => bytes({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content } }] })

  it('reads every message when text is collected, and skims when it is not', () => {
    const collector = createTextCollector()
    const folds = [createFold('POST', '/v1/chat/completions', {}, undefined, collector), createFold('POST', '/v1/chat/completions', {})]
    for (const fold of folds) for (const text of ['a', 'b', 'c']) fold.message(undefined, chunk(text))
    expect(folds.map((fold) => fold.wantedKeys() === undefined)).toEqual([true, false])
    expect(collector.sample()).toEqual({ characters: 3, beginning: 'abc' })
  })
})
