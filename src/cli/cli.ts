/** The command line: `tokenweir [options]` starts; every other command has a file of its own in `commands/`. */
import type { Command } from 'commander'
import type { Config } from '../config/config.ts'
import type { ReloadSources } from '../config/reload.ts'
import type { Setting } from '../config/schema.ts'
import { printable } from '../lib/printable.ts'
import { packageVersion } from '../lib/program.ts'
import type { Running } from '../sidecar.ts'
import { callersCommand } from './commands/callers.ts'
import { checkCommand } from './commands/check.ts'
import {
  type CommandContext,
  coloured,
  complain,
  type Environment,
  exit,
  explain,
  type Flags,
  type Io,
  type Output,
  type Painter,
  painter,
  refuse,
} from './commands/context.ts'
import { demoCommand } from './commands/demo.ts'
import { doctorCommand } from './commands/doctor.ts'
import { initCommand } from './commands/init.ts'
import { pricesCommand } from './commands/prices.ts'
import { reconcileCommand } from './commands/reconcile.ts'
import { reloadCommand } from './commands/reload.ts'
import { replayCommand } from './commands/replay.ts'
import { reportCommand } from './commands/report.ts'
import { tailCommand } from './commands/tail.ts'
import { verifyCommand } from './commands/verify.ts'
import { createNotifier } from './notify.ts'

export type { Io }

/** In the order of `--help`. */
const commands: readonly ((context: CommandContext) => void)[] = [
  callersCommand,
  checkCommand,
  demoCommand,
  doctorCommand,
  initCommand,
  pricesCommand,
  reconcileCommand,
  reloadCommand,
  replayCommand,
  reportCommand,
  tailCommand,
  verifyCommand,
]

/** Runs one command to its end and gives the exit code; never throws, never ends the process. `argv` is without node and script. */
export async function runCli(argv: readonly string[], env: Environment, given: Io): Promise<number> {
  const io = { ...given, stdout: printing(given.stdout), stderr: printing(given.stderr) }
  try {
    if (argv.length === 0) return await start({}, env, io) // the way containers start: 20 ms sooner without the parser
    return await parse(argv, env, io)
  } catch (error) {
    complain(io, env, explain(error))
    return exit.failed
  }
}

/** All that is printed goes through here. */
function printing(output: Output): Output {
  return {
    write: (text) => output.write(typeof text === 'string' ? printable(text) : text),
    get isTTY() {
      return output.isTTY
    },
    get columns() {
      return output.columns
    },
    get destroyed() {
      return output.destroyed
    },
  }
}

async function start(flags: Flags, env: Environment, io: Io): Promise<number> {
  const { loadConfig } = await import('../config/config.ts')
  const loaded = await loadConfig({ flags, env, readFile: io.readFile })
  if ('errors' in loaded) return refuse(loaded.errors, env, io)
  const load = async () => (await import('../config/load-aside.ts')).loadConfigAside({ flags, env })
  const sources = { load, stale: staleFiles(env, io) }
  const said = new Set<string>()
  const report = (message: string) => {
    said.add(message)
    complain(io, env, message)
  }
  try {
    const { lostRecords } = await runUntilStopped(loaded.config, env, io, report, sources)
    return lostRecords === 0 ? exit.done : exit.failed
  } catch (error) {
    if (!(error instanceof UncaughtError || said.has(explain(error)))) report(explain(error))
    return exit.failed
  }
}

/** Files that are read at the start only: names those that have changed since. */
function staleFiles(env: Environment, { readFile }: Io): () => readonly string[] {
  const name = 'OTEL_CONFIG_FILE'
  const read = () => {
    try {
      return env[name] ? readFile(env[name]) : undefined
    } catch {
      return undefined
    }
  }
  const atStart = read()
  return () => (read() === atStart ? [] : [name])
}

/** Already reported when it is thrown. */
class UncaughtError extends Error {
  override readonly name = 'UncaughtError'
}

/** The first signal stops gracefully, the second at once; SIGHUP reads the settings again. A signal during startup takes effect when startup is complete. */
async function runUntilStopped(
  config: Config,
  env: Environment,
  io: Io,
  report: (message: string) => void,
  sources: ReloadSources,
): ReturnType<Running['stop']> {
  let signals = 0
  let isHungUp = false
  let running: Running | undefined
  const notifier = createNotifier(env, report)
  const stopped = new Promise<Awaited<ReturnType<Running['stop']>>>((resolve, reject) => {
    io.onUncaught((error) => {
      // The state is unknown now: record what is open, and exit. The next start recovers from the ledger.
      report(`This is a mistake of tokenweir's own, which ends it: ${explain(error)}`)
      void running?.stop()
      const failed = new UncaughtError(explain(error))
      if (running === undefined) reject(failed)
      else running.stop().then(() => reject(failed), reject)
    })
    io.onHangup(() => {
      if (running === undefined) isHungUp = true
      else void running.reload()
    })
    io.onStopSignal(() => {
      if (signals++ === 0) notifier.stopping()
      if (running !== undefined) running.stop().then(resolve, reject)
      else if (signals > 1) reject(new Error('Stopped before it was ready.'))
    })
  })
  const starting = io.start(config, report, sources)
  running = await Promise.race([starting, stopped.then(() => starting)])
  if (signals > 0) return await running.stop()
  notifier.ready()
  io.stderr.write(await welcome(config, running, painter(io.stderr, env)))
  if (isHungUp) void running.reload()
  return await stopped
}

/** The startup message. It goes to stderr: stdout holds only the request log. */
async function welcome(config: Config, { port, morePorts = [], adminPort }: Running, paint: Painter): Promise<string> {
  const { reachedAt, writtenUpstream } = await import('../config/address.ts')
  const listening = [{ address: config.listen, tls: config.tls }, ...config.listeners]
  const places = listening.map(({ address, tls }, index) =>
    paint.bold(reachedAt(address, [port, ...morePorts][index] ?? 0, tls !== undefined)),
  )
  const routes = config.routes.map(
    ({ name, prefix, upstream }) => `  ${prefix} → ${writtenUpstream(upstream)} ${paint.dim(`(route ${name})`)}\n`,
  )
  return `tokenweir ${packageVersion()} listens on ${places.join(', ')}
${routes.join('')}  metrics and live page: ${paint.bold(reachedAt(config.admin, adminPort, config.adminTls !== undefined))}
  ledger: ${config.ledger}; usage capture: ${config.capture}
`
}

async function parse(argv: readonly string[], env: Environment, io: Io): Promise<number> {
  const { Command, CommanderError } = await import('commander')
  let code: number = exit.done
  const refuseUse = (message: string) => {
    complain(io, env, `${message} See tokenweir --help.`)
    code = exit.refused
  }
  const program = dress(new Command('tokenweir'), env, io)
  await describeProgram(program)
  const names = () => program.commands.map((command) => command.name()).join(', ')
  program.action(async () => {
    const [stray] = program.args
    if (stray === undefined) code = await start(program.opts(), env, io)
    else refuseUse(`${JSON.stringify(stray)} is no command. The commands are: ${names()}.`)
  })
  const end = (ended: number) => {
    code = ended
  }
  for (const command of commands) command({ program, env, io, flags: () => program.opts(), end, refuseUse })
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return exit.done // help and version have been written
    complain(io, env, sentence(error.message))
    return exit.refused
  }
  return code
}

/** Configures the parser's output: it never exits, and uses colours only on a terminal. */
function dress(program: Command, env: Environment, io: Io): Command {
  const title = painter(io.stdout, env).bold
  return program
    .exitOverride()
    .allowExcessArguments(true) // the actions look, and say it better
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined, // said once, by `complain`
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 80, 120),
      getOutHasColors: () => coloured(io.stdout, env),
      getErrHasColors: () => coloured(io.stderr, env),
    })
    .configureHelp({ styleTitle: title })
}

const placeholders: Readonly<Record<string, string>> = {
  address: 'address',
  path: 'file',
  URL: 'url',
  'inject or observe': 'inject|observe',
  'auto, json or short': 'auto|json|short',
}

async function describeProgram(program: Command): Promise<void> {
  const { settings } = await import('../config/schema.ts')
  const { CommanderError } = await import('commander')
  /** Of other options the last one counts, so that a script can add to what it was given. */
  const once = (flag: string) => (value: string, before: string | undefined) => {
    if (flag !== '--upstream' || before === undefined) return value
    const message = '--upstream is given twice: several upstreams are routes, one per path prefix, in a file that --config names'
    throw new CommanderError(exit.refused, 'twice', message)
  }
  program
    .description('A sidecar in front of any LLM gateway: it forwards requests unchanged and records the token usage of each.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
  for (const { flag, type, description, env, default: fallback } of settings) {
    if (flag === undefined) continue
    const notes = [fallback === undefined ? [] : `default ${fallback}`, env ?? []].flat().join('; ')
    program.option(`${flag} <${placeholders[type] ?? type}>`, `${description} (${notes})`, once(flag))
  }
  program.addHelpText('after', examples(settings))
}

function examples(settings: readonly Setting[]): string {
  const only = settings.filter(({ env, flag }) => env !== undefined && flag === undefined)
  return `
Environment:
  Each option can be set by the variable named beside it. An option wins over a
  variable, a variable over the file.
${only.map(({ env, description, type }) => `  ${env}  ${description}\n                     (${type})`).join('\n')}
  OTEL_*             As OpenTelemetry specifies them; export begins when
                     OTEL_EXPORTER_OTLP_ENDPOINT is set.
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                     The forward proxy on the way to upstreams; check shows it.

Examples:
  In front of a gateway on this machine; clients then use port 4141:
    tokenweir --upstream http://127.0.0.1:8000
  In front of a provider, open to other machines:
    tokenweir --upstream https://api.openai.com --listen :8080
  Several upstreams, one per path prefix:
    tokenweir --config tokenweir.yaml
  Is the file right, and what is in effect?
    tokenweir check tokenweir.yaml
  What did the last week use, and what did it cost?
    tokenweir report --by provider,model --since 7d
  Has every request its row, span, log line and place in the metrics?
    tokenweir reconcile --spans spans.jsonl --log sidecar.log

Exit codes: 0 done, 1 failed or records lost, 2 bad arguments or configuration.`
}

/** The parser's message as a sentence that says what to do. */
function sentence(message: string): string {
  const [wrong = '', hint = ''] = message.replace(/^error: /, '').split('\n')
  const meant = /Did you mean (.+)\?/.exec(hint)?.[1]
  return `${wrong}. ${meant === undefined ? 'See tokenweir --help.' : `Did you mean ${meant}?`}`
}
