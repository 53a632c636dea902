/**
 * What a provider or gateway itself says that an answer cost, in its usage object or beside it:
 * OpenRouter (https://openrouter.ai/docs/use-cases/usage-accounting) and gateways like it: `cost`, in USD. With a key of the caller's own
 * (`is_byok`) that is OpenRouter's fee alone, and `cost_details.upstream_inference_cost` is what the provider charges on top.
 * Perplexity (https://docs.perplexity.ai/api-reference/chat-completions-post): `cost.total_cost`, with its fee per request.
 * xAI (https://docs.x.ai/docs/models): `cost_in_usd_ticks`. Azure passes the field on as 0, which is no price.
 * DeepInfra (https://deepinfra.com/docs): `estimated_cost`. Pydantic's gateway: `pydantic_ai_gateway.cost_estimate`.
 * Venice (https://docs.venice.ai): `cost.usd` beside the usage; what is paid in Diem is no USD.
 * GitHub Copilot: `copilot_usage.total_nano_aiu` beside the usage, in billionths of an AI credit of one cent
 * (https://docs.github.com/en/copilot/reference/copilot-billing/models-and-pricing).
 * Vercel's AI Gateway: `gateway.cost` in the provider's metadata, beside `marketCost`: with a key of the caller's own the provider charges, and Vercel 0.
 */
import { array, at, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'

const ticksPerUsd = 1e10
const nanoCreditsPerUsd = 1e11

/** In USD, zero or more. `beside` is the object that holds the usage. */
export function reportedCost(value: Json | undefined, beside?: JsonObject): number | undefined {
  const usage = object(value)
  return usage === undefined ? undefined : (costInUsage(usage) ?? (beside === undefined ? undefined : costBeside(beside)))
}

function costInUsage(usage: JsonObject): number | undefined {
  const ticks = amount(usage['cost_in_usd_ticks'])
  if (ticks !== undefined && ticks > 0) return ticks / ticksPerUsd
  const cost = usage['cost']
  if (cost === undefined || cost === null)
    return amount(usage['estimated_cost']) ?? amount(at(usage, 'pydantic_ai_gateway', 'cost_estimate'))
  const parts = object(cost)
  if (parts !== undefined) return isUsd(parts) ? amount(parts['total_cost']) : undefined
  const fee = isUsd(usage) ? amount(cost) : undefined
  if (usage['is_byok'] !== true) return fee
  const charged = amount(at(usage, 'cost_details', 'upstream_inference_cost'))
  return fee === undefined || charged === undefined ? undefined : fee + charged
}

function costBeside(body: JsonObject): number | undefined {
  const venice = object(body['cost'])
  if (venice !== undefined) return (amount(venice['diem']) ?? 0) > 0 ? undefined : amount(venice['usd'])
  const credits = amount(at(body, 'copilot_usage', 'total_nano_aiu'))
  if (credits !== undefined) return credits / nanoCreditsPerUsd
  const choice = array(body['choices'])?.[0]
  const metadata =
    at(choice, 'message', 'provider_metadata') ??
    at(choice, 'delta', 'provider_metadata') ??
    body['provider_metadata'] ??
    body['providerMetadata']
  const cost = amountOfText(text(at(metadata, 'gateway', 'cost')))
  return cost === 0 && (amountOfText(text(at(metadata, 'gateway', 'marketCost'))) ?? 0) > 0 ? undefined : cost
}

function isUsd(cost: JsonObject): boolean {
  return (text(cost['currency']) ?? 'USD').toUpperCase() === 'USD'
}

/** LiteLLM's own price for the answer, after discounts (https://docs.litellm.ai/docs/proxy/response_headers). Before a stream it has none, and may say 0. */
export const costHeader = 'x-litellm-response-cost'

/** Pydantic's gateway, with the currency behind it and rounded to four decimals, which is too coarse for small answers. */
const estimateHeader = 'pydantic-ai-gateway-price-estimate'
const usdPerLastDigit = 0.0001

/** In USD, more than zero. */
export function reportedCostOfHead(headers: Readonly<Record<string, string>>): number | undefined {
  const cost = amountOfText(headers[costHeader])
  if (cost !== undefined && cost > 0) return cost
  const estimate = amountOfText(/^(.+)USD$/.exec(headers[estimateHeader] ?? '')?.[1])
  return estimate !== undefined && estimate >= 100 * usdPerLastDigit ? estimate : undefined
}

function amount(value: Json | undefined): number | undefined {
  const found = number(value)
  return found !== undefined && found >= 0 ? found : undefined
}

function amountOfText(said: string | undefined): number | undefined {
  const found = said === undefined || !/^[\d.]+(e-?\d+)?$/i.test(said) ? Number.NaN : Number(said)
  return Number.isFinite(found) ? found : undefined
}
