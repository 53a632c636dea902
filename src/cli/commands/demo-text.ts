/** What the demo prints: tokens by provider, answers whose usage is not whole, and the comparison at the end. Pure. */
import type { Comparison, ProviderTotals, Reason } from '../demo/ledger.ts'
import type { Painter } from './context.ts'
import { tableText } from './table.ts'

const providersShownMax = 8
const reasonsShownMax = 5

const grouped = (value: number) => value.toLocaleString('en')

export interface Standing {
  readonly totals: readonly ProviderTotals[]
  readonly reasons: readonly Reason[]
  /** Requests. */
  readonly sent: number
  readonly recorded: number
}

/** `width` is undefined in a pipe. The final text is complete; before that it is redrawn repeatedly, and must fit a terminal of 24 lines. */
export function totalsText(standing: Standing, isLast: boolean, width: number | undefined, paint: Pick<Painter, 'bold' | 'dim'>): string {
  const { totals, sent, recorded } = standing
  const column = (title: string, spare: number, align: 'left' | 'right' = 'right') => ({ title, align, spare })
  const shown = totals.slice(0, isLast ? undefined : providersShownMax)
  const more = totals.length - shown.length
  const rows = shown.map(({ provider, requests, streams, input, output, cost, errors, withoutUsage }) => [
    ...[provider, grouped(requests), grouped(streams), grouped(input), grouped(output)],
    ...[cost.toFixed(4), grouped(errors), grouped(withoutUsage)],
  ])
  const columns = [
    ...[column('PROVIDER', 0, 'left'), column('REQUESTS', 0), column('STREAMS', 2), column('INPUT', 0), column('OUTPUT', 0)],
    ...[column('USD', 3), column('ERRORS', 1), column('NO USAGE', 0)],
  ]
  const reasons = standing.reasons
    .slice(0, isLast ? undefined : reasonsShownMax)
    .map(({ what, count }) => `${String(count).padStart(5)}  ${what}`)
  // A request has its row when it has ended: what is missing before the end of the demo is under way, and no loss.
  const inFlight = isLast ? '' : `, ${grouped(Math.max(0, sent - recorded))} in flight`
  const title = `${grouped(sent)} requests sent, ${grouped(recorded)} recorded${inFlight}`
  return `${title}\n\n${tableText({ columns, rows }, width, paint)}${more > 0 ? `and ${more} providers more\n` : ''}\n${paint.bold('Answers whose usage is not whole, and why')}\n${reasons.join('\n')}\n`
}

export const isEqual = ({ recorded, sent }: Comparison) => recorded === sent

export function comparisonsText(comparisons: readonly Comparison[], paint: Pick<Painter, 'bold' | 'green' | 'red'>): string {
  const lines = comparisons.map((one) => {
    const counts = grouped(one.recorded).padStart(10) + grouped(one.sent).padStart(10)
    const text = `  ${one.what.padEnd(28)}${counts}  ${isEqual(one) ? 'equal' : 'DIFFERENT'}`
    return isEqual(one) ? paint.green(text) : paint.red(text)
  })
  return `\n${paint.bold('                                RECORDED      SENT')}\n${lines.join('\n')}\n\n`
}
