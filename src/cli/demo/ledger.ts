/** What the demo shows of the ledger. */
import { isCompletedStream, isZeroUsage } from '../../ledger/queries/fragments.ts'
import { openForReading } from '../../ledger/queries/open.ts'

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

/** Responses whose usage is whole: those that broke off have no final usage to compare. */
export interface Counted {
  readonly requests: number
  /** Input and output. */
  readonly tokens: number
  /** USD; the sum over requests that have a price. */
  readonly cost: number
}

export interface Recorded {
  /** Rows of requests that have ended. */
  readonly requests: number
  readonly streamed: Counted
  /** With status 200. */
  readonly plain: Counted
}

/** Usage as it was recorded of one response. */
export interface Told {
  readonly response_id: string | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
}

export interface DemoLedger {
  totals(): readonly ProviderTotals[]
  reasons(): readonly Reason[]
  recorded(): Recorded
  told(): readonly Told[]
  close(): void
}

const isWhole = "usage_outcome IN ('reported', 'zero')"

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
  const counted = (which: string) => {
    const query = database.prepare(`
      SELECT count(*) AS requests, coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE ${isWhole}), 0) AS tokens,
        coalesce(sum(cost) FILTER (WHERE ${isWhole}), 0) AS cost
      FROM exchanges WHERE end_reason IS NOT NULL AND ${which}`)
    return () => query.get() as unknown as Counted
  }
  const streamed = counted('streamed = 1')
  const plain = counted('streamed = 0 AND status = 200')
  const told = database.prepare(`SELECT response_id, input_tokens, output_tokens FROM exchanges WHERE ${isWhole}`)
  return {
    totals: () => totals.all() as unknown as readonly ProviderTotals[],
    reasons: () => reasons.all() as unknown as readonly Reason[],
    recorded: () => ({ requests: Number(closed.get()?.['count']), streamed: streamed(), plain: plain() }),
    told: () => told.all() as unknown as readonly Told[],
    close: () => database.close(),
  }
}
