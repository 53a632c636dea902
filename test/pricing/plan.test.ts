/** The library is the authority on how its prices are read: ours has to come to the same amount, for every price that it has. */
import { calcPrice, type ModelPrice } from '@pydantic/genai-prices'
import { describe, expect, it } from 'vitest'
import { costBy, type Plan, planOf } from '../../src/conclude/pricing/plan.ts'
import type { Prices } from '../../src/config/price-file.ts'
import type { Usage } from '../../src/lib/exchange.ts'
import { everyPrice, tokenKinds } from './library.ts'

const libraryNames: Readonly<Record<string, keyof Usage>> = {
  input_tokens: 'inputTokens',
  output_tokens: 'outputTokens',
  cache_read_tokens: 'cacheReadTokens',
  cache_write_tokens: 'cacheWriteTokens',
  cache_write_1h_tokens: 'cacheWrite1hTokens',
  cache_audio_read_tokens: 'cacheReadAudioTokens',
  cache_image_read_tokens: 'cacheReadImageTokens',
  input_audio_tokens: 'inputAudioTokens',
  input_image_tokens: 'inputImageTokens',
  output_audio_tokens: 'outputAudioTokens',
  output_image_tokens: 'outputImageTokens',
  output_reasoning_tokens: 'reasoningTokens',
  web_searches: 'webSearches',
}

/** What the library says: USD, or undefined where it refuses. */
function libraryCost(prices: ModelPrice, usage: Usage): number | undefined {
  const given = Object.fromEntries(Object.entries(libraryNames).map(([name, count]) => [name, usage[count]]))
  const provider = { id: 'x', name: 'x', api_pattern: 'x', models: [{ id: 'm', match: { equals: 'm' }, prices }] }
  try {
    return calcPrice(given, 'm', { provider })?.total_price
  } catch {
    return undefined
  }
}

/** Both sides of every tier; parts that fit into the whole, parts that do not, and parts that are not told. */
const usages: readonly Usage[] = [
  { inputTokens: 1000, outputTokens: 100 },
  { inputTokens: 0, outputTokens: 0 },
  { inputTokens: 128_001, outputTokens: 3 },
  { inputTokens: 200_000, outputTokens: 7, cacheReadTokens: 150_000 },
  { inputTokens: 200_001, outputTokens: 7, cacheReadTokens: 150_000, cacheWriteTokens: 50_000, cacheWrite1hTokens: 20_000 },
  { inputTokens: 300_000, outputTokens: 700, cacheReadTokens: 0, reasoningTokens: 600 },
  { inputTokens: 900, outputTokens: 90, inputAudioTokens: 300, outputAudioTokens: 60, cacheReadTokens: 200, cacheReadAudioTokens: 100 },
  { inputTokens: 900, outputTokens: 90, inputImageTokens: 300, outputImageTokens: 60, cacheReadTokens: 200, cacheReadImageTokens: 100 },
  { inputTokens: 900, outputTokens: 90, inputAudioTokens: 300, cacheReadTokens: 200 },
  { inputTokens: 10, outputTokens: 5, cacheReadTokens: 11 },
  { inputTokens: 10, outputTokens: 5, webSearches: 3 },
]

const writes = { input_mtok: 1, cache_write_mtok: 2, cache_write_1h_mtok: 7 }
const tier = (base: number, price: number) => ({ base, tiers: [{ start: 200_000, price }] })
const tiered = { input_mtok: tier(1, 2), output_mtok: tier(1, 3) }
const fees = { input_mtok: 1, requests_kcount: 5, web_searches_kcount: 10 }
const cached = { input_mtok: 2, cache_read_mtok: 1 }
const audio = { input_mtok: 2, cache_read_mtok: 1, input_audio_mtok: 4, cache_audio_read_mtok: 3 }

describe('a plan', () => {
  it('comes to the amount of the library, for each of its prices', () => {
    let compared = 0
    const differing = everyPrice.flatMap(({ name, prices }) => {
      const plan = planOf(prices as Prices)
      if (plan === undefined || !Object.keys(prices).every((key) => tokenKinds.has(key))) return []
      return usages.flatMap((usage) => {
        if (asksForMore(plan, usage)) return []
        compared++
        const [ours, theirs] = [costBy(plan, usage), libraryCost(prices, usage)]
        const alike = ours === undefined || theirs === undefined ? ours === theirs : Math.abs(ours - theirs) < 1e-11
        return alike ? [] : [{ name, usage, ours, theirs }]
      })
    })
    expect(differing).toEqual([])
    expect(compared).toBeGreaterThan(10_000)
  })

  it.each<[string, Prices, Usage, number | undefined]>([
    ['charges input and output by the million', { input_mtok: 2, output_mtok: 8 }, { inputTokens: 1_000_000, outputTokens: 500_000 }, 6],
    ['takes what was cached out of the input', { input_mtok: 2, cache_read_mtok: 1 }, { inputTokens: 100, cacheReadTokens: 40 }, 0.00016],
    ['leaves a part without a price in its whole', { input_mtok: 2 }, { inputTokens: 100, cacheReadTokens: 40 }, 0.0002],
    ['keeps cache writes of an hour apart', writes, { inputTokens: 100, cacheWriteTokens: 60, cacheWrite1hTokens: 10 }, 0.000_21],
    ['reads a tier below its start', tiered, { inputTokens: 200_000, outputTokens: 1 }, 0.200_001],
    ['reads a tier above its start, for the whole answer', tiered, { inputTokens: 200_001, outputTokens: 1 }, 0.400_005],
    ['adds what each request and each search costs', fees, { inputTokens: 1, webSearches: 2 }, 0.025_001],
    ['says 0 when 0 was reported', { input_mtok: 2, output_mtok: 8 }, { inputTokens: 0, outputTokens: 0 }, 0],
    ['does not know a charged count that is missing', { input_mtok: 2, output_mtok: 8 }, { inputTokens: 5 }, undefined],
    ['does not know what a kind without a price costs', { input_mtok: 2 }, { inputTokens: 5, outputTokens: 1 }, undefined],
    ['does not know parts larger than their whole', cached, { inputTokens: 5, cacheReadTokens: 6 }, undefined],
    ['does not know how much of the audio was cached', audio, { inputTokens: 9, inputAudioTokens: 5, cacheReadTokens: 5 }, undefined],
    ['shows no fraction of a picodollar', { input_mtok: 0.1, output_mtok: 0.2 }, { inputTokens: 1, outputTokens: 1 }, 3e-7],
  ])('%s', (_title, prices, usage, usd) => {
    expect(costBy(planOf(prices) as Plan, usage)).toBe(usd)
  })

  it('is free when every price is zero', () => {
    const all = [
      { input_mtok: 0, output_mtok: 0 },
      { input_mtok: 0, output_mtok: 1 },
      { input_mtok: 0, requests_kcount: 1 },
    ]
    expect(all.map((prices) => planOf(prices)?.isFree)).toEqual([true, false, false])
  })

  it('is none where nothing that is counted has a price', () => {
    expect([planOf({}), planOf({ audio_hours: 0.1 }), planOf({ input_document_kpages: 1 })]).toEqual([undefined, undefined, undefined])
  })
})

/** Ours is stricter: a count that is charged for, or a kind that has no price, makes the cost unknown and not smaller. */
function asksForMore({ chargesInput, chargesOutput }: Plan, { inputTokens = 0, outputTokens = 0 }: Usage): boolean {
  return (!chargesInput && inputTokens > 0) || (!chargesOutput && outputTokens > 0)
}
