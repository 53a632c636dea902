/** What the built-in table prices, and above all what it does not. */
import { describe, expect, it } from 'vitest'
import { undated } from '../../src/conclude/pricing/names.ts'
import { createPricer } from '../../src/conclude/pricing/pricer.ts'
import { builtInPrices, createPriceTable } from '../../src/conclude/pricing/table.ts'
import { type PriceFile, parsePriceFile } from '../../src/config/price-file.ts'
import type { Exchange, Opening, Usage } from '../../src/lib/exchange.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'

const file = builtInPrices()
const table = createPriceTable([file])
const pricer = createPricer({ prices: [] })
await pricer.load()

interface Asked {
  readonly provider: string
  readonly requested?: string
  readonly answered?: string
  readonly usage?: Usage
  readonly tier?: string
  readonly opening?: Partial<Opening>
  readonly response?: Partial<NonNullable<Exchange['response']>>
}

const million = { inputTokens: 1_000_000, outputTokens: 0 }
const now = Date.parse('2026-11-28T12:00:00Z')

function costOf({ provider, requested, answered, usage = million, tier, opening = {}, response = {} }: Asked): number | string | undefined {
  const plain = exchangeOf()
  const cost = pricer.costOf(
    exchangeOf({
      provider,
      opening: { ...plain.opening, startedAt: now, serverAddress: 'gateway.internal', ...opening },
      request: { operation: 'chat', usageExpected: true, model: requested, serviceTier: tier },
      response: { model: answered, usage, ...response },
    }),
  )
  return cost?.status === 'priced' ? cost.usd : cost?.status
}

/** Repeatable numbers between 0 and 1 (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('names', () => {
  const listed = file.rows.flatMap(({ provider, names }) => names.map((name) => ({ provider, name })))
  const known = new Set(listed.map(({ provider, name }) => `${provider} ${name}`))
  const next = random(20_261_128)
  const pick = <T>(from: readonly T[]) => from[Math.floor(next() * from.length)] as T
  const letters = [...'abcdefghijklmnopqrstuvwxyz0123456789']
  /** What stands before the last slash says who routed the request: behind it is a name that is listed. */
  const isListed = (provider: string, model: string) =>
    [model, model.slice(model.lastIndexOf('/') + 1)].some(
      (name) => known.has(`${provider} ${name}`) || known.has(`${provider} ${undated(name)}`),
    )
  const priced = (provider: string, model: string) => table.find({ provider, models: [model], at: now }) !== undefined

  it('that are made up have no price', () => {
    const vendors = [...new Set(listed.map(({ provider }) => provider))]
    const words = [
      'gpt',
      'claude',
      'gemini',
      'turbo',
      'mini',
      'pro',
      'flash',
      'sonnet',
      'opus',
      'chat',
      'large',
      '4',
      '5',
      '3.5',
      '8b',
      'latest',
    ]
    const found = Array.from({ length: 10_000 }, () => {
      const word = Array.from({ length: 3 }, () => pick(letters)).join('')
      return [pick(vendors), `${pick(words)}-${pick(words)}-${word}`] as const
    })
    expect(new Set(found.map(([provider]) => provider))).toEqual(new Set(vendors))
    expect(found.filter(([provider, model]) => !known.has(`${provider} ${model}`) && priced(provider, model))).toEqual([])
  })

  it('with something behind them have no price by their namesake', () => {
    const suffixes = ['-mini', '-lite', '-tts', '-distill', '-safeguard', '-preview', ':free', '-x', '-5', '.5', '-v9', '-turbo', '-2']
    const found = listed.flatMap(({ provider, name }) => {
      if (name.startsWith('ft:')) return [] // behind it is the name that its owner gave to it
      return suffixes.map((suffix) => [provider, `${name}${suffix}`] as const)
    })
    expect(new Set(found.map(([provider]) => provider))).toEqual(new Set(listed.map(({ provider }) => provider)))
    expect(found.filter(([provider, model]) => !isListed(provider, model) && priced(provider, model))).toEqual([])
  })

  it('with a letter or a digit changed have no price', () => {
    const found = listed.flatMap(({ provider, name }) =>
      Array.from({ length: 4 }, () => {
        const at = Math.floor(next() * undated(name).length) // another date is another version of the same model
        return [provider, `${name.slice(0, at)}${pick(letters)}${name.slice(at + 1)}`] as const
      }).filter(([, changed]) => changed !== name && !changed.startsWith('ft:')),
    )
    expect(new Set(found.map(([provider]) => provider))).toEqual(new Set(listed.map(({ provider }) => provider)))
    expect(found.length).toBeGreaterThan(15_000)
    expect(found.filter(([provider, model]) => priced(provider, model) && !isListed(provider, model))).toEqual([])
  })

  it('of one provider have no price by another’s list', () => {
    expect(costOf({ provider: 'azure.ai.inference', requested: 'claude-3-haiku-20240307' })).toBe('unpriced')
    expect(costOf({ provider: 'groq', requested: 'gpt-4o' })).toBe('unpriced')
  })
})

describe('what is billed', () => {
  const bedrock = (requested: string, answered?: string) =>
    costOf({ provider: 'aws.bedrock', requested, ...(answered === undefined ? {} : { answered }) })

  it('is the model of Bedrock’s profile, the global one at the base price', () => {
    expect(bedrock('global.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5-20250929')).toBe(6) // above 200,000
    expect(
      costOf({
        provider: 'aws.bedrock',
        requested: 'global.anthropic.claude-sonnet-4-5-20250929-v1:0',
        usage: { inputTokens: 1000, outputTokens: 0 },
      }),
    ).toBe(0.003)
    expect(
      costOf({
        provider: 'aws.bedrock',
        requested: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
        usage: { inputTokens: 1000, outputTokens: 0 },
      }),
    ).toBe(0.0033)
  })

  it('is nothing that a custom model’s or an application’s ARN hides', () => {
    expect(bedrock('arn:aws:bedrock:us-east-1:1:custom-model/anthropic.claude-3-haiku-20240307-v1:0')).toBe('unpriced')
    expect(bedrock('arn:aws:bedrock:us-east-1:1:application-inference-profile/abc', 'claude-3-haiku-20240307')).toBe('unpriced')
  })

  it('is never an Azure deployment’s name once the answer names a model', () => {
    expect(costOf({ provider: 'azure.ai.openai', requested: 'gpt-4', answered: 'weir-1' })).toBe('unpriced')
    expect(costOf({ provider: 'azure.ai.openai', requested: 'mine', answered: 'gpt-4o-2024-08-06' })).toBe(2.5)
  })

  it('is dearer in a region of Vertex AI than at its global endpoint', () => {
    const at = (location: string) =>
      costOf({
        provider: 'gcp.vertex_ai',
        requested: 'claude-haiku-4-5@20251001',
        opening: { path: `/v1/projects/p/locations/${location}/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict` },
      })
    expect([at('global'), at('us-east5')]).toEqual([1, 1.1])
  })

  it('is dearer where Anthropic was asked to infer in the US', () => {
    const geo = (inferenceGeo: string) => costOf({ provider: 'anthropic', answered: 'claude-sonnet-4-6', response: { inferenceGeo } })
    expect([geo('global'), geo('us')]).toEqual([3, 3.3])
  })

  it('is the fine-tuned model’s own price', () => {
    expect(costOf({ provider: 'openai', answered: 'ft:gpt-4o-2024-08-06:acme::abc' })).toBe(3.75)
    expect(costOf({ provider: 'openai', answered: 'ft:weir-1:acme::abc' })).toBe('unpriced')
  })

  it('is the list of the host, in its currency, or none', () => {
    const opening = { serverAddress: 'open.bigmodel.cn' }
    expect(costOf({ provider: 'z_ai', requested: 'glm-5.2', opening })).toBeCloseTo(1.103, 2)
    expect(costOf({ provider: 'z_ai', requested: 'glm-5.2' })).toBe(1.4)
    expect(costOf({ provider: 'moonshot_ai', requested: 'kimi-k2.5', opening: { serverAddress: 'api.moonshot.cn' } })).toBe('unpriced')
  })

  it('is the list of who signs the answer, behind whatever gateway', () => {
    const signed = (provider: string, answered: string, response = {}) =>
      costOf({ provider, answered, response: { provider, ...response }, usage: { inputTokens: 1000, outputTokens: 0 } })
    expect(signed('groq', 'llama-3.3-70b-versatile')).toBe(0.00059)
    expect(signed('github_copilot', 'gpt-5.3-codex')).toBe(0.00175)
    expect(costOf({ provider: 'groq', answered: 'llama-3.3-70b-versatile', response: { provider: 'Groq' } })).toBe('unpriced') // OpenRouter
  })

  it('is the maker’s model that OpenRouter’s embeddings name without the maker', () => {
    const embedded = (provider: string) =>
      costOf({
        provider: 'openai',
        answered: 'text-embedding-3-small',
        response: { id: 'gen-emb-1', provider },
        usage: { inputTokens: 1000 },
      })
    expect([embedded('OpenAI'), embedded('Nebius')]).toEqual([0.00002, 'unpriced'])
  })

  it('is OpenRouter’s own tier, whatever capacity it bought', () => {
    const tier = (serviceTier: string) =>
      costOf({
        provider: 'x',
        answered: 'openai/gpt-4o-mini',
        opening: { serverAddress: 'openrouter.ai' },
        usage: { inputTokens: 1000, outputTokens: 0 },
        response: { serviceTier },
      })
    expect([tier('provisioned'), tier('default'), tier('priority')]).toEqual([0.00015, 0.00015, 'unpriced'])
  })

  it('has the fee for each request that OpenRouter tells, unless it depends on a context that was asked for', () => {
    const asked = (searchContext?: 'low' | 'high') =>
      pricer.costOf({
        ...exchangeOf({ provider: 'perplexity', response: { model: 'perplexity/sonar', usage: { inputTokens: 7, outputTokens: 236 } } }),
        opening: { ...exchangeOf().opening, serverAddress: 'openrouter.ai' },
        request: { operation: 'chat', usageExpected: true, searchContext },
      })
    expect([asked(), asked('low'), asked('high')].map((cost) => cost?.status === 'priced' && cost.usd)).toEqual([0.005243, 0.005243, false])
  })

  it('is the reseller’s price, and nothing where many serve the model', () => {
    const openrouter = (answered: string) =>
      costOf({
        provider: 'some_host',
        answered,
        opening: { serverAddress: 'openrouter.ai' },
        usage: { inputTokens: 1000, outputTokens: 0 },
      })
    expect(openrouter('openai/gpt-4o-mini')).toBe(0.00015)
    expect(openrouter('openai/gpt-oss-120b')).toBe('unpriced')
    expect(openrouter('meta-llama/llama-3.3-70b-instruct:free')).toBe('free')
  })
})

describe('what is counted', () => {
  it('has the price of its tier of service, or none', () => {
    const tier = (name: string) =>
      costOf({ provider: 'openai', answered: 'gpt-5.4', usage: { inputTokens: 10_000, outputTokens: 1000 }, tier: name })
    expect([tier('default'), tier('flex'), tier('priority'), tier('scale')]).toEqual([0.04, 0.02, 0.08, 'unpriced'])
  })

  it('has the price of an hour’s cache write', () => {
    const usage = { inputTokens: 10_000, outputTokens: 0, cacheWriteTokens: 8000, cacheWrite1hTokens: 8000 }
    expect(costOf({ provider: 'gcp.vertex_ai', requested: 'claude-opus-5', usage })).toBe(0.09)
  })

  it('is unpriced where a kind has no price of its own', () => {
    expect(costOf({ provider: 'openai', answered: 'gpt-4', usage: { inputTokens: 10, outputTokens: 0, inputAudioTokens: 5 } })).toBe(
      'unpriced',
    )
    expect(costOf({ provider: 'openai', answered: 'gpt-4', usage: { inputTokens: 10, outputTokens: 0, cacheReadTokens: 5 } })).toBe(
      'unpriced',
    )
    expect(costOf({ provider: 'deepseek', answered: 'deepseek-chat', usage: { inputTokens: 10, outputTokens: 0, webSearches: 1 } })).toBe(
      'unpriced',
    )
  })

  it('has the price of the tool that searched, by the kind of model', () => {
    const search = (answered: string, previewSearch: boolean, tier?: string) =>
      costOf({
        provider: 'openai',
        answered,
        ...(tier === undefined ? {} : { tier }),
        usage: { inputTokens: 0, outputTokens: 0, webSearches: 2 },
        response: { previewSearch },
      })
    expect([search('gpt-4.1', false), search('gpt-4.1', true)]).toEqual([0.02, 0.05])
    expect([search('gpt-5.4', false), search('gpt-5.4', true), search('o4-mini', true)]).toEqual([0.02, 0.02, 0.02])
    expect([search('gpt-4.1-mini', false), search('gpt-5-chat-latest', true)]).toEqual(['unpriced', 'unpriced'])
    expect(search('gpt-4.1', false, 'batch')).toBe('unpriced')
  })

  it('is unpriced where other tools were called that cost something', () => {
    expect(costOf({ provider: 'openai', answered: 'gpt-4.1', response: { paidTools: true } })).toBe('unpriced')
  })

  it('is never free because what it is billed by has no price here', () => {
    for (const [provider, model] of [
      ['cohere', 'rerank-v3.5'],
      ['aws.bedrock', 'amazon.rerank-v1:0'],
      ['gcp.vertex_ai', 'meta/llama-3.1-70b-instruct-maas'],
    ] as const)
      expect(costOf({ provider, requested: model, usage: { inputTokens: 10, outputTokens: 0 } })).toBe('unpriced')
  })

  it('is unpriced where reasoning stands beside the output, but for a total that says so', () => {
    const answered = 'gemini-2.5-flash'
    expect(costOf({ provider: 'gcp.gemini', answered, usage: { inputTokens: 28, outputTokens: 5, reasoningTokens: 48 } })).toBe('unpriced')
    expect(
      costOf({ provider: 'gcp.gemini', answered, usage: { inputTokens: 28, outputTokens: 5, reasoningTokens: 48, totalTokens: 33 } }),
    ).toBe(0.0001409)
  })

  it('is billed over all goes of an answer', () => {
    const response = { usageOfIterations: { inputTokens: 2_000_000, outputTokens: 0 } }
    expect(costOf({ provider: 'anthropic', answered: 'claude-haiku-4-5', response })).toBe(2)
  })
})

describe('time', () => {
  const deepseek = (time: string, answered = 'deepseek-v4-pro') =>
    costOf({ provider: 'deepseek', answered, opening: { startedAt: Date.parse(time) } })

  it('has hours, weekdays and holidays of peak prices', () => {
    expect(deepseek('2026-11-27T02:00:00Z')).toBe(1.32)
    expect(deepseek('2026-11-27T12:00:00Z')).toBe(0.66)
    expect(deepseek('2026-11-28T02:00:00Z')).toBe(0.66) // a Saturday
    expect(deepseek('2026-10-01T02:00:00Z')).toBe(0.66) // a holiday
  })

  it('is unknown beyond the list of holidays', () => {
    expect(deepseek('2027-01-05T02:00:00Z')).toBe('unpriced')
    expect(deepseek('2027-01-05T12:00:00Z')).toBe(0.66)
  })

  it('has promotions that end', () => {
    const argon = (time: string) => costOf({ provider: 'gcp.gemini', answered: 'gemini-4-argon', opening: { startedAt: Date.parse(time) } })
    expect([argon('2026-11-30T23:00:00Z'), argon('2026-12-01T01:00:00Z')]).toEqual([2, 4])
  })

  it('prices the past as of then', () => {
    const chat = ['2025-01-01', '2025-06-01T12:00:00Z', '2025-10-10', '2026-11-20T12:00:00Z'].map((time) => deepseek(time, 'deepseek-chat'))
    expect(chat).toEqual([0.14, 0.27, 0.28, 0.14])
  })
})

describe('an operator’s table', () => {
  const own: PriceFile = {
    date: '2026-11-01',
    sources: {},
    rows: [{ provider: 'openai', names: ['gpt-4o', 'weir-1'], periods: [{ prices: { input_mtok: 7 } }], sources: ['a contract'] }],
  }

  it('stands over the built-in one', () => {
    const both = createPriceTable([own, file])
    const inputOf = (model: string) => both.find({ provider: 'openai', models: [model], at: now })?.period.prices['input_mtok']
    expect([inputOf('gpt-4o'), inputOf('weir-1'), inputOf('gpt-4o-mini')]).toEqual([7, 7, 0.15])
  })

  it.each([
    ['{', 'it is not JSON'],
    ['{}', 'at date: '],
    [
      '{"date":"2026-11-28","rows":[{"provider":"a","names":["m"],"periods":[{"prices":{"input_mtok":-1}}]}]}',
      'at rows.0.periods.0.prices.input_mtok: ',
    ],
    ['{"date":"2026-11-28","rows":[],"colour":1}', 'at colour: '],
  ])('that is %j is refused with its place', (text, message) => {
    expect(() => parsePriceFile(text)).toThrow(message)
  })

  it('has the form of the built-in one', () => {
    expect(parsePriceFile(JSON.stringify(file)).rows.length).toBe(file.rows.length)
  })
})
