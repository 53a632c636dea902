/**
 * What a provider itself says that an answer cost, beside its usage:
 * OpenRouter (https://openrouter.ai/docs/use-cases/usage-accounting) and gateways like it: `cost`, in USD. With a key of the caller's own
 * (`is_byok`) that is OpenRouter's fee alone, and `cost_details.upstream_inference_cost` is what the provider charges on top.
 * Perplexity (https://docs.perplexity.ai/api-reference/chat-completions-post): `cost.total_cost`, with its fee per request.
 * xAI (https://docs.x.ai/docs/models): `cost_in_usd_ticks`. Azure passes the field on as 0, which is no price.
 */
import { at, type Json, number, object, text } from '../../lib/json.ts'

const ticksPerUsd = 1e10

/** In USD, zero or more. */
export function reportedCost(value: Json | undefined): number | undefined {
  const usage = object(value)
  if (usage === undefined) return undefined
  const ticks = amount(usage['cost_in_usd_ticks'])
  if (ticks !== undefined && ticks > 0) return ticks / ticksPerUsd
  const cost = usage['cost']
  if (cost === undefined || cost === null) return undefined
  const parts = object(cost)
  if (parts !== undefined) return (text(parts['currency']) ?? 'USD') === 'USD' ? amount(parts['total_cost']) : undefined
  const fee = amount(cost)
  if (usage['is_byok'] !== true) return fee
  const charged = amount(at(usage, 'cost_details', 'upstream_inference_cost'))
  return fee === undefined || charged === undefined ? undefined : fee + charged
}

/** LiteLLM's own price for the answer, after discounts (https://docs.litellm.ai/docs/proxy/response_headers). Before a stream it has none, and may say 0. */
export const costHeader = 'x-litellm-response-cost'

/** In USD, more than zero. */
export function reportedCostOfHead(headers: Readonly<Record<string, string>>): number | undefined {
  const said = headers[costHeader]
  const cost = said === undefined || !/^[\d.]+(e-?\d+)?$/i.test(said) ? Number.NaN : Number(said)
  return cost > 0 && Number.isFinite(cost) ? cost : undefined
}

function amount(value: Json | undefined): number | undefined {
  const found = number(value)
  return found !== undefined && found >= 0 ? found : undefined
}
