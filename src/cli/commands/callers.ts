/** `tokenweir callers`: who is in the ledger, and how to give them names. */
import type { Config } from '../../config/config.ts'
import type { CallerUse } from '../../ledger/queries/callers.ts'
import { momentHelp, type Range, rangeOf } from '../../lib/range.ts'
import { terminalWidth } from '../../lib/terminal.ts'
import { type CommandContext, complain, type Environment, exit, explain, type Flags, type Io, painter } from './context.ts'
import { whyEmpty, withLedger } from './ledger.ts'

interface CallersOptions {
  readonly since?: string
  readonly json?: true
}

export function callersCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('callers')
    .description('list callers with first and last use, tokens, cost and models, and show how to name them')
    .option('--since <when>', `${momentHelp} (default all that the ledger has)`)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The ledger is the file of --ledger, of TOKENWEIR_LEDGER or of the --config file.
A key without a name is listed as key: and ten digits. After you have named a key, its
earlier requests are still listed under the digits: rows keep their names.

Examples:
  tokenweir callers
  tokenweir callers --since 7d --json`,
    )
    .action(async (options: CallersOptions, { args }: { args: readonly string[] }) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const untilMs = Date.now()
      let range: Range = { sinceMs: 0, untilMs }
      try {
        if (options.since !== undefined) range = rangeOf({ since: options.since }, untilMs, options.since)
      } catch (error) {
        return refuseUse(explain(error))
      }
      end(await list(range, options.json === true, flags(), env, io))
    })
}

function list(range: Range, json: boolean, flags: Flags, env: Environment, io: Io): Promise<number> {
  return withLedger({ flags, env, io }, async (database, config) => {
    const { readCallers } = await import('../../ledger/queries/callers.ts')
    const { summary, callers } = readCallers(database, range)
    if (json) io.stdout.write(jsonOf(config.ledger, range, callers))
    else if (callers.length > 0) {
      io.stdout.write(await tableOf(callers, io, env))
      io.stdout.write(hint(callers, await namesOf(config, io)))
    }
    if (callers.length === 0) complain(io, env, whyEmpty(database, config.ledger, summary))
    return exit.done
  })
}

function jsonOf(ledger: string, { sinceMs, untilMs }: Range, callers: readonly CallerUse[]): string {
  const iso = (ms: number) => new Date(ms).toISOString()
  const listed = callers.map(({ caller, firstMs, lastMs, ...rest }) => ({ caller, firstUse: iso(firstMs), lastUse: iso(lastMs), ...rest }))
  return `${JSON.stringify({ ledger, since: iso(sinceMs), until: iso(untilMs), callers: listed }, undefined, 2)}\n`
}

async function tableOf(callers: readonly CallerUse[], io: Io, env: Environment): Promise<string> {
  const { tableText } = await import('./table.ts')
  const { costText, countText, notKnown, number } = await import('./report-text.ts')
  const minute = (ms: number) => `${new Date(ms).toISOString().slice(0, 16)}Z`
  return tableText(
    {
      columns: [
        { title: 'Caller', align: 'left', spare: 0 },
        { title: 'First use', align: 'right', spare: 2 },
        { title: 'Last use', align: 'right', spare: 0 },
        { title: 'Requests', align: 'right', spare: 3 },
        { title: 'Input', align: 'right', spare: 0 },
        { title: 'Output', align: 'right', spare: 0 },
        { title: 'Cost USD', align: 'right', spare: 0 },
        { title: 'Models', align: 'left', spare: 1 },
      ],
      rows: callers.map(({ caller, firstMs, lastMs, requests, tokens, cost, models }) => [
        ...[caller ?? notKnown, minute(firstMs), minute(lastMs), number.format(requests)],
        ...[countText(tokens.input), countText(tokens.output), costText(cost), modelsText(models)],
      ]),
    },
    terminalWidth(io.stdout, env),
    painter(io.stdout, env),
  )
}

/** Named in the table; the rest are counted. */
const modelsMax = 3

function modelsText(models: CallerUse['models']): string {
  const more = models.length - modelsMax
  const named = models.slice(0, modelsMax).map(({ model }) => model)
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ')
}

async function namesOf({ callerNames, callerNamesFile }: Config, { readFile }: Io): Promise<Config['callerNames']> {
  if (callerNamesFile === undefined) return callerNames
  const { mapFileParser } = await import('../../config/labels.ts')
  return { ...callerNames, ...(await mapFileParser())(readFile(callerNamesFile)) }
}

/** Lines to copy for the keys that have no name. */
function hint(callers: readonly CallerUse[], names: Config['callerNames']): string {
  const keys = callers.flatMap(({ caller }) =>
    /^key:[0-9a-f]+$/.test(caller ?? '') && !Object.hasOwn(names, caller ?? '') ? [caller] : [],
  )
  if (keys.length === 0) return ''
  const lines = keys.map((key, index) => `  ${key}: name-${index + 1}\n`).join('')
  return `\nTo name keys, copy this into the configuration and write their names:\n\ncallerNames:\n${lines}`
}
