/** A report as named columns with a type each: what CSV and Parquet are made of. */
import { type TokenKind, tokenKinds } from '../../ledger/queries/queries.ts'
import { changePercent, compared } from './change.ts'
import type { Report, ReportGroup } from './read.ts'

export interface FlatColumn {
  readonly name: string
  readonly type: 'text' | 'integer' | 'number'
  /** One for each group; null is not known. */
  readonly values: readonly (string | number | null)[]
}

const countNames: Readonly<Record<TokenKind, string>> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite: 'cache_write_tokens',
  reasoning: 'reasoning_tokens',
}

export function flatColumns({ by, groups, before }: Report): FlatColumn[] {
  const column = (name: string, type: FlatColumn['type'], of: (group: ReportGroup) => string | number | null): FlatColumn => ({
    ...{ name, type },
    values: groups.map(of),
  })
  const integer = (name: string, of: (group: ReportGroup) => number | null) => column(name, 'integer', of)
  return [
    ...by.map((name) => column(name, 'text', ({ key }) => key[name] ?? null)),
    integer('requests', ({ requests }) => requests),
    integer('open', ({ open }) => open),
    integer('errors', ({ errors }) => errors),
    integer('streams', ({ streams }) => streams),
    integer('zero_usage_streams', ({ zeroUsage }) => zeroUsage),
    ...tokenKinds.map((kind) => integer(countNames[kind], ({ tokens }) => tokens[kind].sum)),
    integer('input_tokens_unreported', ({ tokens }) => tokens.input.unreported),
    integer('output_tokens_unreported', ({ tokens }) => tokens.output.unreported),
    column('cost_usd', 'number', ({ cost }) => cost.usd),
    integer('unpriced_requests', ({ cost }) => cost.unpriced),
    column('cache_hit_share', 'number', ({ cache }) => cache.hitShare),
    column('cache_saved_usd', 'number', ({ cache }) => cache.savedUsd),
    column('time_per_output_token_ms', 'number', ({ timePerOutputTokenMs }) => timePerOutputTokenMs),
    ...(before === undefined ? [] : compared).flatMap(({ name, of }) => [
      column(`${name}_before`, name === 'cost_usd' ? 'number' : 'integer', (group) => (group.before ? of(group.before) : null)),
      column(`${name}_change_percent`, 'number', (group) => (group.before ? changePercent(of(group), of(group.before)) : null)),
    ]),
  ]
}
