/** What the demo shows of the ledger, and its comparison with what was sent. */
import type { DatabaseSync } from 'node:sqlite'
import { isCompletedStream, isZeroUsage } from '../../ledger/queries/fragments.ts'
import { openForReading } from '../../ledger/queries/open.ts'
import type { Sent } from './parts.ts'

export interface ProviderTotals {
  readonly provider: string
  readonly requests: number
  readonly streams: number
  readonly input: number
  readonly output: number
  /** USD; the sum over requests that have a price. */
  readonly cost: number
  readonly errors: number
  /** Streams without usage, as everywhere. */
  readonly withoutUsage: number
}

export interface Reason {
  readonly what: string
  readonly count: number
}

export interface DemoLedger {
  totals(): readonly ProviderTotals[]
  reasons(): readonly Reason[]
  closed(): number
  compare(requests: number, sent: readonly Sent[], logged: number): readonly Comparison[]
  close(): void
}

export interface Comparison {
  readonly what: string
  readonly recorded: number
  readonly sent: number
}

export function openDemoLedger(path: string): DemoLedger {
  const database = openForReading(path)
  const totals = database.prepare(`
    SELECT coalesce(provider, '–') AS provider, count(*) AS requests, sum(${isCompletedStream}) AS streams, coalesce(sum(input_tokens), 0) AS input,
      coalesce(sum(output_tokens), 0) AS output, coalesce(sum(cost), 0) AS cost, count(error_type) AS errors,
      sum(${isZeroUsage}) AS withoutUsage
    FROM exchanges WHERE end_reason IS NOT NULL GROUP BY 1 ORDER BY input + output DESC`)
  const reasons = database.prepare(`
    SELECT usage_outcome || CASE WHEN usage_reason IS NULL THEN '' ELSE ' (' || usage_reason || ')' END AS what, count(*) AS count
    FROM exchanges WHERE usage_outcome IS NOT NULL AND usage_outcome <> 'reported' GROUP BY 1 ORDER BY 2 DESC, 1`)
  const closed = database.prepare('SELECT count(*) AS count FROM exchanges WHERE end_reason IS NOT NULL')
  return {
    totals: () => totals.all() as unknown as readonly ProviderTotals[],
    reasons: () => reasons.all() as unknown as readonly Reason[],
    closed: () => Number(closed.get()?.['count']),
    compare: (requests, sent, logged) => compare(database, requests, sent, logged),
    close: () => database.close(),
  }
}

interface Told {
  readonly response_id: string | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
}

const sum = (values: readonly (number | null | undefined)[]): number => values.reduce<number>((total, value) => total + (value ?? 0), 0)

/**
 * The ledger against the number of requests that clients made, the gateway's own list of answers, and the request log. Answers that broke off
 * have no final usage to compare; the gateway may have seen a request twice (`strict-1`: refused with usage injected, then as it was).
 */
function compare(database: DatabaseSync, requests: number, sent: readonly Sent[], logged: number): readonly Comparison[] {
  const rows = Number(database.prepare('SELECT count(*) AS count FROM exchanges WHERE end_reason IS NOT NULL').get()?.['count'])
  const told = database
    .prepare("SELECT response_id, input_tokens, output_tokens FROM exchanges WHERE usage_outcome IN ('reported', 'zero')")
    .all() as unknown as readonly Told[]
  const final = sent.filter(({ ended, usage }) => ended === 'whole' && usage !== undefined)
  const rowOf = new Map(told.map((row) => [row.response_id, row]))
  const withId = final.filter(({ id }) => id !== undefined)
  const same = withId.filter(({ id, usage }) => {
    const row = rowOf.get(id ?? null)
    return row !== undefined && row.input_tokens === (usage?.inputTokens ?? null) && row.output_tokens === (usage?.outputTokens ?? null)
  })
  return [
    { what: 'requests', recorded: rows, sent: requests },
    { what: 'answers with their usage', recorded: told.length, sent: final.length },
    { what: 'input tokens', recorded: sum(told.map((row) => row.input_tokens)), sent: sum(final.map(({ usage }) => usage?.inputTokens)) },
    {
      what: 'output tokens',
      recorded: sum(told.map((row) => row.output_tokens)),
      sent: sum(final.map(({ usage }) => usage?.outputTokens)),
    },
    { what: 'answers equal one by one', recorded: same.length, sent: withId.length },
    { what: '"Streaming request logged"', recorded: logged, sent: sent.filter(({ streamed }) => streamed).length },
  ]
}
