/** Whose bill it is, and what is on it: which list of prices an exchange is looked up in, under which names, in which tier and place. */

import type { Tier } from '../../config/price-file.ts'
import type { Exchange, Usage } from '../../lib/exchange.ts'
import type { Query } from './table.ts'

/** All of an exchange that decides where its price is looked up, but for the moment. Two that are alike have the same price at the same moment. */
export interface Bill {
  readonly host: string
  readonly provider: string | undefined
  readonly requested: string | undefined
  readonly answered: string | undefined
  readonly tier: string | undefined
  /** Who signs the answer, and whether its id is one of OpenRouter's. */
  readonly signedBy: string | undefined
  readonly isRouted: boolean
  readonly format: string | undefined
  /** A path of Vertex AI, which names the region. */
  readonly path: string | undefined
  readonly inferenceGeo: string | undefined
  readonly searchContext: Query['searchContext']
  readonly previewSearch: boolean
  readonly hasReasoning: boolean
  /** Something was called that costs money, or may have been, and is not counted. */
  readonly isUncounted: boolean
}

export function billOf({ opening, provider, request, response, format, notes }: Exchange): Bill {
  const usage = response?.usage
  return {
    host: opening.serverAddress,
    provider,
    requested: request?.model,
    answered: response?.model,
    tier: response?.serviceTier ?? request?.serviceTier,
    signedBy: response?.provider,
    isRouted: response?.id?.startsWith('gen-') === true,
    format,
    path: provider === 'gcp.vertex_ai' ? opening.path : undefined,
    inferenceGeo: response?.inferenceGeo,
    searchContext: request?.searchContext,
    previewSearch: response?.previewSearch === true && (usage?.webSearches ?? 0) > 0,
    hasReasoning: (usage?.reasoningTokens ?? 0) > 0,
    // Calls of tools are items of an answer, of which one that was too large to keep has lost some.
    isUncounted: response?.paidTools === true || (format === 'openai-responses' && notes.includes('scanned')),
  }
}

/** Field by field: `billOf` makes all of them alike. */
export function isSameBill(one: Bill, other: Bill): boolean {
  for (const field in one) if (one[field as keyof Bill] !== other[field as keyof Bill]) return false
  return true
}

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

/** `free`: OpenRouter's variants of this name cost nothing (https://openrouter.ai/docs/guides/routing/model-variants/free). Undefined where nobody's list is certain to be the one that is billed. */
export function queryOf(bill: Bill, at: number): Query | 'free' | undefined {
  const list = listOf(bill)
  if (list === 'openrouter' && (bill.answered ?? bill.requested)?.endsWith(':free') === true) return 'free'
  const tier = list === undefined ? undefined : tierOf(list, bill.tier)
  if (bill.provider === undefined || list === undefined || tier === undefined || bill.isUncounted) return undefined
  return {
    provider: list,
    models: modelsOf(list, bill),
    at,
    tier: tier !== 'standard' ? tier : thinkingOf(list, bill),
    place: placeOf(list, bill),
    searchContext: bill.searchContext,
    previewSearch: bill.previewSearch,
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
function listOf({ host, signedBy, isRouted, format, provider }: Bill): string | undefined {
  const byHost = listsByHost.find(([pattern]) => pattern.test(host))
  if (byHost !== undefined) return byHost[1]
  // OpenRouter names in the body whom it called, as people write it; its ids begin so, behind whatever gateway.
  if (signedBy !== undefined && (isRouted || (/[A-Z]/.test(signedBy) && format?.startsWith('openai') === true))) return 'openrouter'
  return provider
}

/** The longest name that is looked up: names are whatever clients type. */
const modelCharsMax = 256

/**
 * Bedrock bills the inference profile that was asked for. An Azure deployment is named by its operator: its name is no model once the answer has
 * named one. Elsewhere the model that answered is billed, or else the alias that was asked for. OpenRouter's embeddings and rankings name the model as
 * its maker does, and the maker beside it.
 */
function modelsOf(list: string, { requested, answered, signedBy }: Bill): readonly string[] {
  const maker = list === 'openrouter' && answered?.includes('/') === false ? signedBy?.toLowerCase() : undefined
  const named =
    list === 'aws.bedrock'
      ? [requested ?? answered]
      : list === 'azure.ai.openai' || list === 'azure.ai.inference'
        ? [answered ?? requested]
        : [answered, requested, maker === undefined ? undefined : `${maker}/${answered}`]
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
  const tier = tiersByName[name.toLowerCase()]
  // What else a reseller names is how it bought the capacity (`provisioned`): https://openrouter.ai/docs/guides/features/service-tiers
  return tier === undefined && (list === 'openrouter' || list === 'vercel') ? 'standard' : tier
}

/** Alibaba's models with thinking and without it have two prices for the output. */
function thinkingOf(list: string, { hasReasoning }: Bill): Tier | undefined {
  return list === 'alibaba' && hasReasoning ? 'thinking' : undefined
}

/** Each of Vertex AI's endpoints but `global` is in a region, which its path names. */
function placeOf(list: string, { path, inferenceGeo }: Bill): Query['place'] {
  if (list === 'anthropic' && inferenceGeo === 'us') return 'us'
  if (list !== 'gcp.vertex_ai' || path === undefined) return undefined
  const location = /\/locations\/([^/]+)\//.exec(path)?.[1]
  return location === undefined || location === 'global' ? undefined : 'regional'
}
