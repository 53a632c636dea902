/**
 * The table of public prices: which prices hold for a model, of whoever bills it, at a moment. A name is looked up exactly, or without the date of its
 * version; nothing that merely resembles it is near enough, and no provider's list stands in for another's. The file is made by
 * `npm run prices`; nothing is fetched at run time.
 */
import { readFileSync } from 'node:fs'
import type { Holidays, Period, PriceFile, PriceRow, Schedule, Tier } from '../../config/price-file.ts'
import { codeFile } from '../../lib/program.ts'
import { spellingsOf, undated } from './names.ts'
import { type Plan, planOf } from './plan.ts'

export interface Query {
  readonly provider: string
  /** What may be billed, the surest first. As they came. */
  readonly models: readonly string[]
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly tier?: Tier | undefined
  /** `us`: inference was asked for in the US. `regional`: a region of Vertex AI. */
  readonly place?: 'us' | 'regional' | undefined
  /** Of the context that searches bring, where a request is charged by it. */
  readonly searchContext?: 'low' | 'medium' | 'high' | undefined
  /** Searches were made by OpenAI's `web_search_preview`, which has a price of its own. */
  readonly previewSearch?: boolean | undefined
}

export interface Found {
  readonly plan: Plan
  readonly row: PriceRow
  readonly period: Period
  /** What the plan's amount is multiplied with. */
  readonly factor: number
  /** The price holds at certain dates or hours only, so the answer is good for a minute. */
  readonly changes: boolean
}

export interface PriceTable {
  /** YYYY-MM-DD. */
  readonly date: string
  /** Undefined where the table has no price that is certain. */
  find(query: Query): Found | undefined
  rows(): readonly PriceRow[]
  /** Rows of every provider that has the name. */
  rowsOf(model: string): readonly PriceRow[]
  sources(): readonly { readonly name: string; readonly version: string; readonly licence: string; readonly date: string }[]
}

export function builtInPrices(): PriceFile {
  return JSON.parse(codeFile('conclude/pricing/prices.json').toString()) as PriceFile
}

/** The built-in table, under the operator's where there is one. Rejects with the reason when that cannot be used. */
export async function loadPriceTable(file?: string): Promise<PriceTable> {
  if (file === undefined) return createPriceTable([builtInPrices()])
  const { parsePriceFile } = await import('../../config/price-file.ts')
  return createPriceTable([parsePriceFile(readFileSync(file, 'utf8')), builtInPrices()])
}

/** Rows of the first file stand over those of the next. */
export function createPriceTable(files: readonly PriceFile[]): PriceTable {
  const rows = new Map<string, PriceRow>()
  for (const file of [...files].reverse())
    for (const row of file.rows) for (const name of row.names) rows.set(keyOf(row.provider, name), row)
  const schedules = files.flatMap((file) => file.schedules ?? [])
  const holidays = Object.assign({}, ...files.map((file) => file.holidays ?? {})) as Readonly<Record<string, Holidays>>
  const plans = new WeakMap<object, Plan | null>()

  function planFor({ prices, tiers }: Period, { tier, searchContext, previewSearch }: Query): Plan | undefined {
    const found = tier === undefined ? prices : tiers?.[tier]
    if (found === undefined) return undefined
    if (previewSearch === true) return planOf({ ...found, web_searches_kcount: found['web_searches_preview_kcount'] })
    const fee = searchContext === undefined ? undefined : found[`requests_${searchContext}_kcount`]
    if (fee !== undefined) return planOf({ ...found, requests_kcount: fee })
    // By the request, but how much with so large a context is not known.
    if (found['requests_kcount'] !== undefined && (searchContext ?? 'low') !== 'low') return undefined
    const known = plans.get(found)
    if (known !== undefined) return known ?? undefined
    const plan = planOf(found)
    plans.set(found, plan ?? null)
    return plan
  }

  function rowFor(provider: string, model: string): PriceRow | undefined {
    for (const name of spellingsOf(model)) {
      const row = rows.get(keyOf(provider, name)) ?? rows.get(keyOf(provider, undated(name)))
      if (row !== undefined) return row
    }
    return undefined
  }

  return {
    date:
      files
        .map(({ date }) => date)
        .sort()
        .at(-1) ?? '',
    find(query) {
      for (const model of query.models) {
        const row = rowFor(query.provider, model)
        if (row === undefined) continue
        const period = periodAt(row.periods, query.at)
        const plan = planFor(period, query)
        const own = schedules.filter(
          (one) => one.provider === row.provider && (one.names === undefined || one.names.some((name) => row.names.includes(name))),
        )
        const factor = factorAt(own, holidays, query.at)
        if (plan === undefined || factor === undefined) return undefined
        const place = query.place === undefined ? 1 : (period.factors?.[query.place] ?? 1)
        return { plan, row, period, factor: factor * place, changes: row.periods.length > 1 || own.length > 0 }
      }
      return undefined
    },
    rows: () => [...new Set(rows.values())],
    rowsOf(model) {
      const providers = new Set([...rows.values()].map(({ provider }) => provider))
      return [...providers].flatMap((provider) => rowFor(provider, model) ?? [])
    },
    sources: () => files.flatMap((file) => Object.entries(file.sources).map(([name, source]) => ({ name, ...source }))),
  }
}

const keyOf = (provider: string, name: string) => `${provider}\n${name}`

/** The period that holds at a moment; before the first, the first. */
export function periodAt(periods: readonly Period[], at: number): Period {
  return periods.findLast(({ from }) => from === undefined || Date.parse(from) <= at) ?? (periods[0] as Period)
}

/** Undefined where nobody knows whether the day is a holiday. */
function factorAt(schedules: readonly Schedule[], holidays: Readonly<Record<string, Holidays>>, at: number): number | undefined {
  let factor = 1
  for (const schedule of schedules) {
    if (at < Date.parse(schedule.from) || (schedule.until !== undefined && at >= Date.parse(schedule.until))) continue
    if (!schedule.hours.some(([begin, end]) => isWithin(minuteOf(at), begin, end))) continue
    const calendar = schedule.holidays === undefined ? undefined : holidays[schedule.holidays]
    const day = new Date(at + (calendar?.utcOffsetHours ?? 0) * 3_600_000)
    const isWeekend = day.getUTCDay() === 0 || day.getUTCDay() === 6
    if (schedule.weekdaysOnly === true && isWeekend) continue
    const date = day.toISOString().slice(0, 10)
    if (schedule.holidays !== undefined && (calendar === undefined || date > calendar.coversThrough)) return undefined
    if (calendar?.dates.includes(date) !== true) factor *= schedule.factor
  }
  return factor
}

const minuteOf = (at: number) => Math.floor(at / 60_000) % 1440
const isWithin = (minute: number, begin: number, end: number) =>
  begin <= end ? minute >= begin && minute < end : minute >= begin || minute < end
