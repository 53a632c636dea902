/** What every command receives, and what all of them share: exit codes, colours, error messages. */
import type { Command } from 'commander'
import type { Config, ConfigError } from '../../config/config.ts'
import type { ReloadSources } from '../../config/reload.ts'
import { printableLines } from '../../lib/printable.ts'
import { type Environment, painter } from '../../lib/terminal.ts'
import type { Running } from '../../sidecar.ts'

/** A stream to write to: `process.stdout` or what a test gives. */
export interface Output {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  /** The reader has closed the stream. */
  readonly destroyed?: boolean | undefined
}

export interface Io {
  readonly stdout: Output
  readonly stderr: Output
  /** The text of a file; throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string
  /** Starts the sidecar. Loading it is expensive, so it is called only to start; `report` receives messages for the operator. */
  readonly start: (config: Config, report: (message: string) => void, sources: ReloadSources) => Promise<Running>
  /** Calls back at each stop signal (SIGTERM, SIGINT). */
  readonly onStopSignal: (listener: () => void) => void
  /** Calls back at each SIGHUP, which then does not end the process. */
  readonly onHangup: (listener: () => void) => void
  /** Calls back with an uncaught error; the process does not exit. */
  readonly onUncaught: (listener: (error: unknown) => void) => void
}

export type { Environment, Painter } from '../../lib/terminal.ts'
export { coloured, painter } from '../../lib/terminal.ts'
export type Flags = Readonly<Record<string, string | undefined>>

/** 0 done, 1 failed, 2 bad arguments or configuration. */
export const exit = { done: 0, failed: 1, refused: 2 } as const

/** A command is one file in this folder, `xCommand(context)`, which adds itself to the program, and one line in cli.ts. */
export interface CommandContext {
  readonly program: Command
  readonly env: Environment
  readonly io: Io
  /** The options of settings (`--config`, `--ledger` …), accepted before and after the command's name. */
  readonly flags: () => Flags
  /** The exit code of the command that ran; 0 when none is given. */
  readonly end: (code: number) => void
  /** Reports an error in the arguments; the exit code becomes 2. */
  readonly refuseUse: (message: string) => void
}

/** Reports every error in a configuration, and returns the exit code. */
export async function refuse(errors: readonly ConfigError[], env: Environment, io: Io): Promise<number> {
  const { describeError } = await import('../../config/config.ts')
  for (const error of errors) complain(io, env, describeError(error))
  return exit.refused
}

/** For an option that may stand several times. */
export function each(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

/** The language of `--where`, in `--help`. */
export const whereText = `A condition is a field, one of = != ~= (contains) > >= < <=, and a value. Fields are
provider, model, caller, route, day, label:NAME, any_model (requested or responding),
outcome, reason, error, and every column of the ledger: status, duration_ms, cost ….
A request must match all conditions, but several values of one field with = are
alternatives. An empty value means unknown: label:team= finds requests without a team,
error!= finds those with an error.`

/** An error as one sentence; a bug of ours with its stack. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const ours = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError
  return ours ? (error.stack ?? error.message) : error.message
}

export function complain(io: Io, env: Environment, text: string): void {
  io.stderr.write(`${painter(io.stderr, env).red('tokenweir:')} ${printableLines(text)}\n`)
}
