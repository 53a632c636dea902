/** What stands beside the five counts for the cost alone: parts with a price of their own, the tier of service, the cost as reported. */
import { describe, expect, it } from 'vitest'
import type { ResponseFacts } from '../../src/lib/exchange.ts'
import type { Json } from '../../src/lib/json.ts'
import { formatNamed } from '../../src/observe/formats/index.ts'

function facts(format: string, ...messages: readonly Json[]) {
  return messages.reduce<ResponseFacts>((known, message) => formatNamed(format)?.readResponse(known, message, undefined) ?? known, {})
}

const chat = (usage: Json) => facts('openai-chat', { usage })

describe('the parts of usage', () => {
  it('are audio and images in the usage of OpenAI', () => {
    const usage = {
      ...{ prompt_tokens: 100, completion_tokens: 50 },
      prompt_tokens_details: { audio_tokens: 30, image_tokens: 20 },
      completion_tokens_details: { audio_tokens: 40, image_tokens: 5 },
    }
    const parts = { inputAudioTokens: 30, outputAudioTokens: 40, inputImageTokens: 20, outputImageTokens: 5 }
    expect(chat(usage)).toStrictEqual({ usage: { inputTokens: 100, outputTokens: 50, ...parts } })
  })

  it('are summed over the responses of a realtime connection', () => {
    const done = (audio: number, id: string) => ({
      type: 'response.done',
      response: {
        id,
        usage: {
          ...{ input_tokens: 100, output_tokens: 50 },
          input_token_details: { audio_tokens: audio, cached_tokens: 20, cached_tokens_details: { audio_tokens: 10, image_tokens: 1 } },
          output_token_details: { audio_tokens: 40 },
        },
      },
    })
    expect(facts('openai-realtime', done(30, 'a'), done(5, 'b'))).toMatchObject({
      usage: {
        ...{ inputTokens: 200, outputTokens: 100, cacheReadTokens: 40 },
        ...{ inputAudioTokens: 35, outputAudioTokens: 80, cacheReadAudioTokens: 20, cacheReadImageTokens: 2 },
      },
    })
  })

  it('are cache writes of an hour and searches in the usage of Anthropic, kept while the stream goes on', () => {
    const start = {
      ...{ input_tokens: 10, cache_creation_input_tokens: 8, output_tokens: 1 },
      ...{ cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 5 }, service_tier: 'standard' },
    }
    const delta = { output_tokens: 20, server_tool_use: { web_search_requests: 2 } }
    expect(
      facts('anthropic-messages', { type: 'message_start', message: { usage: start } }, { type: 'message_delta', usage: delta }),
    ).toStrictEqual({
      usage: { inputTokens: 18, outputTokens: 20, cacheWriteTokens: 8, cacheWrite1hTokens: 5, webSearches: 2 },
      serviceTier: 'standard',
    })
  })

  it('are modalities in the usage of Gemini', () => {
    const of = (modality: string, tokenCount: number) => ({ modality, tokenCount })
    const usageMetadata = {
      ...{ promptTokenCount: 100, candidatesTokenCount: 50, cachedContentTokenCount: 30 },
      promptTokensDetails: [of('TEXT', 60), of('AUDIO', 30), of('IMAGE', 10)],
      cacheTokensDetails: [of('AUDIO', 20), of('IMAGE', 5)],
      candidatesTokensDetails: [of('IMAGE', 40), of('AUDIO', 2)],
    }
    expect(facts('gemini', { usageMetadata })).toStrictEqual({
      usage: {
        ...{ inputTokens: 100, outputTokens: 50, cacheReadTokens: 30, inputAudioTokens: 30, cacheReadAudioTokens: 20 },
        ...{ outputAudioTokens: 2, inputImageTokens: 10, cacheReadImageTokens: 5, outputImageTokens: 40 },
      },
    })
  })

  it('are no usage by themselves', () => {
    expect(chat({ prompt_tokens_details: { audio_tokens: 30 } }).usage).toBeUndefined()
  })
})

describe('the tier of service', () => {
  const counts = { promptTokenCount: 1 }
  it.each<[string, string, Json, string]>([
    ['Anthropic', 'anthropic-messages', { type: 'message', usage: { input_tokens: 1, service_tier: 'priority' } }, 'priority'],
    ['Anthropic in its fast mode', 'anthropic-messages', { type: 'message', usage: { service_tier: 'standard', speed: 'fast' } }, 'fast'],
    ['Gemini', 'gemini', { usageMetadata: { ...counts, serviceTier: 'FLEX' } }, 'flex'],
    [
      'Vertex AI with provisioned throughput',
      'gemini',
      { usageMetadata: { ...counts, trafficType: 'PROVISIONED_THROUGHPUT' } },
      'provisioned',
    ],
    ['Bedrock', 'bedrock-converse', { usage: { inputTokens: 1 }, serviceTier: { type: 'flex' } }, 'flex'],
  ])('of %s is read', (_title, format, message, tier) => {
    expect(facts(format, message)).toMatchObject({ serviceTier: tier })
  })
})

describe('a reported cost', () => {
  it.each<[string, Json, number | undefined]>([
    ['of OpenRouter is an amount', { cost: 0.002196, is_byok: false, cost_details: { upstream_inference_cost: 0.002196 } }, 0.002196],
    ['of OpenRouter is 0 for a free model', { cost: 0, is_byok: false }, 0],
    [
      'of OpenRouter with a key of one’s own is the fee and what was charged',
      { cost: 0.5, is_byok: true, cost_details: { upstream_inference_cost: 2 } },
      2.5,
    ],
    [
      'of OpenRouter with a key of one’s own is unknown without what was charged',
      { cost: 0.5, is_byok: true, cost_details: { upstream_inference_cost: null } },
      undefined,
    ],
    ['of Perplexity is its total', { cost: { input_tokens_cost: 0.00001, request_cost: 0.005, total_cost: 0.00519 } }, 0.00519],
    ['of Perplexity is none in another currency', { cost: { currency: 'EUR', total_cost: 1 } }, undefined],
    ['of xAI is counted in ticks', { cost_in_usd_ticks: 5_884_000 }, 0.000_588_4],
    ['of no ticks is none: Azure passes them on as 0', { cost_in_usd_ticks: 0 }, undefined],
    ['of DeepInfra is an estimate', { estimated_cost: 3.8e-7 }, 3.8e-7],
    ['of Pydantic’s gateway is an estimate', { pydantic_ai_gateway: { cost_estimate: 0.000_126_25 } }, 0.000_126_25],
    ['in another currency is none', { cost: 0.1, currency: 'EUR' }, undefined],
    ['that is negative is none', { cost: -1 }, undefined],
    ['that is a text is none', { cost: '0.1' }, undefined],
    ['that is null is none', { cost: null }, undefined],
  ])('%s', (_title, usage, usd) => {
    expect(chat({ prompt_tokens: 5, ...(usage as object) })).toStrictEqual({
      usage: { inputTokens: 5 },
      ...(usd === undefined ? {} : { reportedCostUsd: usd }),
    })
  })

  const gateway = (cost: string, marketCost: string) => ({ gateway: { cost, marketCost } })

  it.each<[string, object, number | undefined]>([
    ['of Venice', { cost: { usd: 0.0001578, diem: 0 } }, 0.0001578],
    ['of Venice is none when it was paid in Diem', { cost: { usd: 0, diem: 0.0001578 } }, undefined],
    ['of Copilot is 0 for a model that the plan includes', { copilot_usage: { total_nano_aiu: 0 } }, 0],
    ['of Copilot is in credits of a cent', { copilot_usage: { total_nano_aiu: 726_775_000 } }, 0.007_267_75],
    ['of Vercel', { choices: [{ delta: { provider_metadata: gateway('0.001982', '0.001982') } }] }, 0.001982],
    ['of Vercel is none with a key of one’s own', { choices: [{ message: { provider_metadata: gateway('0', '0.001982') } }] }, undefined],
  ])('%s stands beside the usage', (_title, beside, usd) => {
    const { provider: _provider, ...learnt } = facts('openai-chat', { choices: [], ...beside, usage: { prompt_tokens: 5 } } as Json)
    expect(learnt.reportedCostUsd).toBe(usd)
  })

  it('of Copilot stands beside the response of an event', () => {
    const response = { object: 'response', status: 'completed', usage: { input_tokens: 5, output_tokens: 2 } }
    const event = { type: 'response.completed', response, copilot_usage: { total_nano_aiu: 1e9 } }
    expect(facts('openai-responses', event).reportedCostUsd).toBe(0.01)
  })

  it('of Copilot stands beside the usage of a message’s last event', () => {
    const delta = {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
      usage: { output_tokens: 2 },
      copilot_usage: { total_nano_aiu: 1e9 },
    }
    expect(facts('anthropic-messages', delta).reportedCostUsd).toBe(0.01)
  })

  it('of Vercel stands in the metadata of its own protocol', () => {
    const finish = { type: 'finish', finishReason: 'stop', usage: { inputTokens: 5 }, providerMetadata: gateway('0.25', '0.25') }
    expect(facts('vercel-ai', finish).reportedCostUsd).toBe(0.25)
  })

  it('stands without a count of tokens', () => {
    expect(facts('openai-images', { usage: { cost_in_usd_ticks: 700_000_000 } })).toStrictEqual({ reportedCostUsd: 0.07 })
  })

  it('is the last that a stream names', () => {
    const chunk = (cost: number) => ({ usage: { prompt_tokens: 1, cost } })
    expect(facts('openai-chat', chunk(0.1), chunk(0.2))).toStrictEqual({ usage: { inputTokens: 1 }, reportedCostUsd: 0.2 })
  })
})
