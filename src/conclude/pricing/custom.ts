/** The operator's own prices: the first line that holds for provider, model, tier, input and time stands, over whatever else is known. */
import type { ModelPrice } from '../../config/config.ts'
import type { Exchange } from '../../lib/exchange.ts'
import { type Plan, planOf } from './plan.ts'

export type FindCustom = (exchange: Exchange) => Plan | undefined

export function createCustomPrices(prices: readonly ModelPrice[]): FindCustom {
  const lines = prices.map((price) => ({ price, pattern: patternOf(price.model), plan: customPlan(price) }))
  return (exchange) => lines.find(({ price, pattern }) => holds(price, pattern, exchange))?.plan
}

function holds({ provider, tier, above, from, until }: ModelPrice, pattern: RegExp, exchange: Exchange): boolean {
  const { opening, request, response } = exchange
  if (provider !== undefined && provider !== exchange.provider) return false
  if (tier !== undefined && tier !== (response?.serviceTier ?? request?.serviceTier)?.toLowerCase()) return false
  if (above !== undefined && !((response?.usage?.inputTokens ?? 0) > above)) return false
  if (from !== undefined && opening.startedAt < from) return false
  if (until !== undefined && opening.startedAt >= until) return false
  return [response?.model, request?.model].some((model) => model !== undefined && pattern.test(model))
}

/** Whether a line names the model, whatever its other conditions. */
export function matchesModel(line: ModelPrice, model: string): boolean {
  return patternOf(line.model).test(model)
}

function patternOf(model: string): RegExp {
  const parts = model.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'is')
}

function customPlan(price: ModelPrice): Plan | undefined {
  if (price.free) return planOf({ input_mtok: 0, output_mtok: 0 })
  return planOf({
    input_mtok: price.input,
    output_mtok: price.output,
    cache_read_mtok: price.cacheRead,
    cache_write_mtok: price.cacheWrite,
    cache_write_1h_mtok: price.cacheWrite1h,
    input_audio_mtok: price.inputAudio,
    output_audio_mtok: price.outputAudio,
    input_image_mtok: price.inputImage,
    output_image_mtok: price.outputImage,
    output_reasoning_mtok: price.reasoning,
    requests_kcount: price.request,
    web_searches_kcount: price.search,
  })
}
