/** What the demo prints: the gateway's log beside tokenweir's record, and tokens by provider. 24 lines of 80 columns hold all of it. Pure. */
import { cut } from '../../lib/terminal.ts'
import type { ProviderTotals, Reason } from '../demo/ledger.ts'
import { isRight, type StoryRow } from '../demo/story.ts'
import type { Painter } from './context.ts'
import { tableText } from './table.ts'

/** The live page shows all of them. */
const providersShownMax = 3

const grouped = (value: number) => value.toLocaleString('en')

export interface Places {
  /** `http://127.0.0.1:PORT`, as the others. */
  readonly gateway: string
  readonly sidecar: string
  readonly page: string
  /** Milliseconds from start to ready. */
  readonly readyMs: number
}

export function welcomeText(
  { gateway, sidecar, page, readyMs }: Places,
  isTerminal: boolean,
  paint: Pick<Painter, 'bold' | 'dim'>,
): string {
  return `${paint.bold('tokenweir demo')}: a gateway that loses the tokens of its streams, and the truth
  gateway    ${gateway}  ${paint.dim('logs a stream after its yield loop')}
  tokenweir  ${sidecar}  ${paint.dim(`in front of it, ready after ${Math.round(readyMs)} ms`)}
  live page  ${paint.bold(page)}${isTerminal ? '  Ctrl-C ends the demo.' : ''}

`
}

export interface Standing {
  readonly story: readonly StoryRow[]
  readonly totals: readonly ProviderTotals[]
  readonly reasons: readonly Reason[]
  /** Requests. */
  readonly sent: number
  readonly recorded: number
  /** Responses may still be under way. */
  readonly isRunning: boolean
}

/** `width` is undefined in a pipe. */
export function standingText(standing: Standing, width: number | undefined, paint: Painter): string {
  const { sent, recorded, isRunning } = standing
  // A request has its row when it has ended: what is missing while responses are under way is no loss.
  const inFlight = isRunning ? `, ${grouped(Math.max(0, sent - recorded))} in flight` : ''
  const reasons = standing.reasons.map(({ what, count }) => `${count} ${what}`).join(', ')
  const last = reasons === '' ? '' : `Usage not whole: ${reasons}`
  const count = `${grouped(sent)} requests to ${standing.totals.length} providers sent, ${grouped(recorded)} recorded${inFlight}`
  return `${storyText(standing.story, paint)}\n${count}\n\n${totalsText(standing.totals, width, paint)}${width === undefined ? last : cut(last, width)}\n`
}

/** The column of what was sent is there when something was compared. */
function storyText(rows: readonly StoryRow[], paint: Painter): string {
  const isCompared = rows.some(({ sent }) => sent !== undefined)
  const line = ({ what, gateway, isLost, recorded, sent, unit }: StoryRow) => {
    const number = (value: number | undefined) => (value === undefined ? '–' : unit === 'USD' ? value.toFixed(4) : grouped(value))
    const logged = number(gateway).padStart(15)
    const own = number(recorded).padStart(12)
    return `${what.padEnd(30)}${isLost === true ? paint.red(logged) : logged}${isLost === true ? paint.green(own) : own}`.concat(
      isCompared && sent !== undefined ? number(sent).padStart(12) : '',
    )
  }
  const lines = rows.map((row) => {
    if (row.sent === undefined) return line(row)
    return `${line(row)}  ${isRight(row) ? paint.green('as sent') : paint.red('DIFFERENT')}`
  })
  const titles = ' '.repeat(30).concat('GATEWAY’S LOG'.padStart(15), 'TOKENWEIR'.padStart(12), isCompared ? 'SENT'.padStart(12) : '')
  return `${[paint.bold(titles), ...lines].join('\n')}\n`
}

function totalsText(totals: readonly ProviderTotals[], width: number | undefined, paint: Pick<Painter, 'bold' | 'dim'>): string {
  const column = (title: string, spare: number, align: 'left' | 'right' = 'right') => ({ title, align, spare })
  const rows = totals
    .slice(0, providersShownMax)
    .map(({ provider, requests, streams, input, output, cost, errors, withoutUsage }) => [
      ...[provider, grouped(requests), grouped(streams), grouped(input), grouped(output)],
      ...[cost.toFixed(4), grouped(errors), grouped(withoutUsage)],
    ])
  const columns = [
    ...[column('PROVIDER', 0, 'left'), column('REQUESTS', 0), column('STREAMS', 2), column('INPUT', 0), column('OUTPUT', 0)],
    ...[column('USD', 3), column('ERRORS', 1), column('NO USAGE', 0)],
  ]
  return tableText({ columns, rows }, width, paint)
}
