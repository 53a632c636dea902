/** Pieces of SQL that several questions share, so that all of them mean the same by the same word. ClickHouse reads them too (scripts/clickhouse-rollups.ts). */
import type { Condition, Dimension, Field, LabelDimension, TokenKind } from './queries.ts'

export const inRange = 'started_at >= :since AND started_at < :until'

const dimensionSql: Readonly<Record<Exclude<Dimension, LabelDimension>, string>> = {
  provider: 'provider',
  model: 'coalesce(request_model, response_model)',
  caller: 'caller',
  route: 'route',
  day: "date(started_at / 1000, 'unixepoch', 'localtime')",
  outcome: 'usage_outcome',
  // As `zeroUsageReason` below where usage is due and there is none.
  reason:
    "CASE WHEN usage_outcome = 'zero' THEN 'zero' WHEN usage_outcome IN ('missing', 'undecodable') THEN coalesce(usage_reason, 'upstream_omitted') ELSE usage_reason END",
}

/** Rows, or the keys of rollups. */
export type Table = 'exchanges' | 'rollup_keys'

/** A label's name is one of `dimensionOf`, which is safe to write here. */
export function sqlOf(dimension: Dimension, table: Table = 'exchanges'): string {
  const name = labelOf(dimension)
  if (name !== undefined) return `json_extract(labels, '$.${name}')`
  return dimension === 'model' && table === 'rollup_keys' ? 'model' : dimensionSql[dimension as keyof typeof dimensionSql]
}

export function labelOf(dimension: Dimension): string | undefined {
  return /^label:(\w+)$/.exec(dimension)?.[1]
}

/** The name of a column is one of `conditionsOf`, which is safe to write here. */
function fieldSql(field: Field, table: Table): string {
  if (field === 'any_model') return "(coalesce(request_model, '') || ' ' || coalesce(response_model, ''))"
  return field.startsWith('column:') ? field.slice('column:'.length) : sqlOf(field as Dimension, table)
}

/** Behind a WHERE, with its values. */
export function conditionSql(
  conditions: readonly Condition[],
  table: Table = 'exchanges',
): {
  readonly sql: string
  readonly values: Readonly<Record<string, string | number>>
} {
  const values: Record<string, string | number> = {}
  const sql = conditions.map(({ dimension, operator, values: wanted }, at) => {
    const each = wanted.map((value, index) => {
      const field = fieldSql(dimension, table)
      if (value === null) return `${field} IS ${operator === '!=' ? 'NOT ' : ''}NULL`
      const name = `where${at}_${index}`
      values[name] = operator === '~=' ? `%${escapedLike(String(value))}%` : value
      if (operator === '~=') return `${field} LIKE :${name} ESCAPE '\\'`
      // What is not known is not this value either.
      return `${field} ${operator === '!=' ? 'IS NOT' : operator} :${name}`
    })
    return ` AND (${each.join(' OR ')})`
  })
  return { sql: sql.join(''), values }
}

/** For `LIKE … ESCAPE '\\'`. */
export function escapedLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&')
}

export const tokenColumn: Readonly<Record<TokenKind, string>> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite: 'cache_write_tokens',
  reasoning: 'reasoning_tokens',
}

/** As `tokenweir.streams.completed`: an answer that came whole, as a sequence of messages without an error, and owes its usage. */
const completedStream =
  "streamed = 1 AND end_reason = 'completed' AND error_type IS NULL AND (status BETWEEN 200 AND 299 OR status = 101) AND usage_outcome IS NOT NULL"
export const isCompletedStream = `(${completedStream})`

/** As `tokenweir.streams.zero_usage`: not of a stream that was let pass unchanged to see what the upstream does. */
const isProbe = `(coalesce(usage_reason, '') = 'not_requested' AND coalesce(notes, '') LIKE '%"usage_probe"%')`
export const isZeroUsage = `(${completedStream} AND usage_outcome IN ('zero', 'missing', 'undecodable') AND NOT ${isProbe})`
export const zeroUsageReason = "CASE WHEN usage_outcome = 'zero' THEN 'zero' ELSE coalesce(usage_reason, 'upstream_omitted') END"

/** It owes its usage, and did not tell it: a provider that answers in full and has no such count (embeddings have no output) owes none. */
export const owesUsage = "(usage_outcome IN ('partial', 'missing', 'undecodable'))"
