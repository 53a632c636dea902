import { describe, expect, it } from 'vitest'
import { spanContent } from '../../src/telemetry/attributes.ts'
import { hasFastProperties } from '../fuzz/memory.ts'
import { exchangeOf, failedExchangeOf, otherExchangeOf, startedAt } from '../sinks/exchange-of.ts'

const fullExchange = exchangeOf({
  request: {
    operation: 'chat',
    usageExpected: true,
    model: 'gpt-4o',
    stream: true,
    maxTokens: 100,
    temperature: 0.5,
    topP: 0.9,
    topK: 40,
    frequencyPenalty: 0.1,
    presencePenalty: 0.2,
    seed: 7,
    choiceCount: 2,
    outputType: 'json',
    conversationId: 'conv-1',
    serviceTier: 'auto',
    openaiApiType: 'chat_completions',
  },
  response: {
    id: 'chatcmpl-1',
    model: 'gpt-4o-2024-08-06',
    finishReasons: ['stop', 'length'],
    usage: { inputTokens: 20, outputTokens: 7, cacheReadTokens: 5, cacheWriteTokens: 3, reasoningTokens: 2, totalTokens: 27 },
    serviceTier: 'default',
    systemFingerprint: 'fp_1',
  },
})

const fullAttributes = {
  'http.request.method': 'POST',
  'url.path': '/v1/chat/completions',
  'server.address': 'api.example.com',
  'server.port': 443,
  'http.response.status_code': 200,
  'tokenweir.exchange.id': '01993c5c-0000-7000-8000-000000000001',
  'tokenweir.end_reason': 'completed',
  'tokenweir.usage.outcome': 'reported',
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'openai',
  'gen_ai.request.model': 'gpt-4o',
  'gen_ai.request.stream': true,
  'gen_ai.request.max_tokens': 100,
  'gen_ai.request.temperature': 0.5,
  'gen_ai.request.top_p': 0.9,
  'gen_ai.request.top_k': 40,
  'gen_ai.request.frequency_penalty': 0.1,
  'gen_ai.request.presence_penalty': 0.2,
  'gen_ai.request.seed': 7,
  'gen_ai.request.choice.count': 2,
  'gen_ai.output.type': 'json',
  'gen_ai.conversation.id': 'conv-1',
  'gen_ai.response.id': 'chatcmpl-1',
  'gen_ai.response.model': 'gpt-4o-2024-08-06',
  'gen_ai.response.finish_reasons': ['stop', 'length'],
  'gen_ai.response.time_to_first_chunk': 0.05,
  'gen_ai.usage.input_tokens': 20,
  'gen_ai.usage.output_tokens': 7,
  'gen_ai.usage.cache_read.input_tokens': 5,
  'gen_ai.usage.reasoning.output_tokens': 2,
  'openai.api.type': 'chat_completions',
  'openai.request.service_tier': 'auto',
  'openai.response.service_tier': 'default',
  'openai.response.system_fingerprint': 'fp_1',
}

describe('the span of an inference request', () => {
  it('carries every fact that is known, in the generation 1.41', () => {
    expect(spanContent(fullExchange, '1.41')).toEqual({
      name: 'chat gpt-4o',
      isError: false,
      attributes: { ...fullAttributes, 'gen_ai.usage.cache_creation.input_tokens': 3 },
    })
  })

  it('renames in the generation genai, and never carries both names', () => {
    expect(spanContent(fullExchange, 'genai')).toEqual({
      name: 'chat gpt-4o',
      isError: false,
      attributes: { ...fullAttributes, 'gen_ai.usage.cache_write.input_tokens': 3 },
    })
  })

  it('gives finish reasons as numbers where the provider spelt them as numbers', () => {
    const reasonsOf = (finishReasons: readonly string[]) =>
      spanContent(exchangeOf({ response: { finishReasons } }), '1.41').attributes['gen_ai.response.finish_reasons']
    expect([reasonsOf(['1', '2']), reasonsOf(['1', 'stop'])]).toEqual([
      [1, 2],
      ['1', 'stop'],
    ])
  })

  it('tells each response of a WebSocket as an event, without its counts where the caller reports them', () => {
    const usage = { inputTokens: 3, outputTokens: 2 }
    const last = [{ id: 'r1', finishReason: 'completed', usage }, {}]
    const response = { usage, responses: { ended: 2, underWay: 0, last } }
    const ending = { session: { responseEndMs: [10, 20.5] } }
    const counts = { 'gen_ai.usage.input_tokens': 3, 'gen_ai.usage.output_tokens': 2 }
    const first = { 'gen_ai.response.id': 'r1', 'gen_ai.response.finish_reasons': ['completed'] }
    const named = (attributes: object, ms: number) => ({ name: 'tokenweir.response', time: startedAt + ms, attributes })
    expect(spanContent(exchangeOf({ response, ending }), '1.41').events).toEqual([named({ ...first, ...counts }, 10), named({}, 20.5)])
    const byCaller = spanContent(exchangeOf({ response, ending, opening: { usageByCaller: true } }), '1.41')
    expect(byCaller.events).toEqual([named(first, 10), named({}, 20.5)])
  })

  it('leaves out what was not reported, and keeps a zero that was', () => {
    const exchange = exchangeOf({
      request: { operation: 'chat', usageExpected: true, stream: false, choiceCount: 1 },
      response: { usage: { outputTokens: 0 } },
      ending: { streamed: false, framing: 'whole' },
      usageOutcome: 'zero',
      usageReason: 'upstream_omitted',
    })
    expect(spanContent(exchange, '1.41')).toEqual({
      name: 'chat',
      isError: false,
      attributes: {
        'http.request.method': 'POST',
        'url.path': '/v1/chat/completions',
        'server.address': 'api.example.com',
        'server.port': 443,
        'http.response.status_code': 200,
        'tokenweir.exchange.id': '01993c5c-0000-7000-8000-000000000001',
        'tokenweir.end_reason': 'completed',
        'tokenweir.usage.outcome': 'zero',
        'tokenweir.usage.reason': 'upstream_omitted',
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.usage.output_tokens': 0,
      },
    })
  })

  it('carries a cost that is known, and none that is not', () => {
    const costs = [
      { status: 'priced', usd: 0.0125, source: 'table' },
      { status: 'free', usd: 0, source: 'custom' },
      { status: 'unpriced' },
    ] as const
    const carried = costs.map((cost) => spanContent({ ...fullExchange, cost }, '1.41').attributes['gen_ai.usage.cost'])
    expect(carried).toEqual([0.0125, 0, undefined])
  })

  it('carries how fast the tokens came and what caching saved, where that is known', () => {
    const cost = { status: 'priced', usd: 1, source: 'table', cacheSavedUsd: -0.25 } as const
    const names = ['tokenweir.time_per_output_token', 'tokenweir.cache.saved'] as const
    const carried = [exchangeOf({ timePerOutputTokenMs: 12.5, cost }), exchangeOf()].map((exchange) => {
      const { attributes } = spanContent(exchange, '1.41')
      return names.map((name) => attributes[name])
    })
    expect(carried).toEqual([
      [0.0125, -0.25],
      [undefined, undefined],
    ])
  })

  it('leaves the cost to a caller whose own span has the usage', () => {
    const exchange = exchangeOf({ opening: { usageByCaller: true }, cost: { status: 'priced', usd: 0.0125, source: 'table' } })
    expect(Object.keys(spanContent(exchange, '1.41').attributes).filter((name) => name.startsWith('gen_ai.usage'))).toEqual([])
  })

  it('carries estimates under names of their own', () => {
    const estimated = exchangeOf({
      response: { model: 'gpt-4o' },
      usageOutcome: 'missing',
      estimatedInputTokens: 21,
      estimatedOutputTokens: 8,
    })
    const { attributes } = spanContent(estimated, '1.41')
    expect(Object.fromEntries(Object.entries(attributes).filter(([name]) => name.includes('tokens')))).toEqual({
      'tokenweir.estimated.input_tokens': 21,
      'tokenweir.estimated.output_tokens': 8,
    })
  })

  it('keeps OpenAI names for the formats of OpenAI', () => {
    const exchange = exchangeOf({
      format: 'anthropic-messages',
      request: { operation: 'chat', usageExpected: true, serviceTier: 'auto' },
      response: { serviceTier: 'standard', systemFingerprint: 'x' },
    })
    expect(Object.keys(spanContent(exchange, '1.41').attributes).filter((name) => name.startsWith('openai.'))).toEqual([])
  })
})

describe('the span of another request', () => {
  it('is named by method and route, never by the path', () => {
    expect(spanContent(otherExchangeOf({ opening: { path: '/v1/files/file-123' } }), '1.41')).toEqual({
      name: 'GET default',
      isError: false,
      attributes: {
        'http.request.method': 'GET',
        'url.path': '/v1/files/file-123',
        'server.address': 'api.example.com',
        'server.port': 443,
        'http.response.status_code': 200,
        'tokenweir.exchange.id': '01993c5c-0000-7000-8000-000000000001',
        'tokenweir.end_reason': 'completed',
      },
    })
  })
})

describe('the status', () => {
  const statusOf = (exchange: Parameters<typeof spanContent>[0]) => {
    const { isError, errorMessage, attributes } = spanContent(exchange, '1.41')
    return { isError, errorMessage, type: attributes['error.type'], code: attributes['http.response.status_code'] }
  }

  it.each([400, 429, 500])('is an error for %i', (status) => {
    expect(statusOf(failedExchangeOf(status))).toEqual({ isError: true, errorMessage: undefined, type: String(status), code: status })
  })

  it('is an error when the upstream could not be reached', () => {
    const exchange = exchangeOf({
      ending: { outcome: { kind: 'unreachable', reason: 'connect', message: 'connect ECONNREFUSED' }, status: 502 },
      endReason: 'unreachable',
      errorType: 'connect',
    })
    expect(statusOf(exchange)).toEqual({ isError: true, errorMessage: 'connect ECONNREFUSED', type: 'connect', code: 502 })
  })

  it('is an error with status code 200 when the body broke after it', () => {
    const exchange = exchangeOf({
      ending: { outcome: { kind: 'upstream-aborted' } },
      endReason: 'upstream-aborted',
      errorType: 'upstream_aborted',
    })
    expect(statusOf(exchange)).toEqual({ isError: true, errorMessage: undefined, type: 'upstream_aborted', code: 200 })
  })

  it('is no error when the caller cancels', () => {
    const exchange = exchangeOf({ ending: { outcome: { kind: 'client-aborted' } }, endReason: 'client-aborted' })
    expect(statusOf(exchange)).toEqual({ isError: false, errorMessage: undefined, type: undefined, code: 200 })
  })

  it('has no code when none was sent', () => {
    const exchange = otherExchangeOf({ ending: { status: undefined, outcome: { kind: 'client-aborted' } }, endReason: 'client-aborted' })
    expect(statusOf(exchange)).toEqual({ isError: false, errorMessage: undefined, type: undefined, code: undefined })
  })
})

it.each(['1.41', 'genai'] as const)('attributes become no dictionary, however many there are (%s)', (generation) => {
  const labels = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`label${n}`, 'value']))
  for (const exchange of [fullExchange, { ...fullExchange, labels }]) {
    expect(hasFastProperties(spanContent(exchange, generation).attributes)).toBe(true)
  }
})
