/** What prompt caching saved, in USD: only where the prices are certain. */
import { beforeAll, describe, expect, it } from 'vitest'
import { createPricer, type Pricer } from '../../src/conclude/pricing/pricer.ts'
import type { Usage } from '../../src/lib/exchange.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'

let pricer: Pricer
beforeAll(async () => {
  pricer = createPricer({ prices: [] })
  await pricer.load()
})

function saved(provider: string, model: string, usage: Usage, reportedCostUsd?: number): number | undefined {
  const cost = pricer.costOf(exchangeOf({ provider, request: undefined, response: { model, usage, reportedCostUsd } }))
  return cost === undefined || cost.status === 'unpriced' ? undefined : cost.cacheSavedUsd
}

const counts = { inputTokens: 1_000_000, outputTokens: 1000 }
/** Input 2.50, cached 1.25, output 10 USD a million. */
const gpt4o = (usage: Usage, reported?: number) => saved('openai', 'gpt-4o-2024-08-06', usage, reported)
/** Input 3, read 0.30, written 3.75, written for an hour 6, output 15 USD a million. */
const sonnet = (usage: Usage) => saved('anthropic', 'claude-sonnet-4-20250514', usage)

describe('what caching saved', () => {
  it('is the difference between the price of plain input and that of cached input', () => {
    expect(gpt4o({ ...counts, cacheReadTokens: 400_000 })).toBe(0.5)
  })

  it('is less by what writing to the cache cost more', () => {
    const small = { inputTokens: 100_000, outputTokens: 10 }
    expect(sonnet({ ...small, cacheReadTokens: 50_000, cacheWriteTokens: 20_000 })).toBe(0.12)
    expect(sonnet({ ...small, cacheReadTokens: 0, cacheWriteTokens: 20_000 })).toBe(-0.015)
    expect(sonnet({ ...small, cacheReadTokens: 0, cacheWriteTokens: 20_000, cacheWrite1hTokens: 20_000 })).toBe(-0.06)
  })

  it('is nothing where nothing was cached, and unknown where nobody said so', () => {
    expect(gpt4o({ ...counts, cacheReadTokens: 0 })).toBe(0)
    expect(gpt4o(counts)).toBeUndefined()
  })

  it('is unknown where the cost is', () => {
    expect(saved('openai', 'nobody-knows', { ...counts, cacheReadTokens: 400_000 })).toBeUndefined()
  })

  it('is known of a cost that was reported only where our prices come to the same', () => {
    const usage = { ...counts, cacheReadTokens: 400_000 }
    expect([gpt4o(usage, 2.01), gpt4o(usage, 2.02), gpt4o(usage, 2.1), gpt4o(usage, 0)]).toEqual([0.5, 0.5, undefined, undefined])
  })
})
