/** Who is in the ledger: each caller's totals, first and last use, and models. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { inRange } from './fragments.ts'
import type { Summary, Totals } from './queries.ts'
import { readSummary } from './summary.ts'

export interface CallerUse extends Totals {
  /** Null for requests whose caller is not known. */
  readonly caller: string | null
  /** Starts of the first and the last request, in milliseconds since the epoch. */
  readonly firstMs: number
  readonly lastMs: number
  /** Those with most requests first. */
  readonly models: readonly { readonly model: string; readonly requests: number }[]
}

/** Those with most tokens first. */
export function readCallers(database: DatabaseSync, range: Range): { readonly summary: Summary; readonly callers: readonly CallerUse[] } {
  const summary = readSummary(database, { range, sets: [['caller'], ['caller', 'model']], groupsMax: Number.POSITIVE_INFINITY })
  const [byCaller, byModel] = summary.breakdowns
  const rows = database
    .prepare(`SELECT caller, min(started_at) AS first, max(started_at) AS last FROM exchanges WHERE ${inRange} GROUP BY caller`)
    .all({ since: range.sinceMs, until: range.untilMs }) as { caller: string | null; first: number; last: number }[]
  const used = new Map(rows.map((row) => [row.caller, row]))
  const models = Map.groupBy(byModel?.groups ?? [], ({ key }) => key.caller ?? null)
  const callers = (byCaller?.groups ?? []).map(({ key: { caller = null }, ...totals }): CallerUse => {
    const { first = 0, last = 0 } = used.get(caller) ?? {}
    const those = (models.get(caller) ?? []).flatMap(({ key: { model }, requests }) =>
      model === undefined || model === null ? [] : [{ model, requests }],
    )
    return { caller, firstMs: first, lastMs: last, ...totals, models: those.sort((a, b) => b.requests - a.requests) }
  })
  return { summary, callers }
}
