/** What the ledger can be asked, and what it answers. Types only: they cross from the reading thread as they are. */
import type { Range } from '../../lib/range.ts'

/**
 * `model` is the one that was asked for, or else the one that answered; `day` is the day of the start, in this machine's zone. `outcome` is the
 * outcome of the usage, and `reason` why it is not `reported`.
 */
export type Dimension = 'provider' | 'model' | 'caller' | 'route' | 'day' | 'outcome' | 'reason' | LabelDimension

/** One of the operator's labels: `label:team`. */
export type LabelDimension = `label:${string}`

export const dimensions: readonly Dimension[] = ['provider', 'model', 'caller', 'route', 'day', 'outcome', 'reason']
/** For people: what a dimension may be. */
export const dimensionsHelp = `${dimensions.join(', ')} or label:NAME`

/** Undefined for what is none. */
export function dimensionOf(text: string): Dimension | undefined {
  return dimensions.find((one) => one === text) ?? (/^label:[a-z][a-z0-9_]{0,39}$/.test(text) ? (text as LabelDimension) : undefined)
}

/** What a condition can ask for: a dimension, either name of the model, or a column of the ledger. */
export type Field = Dimension | 'any_model' | `column:${string}`

/** `~=` is: contains this text, in upper or lower case. */
export const operators = ['=', '!=', '~=', '>', '>=', '<', '<='] as const
export type Operator = (typeof operators)[number]

/** Only the requests of which this holds. null is a value that is not known. With `=`, several values are alternatives; any other operator has one value. */
export interface Condition {
  readonly dimension: Field
  readonly operator: Operator
  readonly values: readonly (string | number | null)[]
}

/** A sum of counts, and how much it does not know. `sum` is null when nothing was reported: unknown is not zero. */
export interface Count {
  readonly sum: number | null
  /** Requests whose count is in the sum. */
  readonly reported: number
  /** Answered requests that owe their usage and gave no such count. */
  readonly unreported: number
}

export const tokenKinds = ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning'] as const
export type TokenKind = (typeof tokenKinds)[number]

export interface Totals {
  /** Requests that began in the range, the open ones among them. */
  readonly requests: number
  /** Neither ended nor given up. */
  readonly open: number
  readonly errors: number
  /** Streams that came whole. */
  readonly streams: number
  /** Of these, the ones without usage. */
  readonly zeroUsage: number
  readonly tokens: Readonly<Record<TokenKind, Count>>
  /** USD; null when nothing has a price that is known. */
  readonly cost: { readonly usd: number | null; readonly priced: number; readonly unpriced: number }
  readonly cache: {
    /** Cached input over input, of the requests that told both; null where none did. */
    readonly hitShare: number | null
    /** USD; null where it is certain of no request. Below zero where writing to caches cost more than reading from them saved. */
    readonly savedUsd: number | null
  }
  /** Mean over the requests of which it is known; null where there is none. */
  readonly timePerOutputTokenMs: number | null
}

export interface Group extends Totals {
  /** By dimension; null where that is not known. */
  readonly key: Readonly<Partial<Record<Dimension, string | null>>>
}

export interface Breakdown {
  readonly by: readonly Dimension[]
  /** Those with most tokens first; by day, in order. */
  readonly groups: readonly Group[]
  /** Groups beyond the limit. */
  readonly leftOut: number
}

export interface Summary extends Range {
  readonly total: Totals
  readonly breakdowns: readonly Breakdown[]
  /** Streams that came whole and without usage, by reason; most frequent first. */
  readonly zeroUsage: readonly { readonly reason: string; readonly streams: number }[]
}

/** Milliseconds, within 1 %; undefined is never one of them: without a measurement there are none. */
export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export interface Latency extends Range {
  readonly total: { readonly firstChunkMs: Quantiles | null; readonly durationMs: Quantiles | null }
  readonly providers: readonly {
    readonly provider: string | null
    readonly firstChunkMs: Quantiles | null
    readonly durationMs: Quantiles | null
  }[]
}

/** Tokens by bucket. 0 where no request ended, null where some did and none told its tokens. */
export interface ProviderSeries {
  /** Null for requests that were no inference. */
  readonly provider: string | null
  readonly tokens: readonly (number | null)[]
}

/** By when requests ended: that is when their tokens are known. */
export interface Series extends Range {
  readonly bucketMs: number
  /** The ones with most tokens. */
  readonly providers: readonly ProviderSeries[]
  /** All other providers together; null when there are no more. */
  readonly others: readonly (number | null)[] | null
  readonly requests: readonly number[]
  readonly errors: readonly number[]
  readonly zeroUsage: readonly number[]
  /** Milliseconds; null where nothing was measured. */
  readonly firstChunkP50Ms: readonly (number | null)[]
  readonly firstChunkP95Ms: readonly (number | null)[]
}

export const groupSorts = [
  'tokens',
  'name',
  'requests',
  'streams',
  'errors',
  'zeroUsage',
  'input',
  'output',
  'cacheRead',
  'reasoning',
  'firstP50',
  'firstP95',
  'cost',
  'cached',
  'saved',
  'speed',
] as const
export type GroupSort = (typeof groupSorts)[number]

export interface GroupsQuestion {
  readonly kind: 'groups'
  readonly range: Range
  readonly by: Dimension
  readonly where: readonly Condition[]
  /** Part of a name, in upper or lower case; empty for all. */
  readonly search: string
  readonly sort: GroupSort
  readonly order: 'asc' | 'desc'
  readonly offset: number
  readonly limit: number
  /** A range whose totals stand beside each group. */
  readonly before?: Range | undefined
}

export interface GroupPage extends Range {
  /** Of all groups, also those on other pages and those that the search does not find. */
  readonly total: Totals
  /** Of the range before, where it was asked for. */
  readonly before?: Totals
  readonly zeroUsage: Summary['zeroUsage']
  readonly by: Dimension
  readonly groups: readonly (Group & {
    readonly firstChunkMs: Quantiles | null
    /** Of the range before, where it was asked for; null where the group had no request then. */
    readonly before?: Group | null
  })[]
  /** Groups that the search found. */
  readonly found: number
  /** Groups without the search. */
  readonly all: number
}

export interface HeatmapQuestion {
  readonly kind: 'heatmap'
  readonly range: Range
  readonly where: readonly Condition[]
  /** An IANA name. */
  readonly timeZone: string
}

export interface Heatmap extends Range {
  readonly timeZone: string
  /** By weekday, from Monday, and hour of day. `tokens` and `usd` are null where nothing is known of them. */
  readonly days: readonly (readonly { readonly requests: number; readonly tokens: number | null; readonly usd: number | null }[])[]
}

export interface DistributionQuestion {
  readonly kind: 'distribution'
  readonly range: Range
  readonly where: readonly Condition[]
}

export interface Distribution extends Quantiles {
  /** From small to large, without a gap; `to` is exclusive. */
  readonly bins: readonly { readonly from: number; readonly to: number; readonly count: number }[]
}

/** Null where nothing was measured. */
export interface DistributionAnswer extends Range {
  readonly firstChunkMs: Distribution | null
  readonly durationMs: Distribution | null
  readonly tokensPerSecond: Distribution | null
}

export const outcomes = ['errors', 'streams', 'zero', 'unpriced', 'open'] as const

export const requestSorts = ['time', 'provider', 'model', 'caller', 'outcome', 'input', 'output', 'cost', 'first', 'duration'] as const
export type RequestSort = (typeof requestSorts)[number]

export interface RequestFilter extends Range {
  readonly outcome?: (typeof outcomes)[number] | undefined
  readonly provider?: string | undefined
  readonly where?: readonly Condition[] | undefined
  /** Part of an id, a model, a provider, a caller, a route, a path, an error or a reason. */
  readonly text?: string | undefined
  /** As `next` of the page before. */
  readonly before?: string | undefined
  /** Newest first by default. */
  readonly sort?: RequestSort | undefined
  readonly order?: 'asc' | 'desc' | undefined
  readonly limit: number
}

/** The columns of a list of requests, by their names in the ledger. */
export const listedColumns = [
  'id',
  'started_at',
  'ended_at',
  'trace_id',
  'method',
  'path',
  'route',
  'caller',
  'provider',
  'request_model',
  'response_model',
  'operation',
  'status',
  'streamed',
  'end_reason',
  'error_type',
  'usage_outcome',
  'usage_reason',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'reasoning_tokens',
  'cost',
  'cost_status',
  'time_to_first_chunk_ms',
  'duration_ms',
] as const

type Value = string | number | null
export type ListedRequest = Readonly<Record<(typeof listedColumns)[number], Value>>
/** Every column of the ledger. */
export type WholeRequest = Readonly<Record<string, Value>>

export interface RequestPage {
  /** Newest first, or as they were sorted. */
  readonly requests: readonly ListedRequest[]
  /** The part of the range that was looked through, where it is not all of it: one question looks through some ten thousand rows. */
  readonly looked: Range | null
  /** To ask for the next page, which may have no request and yet a next; null on the last. */
  readonly next: string | null
}

export interface LedgerState {
  readonly rows: number
  readonly bytes: number
  readonly oldestStartedAt: number | null
}

export type Question =
  | {
      readonly kind: 'summary'
      readonly range: Range
      readonly sets: readonly (readonly Dimension[])[]
      readonly where?: readonly Condition[] | undefined
      readonly groupsMax: number
    }
  | { readonly kind: 'spent'; readonly range: Range; readonly where: readonly Condition[]; readonly rowidMax: number }
  | { readonly kind: 'latency'; readonly range: Range }
  | {
      readonly kind: 'series'
      readonly range: Range
      readonly bucketMs: number
      readonly providersMax: number
      readonly where?: readonly Condition[] | undefined
    }
  | GroupsQuestion
  | HeatmapQuestion
  | DistributionQuestion
  | { readonly kind: 'requests'; readonly filter: RequestFilter }
  | { readonly kind: 'request'; readonly id: string }
  | { readonly kind: 'state' }

export interface Answers {
  readonly summary: Summary
  /** Of the rows up to `rowidMax`. */
  readonly spent: { readonly usd: number; readonly tokens: number }
  readonly latency: Latency
  readonly series: Series
  readonly groups: GroupPage
  readonly heatmap: Heatmap
  readonly distribution: DistributionAnswer
  readonly requests: RequestPage
  readonly request: WholeRequest | null
  readonly state: LedgerState
}
