/** Prints a comparison as text. */
import type { Difference, Reconciliation } from './reconcile.ts'
import type { Example } from './scratch.ts'

export function describeReconciliation(
  result: Reconciliation,
  { bold, red }: { readonly bold: (text: string) => string; readonly red: (text: string) => string },
): string {
  const { ledger, spans, log, metrics } = result
  const rows: (readonly [string, string, string])[] = [
    ['ledger', `${ledger.closed}`, ledger.open === 0 ? '' : `and ${ledger.open} still open, not yet due`],
  ]
  if (spans !== undefined) {
    const twice = spans.records - spans.exchanges
    const waiting = spans.waiting === 0 ? '' : `and ${spans.waiting} waiting in the spool`
    rows.push([
      'spans',
      `${spans.exchanges}`,
      [waiting, twice === 0 ? '' : `${twice} more than once`].filter((part) => part !== '').join(', '),
    ])
  }
  if (log !== undefined) {
    const again = log.records - log.exchanges
    rows.push(['log lines', `${log.exchanges}`, again === 0 ? '' : `${again} written again after a restart`])
  }
  if (metrics !== undefined)
    rows.push(['metrics', `${metrics.requests}`, `${metrics.inputTokens} input and ${metrics.outputTokens} output tokens`])
  const wide = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)))
  const table = rows.map(([name, count, note]) =>
    `${name.padEnd(wide[0] as number)}  ${count.padStart(wide[1] as number)}  ${note}`.trimEnd(),
  )
  const parts = [table.join('\n')]
  if (result.notCompared.length > 0) parts.push(['Not compared:', ...result.notCompared.map((line) => `  ${line}`)].join('\n'))
  for (const one of result.differences) parts.push(differenceText(one, red))
  parts.push(bold(result.equal ? 'They agree.' : red('They differ.')))
  return `${parts.join('\n\n')}\n`
}

function differenceText({ what, count, explained, because, examples }: Difference, red: (text: string) => string): string {
  const isExplained = count <= explained
  const head = `${examples.length === 0 ? what : `${count} ${what}`}${because === undefined ? '' : ` (${because})`}`
  const more = examples.length > 0 && count > examples.length ? [`  … and ${count - examples.length} more`] : []
  return [isExplained ? head : red(head), ...(isExplained ? [] : [...examples.map((one) => `  ${exampleText(one)}`), ...more])].join('\n')
}

function exampleText({ id, ledger, found, times }: Example): string {
  const tokens = (count: number | null) => (count === null ? 'none' : `${count}`)
  const parts: string[] = [id]
  if (ledger !== undefined && found !== undefined) {
    parts.push(`input ${tokens(ledger.inputTokens)} in the ledger, ${tokens(found.inputTokens)} there`)
    parts.push(`output ${tokens(ledger.outputTokens)} in the ledger, ${tokens(found.outputTokens)} there`)
  }
  if (times !== undefined) parts.push(`${times} times`)
  return parts.join('; ')
}
