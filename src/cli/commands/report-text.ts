/** A summary of the ledger as a table, as JSON or as CSV. */
import {
  type Count,
  type Dimension,
  type Group,
  type Summary,
  type TokenKind,
  type Totals,
  tokenKinds,
} from '../../ledger/queries/queries.ts'
import { printableLine } from '../../lib/printable.ts'
import type { Painter } from './context.ts'
import { type Column, tableText, wrapped } from './table.ts'

export const notKnown = '–'
/** Marks a lower bound: not every request reported its tokens. */
const mark = '+'
export const number = new Intl.NumberFormat('en-US')
const usd = new Intl.NumberFormat('en-US', { minimumFractionDigits: 4, maximumFractionDigits: 4 })

const percent = new Intl.NumberFormat('en-US', { style: 'percent', maximumFractionDigits: 1 })
const perSecond = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

interface Measure {
  readonly title: string
  readonly spare: number
  readonly text: (totals: Totals) => string
  /** Left out where no line knows it. */
  readonly ifKnown?: true
}

const tokens = (title: string, kind: TokenKind, spare: number): Measure => ({
  title,
  spare,
  text: (totals) => countText(totals.tokens[kind]),
})

/** The order in which columns are left out on a narrow terminal. */
const allMeasures: readonly Measure[] = [
  { title: 'Requests', spare: 0, text: ({ requests }) => number.format(requests) },
  { title: 'Streams', spare: 4, text: ({ streams }) => number.format(streams) },
  { title: 'Errors', spare: 3, text: ({ errors }) => number.format(errors) },
  { title: 'No usage', spare: 2, text: ({ zeroUsage }) => number.format(zeroUsage) },
  tokens('Input', 'input', 0),
  tokens('Output', 'output', 0),
  tokens('Cache read', 'cacheRead', 6),
  tokens('Cache write', 'cacheWrite', 8),
  tokens('Reasoning', 'reasoning', 7),
  {
    title: 'Cost USD',
    spare: 0,
    text: ({ cost }) => costText(cost),
  },
  {
    title: 'Cached',
    spare: 9,
    text: ({ cache }) => (cache.hitShare === null ? notKnown : percent.format(cache.hitShare)),
    ifKnown: true,
  },
  { title: 'Saved USD', spare: 10, text: ({ cache }) => (cache.savedUsd === null ? notKnown : usdText(cache.savedUsd)), ifKnown: true },
  {
    title: 'Tokens/s',
    spare: 5,
    text: ({ timePerOutputTokenMs: ms }) => (ms === null ? notKnown : perSecond.format(1000 / ms)),
    ifKnown: true,
  },
]

export function countText({ sum, unreported }: Count): string {
  return atLeast(sum === null ? notKnown : number.format(sum), sum, unreported)
}

export function costText({ usd: known, unpriced }: Totals['cost']): string {
  return atLeast(known === null ? notKnown : usdText(known), known, unpriced)
}

function atLeast(text: string, known: number | null, unknown: number): string {
  return known !== null && unknown > 0 ? `${text}${mark}` : text
}

/** An amount that would be rounded to zero is not shown as zero. */
function usdText(amount: number): string {
  return amount > 0 && amount < 0.000_05 ? '<0.0001' : usd.format(amount)
}

/** `label:team` → `Team`. */
function titleOf(dimension: Dimension): string {
  const name = dimension.replace(/^label:/, '')
  return name.charAt(0).toUpperCase() + name.slice(1)
}

/** `width` in columns; undefined is a pipe. */
export function tableOf(
  summary: Summary,
  { path, pricesDate }: { readonly path: string; readonly pricesDate: string },
  width: number | undefined,
  paint: Painter,
): string {
  const [breakdown] = summary.breakdowns
  if (breakdown === undefined) return ''
  const { by, groups } = breakdown
  const all = [...groups, summary.total]
  const measures = allMeasures.filter(({ text, ifKnown }) => ifKnown !== true || all.some((totals) => text(totals) !== notKnown))
  const lines = all.map((totals) => measures.map(({ text }) => text(totals)))
  // The mark has a place of its own in each line of a column in which one line has it, so that digits stand below each other.
  const marked = measures.map((_, at) => lines.some((line) => line[at]?.endsWith(mark)))
  const cells = (line: readonly string[] | undefined) =>
    measures.map((_, at) => `${line?.[at]}${marked[at] && !line?.[at]?.endsWith(mark) ? ' ' : ''}`)
  const columns: Column[] = [
    ...by.map((dimension): Column => ({ title: titleOf(dimension), align: 'left', spare: 0 })),
    ...measures.map(({ title, spare }, at): Column => ({ title: marked[at] ? `${title} ` : title, align: 'right', spare })),
  ]
  const table = tableText(
    {
      columns,
      rows: groups.map((group, index) => [...by.map((dimension) => group.key[dimension] ?? notKnown), ...cells(lines[index])]),
      totals: [...by.map((_, index) => (index === 0 ? 'Total' : '')), ...cells(lines.at(-1))],
    },
    width,
    paint,
  )
  return `${paint.dim(`${when(summary.sinceMs)} to ${when(summary.untilMs)}, ${printableLine(path)}, prices of ${pricesDate}`)}\n\n${table}${notes(summary, width, paint)}`
}

function when(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function notes({ total, zeroUsage, breakdowns }: Summary, width: number | undefined, paint: Painter): string {
  const lines: string[] = []
  const say = (text: string, colour = (line: string) => line) => lines.push(...wrapped(text, width).map(colour))
  const [breakdown] = breakdowns
  if (breakdown !== undefined && breakdown.leftOut > 0)
    say(`${number.format(breakdown.leftOut)} more groups are in the total and not shown.`)
  if (total.open > 0) say(`${number.format(total.open)} of them still open.`)
  if (total.zeroUsage > 0) {
    const reasons = zeroUsage.map(({ reason, streams }) => `${printableLine(reason)} ${number.format(streams)}`).join(', ')
    say(`${number.format(total.zeroUsage)} of ${number.format(total.streams)} streams came without usage: ${reasons}.`, paint.yellow)
  }
  const unreported = Math.max(total.tokens.input.unreported, total.tokens.output.unreported)
  if (unreported > 0 || total.cost.unpriced > 0) {
    const what = [
      unreported > 0 ? `${number.format(unreported)} requests did not report their tokens` : '',
      total.cost.unpriced > 0 ? `${number.format(total.cost.unpriced)} have no price that is known` : '',
    ]
    say(`+ is at least: ${what.filter((part) => part !== '').join(', ')}.`)
  }
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`
}

/** One object: the range, the totals, one entry for each group. Unknown values are null. */
export function jsonOf({ sinceMs, untilMs, total, breakdowns, zeroUsage }: Summary, path: string, pricesDate: string): string {
  const [breakdown] = breakdowns
  const report = {
    ledger: path,
    pricesDate,
    since: new Date(sinceMs).toISOString(),
    until: new Date(untilMs).toISOString(),
    by: breakdown?.by,
    groups: breakdown?.groups,
    total,
    zeroUsage,
  }
  return `${JSON.stringify(report, undefined, 2)}\n`
}

const countNames: Readonly<Record<TokenKind, string>> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite: 'cache_write_tokens',
  reasoning: 'reasoning_tokens',
}

/** RFC 4180, but with Unix line endings. Unknown values are empty. */
export function csvOf({ breakdowns }: Summary): string {
  const [breakdown] = breakdowns
  const { by = [], groups = [] } = breakdown ?? {}
  const header = [
    ...by,
    ...['requests', 'open', 'errors', 'streams', 'zero_usage_streams'],
    ...tokenKinds.map((kind) => countNames[kind]),
    ...['input_tokens_unreported', 'output_tokens_unreported', 'cost_usd', 'unpriced_requests'],
    ...['cache_hit_share', 'cache_saved_usd', 'time_per_output_token_ms'],
  ]
  const line = (group: Group) => [
    ...by.map((dimension) => csvText(group.key[dimension] ?? '')),
    ...[group.requests, group.open, group.errors, group.streams, group.zeroUsage],
    ...tokenKinds.map((kind) => group.tokens[kind].sum ?? ''),
    ...[group.tokens.input.unreported, group.tokens.output.unreported, group.cost.usd ?? '', group.cost.unpriced],
    ...[group.cache.hitShare ?? '', group.cache.savedUsd ?? '', group.timePerOutputTokenMs ?? ''],
  ]
  return [header, ...groups.map(line)].map((cells) => `${cells.join(',')}\n`).join('')
}

/** What begins a formula, also full-width, behind blanks, controls and characters without width. */
const formula = /^[\s\p{C}]*[=+\-@\uff1d\uff0b\uff0d\uff20]/u

/** Names come from requests: one that a spreadsheet would run as a formula is quoted as text. */
function csvText(text: string): string {
  const plain = printableLine(formula.test(text) ? `'${text}` : text)
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}
