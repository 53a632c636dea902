/** How sources become rows: two that agree, or one that an override trusts. */
import { describe, expect, it } from 'vitest'
import { merge, type Overrides, withFees } from '../../scripts/prices/merge.ts'
import type { Entry, Source, SourceName } from '../../scripts/prices/sources.ts'
import type { Period, Prices } from '../../src/config/price-file.ts'

const none: Overrides = { fees: [], trust: [], prefer: [], resellers: [], rows: [], never: [] }
const said = (name: SourceName, ...entries: readonly Partial<Entry>[]): Source => ({
  name,
  version: '1',
  entries: entries.map((entry) => ({ provider: 'openai', names: ['weir-1'], periods: [], ...entry })),
})
const at = (input: number, output = 8): Prices => ({ input_mtok: input, output_mtok: output })
const page = 'https://provider.test/prices'
const trusting = (source: SourceName): Overrides => ({ ...none, trust: [{ provider: 'openai', sources: [source], page }] })
const merged = (overrides: Overrides, ...sources: readonly Source[]) => merge(sources, overrides)

describe('a row', () => {
  it('ships when two sources agree', () => {
    const sources = [said('genai-prices', { periods: [{ prices: at(2) }] }), said('litellm', { periods: [{ prices: at(2) }] })]
    expect(merged(none, ...sources).rows).toEqual([
      { provider: 'openai', names: ['weir-1'], periods: [{ prices: at(2) }], sources: ['genai-prices', 'litellm'] },
    ])
  })

  it('does not ship when they differ, or one alone is not trusted', () => {
    const [two, three] = [said('genai-prices', { periods: [{ prices: at(2) }] }), said('litellm', { periods: [{ prices: at(3) }] })]
    expect(merged(trusting('litellm'), two, three)).toMatchObject({
      rows: [],
      left: ['openai weir-1: genai-prices says 2/8, litellm says 3/8'],
    })
    expect(merged(none, two).rows).toEqual([])
  })

  it('names the page of the one that is trusted', () => {
    expect(merged(trusting('litellm'), said('litellm', { periods: [{ prices: at(3) }] })).rows[0]?.sources).toEqual(['litellm', page])
  })

  it('is not free because one source says 0, which may mean another unit', () => {
    expect(merged(trusting('litellm'), said('litellm', { periods: [{ prices: at(0, 0) }] })).rows).toEqual([])
    expect(merged(trusting('model-prices'), said('model-prices', { periods: [{ prices: at(0, 0) }] })).rows.length).toBe(1)
  })

  it('is decided by the prices of today, and keeps what was announced', () => {
    const future: Period = { from: '2999-01-01', prices: at(4, 16) }
    const sources = [
      said('model-prices', { periods: [{ prices: at(1) }, { from: '2020-01-01', prices: at(2) }] }),
      said('genai-prices', { periods: [{ prices: at(2) }, future] }),
    ]
    expect(merged(none, ...sources).rows[0]?.periods).toEqual([{ prices: at(1) }, { from: '2020-01-01', prices: at(2) }, future])
  })
})

describe('a reseller', () => {
  const reseller = { provider: 'openrouter', vendors: { openai: 'openai' }, except: 'oss', page }
  const sources = [said('genai-prices', { periods: [{ prices: at(2) }] }), said('litellm', { periods: [{ prices: at(2) }] })]

  it('takes over the maker’s prices, unless an override has its own', () => {
    const own = { provider: 'openrouter', names: ['openai/weir-1'], periods: [{ prices: at(9) }], sources: [page] }
    const priceOf = (rows: readonly (typeof own)[]) =>
      merged({ ...none, resellers: [reseller], rows }, ...sources).rows.find(({ provider }) => provider === 'openrouter')?.periods[0]
        ?.prices
    expect([priceOf([]), priceOf([own])]).toEqual([at(2), at(9)])
  })
})

describe('a fee', () => {
  const fee = (names: string, usd?: number | null) => ({
    provider: 'openai',
    price: 'web_searches_kcount' as const,
    names,
    page,
    ...(usd === undefined ? {} : { usd }),
  })
  const row = (name: string, prices: Prices) => ({
    provider: 'openai',
    names: [name],
    periods: [{ prices, tiers: { batch: { ...prices } } }],
    sources: [],
  })

  it('of the first that has the name is added, removed or left', () => {
    const fees = [fee('own'), fee('mini', null), fee('', 10)]
    const searches = { ...at(2), web_searches_kcount: 7 }
    const rows = ['weir-own', 'weir-mini', 'weir'].map((name) => row(name, searches))
    const found = withFees(rows, fees).map(({ periods }) => [
      periods[0]?.prices['web_searches_kcount'],
      periods[0]?.tiers?.batch?.['web_searches_kcount'],
    ])
    expect(found).toEqual([
      [7, 7],
      [undefined, undefined],
      [10, undefined],
    ])
  })
})
