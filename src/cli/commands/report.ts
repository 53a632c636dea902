/** `tokenweir report`: totals of a time range, by provider, model, caller, route or day. */
import type { Dimension } from '../../ledger/queries/queries.ts'
import type { SummaryQuestion } from '../../ledger/queries/summary.ts'
import { momentHelp, type Range, rangeOf } from '../../lib/range.ts'
import { type CommandContext, complain, type Environment, exit, explain, type Flags, type Io, painter } from './context.ts'
import { whyEmpty, widthOf, withLedger } from './ledger.ts'

interface ReportOptions {
  readonly by?: readonly string[]
  readonly where?: readonly string[]
  readonly top?: string
  readonly since?: string
  readonly until?: string
  readonly json?: true
  readonly csv?: true
}

/** The default of --since. */
const usualSince = '24h'

export function reportCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('report')
    .description('show tokens, cost, requests and streams without usage, from the ledger')
    .option('--by <what>', 'provider, model, caller, route, day or label:NAME; several with commas (default provider)', several)
    .option('--where <what=value>', 'only these requests, for example provider=openai; may stand several times', each)
    .option('--top <count>', 'only the groups with most tokens')
    .option('--since <when>', `${momentHelp} (default ${usualSince})`)
    .option('--until <when>', 'before this time, in the form of --since (default now)')
    .option('--json', 'print JSON')
    .option('--csv', 'print comma-separated values, with a header')
    .addHelpText(
      'after',
      `
The ledger is the one that --ledger, TOKENWEIR_LEDGER or the file of --config names.
Requests count where they began. – is not reported, which is not zero; + is at
least: some requests did not report it, or have no price that is known.
Cached is the share of the input that was read from a cache, Saved what prompt
caching saved, Tokens/s the output tokens per second of the mean stream.

Examples:
  tokenweir report
  tokenweir report --by provider,model --since 7d
  tokenweir report --by label:team,model --top 20 --where provider=openai
  tokenweir report --by day --since 30d --csv > days.csv`,
    )
    .action(async (options: ReportOptions, { args }: { args: readonly string[] }) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      if (options.json && options.csv) return refuseUse('--json and --csv contradict each other. Take one away.')
      const { conditionsOf, dimensionOf, dimensionsHelp } = await import('../../ledger/queries/queries.ts')
      const given = options.by ?? ['provider']
      const unknown = given.find((one) => dimensionOf(one) === undefined)
      if (unknown !== undefined) return refuseUse(`--by ${JSON.stringify(unknown)} is none of ${dimensionsHelp}.`)
      const by = given as readonly Dimension[]
      const where = conditionsOf(options.where ?? [])
      if (where === undefined) return refuseUse(`--where wants ${dimensionsHelp} with = and a value: --where provider=openai.`)
      const top = options.top === undefined ? Number.POSITIVE_INFINITY : Number(options.top)
      if (!(top >= 1)) return refuseUse(`--top ${JSON.stringify(options.top)} is no number of groups. Write for example --top 20.`)
      let range: Range
      try {
        range = rangeOf(options, Date.now(), usualSince)
      } catch (error) {
        return refuseUse(explain(error))
      }
      end(await report({ range, sets: [by], where, groupsMax: Math.floor(top) }, options, flags(), env, io))
    })
}

function several(value: string, before: readonly string[] = []): string[] {
  return [...new Set([...before, ...value.split(',').map((one) => one.trim())])]
}

function each(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

function report(question: SummaryQuestion, options: ReportOptions, flags: Flags, env: Environment, io: Io): Promise<number> {
  return withLedger({ flags, env, io }, async (database, { ledger: path, pricesFile }) => {
    const { readSummary } = await import('../../ledger/queries/summary.ts')
    const { csvOf, jsonOf, tableOf } = await import('./report-text.ts')
    const { loadPriceTable } = await import('../../conclude/pricing/table.ts')
    // Where the operator's table cannot be used, the running sidecar says so.
    const { date: pricesDate } = await loadPriceTable(pricesFile).catch(() => loadPriceTable())
    const summary = readSummary(database, question)
    if (options.json) io.stdout.write(jsonOf(summary, path, pricesDate))
    else if (options.csv) io.stdout.write(csvOf(summary))
    else if (summary.total.requests > 0) io.stdout.write(tableOf(summary, { path, pricesDate }, widthOf(io), painter(io.stdout, env)))
    if (summary.total.requests === 0) complain(io, env, whyEmpty(database, path, summary))
    return exit.done
  })
}
