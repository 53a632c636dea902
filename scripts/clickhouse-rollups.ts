/**
 * The rollups of the fleet's ledger in ClickHouse. Views that add up each insert would count a row twice that arrives twice; these are refreshed:
 * what was touched since the last time is added up anew, and the newest sum of a group takes the place of the older one.
 */
import { isCompletedStream, isZeroUsage, owesUsage, sqlOf, tokenColumn } from '../src/ledger/queries/fragments.ts'
import { type Dimension, tokenKinds } from '../src/ledger/queries/queries.ts'

interface Column {
  readonly name: string
  readonly type: string
  readonly comment: string
  /** Out of rows of the ledger. */
  readonly ofRows: string
  /** Out of rows of a finer rollup. */
  readonly ofRollup: string
}

const dimension = (name: string, sql: string, comment: string): Column => ({
  ...{ name, type: 'LowCardinality(String)', comment: `${comment} Empty when it is not known.` },
  ofRows: `ifNull(${sql}, '')`,
  ofRollup: name,
})

const dimensionComments: readonly (readonly [Dimension, string])[] = [
  ['provider', 'gen_ai.provider.name.'],
  ['model', 'The model that was asked for, or else the one that answered.'],
  ['caller', 'Who called.'],
  ['route', 'Name of the configured route.'],
]

const dimensions: readonly Column[] = [
  dimension('service', 'service', 'service.name of the sidecar.'),
  ...dimensionComments.map(([name, comment]) => dimension(name, sqlOf(name), comment)),
  dimension('outcome', 'usage_outcome', 'reported, zero, partial, missing or undecodable.'),
  dimension('reason', 'usage_reason', 'Why the outcome is not `reported`.'),
]

const sum = (name: string, ofRows: string, comment: string, type = 'UInt64'): Column => ({
  ...{ name, type, comment, ofRows },
  ofRollup: `sum(r.${name})`,
})

const quantiles = 'quantilesDD'
const levels = '(0.01, 0.5, 0.95, 0.99)'
const sketch = (name: string, column: string, comment: string): Column => ({
  ...{ name, comment: `${comment} Read it with ${quantiles}Merge${levels}: 50th, 95th and 99th percentile, within 1 %.` },
  type: `AggregateFunction(${quantiles}${levels}, Nullable(Float64))`,
  ofRows: `${quantiles}State${levels}(${column})`,
  ofRollup: `${quantiles}MergeState${levels}(r.${name})`,
})

const measures: readonly Column[] = [
  sum('requests', 'count()', 'Requests that began then.'),
  sum('errors', 'countIf(error_type IS NOT NULL)', 'Of them, with an error.'),
  sum('streams', `countIf(${isCompletedStream})`, 'Streams that came whole.'),
  sum('zero_usage', `countIf(${isZeroUsage})`, 'Of them, the ones without usage.'),
  ...tokenKinds.flatMap((kind) => {
    const column = tokenColumn[kind]
    const name = column.replace('_tokens', '')
    return [
      sum(name, `sum(ifNull(${column}, 0))`, `Sum of ${column}, as far as they were reported.`),
      sum(`${name}_reported`, `count(${column})`, `Requests whose ${column} are in the sum. 0: the sum is not known.`),
      sum(`${name}_unreported`, `countIf(${owesUsage} AND ${column} IS NULL)`, `Requests that owe their ${column} and gave none.`),
    ]
  }),
  sum('cost_usd', 'sum(ifNull(cost, 0))', 'USD, as far as the cost is known.', 'Float64'),
  sum('priced', 'count(cost)', 'Requests whose cost is in the sum. 0: the sum is not known.'),
  sum('unpriced', "countIf(cost_status = 'unpriced')", 'Requests that have no price that is known.'),
  sketch('time_to_first_chunk', 'time_to_first_chunk_ms', 'Milliseconds to the first chunk.'),
  sketch('duration', 'duration_ms', 'Milliseconds to the end.'),
]

interface Rollup {
  readonly name: string
  readonly start: string
  readonly days: number
  readonly everyMinutes: number
  /** A finer rollup; the ledger otherwise. */
  readonly of?: string
  /** Only what began in so many days: older parts of what it is added up from may be gone. */
  readonly daysTouched: number
}

const rollups: readonly Rollup[] = [
  { name: 'usage_by_minute', start: 'toStartOfMinute', days: 14, everyMinutes: 1, daysTouched: 13 },
  { name: 'usage_by_hour', start: 'toStartOfHour', days: 400, everyMinutes: 10, daysTouched: 399 },
  { name: 'usage_by_day', start: 'toStartOfDay', days: 1830, everyMinutes: 10, of: 'usage_by_hour', daysTouched: 398 },
]

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
const lines = (list: readonly string[]) => list.map((line) => `    ${line}`).join(',\n')

function rollupText({ name, start, days, everyMinutes, of, daysTouched }: Rollup): string {
  const source = of === undefined ? 'tokenweir.exchanges FINAL' : `tokenweir.${of} AS r FINAL`
  const [from, time, touched] =
    of === undefined ? ['tokenweir.exchanges', 'started_at', 'arrived_at'] : [`tokenweir.${of}`, 'start', 'refreshed_at']
  const began = `${start}(toDateTime(${of === undefined ? time : `r.${time}`}, 'UTC'))`
  const declared = [...dimensions, ...measures].map(({ name, type, comment }) => `${name} ${type} COMMENT ${quoted(comment)}`)
  const selected = [...dimensions, ...measures].map((column) => `${of === undefined ? column.ofRows : column.ofRollup} AS ${column.name}`)
  return `CREATE TABLE IF NOT EXISTS tokenweir.${name} (
    start DateTime('UTC') COMMENT 'When it begins.',
${lines(declared)},
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When it was added up; the newest counts.'
) ENGINE = ReplacingMergeTree(refreshed_at)
PARTITION BY toYYYYMM(start)
ORDER BY (start, ${dimensions.map((column) => column.name).join(', ')})
TTL start + INTERVAL ${days} DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenweir.${name}_refresh REFRESH EVERY ${everyMinutes} MINUTE${of === undefined ? '' : ` DEPENDS ON tokenweir.${of}_refresh`} APPEND TO tokenweir.${name} AS
SELECT
    ${began} AS start,
${lines(selected)},
    now64(3, 'UTC') AS refreshed_at
FROM ${source}
WHERE ${began} IN (
    SELECT ${began.replace('r.', '')} FROM ${from}
    WHERE ${touched} > (SELECT max(refreshed_at) FROM tokenweir.${name}) - INTERVAL 15 MINUTE
        AND ${time} > now() - INTERVAL ${daysTouched} DAY
)
GROUP BY start, ${dimensions.map((column) => column.name).join(', ')};
`
}

export const rollupsText = () => rollups.map(rollupText).join('\n')
