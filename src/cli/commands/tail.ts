/** `tokenweir tail`: one line for each request as it ends, out of the ledger. */
import type { Command } from 'commander'
import type { Condition } from '../../ledger/queries/queries.ts'
import { requestLine, requestLineTitle } from '../../ledger/request-line.ts'
import type { UsageOutcome } from '../../lib/exchange.ts'
import { terminalWidth } from '../../lib/terminal.ts'
import type { ListedRow } from '../tail/follow.ts'
import { type CommandContext, type Environment, each, exit, explain, type Io, painter, refuse, whereText } from './context.ts'

interface Options {
  readonly provider?: string
  readonly model?: string
  readonly caller?: string
  readonly outcome?: string
  readonly errors?: boolean
  readonly zero?: boolean
  readonly where?: readonly string[]
  readonly lines: string
  readonly follow: boolean
  readonly json?: boolean
}

const pollMs = 200
const linesMax = 100_000
const outcomes = ['reported', 'zero', 'partial', 'missing', 'undecodable'] as const satisfies readonly UsageOutcome[]

export function tailCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('tail')
    .description('print each request as it ends, from the ledger, until Ctrl-C')
    .option('--provider <name>', 'only this provider')
    .option('--model <text>', 'only models (requested or responding) whose name contains this text')
    .option('--caller <name>', 'only this caller')
    .option(`--outcome <${outcomes.join('|')}>`, 'only this usage outcome')
    .option('--errors', 'only failed requests')
    .option('--zero', 'only responses whose usage is unknown or 0')
    .option('--where <condition>', 'only these, for example status>=400 or label:team=search; may be repeated', each)
    .option('-n, --lines <number>', 'begin with this many of the last requests', '10')
    .option('--no-follow', 'exit after those')
    .option('--json', 'print one JSON object per request: the columns of the ledger')
    .addHelpText(
      'after',
      `\n${whereText}\n\nExamples:\n  tokenweir tail --where 'status>=400' --where provider=openai\n  tokenweir tail -n 100 --no-follow --where 'duration_ms>10000'`,
    )
    .action(async (options: Options, { args }: Command) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const count = Number(options.lines)
      if (!/^\d+$/.test(options.lines) || count > linesMax) {
        return refuseUse(`-n ${JSON.stringify(options.lines)} is not a whole number up to ${linesMax}.`)
      }
      if (options.outcome !== undefined && !outcomes.some((one) => one === options.outcome)) {
        return refuseUse(`--outcome ${JSON.stringify(options.outcome)} is none of ${outcomes.join(', ')}.`)
      }
      const { conditionsOf } = await import('../../ledger/queries/where.ts')
      let where: readonly Condition[]
      try {
        where = conditionsOf(conditionsIn(options))
      } catch (error) {
        return refuseUse(explain(error))
      }
      const { loadConfig } = await import('../../config/config.ts')
      const loaded = await loadConfig({ flags: flags(), env, readFile: io.readFile, upstreamNeeded: false })
      if ('errors' in loaded) return end(await refuse(loaded.errors, env, io))
      const { followLedger } = await import('../tail/follow.ts')
      const follower = followLedger(loaded.config.ledger, where)
      const print = printerOf(options, io, env)
      print(follower.last(count))
      if (options.follow) await untilStopped(io, () => print(follower.next()))
      follower.close()
      end(exit.done)
    })
}

/** Polls until a signal, or until the reader closes the pipe (`tail | head`). */
function untilStopped(io: Io, poll: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearInterval(timer)
      resolve()
    }
    const timer = setInterval(() => {
      try {
        if (io.stdout.destroyed === true) stop()
        else poll()
      } catch (error) {
        clearInterval(timer)
        reject(error)
      }
    }, pollMs)
    io.onStopSignal(stop)
  })
}

/** The short options as conditions. */
function conditionsIn({ provider, model, caller, outcome, errors, zero, where }: Options): string[] {
  return [
    ...(provider === undefined ? [] : [`provider=${provider}`]),
    ...(model === undefined ? [] : [`any_model~=${model}`]),
    ...(caller === undefined ? [] : [`caller=${caller}`]),
    ...(outcome === undefined ? [] : [`outcome=${outcome}`]),
    ...(errors === true ? ['error!='] : []),
    ...(zero === true ? ['outcome!=', 'outcome!=reported'] : []),
    ...(where ?? []),
  ]
}

function printerOf({ json }: Options, io: Io, env: Environment): (rows: readonly ListedRow[]) => void {
  if (json === true) return (rows) => io.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const paint = painter(io.stdout, env)
  let titled = io.stdout.isTTY !== true
  return (rows) => {
    const width = terminalWidth(io.stdout, env)
    const title = titled ? '' : `${requestLineTitle(width, paint)}\n`
    titled = true
    io.stdout.write(title + rows.map((row) => `${requestLine(row, width, paint)}\n`).join(''))
  }
}
