/** The shape of the table of prices, as `conclude/pricing/prices.json` and an operator's `pricesFile` have it, and the reading of such a file. */
import * as v from 'valibot'

/** In USD per million tokens, or per thousand requests or searches. A tier's price is that of the whole answer when its input is larger than `start`. */
export type Price = number | { readonly base: number; readonly tiers: readonly { readonly start: number; readonly price: number }[] }

/** By genai-prices' name of the kind. */
export type Prices = Readonly<Record<string, Price | undefined>>

/** Tiers of service with prices of their own. `thinking`: the whole answer where it has reasoning tokens. */
export const tiers = ['batch', 'flex', 'priority', 'fast', 'thinking'] as const
export type Tier = (typeof tiers)[number]

export interface Period {
  /** ISO 8601, UTC; the first period of a row has none. */
  readonly from?: string | undefined
  readonly prices: Prices
  readonly tiers?: Readonly<Partial<Record<Tier, Prices | undefined>>> | undefined
  /** A factor for all prices: in a region of Vertex AI, or where `inference_geo` is `us`. */
  readonly factors?: { readonly regional?: number | undefined; readonly us?: number | undefined } | undefined
}

export interface PriceRow {
  readonly provider: string
  /** Lower case; each exact. */
  readonly names: readonly string[]
  /** The oldest first. */
  readonly periods: readonly Period[]
  /** Names of `PriceFile.sources`, and addresses of providers' pages. */
  readonly sources: readonly string[]
}

/** Hours of the day in which all prices of a provider, or of some of its models, are multiplied. */
export interface Schedule {
  readonly provider: string
  /** Every model of the provider when not given. Lower case. */
  readonly names?: readonly string[] | undefined
  /** ISO 8601, UTC. */
  readonly from: string
  readonly until?: string | undefined
  /** Minutes after midnight UTC; one that ends before it begins goes over midnight. */
  readonly hours: readonly (readonly [begin: number, end: number])[]
  readonly factor: number
  /** Monday to Friday alone, by the calendar of `holidays` or UTC. */
  readonly weekdaysOnly?: boolean | undefined
  /** A list of `PriceFile.holidays`: on these days the prices are as they stand. */
  readonly holidays?: string | undefined
  readonly source: string
}

export interface Holidays {
  readonly utcOffsetHours: number
  /** YYYY-MM-DD there. */
  readonly dates: readonly string[]
  /** The last day that the list covers: prices of later days are uncertain. */
  readonly coversThrough: string
  readonly source: string
}

/** `prices.json`, and an operator's `pricesFile`. */
export interface PriceFile {
  /** YYYY-MM-DD: the day on which it was made. */
  readonly date: string
  readonly sources: Readonly<
    Record<string, { readonly version: string; readonly licence: string; readonly date: string; readonly url: string }>
  >
  readonly schedules?: readonly Schedule[] | undefined
  readonly holidays?: Readonly<Record<string, Holidays>> | undefined
  readonly rows: readonly PriceRow[]
}

const amount = v.pipe(v.number(), v.minValue(0), v.maxValue(1e6))
const priceSchema = v.union([amount, v.strictObject({ base: amount, tiers: v.array(v.strictObject({ start: amount, price: amount })) })])
const pricesSchema = v.record(v.pipe(v.string(), v.regex(/^[a-z0-9_]+_(mtok|kcount|hours|kpages|mchars)$/)), priceSchema)
const day = v.pipe(v.string(), v.isoDate())
const moment = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'a date such as 2026-11-28'),
)
const periodSchema = v.strictObject({
  from: v.optional(moment),
  prices: pricesSchema,
  tiers: v.optional(v.partial(v.strictObject(v.entriesFromList(tiers, pricesSchema)))),
  factors: v.optional(v.strictObject({ regional: v.optional(amount), us: v.optional(amount) })),
})
const minute = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1440))
const scheduleSchema = v.strictObject({
  provider: v.string(),
  names: v.optional(v.array(v.string())),
  from: moment,
  until: v.optional(moment),
  hours: v.array(v.tuple([minute, minute])),
  factor: amount,
  weekdaysOnly: v.optional(v.boolean()),
  holidays: v.optional(v.string()),
  source: v.string(),
})
const holidaysSchema = v.strictObject({ utcOffsetHours: v.number(), dates: v.array(day), coversThrough: day, source: v.string() })
const sourceSchema = v.strictObject({ version: v.string(), licence: v.string(), date: day, url: v.string() })
const fileSchema = v.strictObject({
  date: day,
  sources: v.optional(v.record(v.string(), sourceSchema), {}),
  schedules: v.optional(v.array(scheduleSchema)),
  holidays: v.optional(v.record(v.string(), holidaysSchema)),
  rows: v.array(
    v.strictObject({
      provider: v.string(),
      names: v.pipe(v.array(v.pipe(v.string(), v.toLowerCase())), v.minLength(1)),
      periods: v.pipe(v.array(periodSchema), v.minLength(1)),
      sources: v.optional(v.array(v.string()), []),
    }),
  ),
})

/** Throws an error whose message says what is wrong, and where, in a few words. */
export function parsePriceFile(text: string): PriceFile {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    throw new Error(`it is not JSON (${(error as Error).message})`)
  }
  const read = v.safeParse(fileSchema, data)
  if (read.success) return read.output
  const [issue] = read.issues
  const path = v.getDotPath(issue)
  throw new Error(`${path === null ? '' : `at ${path}: `}${issue.message.replace(/^Invalid/, 'invalid')}`)
}
