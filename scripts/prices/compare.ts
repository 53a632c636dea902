/** The table against each of its sources: what share of a source's models has a price here, and which prices differ. */
import { planOf } from '../../src/conclude/pricing/plan.ts'
import { createPriceTable, type Found, periodAt } from '../../src/conclude/pricing/table.ts'
import type { Price, PriceFile, Prices } from '../../src/config/price-file.ts'
import type { Source } from './sources.ts'

/** Those who make the models that they offer. */
const firstParties: ReadonlySet<string> = new Set([
  ...['ai21', 'alibaba', 'anthropic', 'cohere', 'deepseek', 'gcp.gemini', 'meta', 'minimax', 'mistral_ai', 'moonshot_ai', 'openai'],
  ...['perplexity', 'stepfun', 'upstage', 'voyage', 'x_ai', 'xiaomi', 'z_ai'],
])

interface Offered {
  readonly provider: string
  readonly model: string
  readonly prices: Prices
}

export function compared(file: PriceFile, sources: readonly Source[]): string {
  const table = createPriceTable([file])
  const retired = new Set(sources.flatMap((source) => source.retired ?? []))
  const factorsOf = ({ row }: Found) =>
    (file.schedules ?? [])
      .filter(({ provider, names }) => provider === row.provider && (names === undefined || names.some((name) => row.names.includes(name))))
      .map(({ factor }) => factor)
  const lines = sources.flatMap(({ name, version, entries }) => {
    const offered = new Map<string, Offered>()
    for (const { provider, names, periods } of entries) {
      const [model = ''] = names
      const prices = periodAt(periods, Date.now()).prices
      const key = `${provider} ${model}`
      if (firstParties.has(provider) && !retired.has(key) && isCharged(prices)) offered.set(key, { provider, model, prices })
    }
    const found = [...offered.values()].flatMap((one) => {
      const ours = table.find({ provider: one.provider, models: [one.model], at: Date.now() })
      return ours === undefined ? [] : [{ ...one, ours }]
    })
    const unpriced = [...offered.keys()].filter((key) => !found.some(({ provider, model }) => `${provider} ${model}` === key))
    const differing = found.flatMap((one) => {
      const kinds = ['input_mtok', 'output_mtok'].filter((kind) => !isSame(kind, one.ours, one.prices, factorsOf(one.ours)))
      return kinds.length === 0 ? [] : [{ ...one, kinds }]
    })
    const share = (count: number) => `${count} (${((100 * count) / offered.size).toFixed(1)} %)`
    const isCited = ({ ours }: (typeof differing)[number]) => ours.row.sources.some((source) => source.startsWith('https:'))
    const cited = differing.filter(isCited)
    const told = differing.map(({ provider, model, kinds, prices, ours }) => {
      const each = kinds.map((kind) => `${kind} ${baseOf(ours.period.prices[kind])}, there ${baseOf(prices[kind])}`).join('; ')
      return `  ${provider} ${model}: ${each} (${ours.row.sources.join(', ')})`
    })
    return [
      `${name} ${version}: ${offered.size} models of first parties, priced ${share(found.length)}, differing by a provider's page ${share(cited.length)}, differing otherwise ${share(differing.length - cited.length)}`,
      ...(unpriced.length === 0 ? [] : [`  unpriced: ${unpriced.join(', ')}`]),
      ...told,
    ]
  })
  return `${lines.join('\n')}\n`
}

/** By the token: a price of 0 may mean another unit. */
function isCharged(prices: Prices): boolean {
  return planOf(prices)?.isFree === false
}

/**
 * Where a source has one price for all of an output, it is that of the pictures, the film or the speech that are told apart here; and where it knows no
 * hours, it may tell the price of the dear ones.
 */
function isSame(kind: string, { period }: Found, theirs: Prices, factors: readonly number[]): boolean {
  if (theirs[kind] === undefined) return true
  const told = baseOf(theirs[kind])
  const kinds = kind === 'output_mtok' ? [kind, 'output_image_mtok', 'output_video_mtok', 'output_audio_mtok'] : [kind]
  const ours = kinds.flatMap((one) => (period.prices[one] === undefined ? [] : [baseOf(period.prices[one])]))
  if (ours.length === 0) return kind === 'output_mtok' || told === 0
  return ours.some((price) => [1, ...factors].some((factor) => Math.abs(price * factor - told) <= price * 0.005))
}

function baseOf(price: Price | undefined): number {
  return typeof price === 'object' ? price.base : (price ?? 0)
}
