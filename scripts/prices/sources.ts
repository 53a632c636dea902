/**
 * Three public tables of prices → one shape. Each is the data of a package on PyPI, under the MIT licence:
 * genai-prices (Pydantic), model-prices (history, checked against providers' pages) and the price map in LiteLLM's wheel.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Period, Price, Prices, Tier } from '../../src/config/price-file.ts'

export type SourceName = 'genai-prices' | 'model-prices' | 'litellm'

/** What one source says of one model of one provider. */
export interface Entry {
  readonly provider: string
  /** Lower case; the first is the model's own name. */
  readonly names: readonly string[]
  /** The oldest first; the first has no beginning. */
  readonly periods: readonly Period[]
}

export interface Source {
  readonly name: SourceName
  readonly version: string
  /** Day of its newest data, where it tells. */
  readonly date?: string
  /** Models that nobody can call any more, as `provider name`, where it tells. */
  readonly retired?: readonly string[]
  readonly entries: readonly Entry[]
}

const round = (value: number) => Number(value.toPrecision(9))

// genai-prices

interface GenaiPrices {
  readonly [kind: string]: unknown
}
interface GenaiModel {
  readonly id: string
  readonly match: GenaiClause
  readonly prices: GenaiPrices | readonly { readonly constraint?: GenaiConstraint | null; readonly prices: GenaiPrices }[]
  readonly price_variants?:
    | readonly {
        readonly when: Readonly<Record<string, string>>
        readonly prices: GenaiPrices
        readonly constraint?: GenaiConstraint | null
      }[]
    | null
}
interface GenaiConstraint {
  readonly _: string
  readonly start_date?: string
}
interface GenaiClause {
  readonly _: string
  readonly equals?: string
  readonly starts_with?: string
  readonly or_?: readonly GenaiClause[]
}

/** Its provider → ours. Google's list is the Gemini API's, and Vertex AI's for Gemini. */
const genaiProviders: Readonly<Record<string, readonly string[]>> = {
  aws: ['aws.bedrock'],
  azure: ['azure.ai.openai', 'azure.ai.inference'],
  fireworks: ['fireworks_ai'],
  'github-copilot': ['github_copilot'],
  google: ['gcp.gemini', 'gcp.vertex_ai'],
  mistral: ['mistral_ai'],
  moonshotai: ['moonshot_ai'],
  'openai-decisions': [],
  together: ['together_ai'],
  voyageai: ['voyage'],
  'x-ai': ['x_ai'],
  zai: ['z_ai'],
}

export function readGenaiPrices(folder: string, version: string): Source {
  const script = resolve(import.meta.dirname, 'genai-prices.py')
  const file = join(folder, 'genai_prices/data.py')
  const text = execFileSync('python3', [script, file], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const providers = JSON.parse(text) as readonly { readonly id: string; readonly models: readonly GenaiModel[] }[]
  const entries = providers.flatMap(({ id, models }) =>
    (genaiProviders[id] ?? [id.replaceAll('-', '_')]).flatMap((provider) => models.flatMap((model) => genaiEntry(provider, model))),
  )
  return { name: 'genai-prices', version, entries }
}

function genaiEntry(provider: string, { id, match, prices, price_variants: variants }: GenaiModel): readonly Entry[] {
  const list = Array.isArray(prices)
    ? (prices as readonly { constraint?: GenaiConstraint; prices: GenaiPrices }[])
    : [{ prices: prices as GenaiPrices }]
  const dated = list.filter(({ constraint }) => constraint == null || constraint._ === 'StartDateConstraint')
  const periods: Period[] = dated.map(({ constraint, prices: of }) => ({
    ...(constraint?.start_date === undefined ? {} : { from: constraint.start_date }),
    prices: genaiKinds(of),
  }))
  if (periods.length === 0) return []
  // Google's list has Anthropic's models for Vertex AI.
  if (provider === 'gcp.gemini' && id.startsWith('claude')) return []
  return [
    {
      provider,
      names: [...new Set([id, ...exactNames(match)].map((name) => name.toLowerCase()))],
      periods: periods.map((period, at) => withTiers(period, periods[at + 1]?.from, variants ?? [])),
    },
  ]
}

/** Variants have dates of their own: the last that begins before the period's end holds in it. */
function withTiers(period: Period, end: string | undefined, variants: NonNullable<GenaiModel['price_variants']>): Period {
  const begun = variants
    .map((variant) => ({ ...variant, from: variant.constraint?.start_date ?? '' }))
    .filter(({ from }) => end === undefined || from < end)
    .sort((a, b) => (a.from < b.from ? -1 : 1))
  const tiers = Object.fromEntries(begun.flatMap(({ when, prices }) => tierNamed(when).map((tier) => [tier, genaiKinds(prices)])))
  return Object.keys(tiers).length === 0 ? period : { ...period, tiers }
}

function tierNamed(when: Readonly<Record<string, string>>): readonly Tier[] {
  const said = when['processing'] ?? when['service_tier'] ?? when['speed']
  return said === 'batch' || said === 'flex' || said === 'priority' || said === 'fast' ? [said] : []
}

/** Names that a rule lists, and what its prefixes are themselves; never what merely contains or resembles them. */
function exactNames(clause: GenaiClause): readonly string[] {
  if (clause.or_ !== undefined) return clause.or_.flatMap(exactNames)
  return [clause.equals, clause.starts_with].filter((name) => name !== undefined)
}

function genaiKinds(of: GenaiPrices): Prices {
  const found: Record<string, Price> = {}
  for (const [kind, value] of Object.entries(of)) {
    if (typeof value === 'number') found[kind] = round(value)
    else if (typeof value === 'object' && value !== null) {
      const { base, tiers } = value as { base: number; tiers: readonly { start: number; price: number }[] }
      found[kind] = { base: round(base), tiers: tiers.map(({ start, price }) => ({ start, price: round(price) })) }
    }
  }
  return found
}

// model-prices

interface Rates {
  readonly input: number
  readonly output: number
  readonly cache_read?: number
  readonly cache_write?: number
  readonly cache_write_1h_multiple?: number
  readonly tiers?: readonly ({ readonly above: number } & Omit<Rates, 'tiers'>)[]
}
type Lane = readonly { readonly start: string | null; readonly rates: Rates | null }[]

const modelPricesProviders: Readonly<Record<string, readonly string[]>> = {
  'amazon-bedrock': ['aws.bedrock'],
  google: ['gcp.gemini', 'gcp.vertex_ai'],
  mistral: ['mistral_ai'],
  moonshotai: ['moonshot_ai'],
  'stepfun-ai': ['stepfun'],
  'tencent-tokenhub': ['tencent'],
  xai: ['x_ai'],
  zai: ['z_ai'],
}

export function readModelPrices(folder: string, version: string): Source {
  const snapshot = JSON.parse(readFileSync(join(folder, 'model_prices/snapshot.json'), 'utf8')) as {
    readonly updated_at: string
    readonly prices: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Lane>>>>>>
    readonly aliases: { readonly models: Readonly<Record<string, string>> }
    readonly status: Readonly<Record<string, Readonly<Record<string, string>>>>
  }
  const providersOf = (theirs: string) => modelPricesProviders[theirs] ?? [theirs.replaceAll('-', '_')]
  const aliases = Object.entries(snapshot.aliases.models)
  const entries = Object.entries(snapshot.prices).flatMap(([theirs, models]) =>
    Object.entries(models).flatMap(([model, lanes]) => {
      const others = aliases.filter(([, of]) => of === `${theirs}/${model}`).map(([alias]) => alias)
      const periods = periodsOf(lanes)
      return providersOf(theirs).map((provider) => ({ provider, names: [model, ...others].map((name) => name.toLowerCase()), periods }))
    }),
  )
  const removed = Object.entries(snapshot.status).flatMap(([theirs, models]) =>
    Object.entries(models).flatMap(([model, status]) =>
      status === 'removed' ? providersOf(theirs).map((provider) => `${provider} ${model}`) : [],
    ),
  )
  return {
    name: 'model-prices',
    version,
    retired: removed,
    date: snapshot.updated_at.slice(0, 10),
    entries: entries.filter(({ periods }) => periods.length > 0),
  }
}

function periodsOf(lanes: Readonly<Record<string, Lane>>): readonly Period[] {
  const starts = [...new Set(Object.values(lanes).flatMap((lane) => lane.map(({ start }) => start ?? '')))].sort()
  const periods = starts.flatMap((start): Period[] => {
    const standard = ratesAt(lanes['standard'] ?? [], start)
    if (standard === undefined) return []
    const tiers = Object.fromEntries(
      (['batch', 'flex', 'priority', 'fast', 'thinking'] as const).flatMap((tier) => {
        const rates = ratesAt(lanes[tier] ?? [], start)
        return rates === undefined ? [] : [[tier, kindsOf(rates)]]
      }),
    )
    return [{ ...(start === '' ? {} : { from: start }), prices: kindsOf(standard), ...(Object.keys(tiers).length === 0 ? {} : { tiers }) }]
  })
  const changes = periods.filter(
    (period, at) => JSON.stringify({ ...period, from: '' }) !== JSON.stringify({ ...periods[at - 1], from: '' }),
  )
  return changes.map((period, at) => (at === 0 ? { ...period, from: undefined } : period)).map(defined)
}

function defined(period: Period): Period {
  return Object.fromEntries(Object.entries(period).filter(([, value]) => value !== undefined)) as unknown as Period
}

function ratesAt(lane: Lane, start: string): Rates | undefined {
  return lane.filter((one) => (one.start ?? '') <= start).at(-1)?.rates ?? undefined
}

function kindsOf(rates: Rates): Prices {
  const kinds: Record<string, Price> = {}
  const put = (kind: string, read: (of: Omit<Rates, 'tiers'>) => number | undefined) => {
    const base = read(rates)
    if (base === undefined) return
    const tiers = (rates.tiers ?? []).map((tier) => ({ start: tier.above, price: round(read(tier) ?? base) }))
    kinds[kind] = tiers.length === 0 ? round(base) : { base: round(base), tiers }
  }
  put('input_mtok', ({ input }) => input)
  put('output_mtok', ({ output }) => output)
  put('cache_read_mtok', ({ cache_read: price }) => price)
  put('cache_write_mtok', ({ cache_write: price }) => price)
  const multiple = rates.cache_write_1h_multiple
  if (multiple !== undefined && rates.cache_write !== undefined) put('cache_write_1h_mtok', ({ input }) => input * multiple)
  return kinds
}

// LiteLLM

type LiteLlmRow = Readonly<Record<string, unknown>>

/** Its provider → ours. What is not here is not read: resellers whose prices nothing else tells. */
const liteLlmProviders: Readonly<Record<string, string>> = {
  ai21: 'ai21',
  anthropic: 'anthropic',
  azure: 'azure.ai.openai',
  azure_text: 'azure.ai.openai',
  azure_ai: 'azure.ai.inference',
  baseten: 'baseten',
  bedrock: 'aws.bedrock',
  bedrock_converse: 'aws.bedrock',
  bedrock_mantle: 'aws.bedrock',
  cerebras: 'cerebras',
  cloudflare: 'cloudflare',
  codestral: 'mistral_ai',
  cohere: 'cohere',
  cohere_chat: 'cohere',
  crusoe: 'crusoe',
  dashscope: 'alibaba',
  databricks: 'databricks',
  deepinfra: 'deepinfra',
  deepseek: 'deepseek',
  fireworks_ai: 'fireworks_ai',
  'fireworks_ai-embedding-models': 'fireworks_ai',
  friendliai: 'friendli',
  gemini: 'gcp.gemini',
  groq: 'groq',
  hyperbolic: 'hyperbolic',
  inception: 'inception',
  jina_ai: 'jina',
  lambda_ai: 'lambda',
  meta: 'meta',
  minimax: 'minimax',
  mistral: 'mistral_ai',
  moonshot: 'moonshot_ai',
  nebius: 'nebius',
  novita: 'novita',
  nscale: 'nscale',
  openai: 'openai',
  ovhcloud: 'ovhcloud',
  perplexity: 'perplexity',
  sambanova: 'sambanova',
  scaleway: 'scaleway',
  tencent: 'tencent',
  'text-completion-openai': 'openai',
  'text-completion-codestral': 'mistral_ai',
  together_ai: 'together_ai',
  vercel_ai_gateway: 'vercel',
  vertex_ai: 'gcp.vertex_ai',
  volcengine: 'volcengine',
  voyage: 'voyage',
  watsonx: 'ibm.watsonx.ai',
  xai: 'x_ai',
  zai: 'z_ai',
}

export function readLiteLlm(folder: string, version: string): Source {
  const file = join(folder, 'litellm/model_prices_and_context_window_backup.json')
  const map = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, LiteLlmRow>>
  const entries = Object.entries(map).flatMap(([key, row]): Entry[] => {
    const theirs = String(row['litellm_provider'] ?? '')
    const provider = liteLlmProviders[theirs] ?? (theirs.startsWith('vertex_ai') ? 'gcp.vertex_ai' : undefined)
    if (provider === undefined) return []
    const period = liteLlmPeriod(row, provider)
    return period === undefined ? [] : [{ provider, names: [nameOf(key, theirs)], periods: [period] }]
  })
  return { name: 'litellm', version, entries }
}

/** Without what LiteLLM puts in front to route by: `azure/`, `vertex_ai/`; a Bedrock region stays, since prices differ by it. */
function nameOf(key: string, theirs: string): string {
  const name = key.toLowerCase()
  const prefix = `${theirs
    .replace(/^vertex_ai-.*/, 'vertex_ai')
    .replace(/_(converse|mantle|text|chat)$/, '')
    .replace(/^text-completion-/, '')}/`
  return name.startsWith(prefix)
    ? name.slice(prefix.length)
    : name.replace(/^(bedrock|bedrock_mantle|azure|azure_ai|vertex_ai|text-completion-codestral)\//, '')
}

const liteLlmKinds: Readonly<Record<string, string>> = {
  input_cost_per_token: 'input_mtok',
  output_cost_per_token: 'output_mtok',
  cache_read_input_token_cost: 'cache_read_mtok',
  cache_creation_input_token_cost: 'cache_write_mtok',
  cache_creation_input_token_cost_above_1hr: 'cache_write_1h_mtok',
  input_cost_per_audio_token: 'input_audio_mtok',
  output_cost_per_audio_token: 'output_audio_mtok',
  input_cost_per_image_token: 'input_image_mtok',
  output_cost_per_image_token: 'output_image_mtok',
  output_cost_per_reasoning_token: 'output_reasoning_mtok',
  cache_read_input_audio_token_cost: 'cache_audio_read_mtok',
  cache_read_input_image_token_cost: 'cache_image_read_mtok',
}
const liteLlmTiers: Readonly<Record<string, Tier>> = { batches: 'batch', flex: 'flex', priority: 'priority' }

function liteLlmPeriod(row: LiteLlmRow, provider: string): Period | undefined {
  if (row['input_cost_per_token'] === undefined && row['output_cost_per_token'] === undefined) return undefined
  const prices = { ...liteLlmPrices(row, ''), ...searchPrices(row, provider) }
  const tiers = Object.fromEntries(
    Object.entries(liteLlmTiers).flatMap(([suffix, tier]) => {
      const of = liteLlmPrices(row, `_${suffix}`)
      return Object.keys(of).length === 0 ? [] : [[tier, { ...of, ...searchPrices(row, provider) }]]
    }),
  )
  const regional = row['regional_endpoint_uplift_multiplier']
  const geo = (row['provider_specific_entry'] as Record<string, unknown> | undefined)?.['us']
  const factors = {
    ...(typeof regional === 'number' ? { regional } : {}),
    ...(typeof geo === 'number' && provider === 'anthropic' ? { us: geo } : {}),
  }
  return {
    prices,
    ...(Object.keys(tiers).length === 0 ? {} : { tiers }),
    ...(Object.keys(factors).length === 0 ? {} : { factors }),
  }
}

function liteLlmPrices(row: LiteLlmRow, suffix: string): Prices {
  const found: Record<string, Price> = {}
  const ranges = suffix === '' ? (row['tiered_pricing'] as readonly LiteLlmRow[] | undefined) : undefined
  for (const [field, kind] of Object.entries(liteLlmKinds)) {
    const base = perMillion(row[`${field}${suffix}`]) ?? perMillion(ranges?.[0]?.[field])
    if (base === undefined) continue
    const tiers = [...aboveOf(row, field, suffix), ...(ranges ?? []).slice(1).flatMap((range) => rangeOf(range, field))]
    found[kind] = tiers.length === 0 ? base : { base, tiers: tiers.sort((a, b) => a.start - b.start) }
  }
  return found
}

function aboveOf(row: LiteLlmRow, field: string, suffix: string): { start: number; price: number }[] {
  return Object.entries(row).flatMap(([name, value]) => {
    const match = new RegExp(`^${field}_above_(\\d+)k_tokens${suffix}$`).exec(name)
    const price = perMillion(value)
    return match === null || price === undefined ? [] : [{ start: Number(match[1]) * 1000, price }]
  })
}

function rangeOf(range: LiteLlmRow, field: string): { start: number; price: number }[] {
  const price = perMillion(range[field])
  const [start = 0] = range['range'] as readonly number[]
  return price === undefined ? [] : [{ start, price }]
}

function perMillion(value: unknown): number | undefined {
  return typeof value === 'number' ? round(value * 1e6) : undefined
}

/** Per search; Perplexity charges each request, by the size of the context that was asked for. */
function searchPrices(row: LiteLlmRow, provider: string): Prices {
  const by = row['search_context_cost_per_query'] as Readonly<Record<string, number>> | undefined
  const [low, medium, high] = ['low', 'medium', 'high'].map((size) => by?.[`search_context_size_${size}`])
  if (low === undefined) return {}
  if (provider === 'perplexity') {
    return {
      requests_kcount: round(low * 1000),
      requests_medium_kcount: round((medium ?? low) * 1000),
      requests_high_kcount: round((high ?? low) * 1000),
    }
  }
  return low > 0 && low === medium && low === high ? { web_searches_kcount: round(low * 1000) } : {}
}
