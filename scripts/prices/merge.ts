/** Several sources → one row for each model. A row ships when two sources agree, or when an override says so; the rest stays unpriced. */
import { undated } from '../../src/conclude/pricing/names.ts'
import { periodAt } from '../../src/conclude/pricing/table.ts'
import type { Period, Price, PriceRow, Prices, Tier } from '../../src/config/price-file.ts'
import { grouped, type Reseller, resold } from './resellers.ts'
import type { Entry, Source, SourceName } from './sources.ts'

/** Whose word alone is enough for a provider, where no other source speaks, the first of them first. */
export interface Trust {
  readonly provider: string
  readonly sources: readonly SourceName[]
  /** The provider's page that they read. */
  readonly page: string
}

/** Whose word stands for these names, where sources contradict each other and the provider's page decides. */
export interface Preference {
  readonly provider: string
  readonly names: readonly string[]
  readonly source: SourceName
  readonly page: string
}

/** What a provider charges for each use beside the tokens, whichever of its models that write is called. */
export interface Fee {
  readonly provider: string
  readonly price: 'web_searches_kcount' | 'web_searches_preview_kcount'
  /** Of models: an expression. The first fee of a kind that has a name decides. */
  readonly names: string
  /** USD for a thousand; null where it is not certain; what the sources say where it is not given. */
  readonly usd?: number | null
  readonly page: string
}

export interface Overrides {
  readonly fees: readonly Fee[]
  readonly trust: readonly Trust[]
  readonly prefer: readonly Preference[]
  readonly resellers: readonly Reseller[]
  /** Rows of ours: they stand over every source. `sources` are addresses of the provider's pages. */
  readonly rows: readonly PriceRow[]
  /** Names that no row may have. */
  readonly never: readonly { readonly provider: string; readonly name: string; readonly why: string }[]
}

export interface Merged {
  readonly rows: readonly PriceRow[]
  /** What does not ship, and why, each as a line. */
  readonly left: readonly string[]
}

interface Said {
  readonly source: SourceName
  readonly entry: Entry
}

/** Whose kinds and history come first where several agree. */
const order: readonly SourceName[] = ['model-prices', 'genai-prices', 'litellm']

export function merge(sources: readonly Source[], { trust, prefer, resellers, rows: ours, never }: Overrides): Merged {
  const all = new Map<string, Said[]>()
  for (const { name: source, entries } of sources) {
    for (const entry of entries) for (const name of entry.names) put(all, `${entry.provider}\n${name}`, { source, entry })
  }
  const byPeriods = new Map<string, { row: PriceRow; names: string[] }>()
  const left: string[] = []
  const add = (row: PriceRow) => {
    const key = JSON.stringify([row.provider, row.periods, row.sources])
    const group = byPeriods.get(key) ?? { row, names: [] }
    byPeriods.set(key, group)
    group.names.push(...row.names)
  }
  const taken = new Set(ours.flatMap(({ provider, names }) => names.map((name) => `${provider}\n${name}`)))
  for (const { provider, name } of never) taken.add(`${provider}\n${name}`)
  for (const [key, said] of all) {
    const [provider = '', name = ''] = key.split('\n')
    if (taken.has(key)) continue
    const settled = settle(withBases(said, all, provider, name), {
      trust: trust.find((one) => one.provider === provider),
      preference: prefer.find((one) => one.provider === provider && one.names.includes(name)),
    })
    if (typeof settled === 'string') left.push(`${provider} ${name}: ${settled}`)
    else add({ provider, names: [name], ...settled })
  }
  for (const row of ours.filter(({ provider }) => !resellers.some((reseller) => reseller.provider === provider))) add(row)
  const rows = [...byPeriods.values()].map(({ row, names }) => ({
    ...row,
    names: [...new Set(names)].sort(),
    periods: row.periods.map(withoutFreeOutput),
  }))
  const unwanted = new Set(never.map(({ provider, name }) => `${provider}\n${name}`))
  const whole = resold(rows, resellers, ours)
    .map((row) => ({ ...row, names: row.names.filter((name) => !unwanted.has(`${row.provider}\n${name}`)) }))
    .filter(({ names }) => names.length > 0)
  whole.sort((a, b) => compare(a.provider, b.provider) || compare(a.names[0] ?? '', b.names[0] ?? ''))
  return { rows: whole, left: left.sort() }
}

/** Embeddings have no output, and so no count of it: an output that costs nothing is not charged for. */
function withoutFreeOutput(period: Period): Period {
  const { output_mtok: output, ...prices } = period.prices
  return output === 0 && baseOf(prices['input_mtok'] ?? 0) > 0 ? { ...period, prices } : period
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function put<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

/** A source that does not list a dated name says of it what it says of the name without the date. */
function withBases(said: readonly Said[], all: ReadonlyMap<string, readonly Said[]>, provider: string, name: string): readonly Said[] {
  const base = undated(name)
  const others = base === name ? [] : (all.get(`${provider}\n${base}`) ?? [])
  return [...said, ...others.filter(({ source }) => !said.some((one) => one.source === source))]
}

/** The periods and their sources, or why there are none. */
function settle(
  said: readonly Said[],
  { trust, preference }: { readonly trust: Trust | undefined; readonly preference: Preference | undefined },
): Pick<PriceRow, 'periods' | 'sources'> | string {
  const one = order.flatMap((source) => said.filter((each) => each.source === source).slice(0, 1))
  const preferred = one.find(({ source }) => source === preference?.source)
  if (preferred !== undefined && preference !== undefined) return sourced(joined([preferred]), preference.page)
  const groups = one.map((first) => one.filter((other) => agrees(nowOf(first), nowOf(other))))
  const largest = groups.reduce<readonly Said[]>((best, group) => (group.length > best.length ? group : best), [])
  if (largest.length > 1) return joined(largest)
  const [alone] = one
  const words = one.map((each) => `${each.source} says ${inputAndOutput(nowOf(each).prices)}`)
  if (alone === undefined || one.length > 1) return words.join(', ')
  if (alone.source !== 'model-prices' && isNothing(nowOf(alone).prices)) return `${words[0]} alone, which may mean another unit`
  return trust?.sources.includes(alone.source) === true ? sourced(joined([alone]), trust.page) : `${words[0]} alone`
}

/** Also a price by the page, the picture or the search stands as 0 a token. */
function isNothing(prices: Prices): boolean {
  return Object.values(prices).every((price) => baseOf(price ?? 0) === 0)
}

function sourced(row: Pick<PriceRow, 'periods' | 'sources'>, page: string): Pick<PriceRow, 'periods' | 'sources'> {
  return { ...row, sources: [...row.sources, page] }
}

const today = Date.now()
const nowOf = ({ entry }: Said) => periodAt(entry.periods, today)
/** Announced: what a price will be when a promotion ends. */
const futureOf = ({ entry }: Said) => entry.periods.filter(({ from }) => from !== undefined && Date.parse(from) > today)

function inputAndOutput(prices: Prices): string {
  return `${JSON.stringify(prices['input_mtok'] ?? null)}/${JSON.stringify(prices['output_mtok'] ?? null)}`
}

function agrees(a: Period, b: Period): boolean {
  return (['input_mtok', 'output_mtok'] as const).every((kind) => isSame(a.prices[kind] ?? 0, b.prices[kind] ?? 0))
}

/** The same base; and the same tiers, where both have some. */
function isSame(a: Price, b: Price): boolean {
  if (!isClose(baseOf(a), baseOf(b))) return false
  if (typeof a === 'number' || typeof b === 'number') return true
  return a.tiers.length === b.tiers.length && a.tiers.every((tier, at) => isClose(tier.price, b.tiers[at]?.price ?? Number.NaN))
}

const baseOf = (price: Price) => (typeof price === 'number' ? price : price.base)
const isClose = (a: number, b: number) => Math.abs(a - b) <= Math.max(a, b) * 0.005

/** One that tells more stands first; what only another of them tells is added, and a kind that two of them tell differently is left out. */
function joined(said: readonly Said[]): Pick<PriceRow, 'periods' | 'sources'> {
  const [first, ...others] = said as readonly [Said, ...Said[]]
  const now = nowOf(first)
  const rest = others.map(nowOf)
  const prices = joinedPrices(
    now.prices,
    rest.map((period) => period.prices),
  )
  const tierNames = new Set([now, ...rest].flatMap((period) => Object.keys(period.tiers ?? {})))
  const tiers = Object.fromEntries(
    [...tierNames].flatMap((tier) => {
      const known = [now, ...rest].map((period) => period.tiers?.[tier as Tier]).filter((one) => one !== undefined)
      const [leading, ...following] = known
      if (leading === undefined || !following.every((other) => agrees({ prices: leading }, { prices: other }))) return []
      return [[tier, joinedPrices(leading, following)]]
    }),
  )
  const factors = [now, ...rest].find((period) => period.factors !== undefined)?.factors
  const last: Period = {
    ...(now.from === undefined ? {} : { from: now.from }),
    prices,
    ...(Object.keys(tiers).length === 0 ? {} : { tiers }),
    ...(factors === undefined ? {} : { factors }),
  }
  const past = first.entry.periods.slice(0, first.entry.periods.indexOf(now))
  const future = said.map(futureOf).find((periods) => periods.length > 0) ?? []
  return { periods: [...past, last, ...future], sources: said.map(({ source }) => source) }
}

function joinedPrices(first: Prices, others: readonly Prices[]): Prices {
  const kinds = [...new Set([first, ...others].flatMap((prices) => Object.keys(prices)))]
  return Object.fromEntries(
    kinds.flatMap((kind) => {
      const said = [first, ...others].map((prices) => prices[kind]).filter((price) => price !== undefined)
      const best = said.map((price) => said.filter((other) => isSame(price, other))).sort((a, b) => b.length - a.length)[0] ?? []
      // A fee for each request is told by the size of the search's context, or else by the dearest.
      const bySize = kind === 'requests_kcount' ? [first, ...others].find((prices) => 'requests_high_kcount' in prices)?.[kind] : undefined
      if (bySize !== undefined) return [[kind, bySize]]
      if (best.length < said.length && best.length < 2) return []
      return [[kind, best.find((price) => typeof price !== 'number') ?? (best[0] as Price)]]
    }),
  )
}

/** The rows with the fees in every period. A period that begins from nothing stays so. */
export function withFees(rows: readonly PriceRow[], fees: readonly Fee[]): readonly PriceRow[] {
  return grouped(rows.flatMap((row) => row.names.map((name) => withFeesOf({ ...row, names: [name] }, name, fees))))
}

function withFeesOf(row: PriceRow, name: string, fees: readonly Fee[]): PriceRow {
  const fitting = fees.filter(({ provider, names }) => provider === row.provider && new RegExp(names).test(name))
  const firsts = fitting.filter((fee) => fee === fitting.find(({ price }) => price === fee.price) && fee.usd !== undefined)
  if (firsts.length === 0) return row
  const added = Object.fromEntries(firsts.map(({ price, usd }) => [price, usd ?? undefined]))
  // Whether a tier of service has them cheaper is not said.
  const none = Object.fromEntries(firsts.map(({ price }) => [price, undefined]))
  const periods = row.periods.map((period): Period => {
    if (period.prices['output_mtok'] === undefined) return period
    const { prices, tiers = {} } = period
    const tierPrices = Object.entries(tiers).map(([tier, of]) => [tier, { ...of, ...none }])
    return { ...period, prices: { ...prices, ...added }, ...(tierPrices.length === 0 ? {} : { tiers: Object.fromEntries(tierPrices) }) }
  })
  return { ...row, periods, sources: [...new Set([...row.sources, ...firsts.map(({ page }) => page)])] }
}
