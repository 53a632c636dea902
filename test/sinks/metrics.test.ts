import { describe, expect, it } from 'vitest'
import type { Exchange } from '../../src/lib/exchange.ts'
import { createMetricsSink } from '../../src/sinks/metrics/metrics.ts'
import { type Generation, type MetricEntry, metrics } from '../../src/telemetry/catalog.ts'
import { createMeter, type Meter } from '../../src/telemetry/meter.ts'
import { exchangeOf, failedExchangeOf, otherExchangeOf } from './exchange-of.ts'
import { samples } from './scrape.ts'

function record(exchanges: readonly Exchange[], generation: Generation = '1.41', labelValuesMax = 100): Meter {
  const meter = createMeter(Date.now)
  createMetricsSink({ meter, generation, labelValuesMax }).record({ opened: [], ended: exchanges })
  return meter
}

const operation =
  'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",gen_ai_response_model="gpt-4o-2024-08-06",server_address="api.example.com",server_port="443"'
const stream = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",http_route="default"'
/** Without the buckets, which have their own test. */
const withoutBuckets = (all: Record<string, number>) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !name.includes('_bucket{')))

describe('the metrics of one streamed request', () => {
  it('have the names and labels of the generation 1.41', async () => {
    expect(withoutBuckets(samples(record([exchangeOf()]), 'gen_ai'))).toEqual({
      [`gen_ai_client_token_usage_count{${operation},gen_ai_token_type="input"}`]: 1,
      [`gen_ai_client_token_usage_sum{${operation},gen_ai_token_type="input"}`]: 20,
      [`gen_ai_client_token_usage_count{${operation},gen_ai_token_type="output"}`]: 1,
      [`gen_ai_client_token_usage_sum{${operation},gen_ai_token_type="output"}`]: 7,
      [`gen_ai_client_operation_duration_seconds_count{${operation}}`]: 1,
      [`gen_ai_client_operation_duration_seconds_sum{${operation}}`]: 0.2605,
      [`gen_ai_client_operation_time_to_first_chunk_seconds_count{${operation}}`]: 1,
      [`gen_ai_client_operation_time_to_first_chunk_seconds_sum{${operation}}`]: 0.05,
      [`gen_ai_client_operation_time_per_output_chunk_seconds_count{${operation}}`]: 1,
      [`gen_ai_client_operation_time_per_output_chunk_seconds_sum{${operation}}`]: 0.02,
    })
  })

  it('have the names and labels of the generation genai', async () => {
    const usage = { inputTokens: 20, outputTokens: 7, cacheReadTokens: 5, cacheWriteTokens: 3, reasoningTokens: 2 }
    const exchange = exchangeOf({ response: { model: 'gpt-4o-2024-08-06', usage } })
    expect(withoutBuckets(samples(record([exchange], 'genai'), 'gen_ai'))).toEqual({
      [`gen_ai_client_inference_usage_input_tokens_total{${operation}}`]: 20,
      [`gen_ai_client_inference_usage_output_tokens_total{${operation}}`]: 7,
      [`gen_ai_client_inference_usage_cache_read_input_tokens_total{${operation}}`]: 5,
      [`gen_ai_client_inference_usage_cache_write_input_tokens_total{${operation}}`]: 3,
      [`gen_ai_client_inference_usage_reasoning_output_tokens_total{${operation}}`]: 2,
      [`gen_ai_client_inference_operation_input_tokens_count{${operation}}`]: 1,
      [`gen_ai_client_inference_operation_input_tokens_sum{${operation}}`]: 20,
      [`gen_ai_client_inference_operation_output_tokens_count{${operation}}`]: 1,
      [`gen_ai_client_inference_operation_output_tokens_sum{${operation}}`]: 7,
      [`gen_ai_client_inference_duration_seconds_count{${operation}}`]: 1,
      [`gen_ai_client_inference_duration_seconds_sum{${operation}}`]: 0.2605,
      [`gen_ai_client_inference_time_to_first_chunk_seconds_count{${operation}}`]: 1,
      [`gen_ai_client_inference_time_to_first_chunk_seconds_sum{${operation}}`]: 0.05,
      [`gen_ai_client_inference_time_per_output_chunk_seconds_count{${operation}}`]: 1,
      [`gen_ai_client_inference_time_per_output_chunk_seconds_sum{${operation}}`]: 0.02,
    })
  })

  it.each(['1.41', 'genai'] as const)('have the time of an output token where it is known, in %s', (generation) => {
    const exchanges = [exchangeOf({ timePerOutputTokenMs: 12.5 }), exchangeOf()]
    expect(withoutBuckets(samples(record(exchanges, generation), 'gen_ai_server'))).toEqual({
      [`gen_ai_server_time_per_output_token_seconds_count{${operation}}`]: 1,
      [`gen_ai_server_time_per_output_token_seconds_sum{${operation}}`]: 0.0125,
    })
  })

  it('count the request, its time and its overhead', async () => {
    const all = samples(record([exchangeOf({ ending: { firstByteOverheadMs: 0.125 } })]))
    expect(
      withoutBuckets(Object.fromEntries(Object.entries(all).filter(([name]) => /^(http|tokenweir_(requests|overhead))/.test(name)))),
    ).toEqual({
      'tokenweir_requests_total{gen_ai_provider_name="openai",http_route="default",usage_outcome="reported",end_reason="completed"}': 1,
      'http_server_request_duration_seconds_count{http_request_method="POST",url_scheme="http",http_response_status_code="200",http_route="default"}': 1,
      'http_server_request_duration_seconds_sum{http_request_method="POST",url_scheme="http",http_response_status_code="200",http_route="default"}': 0.2605,
      tokenweir_overhead_first_byte_seconds_count: 1,
      tokenweir_overhead_first_byte_seconds_sum: 0.000125,
    })
  })

  it('reach into buckets beyond ten minutes', async () => {
    const all = samples(record([exchangeOf({ ending: { endMs: 600_000 } })]), 'gen_ai_client_operation_duration_seconds_bucket')
    const reached = Object.entries(all)
      .filter(([, count]) => count === 1)
      .map(([name]) => /le="([^"]+)"/.exec(name)?.[1])
    expect(reached).toEqual(['655.36', '+Inf'])
  })
})

describe('token usage', () => {
  it('is recorded only for counts that were reported', async () => {
    const meter = record([
      exchangeOf({ response: { usage: { outputTokens: 7 } } }),
      exchangeOf({ response: {} }),
      exchangeOf({ response: undefined }),
    ])
    expect(Object.keys(withoutBuckets(samples(meter, 'gen_ai_client_token_usage_count')))).toEqual([
      'gen_ai_client_token_usage_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",server_address="api.example.com",server_port="443",gen_ai_token_type="output"}',
    ])
  })

  it('is recorded as zero when the provider said zero', async () => {
    const meter = record([exchangeOf({ response: { model: 'gpt-4o-2024-08-06', usage: { inputTokens: 0 } } })])
    expect(samples(meter, 'gen_ai_client_token_usage_count')).toEqual({
      [`gen_ai_client_token_usage_count{${operation},gen_ai_token_type="input"}`]: 1,
    })
  })
})

describe('the tokens of both generations', () => {
  const usage = { inputTokens: 20, outputTokens: 7, cacheReadTokens: 5, cacheWriteTokens: 3, reasoningTokens: 2 }
  const tokens = (type: string) =>
    `tokenweir_tokens_total{gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",http_route="default",token_type="${type}"}`

  it.each(['1.41', 'genai'] as const)('are counted by type and route in %s', (generation) => {
    const exchange = exchangeOf({ response: { usage } })
    expect(samples(record([exchange, exchange], generation), 'tokenweir_tokens')).toEqual({
      [tokens('input')]: 40,
      [tokens('output')]: 14,
      [tokens('cache_read')]: 10,
      [tokens('cache_write')]: 6,
      [tokens('reasoning')]: 4,
    })
  })

  it('are counted where the caller reports its usage itself, and not where nothing was reported', () => {
    const late = exchangeOf({ response: { usage: { outputTokens: 7 } } })
    const meter = record([{ ...late, opening: { ...late.opening, usageByCaller: true } }, exchangeOf({ response: {} })])
    expect(samples(meter, 'tokenweir_tokens')).toEqual({ [tokens('output')]: 7 })
  })
})

describe('the cost', () => {
  const cost = (usd: number) => exchangeOf({ cost: { status: 'priced', usd, source: 'table' } })

  it('is added up where it is known, and counted where it is not', () => {
    const free = exchangeOf({ cost: { status: 'free', usd: 0, source: 'custom' } })
    const unpriced = exchangeOf({ provider: 'vllm', cost: { status: 'unpriced' } })
    const meter = record([cost(0.25), cost(0.5), free, unpriced, exchangeOf(), otherExchangeOf()])
    expect(samples(meter, 'tokenweir_cost')).toEqual({
      [`tokenweir_cost_total{${operation}}`]: 0.75,
      'tokenweir_cost_requests_total{gen_ai_provider_name="openai",price_status="priced"}': 2,
      'tokenweir_cost_requests_total{gen_ai_provider_name="openai",price_status="free"}': 1,
      'tokenweir_cost_requests_total{gen_ai_provider_name="vllm",price_status="unpriced"}': 1,
    })
  })

  it('has what caching saved and what it lost, each by itself, by whoever pays', () => {
    const saving = (cacheSavedUsd: number | undefined) =>
      exchangeOf({ caller: 'ann', cost: { status: 'priced', usd: 1, source: 'table', cacheSavedUsd } })
    const payer = 'gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",http_route="default",caller="ann"'
    expect(samples(record([saving(0.5), saving(-0.125), saving(0.25), saving(undefined)]), 'tokenweir_cache')).toEqual({
      [`tokenweir_cache_saved_total{${payer}}`]: 0.75,
      [`tokenweir_cache_lost_total{${payer}}`]: 0.125,
    })
    expect(samples(record([saving(undefined)]), 'tokenweir_cache')).toEqual({})
  })

  it('is not made of estimates, nor are tokens', () => {
    const estimated = exchangeOf({ response: undefined, usageOutcome: 'missing', estimatedInputTokens: 21, estimatedOutputTokens: 8 })
    const names = Object.keys(samples(record([estimated, { ...estimated, cost: { status: 'unpriced' } }])))
    expect(names.filter((name) => /^(gen_ai_client_token|tokenweir_cost_total)/.test(name))).toEqual([])
  })
})

describe('a failed request', () => {
  it('has its error type on the duration', async () => {
    const all = samples(record([failedExchangeOf(503)]), 'gen_ai_client_operation_duration_seconds_count')
    expect(all).toEqual({
      'gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",server_address="api.example.com",server_port="443",error_type="503"}': 1,
    })
  })
})

describe('a request that is no inference', () => {
  it('counts as a request, and nowhere among the operations', async () => {
    const meter = record([otherExchangeOf()])
    expect(samples(meter, 'gen_ai')).toEqual({})
    expect(samples(meter, 'tokenweir_requests')).toEqual({
      'tokenweir_requests_total{http_route="default",end_reason="completed"}': 1,
    })
  })
})

describe('zero usage', () => {
  const reasons = ['zero', 'not_requested', 'upstream_omitted', 'parse_error', 'unsupported_encoding', 'limit_hit', 'unknown_format']
  const zeroUsage = (reason: string) => `tokenweir_streams_zero_usage_total{${stream},reason="${reason}"}`
  const atZero = Object.fromEntries(reasons.map((reason) => [zeroUsage(reason), 0]))
  const completed = (count: number) => ({ [`tokenweir_streams_completed_total{${stream}}`]: count })

  it('starts at zero for every reason with the first completed stream', async () => {
    expect(samples(record([exchangeOf()]), 'tokenweir_streams')).toEqual({ ...completed(1), ...atZero })
  })

  it.each([
    ['zero', undefined, 'zero'],
    ['missing', 'not_requested', 'not_requested'],
    ['missing', 'upstream_omitted', 'upstream_omitted'],
    ['missing', 'unknown_format', 'unknown_format'],
    ['undecodable', 'unsupported_encoding', 'unsupported_encoding'],
    ['undecodable', 'parse_error', 'parse_error'],
    ['undecodable', 'limit_hit', 'limit_hit'],
  ] as const)('counts a completed stream whose outcome is %s (%s)', async (usageOutcome, usageReason, reason) => {
    const meter = record([exchangeOf({ usageOutcome, usageReason })])
    expect(samples(meter, 'tokenweir_streams')).toEqual({ ...completed(1), ...atZero, [zeroUsage(reason)]: 1 })
  })

  const noCompletedStream: readonly (readonly [string, Exchange])[] = [
    ['a client that left', exchangeOf({ endReason: 'client-aborted', usageOutcome: 'missing', usageReason: 'client_left' })],
    ['an upstream that broke off', exchangeOf({ endReason: 'upstream-aborted', usageOutcome: 'missing', usageReason: 'upstream_cut' })],
    ['a stream that told of an error', exchangeOf({ errorType: 'overloaded_error', usageOutcome: 'missing', usageReason: 'upstream_cut' })],
    ['an answer that was no stream', exchangeOf({ ending: { streamed: false }, usageOutcome: 'missing' })],
    ['a refused request', failedExchangeOf(400, { ending: { streamed: true } })],
    ['a request whose answer never carries usage', exchangeOf({ usageOutcome: undefined })],
  ]
  it.each(noCompletedStream)('does not count %s', async (_what, exchange) => {
    expect(samples(record([exchange]), 'tokenweir_streams')).toEqual({})
  })
})

describe('the time per output chunk', () => {
  it('is not recorded for a stream of one chunk', async () => {
    const meter = record([exchangeOf({ ending: { chunkCount: 1, lastChunkMs: 50 } })])
    expect(samples(meter, 'gen_ai_client_operation_time_per_output_chunk')).toEqual({})
  })
})

describe('the label cap', () => {
  it('holds against 100,000 model names, and counts what became other', async () => {
    const meter = createMeter(Date.now)
    const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 50 })
    for (let batch = 0; batch < 100; batch++) {
      const ended = Array.from({ length: 1000 }, (_, index) => {
        const model = `model-${batch * 1000 + index}`
        return exchangeOf({
          request: { operation: 'chat', usageExpected: true, model },
          response: { model: `${model}-answer`, usage: { inputTokens: 1 } },
        })
      })
      sink.record({ opened: [], ended })
    }
    const counts = samples(meter, 'gen_ai_client_operation_duration_seconds_count')
    const models = new Set(Object.keys(counts).map((name) => /request_model="([^"]+)"/.exec(name)?.[1]))
    expect(models.size).toBe(51)
    expect(Object.keys(counts)).toHaveLength(51)
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(100_000)
    expect(samples(meter, 'tokenweir_label_overflow')).toEqual({
      'tokenweir_label_overflow_total{label="gen_ai.operation.name"}': 0,
      'tokenweir_label_overflow_total{label="gen_ai.request.model"}': 99_950,
      'tokenweir_label_overflow_total{label="gen_ai.response.model"}': 99_950,
    })
  })

  it('bounds what several labels multiply to', async () => {
    const meter = createMeter(Date.now)
    const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: 100 })
    const ended = Array.from({ length: 2500 }, (_, index) =>
      exchangeOf({
        provider: `p${index % 50}`,
        request: { operation: 'chat', usageExpected: true, model: `m${Math.floor(index / 50)}` },
        response: {},
      }),
    )
    sink.record({ opened: [], ended })
    expect(Object.keys(samples(meter, 'gen_ai_client_operation_duration_seconds_count'))).toHaveLength(201)
    expect(samples(meter, 'tokenweir_label_overflow')).toEqual({
      'tokenweir_label_overflow_total{label="gen_ai.operation.name"}': 2300,
    })
  })
})

describe('the labels', () => {
  it.each(['1.41', 'genai'] as const)('are those of the catalog, and no others, in the generation %s', (generation) => {
    const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 1, cacheWriteTokens: 1, reasoningTokens: 1 }
    const exchanges = [exchangeOf({ response: { model: 'x', usage } }), failedExchangeOf(500), otherExchangeOf()]
    const strangers = record(exchanges, generation)
      .collect()
      .flatMap((family) => {
        const { labels, generation: own }: MetricEntry = metrics[family.name]
        const series = 'sums' in family ? family.sums : family.histograms
        const used = series.flatMap((one) => Object.keys(one.labels))
        const unknown = used.filter((label) => !(labels as readonly string[]).includes(label))
        return own === undefined || own === generation ? unknown : [family.name]
      })
    expect(strangers).toEqual([])
  })
})

describe('limits on rate', () => {
  const startedAt = exchangeOf().opening.startedAt
  const labels = (kind: string) => `gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",rate_limit="${kind}",caller="search"`
  const limited = (rateLimits: Exchange['rateLimits']) => exchangeOf({ caller: 'search', rateLimits })
  function scene(seriesMax = 100) {
    const clock = { now: startedAt }
    const meter = createMeter(() => clock.now)
    const sink = createMetricsSink({ meter, generation: '1.41', labelValuesMax: seriesMax, now: () => clock.now })
    const told = () => Object.fromEntries(Object.entries(samples(meter, 'tokenweir_ratelimit')))
    return { clock, meter, told, record: (...ended: readonly Exchange[]) => sink.record({ opened: [], ended }) }
  }

  it('are the last ones told, their time runs down, and they are forgotten once they are whole again', () => {
    const { clock, told, record } = scene()
    record(limited([{ kind: 'tokens', limit: 30000, remaining: 20000, resetMs: 120_000 }]))
    record(
      limited([
        { kind: 'tokens', remaining: 10000 },
        { kind: 'requests', remaining: 7, resetMs: 4 },
      ]),
    )
    clock.now = startedAt + 40 + 30_000
    expect(told()).toEqual({
      [`tokenweir_ratelimit_limit{${labels('tokens')}}`]: 30000,
      [`tokenweir_ratelimit_remaining{${labels('tokens')}}`]: 10000,
      [`tokenweir_ratelimit_reset_seconds{${labels('tokens')}}`]: 90,
      [`tokenweir_ratelimit_remaining{${labels('requests')}}`]: 7,
      [`tokenweir_ratelimit_reset_seconds{${labels('requests')}}`]: 0,
    })
    clock.now = startedAt + 40 + 60_000
    expect(told()).toEqual({})
    record(exchangeOf({ caller: 'search', ending: { responseHeadMs: 60_000 }, rateLimits: [{ kind: 'requests', remaining: 8 }] }))
    expect(told()).toEqual({ [`tokenweir_ratelimit_remaining{${labels('requests')}}`]: 8 })
  })

  it('are bounded, and those beyond are counted', () => {
    const { meter, told, record } = scene(2)
    const kinds = ['a', 'b', 'c', 'd']
    record(limited(kinds.map((kind) => ({ kind, remaining: 1 }))))
    expect(Object.keys(told())).toHaveLength(2)
    expect(samples(meter, 'tokenweir_label_overflow')).toHaveProperty(['tokenweir_label_overflow_total{label="rate_limit"}'], 2)
    for (const model of ['m1', 'm2']) {
      for (const caller of ['x', 'y']) {
        record(
          exchangeOf({ caller, request: { operation: 'chat', usageExpected: true, model }, rateLimits: [{ kind: 'a', remaining: 1 }] }),
        )
      }
    }
    expect(Object.keys(told()).length).toBeLessThanOrEqual(8)
  })

  it('Who is answered 429, and asked to wait, is counted.', () => {
    const { told, record } = scene()
    const refused = { caller: 'search', ending: { status: 429 }, errorType: '429' }
    record(exchangeOf({ caller: 'search' }), exchangeOf({ ...refused, retryAfterMs: 2500 }), exchangeOf(refused))
    const who = 'gen_ai_provider_name="openai",caller="search"'
    expect(withoutBuckets(told())).toEqual({
      [`tokenweir_ratelimit_refusals_total{${who}}`]: 2,
      [`tokenweir_ratelimit_retry_after_seconds_count{${who}}`]: 1,
      [`tokenweir_ratelimit_retry_after_seconds_sum{${who}}`]: 2.5,
    })
  })
})
