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

/** What else is read of a row, by its column. */
const columnOf = {
  ...{ startedAt: 'started_at', endedAt: 'ended_at', provider: 'provider', requestModel: 'request_model', responseModel: 'response_model' },
  ...{
    caller: 'caller',
    route: 'route',
    labels: 'labels',
    endReason: 'end_reason',
    errorType: 'error_type',
    usageOutcome: 'usage_outcome',
  },
  ...{ usageReason: 'usage_reason', streamed: 'streamed', status: 'status', notes: 'notes', cost: 'cost', costStatus: 'cost_status' },
  ...{
    saved: 'cache_saved',
    tokenMs: sketchColumns.token_time,
    input: 'input_tokens',
    output: 'output_tokens',
    cacheRead: 'cache_read_tokens',
  },
} as const
/** The columns of a row that are read. */
export const neededColumns: readonly string[] = [
  ...new Set([...Object.values(columnOf), ...tokenNames.map((name) => `${name}_tokens`), ...Object.values(sketchColumns)]),
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
  const at = placesIn(names)
  const tokensAt = tokenNames.map((name) => names.indexOf(`${name}_tokens`))
  const sketchesAt = sketchNames.map((name) => names.indexOf(sketchColumns[name]))
  return (row) => {
    const text = (place: number) => (row[place] ?? null) as string | null
    const number = (place: number) => (row[place] ?? null) as number | null
    const startedAt = number(at.startedAt) as number
    const errorType = text(at.errorType)
    const usageOutcome = text(at.usageOutcome)
    const usageReason = text(at.usageReason)
    const [cost, saved, tokenMs] = [number(at.cost), number(at.saved), number(at.tokenMs)]
    const [input, cacheRead] = [number(at.input), number(at.cacheRead)]
    const isCacheKnown = input !== null && cacheRead !== null
    const isStream = isCompletedStream(row, at)
    const owesUsage = usageOutcome === 'partial' || usageOutcome === 'missing' || usageOutcome === 'undecodable'
    const isProbe = usageReason === 'not_requested' && text(at.notes)?.includes('"usage_probe"') === true
    const isZero = isStream && !isProbe && (usageOutcome === 'zero' || usageOutcome === 'missing' || usageOutcome === 'undecodable')
    const tokensReported = Number(input !== null || number(at.output) !== null)
    const sums = [1, Number(errorType !== null), Number(isStream), Number(isZero), cost ?? 0, Number(cost !== null)]
    sums.push(Number(row[at.costStatus] === 'unpriced'), saved ?? 0, Number(saved !== null))
    if (isCacheKnown) sums.push(cacheRead, input, 1)
    else sums.push(0, 0, 0)
    sums.push(tokenMs ?? 0, Number(tokenMs !== null), tokensReported)
    for (const place of tokensAt) {
      const count = number(place)
      if (count === null) sums.push(0, 0, Number(owesUsage))
      else sums.push(count, 1, 0)
    }
    return {
      startedAt,
      endedAt: number(at.endedAt) ?? startedAt,
      key: [
        text(at.provider),
        text(at.requestModel) ?? text(at.responseModel),
        text(at.caller),
        text(at.route),
        labelsOf(row[at.labels] ?? null),
        text(at.endReason),
        errorType,
        usageOutcome,
        usageReason,
      ],
      sums,
      buckets: sketchesAt.map((place) => (typeof row[place] === 'number' ? bucketOf(row[place]) : undefined)),
    }
  }
}

type Places = Readonly<Record<keyof typeof columnOf, number>>

const placesIn = (names: readonly string[]) =>
  Object.fromEntries(Object.entries(columnOf).map(([what, column]) => [what, names.indexOf(column)])) as Places

function isCompletedStream(row: RowValues, at: Places): boolean {
  const status = (row[at.status] ?? null) as number | null
  return (
    row[at.streamed] === 1 &&
    row[at.endReason] === 'completed' &&
    (row[at.errorType] ?? null) === null &&
    status !== null &&
    ((status >= 200 && status <= 299) || status === 101) &&
    (row[at.usageOutcome] ?? null) !== null
  )
}
