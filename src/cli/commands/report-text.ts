/** A summary of the ledger as a table, as JSON or as CSV. */
import type { Count, TokenKind, Totals } from '../../ledger/queries/queries.ts'
import { printableLine } from '../../lib/printable.ts'
import { changePercent, compared } from '../report/change.ts'
import { flatColumns } from '../report/flat.ts'
import type { Report, ReportGroup } from '../report/read.ts'
import type { Painter } from './context.ts'
import { type Column, tableText, wrapped } from './table.ts'

export const notKnown = '–'
/** Marks a lower bound: not every request reported its tokens. */
const mark = '+'
export const number = new Intl.NumberFormat('en-US')
const usd = new Intl.NumberFormat('en-US', { minimumFractionDigits: 4, maximumFractionDigits: 4 })

const percent = new Intl.NumberFormat('en-US', { style: 'percent', maximumFractionDigits: 1 })
const perSecond = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })
/** Totals, and the same in the range before where that is compared with. */
type Compared = Totals & Pick<ReportGroup, 'before'>

interface Measure {
  readonly title: string
  readonly spare: number
  readonly text: (totals: Compared) => string
  /** The name among `compared`, of what has its change beside it. */
  readonly change?: string
  /** Left out where no line knows it. */
  readonly ifKnown?: true
}

const tokens = (title: string, kind: TokenKind, spare: number, change?: string): Measure => ({
  ...{ title, spare, ...(change === undefined ? {} : { change }) },
  text: (totals) => countText(totals.tokens[kind]),
})

/** The order in which columns are left out on a narrow terminal. */
const plainMeasures: readonly Measure[] = [
  { title: 'Requests', spare: 0, text: ({ requests }) => number.format(requests), change: 'requests' },
  { title: 'Streams', spare: 4, text: ({ streams }) => number.format(streams) },
  { title: 'Errors', spare: 3, text: ({ errors }) => number.format(errors) },
  { title: 'No usage', spare: 2, text: ({ zeroUsage }) => number.format(zeroUsage) },
  tokens('Input', 'input', 0, 'input_tokens'),
  tokens('Output', 'output', 0, 'output_tokens'),
  tokens('Cache read', 'cacheRead', 6),
  tokens('Cache write', 'cacheWrite', 8),
  tokens('Reasoning', 'reasoning', 7),
  {
    title: 'Cost USD',
    spare: 0,
    text: ({ cost }) => costText(cost),
    change: 'cost_usd',
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

/** What has changed stands behind what it is of, in a column of its own. */
function changeMeasure({ title, change }: Measure): Measure {
  const of = compared.find(({ name }) => name === change)?.of
  return {
    ...{ title: '±%', spare: title === 'Input' || title === 'Output' ? 5 : 1 },
    text: (group) => (of === undefined || group.before === undefined ? notKnown : changeText(of(group), of(group.before))),
  }
}

function changeText(now: number | null, before: number | null): string {
  const percent = changePercent(now, before)
  if (percent !== null) return `${percent > 0 ? '+' : ''}${percent.toFixed(Math.abs(percent) < 100 ? 1 : 0)}`
  return (now ?? 0) > 0 && before === 0 ? 'new' : notKnown
}

/** `label:team` → `Team`. */
function titleOf(dimension: string): string {
  const name = dimension.replace(/^label:/, '')
  return name.charAt(0).toUpperCase() + name.slice(1)
}

/** `width` in columns; undefined is a pipe. */
export function tableOf(
  report: Report,
  { path, pricesDate }: { readonly path: string; readonly pricesDate: string },
  width: number | undefined,
  paint: Painter,
): string {
  const { by, groups, before } = report
  const all: readonly Compared[] = [...groups, { ...report.total, before: before?.total }]
  const measures = plainMeasures
    .filter(({ text, ifKnown }) => ifKnown !== true || all.some((totals) => text(totals) !== notKnown))
    .flatMap((one) => (before === undefined || one.change === undefined ? one : [one, changeMeasure(one)]))
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
  const head = `${when(report.sinceMs)} to ${when(report.untilMs)}, ${printableLine(path)}, prices of ${pricesDate}`
  return `${paint.dim(head)}\n\n${table}${notes(report, width, paint)}`
}

function when(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function notes({ total, zeroUsage, leftOut, before }: Report, width: number | undefined, paint: Painter): string {
  const lines: string[] = []
  const say = (text: string, colour = (line: string) => line) => lines.push(...wrapped(text, width).map(colour))
  if (before !== undefined) say(`±% is the change against ${when(before.sinceMs)} to ${when(before.untilMs)}.`)
  if (leftOut > 0) say(`${number.format(leftOut)} more groups are in the total and not shown.`)
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
export function jsonOf({ sinceMs, untilMs, total, by, groups, zeroUsage, before }: Report, path: string, pricesDate: string): string {
  const iso = (ms: number) => new Date(ms).toISOString()
  const report = {
    ledger: path,
    pricesDate,
    since: iso(sinceMs),
    until: iso(untilMs),
    by,
    groups: groups.map((group) => ({ ...group, ...changeOf(group) })),
    total: { ...total, ...changeOf({ ...total, before: before?.total }) },
    zeroUsage,
    ...(before === undefined ? {} : { before: { since: iso(before.sinceMs), until: iso(before.untilMs), total: before.total } }),
  }
  return `${JSON.stringify(report, undefined, 2)}\n`
}

/** In percent, by what changed. */
function changeOf(group: Compared): { readonly changePercent?: Record<string, number | null> } {
  const { before } = group
  if (before === undefined) return {}
  return { changePercent: Object.fromEntries(compared.map(({ name, of }) => [name, changePercent(of(group), of(before))])) }
}

/** RFC 4180, but with Unix line endings. Unknown values are empty. */
export function csvOf(report: Report): string {
  const columns = flatColumns(report)
  const lines = report.groups.map((_, at) =>
    columns.map(({ values }) => (typeof values[at] === 'string' ? csvText(values[at]) : (values[at] ?? ''))),
  )
  return [columns.map(({ name }) => name), ...lines].map((cells) => `${cells.join(',')}\n`).join('')
}

/** What begins a formula, also full-width, behind blanks, controls and characters without width. */
const formula = /^[\s\p{C}]*[=+\-@\uff1d\uff0b\uff0d\uff20]/u

/** Names come from requests: one that a spreadsheet would run as a formula is quoted as text. */
function csvText(text: string): string {
  const plain = printableLine(formula.test(text) ? `'${text}` : text)
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}
