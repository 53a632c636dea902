/**
 * A reseller that charges what the maker of a model does (it says so on its page): its rows take over the maker's prices and their history. Open weights
 * are served there by many, each at a price of its own, so that none is certain: they have no row.
 */
import { undated } from '../../src/conclude/pricing/names.ts'
import { periodAt } from '../../src/conclude/pricing/table.ts'
import type { Period, Price, PriceRow, Prices } from '../../src/config/price-file.ts'

export interface Reseller {
  readonly provider: string
  /** First part of its names → the maker. */
  readonly vendors: Readonly<Record<string, string>>
  /** Models that others serve too, or that cost more than their tokens there: an expression. */
  readonly except: string
  readonly page: string
}

/** `ours` are overrides, of which those of a reseller stand over the maker's prices. */
export function resold(rows: readonly PriceRow[], resellers: readonly Reseller[], ours: readonly PriceRow[]): readonly PriceRow[] {
  const taken = new Set(resellers.map(({ provider }) => provider))
  const own = ours.filter(({ provider }) => taken.has(provider))
  const names = new Set(own.flatMap((row) => row.names.map((name) => `${row.provider}\n${name}`)))
  const theirs = resellers
    .flatMap((reseller) => rowsOf(reseller, rows))
    .map((row) => ({ ...row, names: row.names.filter((name) => !names.has(`${row.provider}\n${name}`)) }))
  return [...rows.filter(({ provider }) => !taken.has(provider)), ...theirs.filter((row) => row.names.length > 0), ...own]
}

function rowsOf({ provider, vendors, except, page }: Reseller, rows: readonly PriceRow[]): readonly PriceRow[] {
  const excepted = new RegExp(except)
  const made = new Map(rows.flatMap((row) => row.names.map((name) => [`${row.provider}/${name}`, row] as const)))
  const own = rows.filter((row) => row.provider === provider).flatMap((row) => row.names.map((name) => ({ name, row })))
  const found = new Map<string, PriceRow>()
  for (const { name, row } of own) {
    const [vendor = '', model = ''] = name.split(/\/(.*)/)
    const maker = vendors[vendor]
    if (maker === undefined || excepted.test(model)) continue
    const theirs = spellings(model)
      .map((one) => made.get(`${maker}/${one}`))
      .find((one) => one !== undefined)
    if (theirs === undefined) found.set(name, { ...row, names: [name] })
    else if (isAlike(theirs, row))
      found.set(name, { provider, names: [name], periods: theirs.periods.map(tokensAlone), sources: [...row.sources, page] })
  }
  for (const [vendor, maker] of Object.entries(vendors)) {
    for (const row of rows.filter((one) => one.provider === maker)) {
      for (const model of row.names) {
        const name = `${vendor}/${model}`
        if (found.has(name) || own.some((one) => one.name === name) || excepted.test(model)) continue
        found.set(name, { provider, names: [name], periods: row.periods.map(tokensAlone), sources: [...row.sources, page] })
      }
    }
  }
  return grouped([...found.values()])
}

/** OpenRouter writes `claude-haiku-4.5`, `claude-4.5-haiku-20251001`, and `:beta` for the same. */
function spellings(model: string): readonly string[] {
  const plain = model.replace(/:(beta|thinking)$/, '')
  const dashed = plain.replaceAll('.', '-')
  const turned = dashed.replace(/^claude-(\d+(?:-\d+)?)-(haiku|sonnet|opus)/, 'claude-$2-$1')
  return [plain, undated(plain), dashed, undated(dashed), turned, undated(turned)]
}

function isAlike(a: PriceRow, b: PriceRow): boolean {
  return ['input_mtok', 'output_mtok'].every((kind) => Math.abs(now(a, kind) - now(b, kind)) <= now(a, kind) * 0.005)
}

function now({ periods }: PriceRow, kind: string): number {
  const price: Price | undefined = periodAt(periods, Date.now()).prices[kind]
  return typeof price === 'object' ? price.base : (price ?? 0)
}

/** Searches and tiers of service are the reseller's own matter. */
function tokensAlone({ from, prices }: Period): Period {
  const tokens: Prices = Object.fromEntries(Object.entries(prices).filter(([kind]) => kind.endsWith('_mtok')))
  return { ...(from === undefined ? {} : { from }), prices: tokens }
}

export function grouped(rows: readonly PriceRow[]): readonly PriceRow[] {
  const groups = new Map<string, string[]>()
  for (const { names, ...rest } of rows) {
    const key = JSON.stringify(rest)
    groups.set(key, [...(groups.get(key) ?? []), ...names])
  }
  return [...groups].map(([key, names]) => ({ ...(JSON.parse(key) as Omit<PriceRow, 'names'>), names: names.sort() }))
}
