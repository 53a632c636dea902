/** The table against each of its sources: what share of a source's models has a price here, and which prices differ. */
import { planOf } from '../../src/conclude/pricing/plan.ts'
import { createPriceTable } from '../../src/conclude/pricing/table.ts'
import type { Price, PriceFile } from '../../src/config/price-file.ts'
import type { Source } from './sources.ts'

/** Those who make the models that they offer. */
const firstParties: ReadonlySet<string> = new Set([
  ...['ai21', 'alibaba', 'anthropic', 'cohere', 'deepseek', 'gcp.gemini', 'meta', 'minimax', 'mistral_ai', 'moonshot_ai', 'openai'],
  ...['perplexity', 'stepfun', 'upstage', 'voyage', 'x_ai', 'xiaomi', 'z_ai'],
])

export function compared(file: PriceFile, sources: readonly Source[]): string {
  const table = createPriceTable([file])
  const lines = sources.flatMap(({ name, version, entries }) => {
    const counts = { all: 0, priced: 0, differing: 0 }
    const differing = entries.flatMap(({ provider, names, periods }) => {
      const theirs = periods.at(-1)?.prices
      const model = names[0]
      if (!firstParties.has(provider) || model === undefined || theirs === undefined || planOf(theirs) === undefined) return []
      counts.all++
      const found = table.find({ provider, models: [model], at: Date.now() })
      if (found === undefined) return []
      counts.priced++
      const ours = found.period.prices
      const kinds = ['input_mtok', 'output_mtok'].filter(
        (kind) => Math.abs(baseOf(ours[kind]) - baseOf(theirs[kind])) > baseOf(ours[kind]) * 0.005,
      )
      if (kinds.length === 0) return []
      counts.differing++
      return [
        `  ${provider} ${model}: ${kinds.map((kind) => `${kind} ${baseOf(ours[kind])}, there ${baseOf(theirs[kind])}`).join('; ')} (${found.row.sources.join(', ')})`,
      ]
    })
    const share = (count: number) => `${count} (${((100 * count) / counts.all).toFixed(1)} %)`
    return [
      `${name} ${version}: ${counts.all} models of first parties, priced ${share(counts.priced)}, differing ${share(counts.differing)}`,
      ...differing,
    ]
  })
  return `${lines.join('\n')}\n`
}

function baseOf(price: Price | undefined): number {
  return typeof price === 'object' ? price.base : (price ?? 0)
}
