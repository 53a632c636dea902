/** What the demo prints: tables that fit 80 columns, and the comparison of the ledger with the gateway's own list. */
import { styleText } from 'node:util'
import type { Sent } from '../examples/sample-gateway/gateway.ts'
import { at, parseJson, string } from '../src/json.ts'
import type { LedgerRow } from '../test/e2e/product.ts'

const { stdout } = process
type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** Colours on a terminal only; `styleText` itself honours NO_COLOR. */
export const paint = (style: Style, text: string) => (stdout.isTTY ? styleText(style, text, { stream: stdout }) : text)

export const say = (line = '') => stdout.write(`${line}\n`)

interface Column {
  readonly title: string
  readonly width: number
  readonly right?: boolean
}

function cell(text: string, { width, right = false }: Column): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text
  return right ? cut.padStart(width) : cut.padEnd(width)
}

function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: (row: readonly string[]) => Style | undefined = () => undefined,
): void {
  const line = (cells: readonly string[]) =>
    columns
      .map((column, index) => cell(cells[index] ?? '', column))
      .join('  ')
      .trimEnd()
  say(paint('bold', line(columns.map(({ title }) => title))))
  for (const row of rows) {
    const chosen = style(row)
    say(chosen === undefined ? line(row) : paint(chosen, line(row)))
  }
}

const text = (value: number | string | null | undefined): string => (value === null || value === undefined ? '–' : String(value))
const grouped = (value: number): string => value.toLocaleString('en')
const sum = (values: readonly (number | undefined)[]): number => values.reduce<number>((total, value) => total + (value ?? 0), 0)
const count = (row: LedgerRow, column: string): number | undefined => (typeof row[column] === 'number' ? row[column] : undefined)

/** What is worth a word about how a request went. */
function remark(row: LedgerRow): string {
  if (row['end_reason'] !== 'completed') return text(row['end_reason'])
  if (Number(row['status']) >= 400) return 'error'
  if (row['error_type'] !== null) return `error in ${row['streamed'] === 1 ? 'stream' : 'body'}`
  return row['usage_outcome'] === 'reported' || row['usage_outcome'] === null ? '' : `usage ${row['usage_outcome']}`
}

export function showRows(rows: readonly LedgerRow[]): void {
  const columns = [
    { title: 'PROVIDER', width: 11 },
    { title: 'MODEL', width: 21 },
    { title: 'ANSWER', width: 6 },
    { title: 'STATUS', width: 6, right: true },
    { title: 'INPUT', width: 5, right: true },
    { title: 'OUTPUT', width: 6, right: true },
    { title: '', width: 17 },
  ]
  const cells = rows.map((row) => [
    text(row['provider']),
    text(row['request_model']),
    row['streamed'] === 1 ? 'stream' : 'whole',
    text(row['status']),
    text(row['input_tokens']),
    text(row['output_tokens']),
    remark(row),
  ])
  table(columns, cells, (row) => (row[6] === '' ? undefined : /error|abort/.test(row[6] ?? '') ? 'red' : 'yellow'))
}

export function showTotals(rows: readonly LedgerRow[]): void {
  const columns = [
    { title: 'PROVIDER', width: 14 },
    { title: 'REQUESTS', width: 8, right: true },
    { title: 'STREAMED', width: 8, right: true },
    { title: 'INPUT', width: 8, right: true },
    { title: 'OUTPUT', width: 8, right: true },
    { title: 'WITHOUT USAGE', width: 13, right: true },
  ]
  const totals = (name: string, of: readonly LedgerRow[]) => [
    name,
    grouped(of.length),
    grouped(of.filter((row) => row['streamed'] === 1).length),
    grouped(sum(of.map((row) => count(row, 'input_tokens')))),
    grouped(sum(of.map((row) => count(row, 'output_tokens')))),
    grouped(of.filter((row) => row['usage_outcome'] === 'missing' || row['usage_outcome'] === 'undecodable').length),
  ]
  const providers = [...new Set(rows.map((row) => text(row['provider'])))].sort()
  const lines = providers.map((name) =>
    totals(
      name,
      rows.filter((row) => text(row['provider']) === name),
    ),
  )
  table(columns, [...lines, totals('all', rows)], (row) => (row[0] === 'all' ? 'bold' : undefined))
}

export function showOutcomes(rows: readonly LedgerRow[]): void {
  const counts = new Map<string, number>()
  for (const row of rows) {
    if (row['usage_outcome'] === null) continue
    const name = row['usage_reason'] === null ? text(row['usage_outcome']) : `${row['usage_outcome']} (${row['usage_reason']})`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  for (const [name, number] of [...counts].sort((a, b) => b[1] - a[1])) say(`${String(number).padStart(5)}  ${name}`)
}

/** The messages of the request log, in order. */
export function logMessages(log: string): readonly string[] {
  return log.split('\n').flatMap((line) => string(at(parseJson(line), 'msg')) ?? [])
}

interface Check {
  readonly what: string
  readonly recorded: number
  readonly sent: number
}

/**
 * The ledger against the number of requests the clients made, the gateway's own list of answers, and the request log. Answers that broke
 * off have no final usage to compare; the gateway may have seen a request twice (`strict-1`: refused with usage injected, then as it was).
 */
export function compare(requests: number, rows: readonly LedgerRow[], sent: readonly Sent[], log: string): readonly Check[] {
  const final = sent.filter(({ ended, usage }) => ended === 'whole' && usage !== undefined)
  const told = rows.filter((row) => row['usage_outcome'] === 'reported' || row['usage_outcome'] === 'zero')
  const rowOf = new Map(rows.map((row) => [row['response_id'], row]))
  const withId = final.filter(({ id }) => id !== undefined)
  const same = withId.filter(({ id, usage }) => {
    const row = rowOf.get(id ?? null)
    return row !== undefined && count(row, 'input_tokens') === usage?.inputTokens && count(row, 'output_tokens') === usage?.outputTokens
  })
  const logged = logMessages(log).filter((message) => message === 'Streaming request logged')
  return [
    { what: 'requests', recorded: rows.length, sent: requests },
    { what: 'answers with their usage', recorded: told.length, sent: final.length },
    {
      what: 'input tokens',
      recorded: sum(told.map((row) => count(row, 'input_tokens'))),
      sent: sum(final.map(({ usage }) => usage?.inputTokens)),
    },
    {
      what: 'output tokens',
      recorded: sum(told.map((row) => count(row, 'output_tokens'))),
      sent: sum(final.map(({ usage }) => usage?.outputTokens)),
    },
    { what: 'answers equal one by one', recorded: same.length, sent: withId.length },
    { what: '"Streaming request logged"', recorded: logged.length, sent: sent.filter(({ streamed }) => streamed).length },
  ]
}

export function showChecks(checks: readonly Check[]): boolean {
  const columns = [
    { title: '', width: 28 },
    { title: 'TOKENWEIR', width: 9, right: true },
    { title: 'SENT', width: 9, right: true },
    { title: '', width: 12 },
  ]
  const equal = ({ recorded, sent }: Check) => recorded === sent
  const cells = checks.map((check) => [check.what, grouped(check.recorded), grouped(check.sent), equal(check) ? 'equal' : 'DIFFERENT'])
  table(columns, cells, (row) => (row[3] === 'equal' ? 'green' : 'red'))
  return checks.every(equal)
}
