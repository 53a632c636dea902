/** `tokenweir report`: totals of a time range, by provider, model, caller, route, label or time. */
import type { Condition, Dimension } from '../../ledger/queries/queries.ts'
import { isTimeZone, momentOfWall, type Period } from '../../lib/period.ts'
import { momentHelp, type Range, rangeOf } from '../../lib/range.ts'
import { terminalWidth } from '../../lib/terminal.ts'
import type { ReportQuestion } from '../report/read.ts'
import { type CommandContext, complain, type Environment, each, exit, explain, type Flags, type Io, painter, whereText } from './context.ts'
import { whyEmpty, withLedger } from './ledger.ts'

interface ReportOptions {
  readonly by?: readonly string[]
  readonly where?: readonly string[]
  readonly top?: string
  readonly since?: string
  readonly until?: string
  readonly timezone?: string
  readonly compare?: true
  readonly format?: string
  readonly json?: true
  readonly csv?: true
}

const formats = ['table', 'json', 'csv', 'parquet'] as const
type Format = (typeof formats)[number]

/** The default of --since. */
const usualSince = '24h'

export function reportCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('report')
    .description('show tokens, cost, requests and streams without usage, from the ledger')
    .option(
      '--by <what>',
      'provider, model, caller, route, label:NAME, and one of hour, day, week or month; several with commas (default provider)',
      several,
    )
    .option('--where <condition>', 'only these requests, for example provider=openai or status>=400; may be repeated', each)
    .option('--top <count>', 'only the groups with the most tokens; with hour, day, week or month: of each')
    .option('--since <when>', `${momentHelp} (default ${usualSince})`)
    .option('--until <when>', 'before this time, in the form of --since (default now)')
    .option('--timezone <zone>', "for dates, hours, days, weeks and months, such as Europe/Berlin (default this machine's)")
    .option('--compare', 'with the change in % against the range of the same length before')
    .option(`--format <${formats.join('|')}>`, 'what is printed (default table); Parquet is binary: write it to a file')
    .option('--json', 'the same as --format json')
    .option('--csv', 'the same as --format csv')
    .addHelpText('after', helpText)
    .action(async (options: ReportOptions, { args }: { args: readonly string[] }) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      let asked: { readonly question: ReportQuestion; readonly format: Format }
      try {
        asked = { question: await questionOf(options, Date.now()), format: formatOf(options, io) }
      } catch (error) {
        return refuseUse(explain(error))
      }
      end(await report(asked.question, asked.format, flags(), env, io))
    })
}

const helpText = `
The ledger is the file of --ledger, of TOKENWEIR_LEDGER or of the --config file.
Requests count in the period in which they began. Weeks begin on Monday and have its
date. – means not reported, which is not zero. + means at least: some requests did
not report it, or have no known price. Cached is the share of the input that was read
from a cache. Saved is what prompt caching saved. Tokens/s is the output tokens per
second of an average stream.

${whereText}

The table is as wide as the terminal, or as COLUMNS. In a pipe without COLUMNS,
nothing is cut off. NO_COLOR=1 turns colours off.

Examples:
  tokenweir report
  tokenweir report --by provider,model --since 7d --compare
  tokenweir report --by label:team,model --top 20 --where provider=openai
  tokenweir report --by model --where 'status>=400' --since 2026-11-01
  tokenweir report --by day --since 30d --timezone America/New_York --csv > days.csv
  tokenweir report --by hour,provider --since 7d --format parquet > hours.parquet`

/** Becomes a complaint about the arguments. */
class UseError extends Error {
  override readonly name = 'UseError'
}

/** Throws an error with an actionable message. */
async function questionOf(options: ReportOptions, nowMs: number): Promise<ReportQuestion> {
  const { dimensionOf } = await import('../../ledger/queries/queries.ts')
  const { conditionsOf } = await import('../../ledger/queries/where.ts')
  const { isPeriod, partsOf } = await import('../report/read.ts')
  const by = options.by ?? ['provider']
  const unknown = by.find((one) => dimensionOf(one) === undefined && !isPeriod(one))
  if (unknown !== undefined)
    throw new UseError(`--by ${JSON.stringify(unknown)} is none of provider, model, caller, route, hour, day, week, month or label:NAME.`)
  const [period, second] = by.filter(isPeriod)
  if (second !== undefined) throw new UseError(`--by goes by one of hour, day, week and month. Take ${period} or ${second} away.`)
  if (options.compare && period !== undefined)
    throw new UseError(`--compare and --by ${period} contradict each other: compare two ranges by provider, model or another name.`)
  const where: readonly Condition[] = conditionsOf(options.where ?? [])
  const groupsMax = options.top === undefined ? Number.POSITIVE_INFINITY : Math.floor(Number(options.top))
  if (!(groupsMax >= 1)) throw new UseError(`--top ${JSON.stringify(options.top)} is no number of groups. Write for example --top 20.`)
  const timeZone = options.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone
  if (!isTimeZone(timeZone))
    throw new UseError(`--timezone ${JSON.stringify(timeZone)} is no time zone. Write a name such as Europe/Berlin or UTC.`)
  const local = options.timezone === undefined ? undefined : (text: string) => momentOfWall(Date.parse(`${text}Z`), timeZone)
  const range: Range = rangeOf(options, nowMs, usualSince, local)
  try {
    if (period !== undefined) partsOf(range, period, timeZone)
  } catch {
    throw new UseError(`--by ${period} has too many parts in this range. Take a shorter range, or ${period === 'hour' ? 'day' : 'month'}.`)
  }
  return { range, by: by as readonly (Dimension | Period)[], where, groupsMax, timeZone, compare: options.compare === true }
}

function formatOf({ format, json, csv }: ReportOptions, { stdout }: Io): Format {
  const given = [...new Set([...(format === undefined ? [] : [format]), ...(json ? ['json'] : []), ...(csv ? ['csv'] : [])])]
  const [first = 'table', second] = given
  if (second !== undefined) throw new UseError(`The formats ${first} and ${second} contradict each other. Take one away.`)
  const found = formats.find((one) => one === first)
  if (found === undefined) throw new UseError(`--format ${JSON.stringify(first)} is none of ${formats.join(', ')}.`)
  if (found === 'parquet' && stdout.isTTY === true)
    throw new UseError('Parquet is no text for a terminal. Write it to a file: tokenweir report --format parquet > report.parquet.')
  return found
}

function several(value: string, before: readonly string[] = []): string[] {
  return [...new Set([...before, ...value.split(',').map((one) => one.trim())])]
}

function report(question: ReportQuestion, format: Format, flags: Flags, env: Environment, io: Io): Promise<number> {
  return withLedger({ flags, env, io }, async (database, { ledger: path, pricesFile }) => {
    const { readReport } = await import('../report/read.ts')
    const { csvOf, jsonOf, tableOf } = await import('./report-text.ts')
    const { loadPriceTable } = await import('../../conclude/pricing/table.ts')
    // Where the operator's table cannot be used, the running sidecar says so.
    const { date: pricesDate } = await loadPriceTable(pricesFile).catch(() => loadPriceTable())
    const found = readReport(database, question)
    const hasRequests = found.total.requests + (found.before?.total.requests ?? 0) > 0
    if (format === 'json') io.stdout.write(jsonOf(found, path, pricesDate))
    else if (format === 'csv') io.stdout.write(csvOf(found))
    else if (format === 'parquet') io.stdout.write((await import('../report/parquet.ts')).parquetOf(found))
    else if (hasRequests) io.stdout.write(tableOf(found, { path, pricesDate }, terminalWidth(io.stdout, env), painter(io.stdout, env)))
    if (!hasRequests) {
      const isFiltered = question.where.length > 0
      complain(io, env, isFiltered ? 'No request in this range meets the conditions of --where.' : whyEmpty(database, path, found))
    }
    return exit.done
  })
}
