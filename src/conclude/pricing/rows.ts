/** The shape of the table of prices, as `prices.json` and an operator's `pricesFile` have it. */

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
  readonly tiers?: Partial<Readonly<Record<Tier, Prices>>> | undefined
  /** What all prices are multiplied with: in a region of Vertex AI, or where `inference_geo` is `us`. */
  readonly factors?: { readonly regional?: number; readonly us?: number } | undefined
}

export interface Row {
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
  /** The last day that the list knows: after it, nothing is certain. */
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
  readonly rows: readonly Row[]
}
