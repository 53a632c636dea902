/** What rollups count of a row. `queries/fragments.ts` says the same in SQL; a test holds the two together. */
import { bucketOf } from '../queries/quantiles.ts'
import type { RowValues, SqlValue } from '../row.ts'

const tokenNames = ['input', 'output', 'cache_read', 'cache_write', 'reasoning'] as const

/** The columns of a cell that are added up, in the order of `Measured.sums`. */
export const sumColumns = [
  'requests',
  'errors',
  'streams',
  'zero_usage',
  'usd',
  'priced',
  'unpriced',
  'saved_usd',
  'saved',
  'cache_hits',
  'cache_input',
  'cache_known',
  'token_ms',
  'timed',
  'tokens_reported',
  ...tokenNames.flatMap((name) => [`${name}_tokens`, `${name}_reported`, `${name}_unreported`]),
]
/** Sums that are NULL while nothing is known of them, because unknown is not zero: each with the count of the requests of which it is known. */
export const knownBy: Readonly<Record<string, string>> = {
  ...{ usd: 'priced', saved_usd: 'saved', cache_hits: 'cache_known', cache_input: 'cache_known', token_ms: 'timed' },
  ...Object.fromEntries(tokenNames.map((name) => [`${name}_tokens`, `${name}_reported`])),
}
/** Durations whose distribution is kept: the column of the row by the column of the cell. */
export const sketchColumns = {
  first_chunk: 'time_to_first_chunk_ms',
  duration: 'duration_ms',
  token_time: 'time_per_output_token_ms',
} as const
export const sketchNames = Object.keys(sketchColumns) as (keyof typeof sketchColumns)[]

/** What cells are told apart by: the columns of the table `rollup_keys`. */
export const keyColumns = [
  'provider',
  'model',
  'caller',
  'route',
  'labels',
  'end_reason',
  'error_type',
  'usage_outcome',
  'usage_reason',
] as const
export type KeyValues = readonly (string | null)[]

/** The columns of a row that are read. */
export const neededColumns = [
  ...['started_at', 'ended_at', 'provider', 'request_model', 'response_model', 'caller', 'route', 'labels', 'end_reason', 'error_type'],
  ...['usage_outcome', 'usage_reason', 'streamed', 'status', 'notes', 'cost', 'cost_status', 'cache_saved'],
  ...tokenNames.map((name) => `${name}_tokens`),
  ...Object.values(sketchColumns),
]

export interface Measured {
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  /** Where it began, when nobody saw the end. */
  readonly endedAt: number
  readonly key: KeyValues
  readonly sums: readonly number[]
  /** Bucket of each sketch; undefined when it was not measured. */
  readonly buckets: readonly (number | undefined)[]
}

/** `names` are the columns of the rows; `labelsOf` gives a cell's labels as text. */
export function createMeasure(names: readonly string[], labelsOf: (labels: SqlValue) => string | null): (row: RowValues) => Measured {
  const at = Object.fromEntries(neededColumns.map((name) => [name, names.indexOf(name)]))
  const tokensAt = tokenNames.map((name) => at[`${name}_tokens`] as number)
  const sketchesAt = sketchNames.map((name) => at[sketchColumns[name]] as number)
  return (row) => {
    const value = (name: string) => row[at[name] as number] ?? null
    const text = (name: string) => value(name) as string | null
    const startedAt = value('started_at') as number
    const errorType = text('error_type')
    const usageOutcome = text('usage_outcome')
    const usageReason = text('usage_reason')
    const [cost, saved, tokenMs] = [value('cost'), value('cache_saved'), value('time_per_output_token_ms')]
    const [input, cacheRead] = [value('input_tokens'), value('cache_read_tokens')]
    const isCacheKnown = input !== null && cacheRead !== null
    const isStream = isCompletedStream(row, at)
    const owesUsage = usageOutcome === 'partial' || usageOutcome === 'missing' || usageOutcome === 'undecodable'
    const isProbe = usageReason === 'not_requested' && text('notes')?.includes('"usage_probe"') === true
    const isZero = isStream && !isProbe && (usageOutcome === 'zero' || usageOutcome === 'missing' || usageOutcome === 'undecodable')
    const counts = tokensAt.flatMap((index) => {
      const count = row[index] ?? null
      return count === null ? [0, 0, Number(owesUsage)] : [Number(count), 1, 0]
    })
    return {
      startedAt,
      endedAt: (value('ended_at') as number | null) ?? startedAt,
      key: [
        text('provider'),
        text('request_model') ?? text('response_model'),
        text('caller'),
        text('route'),
        labelsOf(value('labels')),
        text('end_reason'),
        errorType,
        usageOutcome,
        usageReason,
      ],
      sums: [
        1,
        Number(errorType !== null),
        Number(isStream),
        Number(isZero),
        Number(cost ?? 0),
        Number(cost !== null),
        Number(value('cost_status') === 'unpriced'),
        ...[Number(saved ?? 0), Number(saved !== null)],
        ...(isCacheKnown ? [Number(cacheRead), Number(input), 1] : [0, 0, 0]),
        ...[Number(tokenMs ?? 0), Number(tokenMs !== null)],
        Math.max(counts[1] ?? 0, counts[4] ?? 0),
        ...counts,
      ],
      buckets: sketchesAt.map((index) => (typeof row[index] === 'number' ? bucketOf(row[index]) : undefined)),
    }
  }
}

function isCompletedStream(row: RowValues, at: Readonly<Record<string, number>>): boolean {
  const value = (name: string) => row[at[name] as number] ?? null
  const status = value('status') as number | null
  return (
    value('streamed') === 1 &&
    value('end_reason') === 'completed' &&
    value('error_type') === null &&
    status !== null &&
    ((status >= 200 && status <= 299) || status === 101) &&
    value('usage_outcome') !== null
  )
}
