/** How much a number has changed against the range before. */
import type { Totals } from '../../ledger/queries/queries.ts'

/** In percent, to a tenth; null where one of the two is not known or the earlier one is 0. */
export function changePercent(now: number | null, before: number | null): number | null {
  if (now === null || before === null || before === 0) return null
  return Math.round((now / before - 1) * 1000) / 10
}

/** What is compared. `name` as in CSV. */
export const compared: readonly { readonly name: string; readonly of: (totals: Totals) => number | null }[] = [
  { name: 'requests', of: ({ requests }) => requests },
  { name: 'input_tokens', of: ({ tokens }) => tokens.input.sum },
  { name: 'output_tokens', of: ({ tokens }) => tokens.output.sum },
  { name: 'cost_usd', of: ({ cost }) => cost.usd },
]
