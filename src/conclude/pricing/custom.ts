/** The operator's own prices: the first line that fits provider and model stands, over whatever else is known. */
import type { ModelPrice } from '../../config/config.ts'
import { type Plan, planOf } from './plan.ts'

export type FindCustom = (provider: string | undefined, models: readonly (string | undefined)[]) => Plan | undefined

export function createCustomPrices(prices: readonly ModelPrice[]): FindCustom {
  const lines = prices.map(({ provider, model, ...price }) => ({ provider, pattern: patternOf(model), plan: customPlan(price) }))
  return (provider, models) =>
    lines.find(
      (line) =>
        (line.provider === undefined || line.provider === provider) &&
        models.some((model) => model !== undefined && line.pattern.test(model)),
    )?.plan
}

function patternOf(model: string): RegExp {
  const parts = model.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'is')
}

function customPlan({ input, output, cacheRead, cacheWrite, free }: Omit<ModelPrice, 'provider' | 'model'>): Plan | undefined {
  if (free) return planOf({ input_mtok: 0, output_mtok: 0 })
  return planOf({ input_mtok: input, output_mtok: output, cache_read_mtok: cacheRead, cache_write_mtok: cacheWrite })
}
