/** Who is in the ledger: each caller's totals, first and last use, and models. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { inSnapshot, readSums } from './look.ts'
import type { Summary, Totals } from './queries.ts'
import { readSummary } from './summary.ts'

export interface CallerUse extends Totals {
  /** Null for requests whose caller is not known. */
  readonly caller: string | null
  /** Starts of the first and the last request, in whole milliseconds since the epoch. */
  readonly firstMs: number
  readonly lastMs: number
  /** Those with most requests first. */
  readonly models: readonly { readonly model: string; readonly requests: number }[]
}

/** Those with most tokens first. */
export function readCallers(database: DatabaseSync, range: Range): { readonly summary: Summary; readonly callers: readonly CallerUse[] } {
  return inSnapshot(database, () => {
    const summary = readSummary(database, { range, sets: [['caller'], ['caller', 'model']], groupsMax: Number.POSITIVE_INFINITY })
    const [byCaller, byModel] = summary.breakdowns
    const used = new Map<string | null, { firstMs: number; lastMs: number }>()
    for (const row of readSums(database, { intervals: [range], by: 'started', dimensions: ['caller'], sums: ['first_at', 'last_at'] })) {
      const caller = row['key_caller'] as string | null
      const { firstMs, lastMs } = used.get(caller) ?? { firstMs: Number.POSITIVE_INFINITY, lastMs: 0 }
      used.set(caller, { firstMs: Math.min(firstMs, Number(row['first_at'])), lastMs: Math.max(lastMs, Number(row['last_at'])) })
    }
    const models = Map.groupBy(byModel?.groups ?? [], ({ key }) => key.caller ?? null)
    const callers = (byCaller?.groups ?? []).map(({ key: { caller = null }, ...totals }): CallerUse => {
      const those = (models.get(caller) ?? []).flatMap(({ key: { model }, requests }) =>
        model === undefined || model === null ? [] : [{ model, requests }],
      )
      const { firstMs, lastMs } = used.get(caller) ?? { firstMs: 0, lastMs: 0 }
      return { caller, firstMs, lastMs, ...totals, models: those.sort((a, b) => b.requests - a.requests) }
    })
    return { summary, callers }
  })
}
