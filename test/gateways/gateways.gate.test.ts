/**
 * tokenweir in front of real gateways, and between a real gateway and its provider: what the client's own library says it used, what the
 * provider really sent, and what the ledger has are the same, one row for each request.
 */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import type { Usage } from '../../src/lib/exchange.ts'
import { type LedgerRow, type Product, startProduct } from '../e2e/product.ts'
import { type Base, type Bases, type Gateway, startEnvoy, startLitellm, startPortkey } from './gateways.ts'
import { isInstalled } from './places.ts'

const gateways = [
  { name: 'LiteLLM', start: startLitellm, installed: isInstalled.litellm() },
  { name: 'Portkey', start: startPortkey, installed: isInstalled.portkey() },
  { name: 'Envoy', start: startEnvoy, installed: isInstalled.servers() },
] as const

for (const { name, installed } of gateways) {
  if (!installed) process.stderr.write(`\n*** ${name} IS NOT INSTALLED: its tests are skipped. Run: npm run gateways:install ***\n\n`)
}

const messages = [{ role: 'user' as const, content: 'How much water went through the gate?' }]
const input = 'How much water went through the gate?'
const withUsage = { stream: true, stream_options: { include_usage: true } } as const

/** What a client's library says that its request used, spelt as the ledger spells it: cached tokens are part of the input. */
type Told = Partial<Record<'input_tokens' | 'output_tokens' | 'cache_read_tokens' | 'cache_write_tokens', number | undefined>>

interface Clients {
  openai(provider?: 'openai' | 'anthropic'): OpenAI
  anthropic(): Anthropic
  model(name: string): string
}

interface Case {
  readonly what: string
  readonly provider: 'openai' | 'anthropic'
  readonly streamed: boolean
  /** Gateways that do not serve it, or not truly, and why. */
  readonly notBy?: Readonly<Record<string, string>>
  /** Counts that a gateway adds of its own. */
  readonly adds?: Readonly<Record<string, Told>>
  /** Gives undefined where the client is told nothing. */
  request(clients: Clients): Promise<Told | undefined>
}

const chatTold = (usage: OpenAI.CompletionUsage | null | undefined): Told | undefined =>
  usage ? { input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens } : undefined

const messageTold = ({ usage }: Anthropic.Message): Told => ({
  input_tokens: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
  output_tokens: usage.output_tokens,
  cache_read_tokens: usage.cache_read_input_tokens ?? undefined,
  cache_write_tokens: usage.cache_creation_input_tokens ?? undefined,
})

const responseTold = ({ usage }: OpenAI.Responses.Response): Told => ({
  input_tokens: usage?.input_tokens,
  output_tokens: usage?.output_tokens,
})

async function lastUsage(stream: AsyncIterable<{ usage?: OpenAI.CompletionUsage | null | undefined }>): Promise<Told | undefined> {
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const chunk of stream) usage = chunk.usage ?? usage
  return chatTold(usage)
}

const cases: readonly Case[] = [
  {
    what: 'a chat',
    provider: 'openai',
    streamed: false,
    request: async ({ openai, model }) => chatTold((await openai().chat.completions.create({ model: model('gpt-4o'), messages })).usage),
  },
  {
    what: 'a streamed chat whose client asks for usage',
    provider: 'openai',
    streamed: true,
    request: async ({ openai, model }) =>
      lastUsage(await openai().chat.completions.create({ model: model('gpt-4o'), messages, ...withUsage })),
  },
  {
    what: 'a streamed legacy completion',
    provider: 'openai',
    streamed: true,
    notBy: { LiteLLM: 'it makes a chat of it, so that the provider sees another API' },
    request: async ({ openai, model }) =>
      lastUsage(await openai().completions.create({ model: model('gpt-4o'), prompt: input, ...withUsage })),
  },
  {
    what: 'a response',
    provider: 'openai',
    streamed: false,
    request: async ({ openai, model }) => responseTold(await openai().responses.create({ model: model('gpt-4o'), input })),
  },
  {
    what: 'a streamed response',
    provider: 'openai',
    streamed: true,
    request: async ({ openai, model }) =>
      responseTold(
        await openai()
          .responses.stream({ model: model('gpt-4o'), input })
          .finalResponse(),
      ),
  },
  {
    what: 'embeddings',
    provider: 'openai',
    streamed: false,
    adds: { LiteLLM: { output_tokens: 0 } },
    request: async ({ openai, model }) => ({
      input_tokens: (await openai().embeddings.create({ model: model('text-embedding-3-small'), input })).usage.prompt_tokens,
    }),
  },
  {
    what: 'a message',
    provider: 'anthropic',
    streamed: false,
    request: async ({ anthropic, model }) =>
      messageTold(await anthropic().messages.create({ model: model('claude-sonnet-5-5'), max_tokens: 500, messages })),
  },
  {
    what: 'a streamed message',
    provider: 'anthropic',
    streamed: true,
    request: async ({ anthropic, model }) =>
      messageTold(
        await anthropic()
          .messages.stream({ model: model('claude-sonnet-5-5'), max_tokens: 500, messages })
          .finalMessage(),
      ),
  },
]

/** Chats that the gateway turns into Anthropic's messages. How a client reads the gateway's OpenAI dialect of it is the gateway's affair. */
const translated: readonly Case[] = [
  {
    what: 'a chat with Claude',
    provider: 'anthropic',
    streamed: false,
    notBy: { Envoy: 'it passes on what it is sent' },
    async request({ openai, model }) {
      await openai('anthropic').chat.completions.create({ model: model('claude-sonnet-5-5'), max_tokens: 500, messages })
      return undefined
    },
  },
  {
    what: 'a streamed chat with Claude',
    provider: 'anthropic',
    streamed: true,
    notBy: { Envoy: 'it passes on what it is sent' },
    async request({ openai, model }) {
      await lastUsage(
        await openai('anthropic').chat.completions.create({ model: model('claude-sonnet-5-5'), max_tokens: 500, messages, ...withUsage }),
      )
      return undefined
    },
  },
  {
    what: 'a streamed chat with a model whose name tells nothing',
    provider: 'anthropic',
    streamed: true,
    notBy: { Portkey: 'its open-source edition has no names for models of its own', Envoy: 'it passes on what it is sent' },
    async request({ openai, model }) {
      await lastUsage(
        await openai('anthropic').chat.completions.create({ model: model('team-default'), max_tokens: 500, messages, ...withUsage }),
      )
      return undefined
    },
  },
]

const counts = ['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens'] as const

function inColumns(usage: Usage | undefined): Told {
  return {
    input_tokens: usage?.inputTokens,
    output_tokens: usage?.outputTokens,
    cache_read_tokens: usage?.cacheReadTokens,
    cache_write_tokens: usage?.cacheWriteTokens,
  }
}

/** Without the counts that are not known. */
function known(counted: Told): Told {
  return Object.fromEntries(counts.flatMap((name) => (counted[name] === undefined ? [] : [[name, counted[name]]])))
}

/** The counts that the other one has too: not every client library tells all of them. */
function among(counted: Told, other: Told): Told {
  return Object.fromEntries(Object.entries(counted).filter(([name]) => other[name as keyof Told] !== undefined))
}

describe.each(gateways)('$name', ({ name, start, installed }) => {
  if (!installed) return it.skip('is not installed', () => {})

  let provider: SampleGateway
  let gateway: Gateway
  /** Between the gateway and its provider. */
  let behind: Product
  const inFront: Partial<Record<'observe' | 'inject', Product>> = {}

  beforeAll(async () => {
    provider = await startSampleGateway()
    behind = await startProduct({ upstream: provider.url, capture: 'inject' })
    gateway = await start({ provider: provider.url, sidecar: behind.url } satisfies Bases)
    for (const capture of ['observe', 'inject'] as const) inFront[capture] = await startProduct({ upstream: gateway.url, capture })
  }, 240_000)

  afterAll(async () => {
    const codes = await Promise.all([behind, ...Object.values(inFront)].map((product) => product?.stop()))
    await gateway?.stop()
    await provider?.close()
    expect(codes).toEqual([0, 0, 0])
  }, 60_000)

  const clientsOf = (url: string, base: Base): Clients => {
    const common = (of: 'openai' | 'anthropic') => ({ apiKey: 'test', maxRetries: 0, defaultHeaders: gateway.headersFor(of, base) })
    return {
      openai: (of = 'openai') => new OpenAI({ baseURL: `${url}/v1`, ...common(of) }),
      anthropic: () => new Anthropic({ baseURL: url, ...common('anthropic') }),
      model: (model) => gateway.modelFor(model, base),
    }
  }

  /** One request; the row that it left in the ledger, what the client was told, and what the provider sent. */
  async function through(product: Product, one: Pick<Case, 'request'>, clients: Clients) {
    const [rowsBefore, sentBefore] = [product.ledgerRows().length, provider.sent.length]
    const told = await one.request(clients)
    const rows = await product.closedRows(rowsBefore + 1)
    const sent = provider.sent.slice(sentBefore)
    expect({ rows: rows.length, open: product.ledgerRows().length, sent: sent.length }).toEqual({
      ...{ rows: rowsBefore + 1, open: rowsBefore + 1, sent: 1 },
    })
    return { row: rows.at(-1) as LedgerRow, told, sent: inColumns(sent[0]?.usage) }
  }

  const counted = (row: LedgerRow): Told =>
    known(Object.fromEntries(counts.map((column) => [column, (row[column] ?? undefined) as number])))
  const settled = (row: LedgerRow) => ({
    ...{ provider: row['provider'], streamed: row['streamed'], status: row['status'], end: row['end_reason'] },
    ...{ outcome: row['usage_outcome'], error: row['error_type'] },
  })
  const well = ({ provider: of, streamed }: Case) => ({
    ...{ provider: of, streamed: Number(streamed), status: 200, end: 'completed', outcome: 'reported', error: null },
  })

  const served = [...cases, ...translated].filter(({ notBy }) => notBy?.[name] === undefined)

  describe.each(['observe', 'inject'] as const)('behind the sidecar (--capture %s)', (capture) => {
    it.each(served)('$what', async (one) => {
      const product = inFront[capture] as Product
      const { row, told, sent } = await through(product, one, clientsOf(product.url, 'provider'))
      expect(settled(row)).toEqual(well(one))
      expect(counted(row)).toEqual(known({ ...sent, ...one.adds?.[name] }))
      if (told !== undefined) expect(known(told)).toEqual(among(known(sent), told))
    })

    it('a streamed chat whose client does not ask for usage', async () => {
      const product = inFront[capture] as Product
      const told: unknown[] = []
      const request = async ({ openai, model }: Clients) => {
        for await (const chunk of await openai().chat.completions.create({ model: model('gpt-4o'), messages, stream: true })) {
          told.push({ usage: chunk.usage ?? undefined, choices: chunk.choices.length })
        }
        return undefined
      }
      // The first two streams pass unchanged: they show that usage does not come unasked.
      for (let n = 0; n < 2; n++) await through(product, { request }, clientsOf(product.url, 'provider'))
      told.length = 0
      const { row, sent } = await through(product, { request }, clientsOf(product.url, 'provider'))
      // As many chunks as without the sidecar, and none of them says anything of usage.
      const withSidecar = told.splice(0)
      await request(clientsOf(gateway.url, 'provider'))
      expect(withSidecar).toEqual(told)
      expect(withSidecar.every((chunk) => (chunk as { usage: unknown }).usage === undefined)).toBe(true)
      if (capture === 'inject') expect({ ...counted(row), outcome: row['usage_outcome'] }).toEqual({ ...known(sent), outcome: 'reported' })
      else expect([row['usage_outcome'], row['usage_reason'], counted(row)]).toEqual(['missing', 'not_requested', {}])
    })
  })

  describe('in front of the sidecar, which stands before the provider', () => {
    it.each(served)('$what', async (one) => {
      const { row, sent } = await through(behind, one, clientsOf(gateway.url, 'sidecar'))
      expect(settled(row)).toEqual(well(one))
      expect(counted(row)).toEqual(known(sent))
    })
  })
})
