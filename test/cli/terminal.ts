/** The command line with a terminal, or a pipe, of our own: what it writes, as it writes it. */
import { type Io, runCli } from '../../src/cli/cli.ts'

export interface Terminal {
  /** Undefined is a pipe. */
  readonly columns: number | undefined
  readonly colour: boolean
}

/** The four kinds that every golden test looks at. */
export const terminals: readonly (Terminal & { readonly name: string })[] = [
  { name: '80', columns: 80, colour: false },
  { name: '200', columns: 200, colour: false },
  { name: '80-colour', columns: 80, colour: true },
  { name: 'pipe', columns: undefined, colour: false },
]

/** Runs one command to its end. */
export async function runOn({ columns, colour }: Terminal, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const text = { stdout: '', stderr: '' }
  const outputOf = (name: 'stdout' | 'stderr') => ({
    write: (part: string) => (text[name] += part),
    isTTY: columns !== undefined,
    columns,
  })
  const io: Io = {
    stdout: outputOf('stdout'),
    stderr: outputOf('stderr'),
    readFile: () => {
      throw new Error('no file is read here')
    },
    start: () => Promise.reject(new Error('nothing is started here')),
    onStopSignal: () => undefined,
    onHangup: () => undefined,
    onUncaught: () => undefined,
  }
  const code = await runCli(args, { ...(colour ? {} : { NO_COLOR: '1' }), ...env }, io)
  return { code, ...text }
}

/** Escape sequences as text, so that a golden file can be read. */
export function visible(text: string): string {
  return text.replaceAll('\u001b', '␛')
}
