/**
 * Prices of one model → what an answer with known counts costs. The kinds of tokens, and what a price for one of them leaves to the others,
 * are those of genai-prices (https://github.com/pydantic/genai-prices, `prices/units.yml`); its own calculation takes 10 to 60 µs, because it
 * looks the model up and takes the units apart anew each time. A test holds the two together.
 */

import type { Price, Prices } from '../../config/price-file.ts'
import type { Usage } from '../../lib/exchange.ts'

interface Kind {
  readonly name: string
  readonly count: keyof Usage
  /** The kinds whose counts include this one. */
  readonly within: readonly string[]
  /** Of this count is both of these; unknown, it cannot be said what either of them leaves. */
  readonly overlap?: readonly [keyof Usage, keyof Usage]
}

/** Each before what includes it. */
const kinds: readonly Kind[] = [
  {
    name: 'cache_audio_read_mtok',
    count: 'cacheReadAudioTokens',
    within: ['input_audio_mtok', 'cache_read_mtok', 'input_mtok'],
    overlap: ['inputAudioTokens', 'cacheReadTokens'],
  },
  {
    name: 'cache_image_read_mtok',
    count: 'cacheReadImageTokens',
    within: ['input_image_mtok', 'cache_read_mtok', 'input_mtok'],
    overlap: ['inputImageTokens', 'cacheReadTokens'],
  },
  { name: 'cache_write_1h_mtok', count: 'cacheWrite1hTokens', within: ['cache_write_mtok', 'input_mtok'] },
  { name: 'cache_write_mtok', count: 'cacheWriteTokens', within: ['input_mtok'] },
  { name: 'cache_read_mtok', count: 'cacheReadTokens', within: ['input_mtok'] },
  { name: 'input_audio_mtok', count: 'inputAudioTokens', within: ['input_mtok'] },
  { name: 'input_image_mtok', count: 'inputImageTokens', within: ['input_mtok'] },
  { name: 'output_reasoning_mtok', count: 'reasoningTokens', within: ['output_mtok'] },
  { name: 'output_audio_mtok', count: 'outputAudioTokens', within: ['output_mtok'] },
  { name: 'output_image_mtok', count: 'outputImageTokens', within: ['output_mtok'] },
  { name: 'input_mtok', count: 'inputTokens', within: [] },
  { name: 'output_mtok', count: 'outputTokens', within: [] },
]

/** Counted apart, and charged otherwise than what they are part of. */
const ownKinds: readonly (readonly [count: keyof Usage, kind: string])[] = [
  ['cacheReadTokens', 'cache_read_mtok'],
  ['cacheWriteTokens', 'cache_write_mtok'],
  ['cacheWrite1hTokens', 'cache_write_1h_mtok'],
  ['inputAudioTokens', 'input_audio_mtok'],
  ['cacheReadAudioTokens', 'cache_audio_read_mtok'],
  ['outputAudioTokens', 'output_audio_mtok'],
  ['outputImageTokens', 'output_image_mtok'],
]

interface Step {
  readonly kind: Kind
  readonly price: Price
  /** Steps before this one whose counts are part of this one's. */
  readonly inner: readonly number[]
}

export interface Plan {
  readonly steps: readonly Step[]
  readonly chargesInput: boolean
  readonly chargesOutput: boolean
  readonly perRequestUsd: number
  readonly perSearchUsd: number
  /** There is a price, and it is zero. */
  readonly isFree: boolean
  /** Counts that need a price of their own and have none. */
  readonly unpriced: readonly (keyof Usage)[]
}

/** Undefined when nothing that is counted here has a price: audio by the hour, pages, or no price at all. */
export function planOf(prices: Prices): Plan | undefined {
  const priced = kinds.filter(({ name }) => prices[name] !== undefined)
  const steps = priced.map((kind, index) => ({
    kind,
    price: prices[kind.name] ?? 0,
    inner: priced.slice(0, index).flatMap((other, at) => (other.within.includes(kind.name) ? [at] : [])),
  }))
  const perRequestUsd = flat(prices['requests_kcount']) / 1000
  const chargesInput = prices['input_mtok'] !== undefined
  const chargesOutput = prices['output_mtok'] !== undefined
  if (!chargesInput && !chargesOutput && perRequestUsd === 0) return undefined
  const isFree = perRequestUsd === 0 && steps.every(({ price }) => isZero(price))
  const unpriced = ownKinds.flatMap(([count, kind]) => (prices[kind] === undefined ? [count] : []))
  const perSearchUsd = flat(prices['web_searches_kcount']) / 1000
  return { steps, chargesInput, chargesOutput, perRequestUsd, perSearchUsd, isFree, unpriced }
}

function flat(price: Price | undefined): number {
  return typeof price === 'number' ? price : (price?.base ?? 0)
}

function isZero(price: Price): boolean {
  return typeof price === 'number' ? price === 0 : price.base === 0 && price.tiers.every((tier) => tier.price === 0)
}

/** Something was counted that the plan has no price of its own for, or stands beside the output instead of in it, so that what it costs would be a guess. */
export function lacksPrice({ unpriced, perSearchUsd }: Plan, usage: Usage): boolean {
  if ((usage.webSearches ?? 0) > 0 && perSearchUsd === 0) return true
  if ((usage.reasoningTokens ?? 0) > (usage.outputTokens ?? 0)) return true
  for (const count of unpriced) if ((usage[count] ?? 0) > 0) return true
  return false
}

const remainders = new Float64Array(kinds.length)
/** A sum of many costs shall not show what binary fractions add. */
const perUsd = 1e12

/**
 * USD; `factor` multiplies what tokens cost. Undefined when what was reported does not say: a count that is charged for is missing, a counted kind has no price, or a part is
 * larger than the whole.
 */
export function costBy(plan: Plan, usage: Usage, factor = 1): number | undefined {
  const { inputTokens, outputTokens } = usage
  if (inputTokens === undefined && outputTokens === undefined) return undefined
  if (plan.chargesInput ? inputTokens === undefined : (inputTokens ?? 0) > 0) return undefined
  if (plan.chargesOutput ? outputTokens === undefined : (outputTokens ?? 0) > 0) return undefined
  let perMillion = 0
  for (let index = 0; index < plan.steps.length; index++) {
    const { kind, price, inner } = plan.steps[index] as Step
    const counted = usage[kind.count]
    if (counted === undefined && kind.overlap?.every((count) => (usage[count] ?? 0) > 0) === true) return undefined
    let tokens = counted ?? 0
    for (const at of inner) tokens -= remainders[at] as number
    if (tokens < 0) return undefined
    remainders[index] = tokens
    perMillion += tokens * (typeof price === 'number' ? price : tierOf(price, inputTokens ?? 0))
  }
  return rounded((perMillion / 1e6) * factor + plan.perRequestUsd + (usage.webSearches ?? 0) * plan.perSearchUsd)
}

function rounded(usd: number): number {
  return Math.round(usd * perUsd) / perUsd
}

const withoutCache: Usage = {
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  cacheReadAudioTokens: 0,
  cacheReadImageTokens: 0,
}

/**
 * USD by which prompt caching made the answer cheaper: what all of its input would have cost as plain input, less what it cost. Below zero where
 * writing to the cache cost more than reading from it saved. Undefined where the cost is, or nobody said whether a cache was read.
 */
export function cacheSavedBy(plan: Plan, usage: Usage, factor = 1): number | undefined {
  if (usage.cacheReadTokens === undefined) return undefined
  const usd = costBy(plan, usage, factor)
  const plainUsd = costBy(plan, { ...usage, ...withoutCache }, factor)
  return usd === undefined || plainUsd === undefined ? undefined : rounded(plainUsd - usd)
}

function tierOf({ base, tiers }: Exclude<Price, number>, inputTokens: number): number {
  let price = base
  for (const tier of tiers) if (inputTokens > tier.start) price = tier.price
  return price
}
