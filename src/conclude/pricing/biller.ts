/** Whose bill it is, and what is on it: which list of prices an exchange is looked up in, under which names, in which tier and place. */

import type { Tier } from '../../config/price-file.ts'
import type { Exchange, Usage } from '../../lib/exchange.ts'
import type { Query } from './table.ts'

/** Endpoints that bill by a list of their own, in another currency or for other models, than the provider that runs them. `undefined`: no list is known. */
const listsByHost: readonly (readonly [host: RegExp, list: string | undefined])[] = [
  [/(^|\.)openrouter\.ai$/, 'openrouter'],
  [/(^|\.)ai-gateway\.vercel\.sh$/, 'vercel'],
  [/(^|\.)bigmodel\.cn$/, 'zhipuai'],
  [/\.cn$/, undefined],
  [/^dashscope\.aliyuncs\.com$/, undefined],
  [/(^|\.)minimaxi\.com$/, undefined],
  [/(^|\.)volces\.com$/, undefined],
]

/** OpenRouter's variants of this name cost nothing: https://openrouter.ai/docs/guides/routing/model-variants/free */
export function isFreeVariant(exchange: Exchange): boolean {
  return listOf(exchange) === 'openrouter' && (exchange.response?.model ?? exchange.request?.model)?.endsWith(':free') === true
}

/** Undefined where nobody's list is certain to be the one that is billed. */
export function queryOf(exchange: Exchange): Query | undefined {
  const { opening, provider, request, response } = exchange
  const list = listOf(exchange)
  const tier = list === undefined ? undefined : tierOf(list, response?.serviceTier ?? request?.serviceTier)
  if (provider === undefined || list === undefined || tier === undefined) return undefined
  if (response?.previewSearch === true && (response.usage?.webSearches ?? 0) > 0) return undefined
  return {
    provider: list,
    models: modelsOf(list, request?.model, response?.model),
    at: opening.startedAt,
    tier: tier === 'standard' ? thinkingOf(list, exchange) : tier,
    place: placeOf(list, exchange),
    searchContext: request?.searchContext,
  }
}

/**
 * The counts that are billed. Where an answer was made in several goes (Anthropic's compaction), all of them are. Vercel's gateway counts reasoning beside
 * the output where the provider does.
 */
export function billedUsage({ response }: Exchange): Usage | undefined {
  const usage = response?.usageOfIterations ?? response?.usage
  if (usage === undefined) return undefined
  const { inputTokens, outputTokens, reasoningTokens, totalTokens } = usage
  const isBeside = outputTokens !== undefined && (reasoningTokens ?? 0) > outputTokens && totalTokens === (inputTokens ?? 0) + outputTokens
  return isBeside ? { ...usage, outputTokens: outputTokens + (reasoningTokens ?? 0) } : usage
}

/** A reseller's own list, never that of the provider that it called. Azure serves OpenAI's models by its own list. */
function listOf({ opening, provider, format, response }: Exchange): string | undefined {
  const byHost = listsByHost.find(([host]) => host.test(opening.serverAddress))
  if (byHost !== undefined) return byHost[1]
  // OpenRouter names in the body whom it called; its ids begin so, behind whatever gateway.
  if (response?.provider !== undefined && /^gen-/.test(response.id ?? '')) return 'openrouter'
  if (response?.provider !== undefined && format?.startsWith('openai') === true) return 'openrouter'
  return provider
}

/** The longest name that is looked up: names are whatever clients type. */
const modelCharsMax = 256

/**
 * Bedrock bills the inference profile that was asked for. An Azure deployment is named by its operator: its name is no model once the answer has
 * named one. Elsewhere the model that answered is billed, or else the alias that was asked for.
 */
function modelsOf(list: string, requested: string | undefined, answered: string | undefined): readonly string[] {
  const named =
    list === 'aws.bedrock'
      ? [requested ?? answered]
      : list === 'azure.ai.openai' || list === 'azure.ai.inference'
        ? [answered ?? requested]
        : [answered, requested]
  return named.filter((model) => model !== undefined && model.length <= modelCharsMax && !isCustom(model)) as readonly string[]
}

/** A custom or imported model, or a profile that hides which model it calls: its price is its own. */
function isCustom(model: string): boolean {
  return /:(custom-model|imported-model|provisioned-model|application-inference-profile|custom-model-deployment)\//.test(model)
}

const standard = /^(auto|default|on_demand|standard|standard_only|unspecified|SERVICE_TIER_UNSPECIFIED)$/i
const tiersByName: Readonly<Record<string, Tier>> = { batch: 'batch', fast: 'fast', flex: 'flex', priority: 'priority' }

/** Undefined for a tier that has no public price: provisioned, reserved, scale, performance. */
function tierOf(list: string, name: string | undefined): Tier | 'standard' | undefined {
  if (name === undefined || name === '' || standard.test(name)) return 'standard'
  if (list === 'groq' && name === 'flex') return 'standard' // https://console.groq.com/docs/flex-processing
  return tiersByName[name.toLowerCase()]
}

/** Alibaba's models with thinking and without it have two prices for the output. */
function thinkingOf(list: string, { response }: Exchange): Tier | undefined {
  return list === 'alibaba' && (response?.usage?.reasoningTokens ?? 0) > 0 ? 'thinking' : undefined
}

/** Each of Vertex AI's endpoints but `global` is in a region, which its path names. */
function placeOf(list: string, { opening, response }: Exchange): Query['place'] {
  if (list === 'anthropic' && response?.inferenceGeo === 'us') return 'us'
  if (list !== 'gcp.vertex_ai') return undefined
  const location = /\/locations\/([^/]+)\//.exec(opening.path)?.[1]
  return location === undefined || location === 'global' ? undefined : 'regional'
}
