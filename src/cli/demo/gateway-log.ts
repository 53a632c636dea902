/** What the sample gateway's own log file says: the column that the demo puts beside the ledger. */
import { readFileSync } from 'node:fs'

export interface Logged {
  readonly requests: number
  /** Input and output. */
  readonly tokens: number
}

export interface GatewayLog {
  readonly streamed: Logged
  /** With status 200. */
  readonly plain: Logged
}

interface Line {
  readonly msg: string
  readonly status: number
  readonly input_tokens: number
  readonly output_tokens: number
}

export function readGatewayLog(file: string): GatewayLog {
  const lines = textOf(file)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
  const sum = (counted: readonly Line[]): Logged => ({
    requests: counted.length,
    tokens: counted.reduce((total, line) => total + line.input_tokens + line.output_tokens, 0),
  })
  return {
    streamed: sum(lines.filter(({ msg }) => msg === 'Streaming request logged')),
    plain: sum(lines.filter(({ msg, status }) => msg === 'Request logged' && status === 200)),
  }
}

/** The file is there from its first line on. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
