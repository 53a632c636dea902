/** exchange → its line of the request log: JSON for programs, or a short line for who looks at a terminal. */
import { columns } from '../ledger/columns.ts'
import { type LineRow, requestLine, requestLineTitle } from '../ledger/request-line.ts'
import type { Exchange } from '../lib/exchange.ts'
import { type Environment, painter, terminalWidth } from '../lib/terminal.ts'
import { logLine } from './log.ts'

export interface LogLineOptions {
  readonly format: 'auto' | 'json' | 'short'
  /** Columns of the terminal that standard output is; 0 when it is none. */
  readonly terminalColumns: () => number
  readonly env: Environment
}

/** `replayed`: made of the row after a kill, when the first line may be out or not. */
export type LogLine = (exchange: Exchange, replayed?: boolean) => string

export function createLogLine({ format, terminalColumns, env }: LogLineOptions): LogLine {
  let isTitled = false
  return (exchange, replayed) => {
    const terminal = { isTTY: terminalColumns() > 0, columns: terminalColumns() }
    if (format === 'json' || (format === 'auto' && !terminal.isTTY)) return logLine(exchange, replayed)
    const width = terminalWidth(terminal, env)
    const paint = painter(terminal, env)
    const title = isTitled || !terminal.isTTY ? '' : `${requestLineTitle(width, paint)}\n`
    isTitled = true
    return title + requestLine(rowOf(exchange), width, paint)
  }
}

function rowOf(exchange: Exchange): LineRow {
  return Object.fromEntries(columns.map(({ name, ofExchange }) => [name, ofExchange(exchange) ?? null]))
}
