import { beforeAll, describe, expect, it } from 'vitest'
import { createPricer, type Pricer } from '../../src/conclude/pricing/pricer.ts'
import type { ModelPrice } from '../../src/config/config.ts'
import type { Cost, Exchange, Usage } from '../../src/lib/exchange.ts'
import { exchangeOf, failedExchangeOf, otherExchangeOf } from '../sinks/exchange-of.ts'

interface Asked {
  readonly provider?: string
  readonly requested?: string
  readonly answered?: string
  readonly usage?: Usage | undefined
  readonly more?: Partial<NonNullable<Exchange['response']>>
}

const million = { inputTokens: 1_000_000, outputTokens: 1_000_000 }

function asked(
  { provider = 'openai', requested, answered, usage = million, more = {} }: Asked,
  overrides: Partial<Exchange> = {},
): Exchange {
  return exchangeOf({
    provider,
    request: { operation: 'chat', usageExpected: true, model: requested },
    response: { model: answered, usage, ...more },
    ...overrides,
  })
}

const line = (price: Partial<ModelPrice> & { model: string }): ModelPrice => ({
  ...{ provider: undefined, input: undefined, output: undefined, cacheRead: undefined, cacheWrite: undefined, free: false },
  ...price,
})

async function loaded(...prices: readonly ModelPrice[]): Promise<Pricer> {
  const pricer = createPricer({ prices })
  await pricer.load()
  return pricer
}

let pricer: Pricer
beforeAll(async () => {
  pricer = await loaded()
})

const table = (usd: number): Cost => ({ status: 'priced', usd, source: 'table' })
const unpriced: Cost = { status: 'unpriced' }

describe('the table of public prices', () => {
  it.each<[string, Asked, Cost]>([
    ['of OpenAI', { answered: 'gpt-4o-2024-08-06' }, table(12.5)],
    [
      'of Azure, by the model that answered a deployment',
      { provider: 'azure.ai.openai', requested: 'mine', answered: 'gpt-4o' },
      table(12.5),
    ],
    ['of Anthropic', { provider: 'anthropic', answered: 'claude-3-5-haiku-20241022' }, table(4.8)],
    ['of Bedrock', { provider: 'aws.bedrock', requested: 'us.anthropic.claude-3-5-sonnet-20241022-v2:0' }, table(18)],
    [
      'of Bedrock, by the ARN of a profile',
      { provider: 'aws.bedrock', requested: 'arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0' },
      table(18),
    ],
    ['of Gemini', { provider: 'gcp.gemini', requested: 'models/gemini-2.0-flash' }, table(0.5)],
    ['of Vertex AI', { provider: 'gcp.vertex_ai', answered: 'gemini-2.0-flash' }, table(0.75)],
    ['of Anthropic on Vertex AI', { provider: 'gcp.vertex_ai', requested: 'claude-3-5-haiku@20241022' }, table(4.8)],
    ['of Mistral', { provider: 'mistral_ai', answered: 'mistral-large-2411' }, table(8)],
    ['of xAI', { provider: 'x_ai', answered: 'grok-3' }, table(18)],
    ['of Groq', { provider: 'groq', answered: 'llama-3.3-70b-versatile' }, table(1.38)],
    ['by the model that was asked for, when the answering one is unknown', { requested: 'gpt-4o', answered: 'weir-1' }, table(12.5)],
    ['by the model without the prefix that routed it', { requested: 'openai/gpt-4o' }, table(12.5)],
    ['of embeddings, which have no output', { answered: 'text-embedding-3-small', usage: { inputTokens: 1_000_000 } }, table(0.02)],
    ['of the batch tier', { answered: 'gpt-4o', more: { serviceTier: 'batch' } }, table(6.25)],
    ['of zero tokens', { answered: 'gpt-4o', usage: { inputTokens: 0, outputTokens: 0 } }, table(0)],
  ])('has the price %s', (_title, given, cost) => {
    expect(pricer.costOf(asked(given))).toEqual(cost)
  })

  it.each<[string, Asked]>([
    ['a provider that it does not have', { provider: 'vllm', answered: 'gpt-4o' }],
    ['a provider whose name only resembles one', { provider: 'my-openai', answered: 'gpt-4o' }],
    ['a server of one’s own', { provider: 'ollama', answered: 'llama3' }],
    ['open weights behind the format of OpenAI, which does not serve them', { requested: 'openai/gpt-oss-20b' }],
    ['a model that it does not have', { answered: 'weir-1' }],
    ['a model with an endless name', { answered: `gpt-4o-${'x'.repeat(300)}` }],
    ['no model at all', {}],
    ['an answer whose output was not counted', { answered: 'gpt-4o', usage: { inputTokens: 5 } }],
    ['an answer of a tier without a public price', { answered: 'gpt-4o', more: { serviceTier: 'scale' } }],
    ['an answer of the priority tier', { provider: 'anthropic', answered: 'claude-3-5-haiku-20241022', more: { serviceTier: 'priority' } }],
  ])('has no price for %s', (_title, given) => {
    expect(pricer.costOf(asked(given))).toEqual(unpriced)
  })

  it('takes the tier that was asked for where the answer names none', () => {
    const request = { operation: 'chat', usageExpected: true, model: 'gpt-4o', serviceTier: 'flex' }
    expect(pricer.costOf(asked({}, { request }))).toEqual(unpriced)
    expect(pricer.costOf(asked({ more: { serviceTier: 'default' } }, { request }))).toEqual(table(12.5))
  })

  it('has prices that change with the hour', () => {
    const at = (time: string) => asked({ provider: 'deepseek', answered: 'deepseek-chat' }, { opening: openingAt(time) })
    const all = ['2025-06-01T12:00:00Z', '2025-06-01T20:00:00Z', '2025-06-01T12:00:30Z'].map((time) => pricer.costOf(at(time)))
    expect(all).toEqual([table(1.37), table(0.685), table(1.37)])
  })

  it('is unpriced, and nothing else, until it is loaded and when it cannot be', async () => {
    const failing = createPricer({ prices: [], loadTable: () => Promise.reject(new Error('gone')) })
    await expect(failing.load()).rejects.toThrow('gone')
    expect(failing.costOf(asked({ answered: 'gpt-4o' }))).toEqual(unpriced)
  })

  it('is asked again about a model that was unknown before it was loaded', async () => {
    const late = createPricer({ prices: [] })
    const before = late.costOf(asked({ answered: 'gpt-4o' }))
    await late.load()
    expect([before, late.costOf(asked({ answered: 'gpt-4o' }))]).toEqual([unpriced, table(12.5)])
  })

  it('never throws', async () => {
    const broken = createPricer({
      prices: [],
      loadTable: async () => ({
        date: '2026-11-28',
        rows: () => [],
        rowsOf: () => [],
        sources: () => [],
        find() {
          throw new Error('broken')
        },
      }),
    })
    await broken.load()
    expect(broken.costOf(asked({ answered: 'gpt-4o' }))).toEqual(unpriced)
  })
})

const openingAt = (time: string) => ({ ...exchangeOf().opening, startedAt: Date.parse(time) })

describe('a cost that the provider reports', () => {
  it('stands over the table, also where no tokens were reported', () => {
    const costs = [
      asked({ answered: 'gpt-4o', more: { reportedCostUsd: 0.25 } }),
      asked({ answered: 'weir-1', usage: undefined, more: { reportedCostUsd: 0.25, usage: undefined } }, { usageOutcome: undefined }),
    ].map((exchange) => pricer.costOf(exchange))
    expect(costs).toEqual(new Array(2).fill({ status: 'priced', usd: 0.25, source: 'reported' }))
  })

  it('of zero is free', () => {
    expect(pricer.costOf(asked({ answered: 'gpt-4o', more: { reportedCostUsd: 0 } }))).toEqual({
      status: 'free',
      usd: 0,
      source: 'reported',
    })
  })
})

describe('a price of the operator', () => {
  const custom = (usd: number): Cost => ({ status: 'priced', usd, source: 'custom' })
  const free: Cost = { status: 'free', usd: 0, source: 'custom' }

  it('stands over what is reported and over the table', async () => {
    const own = await loaded(line({ model: 'gpt-4o', input: 1, output: 2 }))
    expect(own.costOf(asked({ answered: 'gpt-4o', more: { reportedCostUsd: 9 } }))).toEqual(custom(3))
  })

  it('charges what was cached as input unless it has a price of its own', async () => {
    const usage = { inputTokens: 1_000_000, outputTokens: 0, cacheReadTokens: 400_000, cacheWriteTokens: 100_000 }
    const without = await loaded(line({ model: 'm', input: 1, output: 2 }))
    const withBoth = await loaded(line({ model: 'm', input: 1, output: 2, cacheRead: 0.1, cacheWrite: 3 }))
    const costs = [without, withBoth].map((own) => own.costOf(asked({ answered: 'm', usage })))
    expect(costs).toEqual([
      { ...custom(1), cacheSavedUsd: 0 },
      { ...custom(0.84), cacheSavedUsd: 0.16 },
    ])
  })

  it('holds for the first line that fits provider and model', async () => {
    const own = await loaded(
      line({ provider: 'ollama', model: 'llama*', free: true }),
      line({ model: 'Llama-3.*-instruct', input: 1, output: 1 }),
      line({ model: '*', input: 5, output: 5 }),
    )
    const models = [
      { provider: 'ollama', answered: 'llama3.2' },
      { provider: 'vllm', answered: 'llama-3.1-instruct' },
      { provider: 'vllm', answered: 'llama-3x1-instruct' },
      { provider: 'vllm', requested: 'llama-3.3-instruct', answered: 'deployment' },
      { provider: 'vllm', answered: 'xllama-3.1-instruct' },
    ]
    expect(models.map((model) => own.costOf(asked(model)))).toEqual([free, custom(2), custom(10), custom(2), custom(10)])
  })

  it('that is free is free whatever was counted', async () => {
    const own = await loaded(line({ model: '*', free: true }))
    expect(own.costOf(asked({ answered: 'm', more: { usage: undefined } }, { usageOutcome: 'missing' }))).toEqual(free)
  })

  it('does not guess: output without a price is unpriced', async () => {
    const own = await loaded(line({ model: 'gpt-4o', input: 1 }))
    expect(own.costOf(asked({ answered: 'gpt-4o' }))).toEqual(unpriced)
  })
})

describe('no cost is due', () => {
  it.each([
    ['of a refused request', failedExchangeOf(429)],
    ['of a request that is no inference', otherExchangeOf()],
    ['of an answer that never carries usage', exchangeOf({ usageOutcome: undefined, response: { model: 'gpt-4o' } })],
  ])('%s', (_title, exchange) => {
    expect(pricer.costOf(exchange)).toBeUndefined()
  })
})

describe('what was looked up is remembered', () => {
  it('for one way of billing, however many there are of a model', () => {
    const tier = (serviceTier: string) => pricer.costOf(asked({ answered: 'gpt-4o', more: { serviceTier } }))
    const known = ['default', 'batch', 'default', 'batch'].map(tier)
    expect(known).toEqual([table(12.5), table(6.25), table(12.5), table(6.25)])
    for (let n = 0; n < 100; n++) expect(tier(`made up ${n}`)).toEqual(unpriced)
    expect(['default', 'batch'].map(tier)).toEqual([table(12.5), table(6.25)])
  })

  it('for each place, tool and signature that decides the price', () => {
    const place = (more: object, overrides: Partial<Exchange> = {}) =>
      pricer.costOf(
        asked(
          { provider: 'anthropic', answered: 'claude-sonnet-4-6', usage: { inputTokens: 1_000_000, outputTokens: 0 }, more },
          overrides,
        ),
      )
    const elsewhere = { opening: { ...exchangeOf().opening, serverAddress: 'openrouter.ai' } }
    expect([place({}), place({ inferenceGeo: 'us' }), place({}, elsewhere), place({ paidTools: true }), place({})]).toEqual([
      table(3),
      table(3.3),
      unpriced,
      unpriced,
      table(3),
    ])
  })
})
