/** A row of the ledger as one line for people: what `tail` prints, and the request log on a terminal. */
import { printableLine } from '../lib/printable.ts'
import { cell, cut, type Painter, widthOf } from '../lib/terminal.ts'

/** Values by the ledger's columns; null is not known. */
export type LineRow = Readonly<Record<string, string | number | null>>

/** Without a width, as for a pipe, every column is shown and nothing is cut. */
export function requestLine(row: LineRow, width: number | undefined, paint: Painter): string {
  return colourOf(row, paint)(line(textsOf(row), width))
}

/** What stands over the lines. */
export function requestLineTitle(width: number | undefined, paint: Painter): string {
  return paint.bold(line(titles, width))
}

/** Columns from left to right. A column that is not `always` shown needs a terminal of that width. */
const layout = [
  { name: 'time', width: 8 },
  { name: 'status', width: 3 },
  { name: 'provider', width: 11, wide: 16 },
  { name: 'model', width: 16, wide: 32 },
  { name: 'caller', width: 15, from: 120 },
  { name: 'input', width: 7, side: 'right' },
  { name: 'output', width: 7, side: 'right' },
  { name: 'cost', width: 9, side: 'right', from: 100 },
  { name: 'took', width: 7, side: 'right' },
] as const
const wideFrom = 120

type Texts = Readonly<Record<(typeof layout)[number]['name'] | 'remark', string>>

const titles: Texts = {
  ...{ time: 'ENDED', status: '', provider: 'PROVIDER', model: 'MODEL', caller: 'CALLER' },
  ...{ input: 'INPUT', output: 'OUTPUT', cost: 'USD', took: 'TOOK', remark: '' },
}

function line(texts: Texts, width = Number.POSITIVE_INFINITY): string {
  const shown = layout.filter((column) => !('from' in column) || width >= column.from)
  const cells = shown.map((column) => {
    const wide = 'wide' in column && width >= wideFrom ? column.wide : column.width
    const text = printableLine(texts[column.name])
    return cell(text, width === Number.POSITIVE_INFINITY ? Math.max(wide, widthOf(text)) : wide, 'side' in column ? column.side : 'left')
  })
  return cut([...cells, texts.remark].join(' '), width).trimEnd()
}

function isWithoutUsage(row: LineRow): boolean {
  return row['usage_outcome'] !== null && row['usage_outcome'] !== 'reported'
}

function textsOf(row: LineRow): Texts {
  const number = (name: string) => (typeof row[name] === 'number' ? countOf(row[name] as number) : '–')
  return {
    time: clockOf(Number(row['ended_at'] ?? row['started_at'])),
    status: String(row['status'] ?? '–'),
    provider: String(row['provider'] ?? '–'),
    model: String(row['response_model'] ?? row['request_model'] ?? row['path']),
    caller: String(row['caller'] ?? '–'),
    input: number('input_tokens'),
    output: number('output_tokens'),
    cost: typeof row['cost'] === 'number' ? row['cost'].toFixed(6) : '–',
    took: durationOf(row['duration_ms']),
    remark: remarkOf(row),
  }
}

/** At most seven characters wide up to ten thousand million: no digit of a count is cut. */
function countOf(count: number): string {
  return count < 1_000_000 ? count.toLocaleString('en') : `${(count / 1_000_000).toFixed(count < 100_000_000 ? 2 : 0)}M`
}

/** Remarks about how the request ended. */
function remarkOf(row: LineRow): string {
  const ended = row['end_reason'] === 'completed' ? [] : [String(row['end_reason'])]
  const status = Number(row['status'])
  const error = row['error_type'] === null || row['error_type'] === String(status) ? [] : [String(row['error_type'])]
  const usage = isWithoutUsage(row) ? [`${row['usage_outcome']}${row['usage_reason'] === null ? '' : `: ${row['usage_reason']}`}`] : []
  return [...new Set([...usage, ...ended, ...error])].join(', ')
}

function colourOf(row: LineRow, paint: Painter): (text: string) => string {
  if (row['error_type'] !== null) return paint.red
  return isWithoutUsage(row) || row['end_reason'] !== 'completed' ? paint.yellow : (text) => text
}

/** The local time of day. */
function clockOf(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8)
}

function durationOf(milliseconds: LineRow[string] | undefined): string {
  if (typeof milliseconds !== 'number') return '–'
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(milliseconds < 100_000 ? 1 : 0)} s`
}
