/** `tokenweir reconcile`: compares the ledger with the spans that a collector has, the log lines and the metrics. */
import { createReadStream, existsSync } from 'node:fs'
import type { Config } from '../../config/config.ts'
import { momentHelp, type OpenRange, openRangeOf } from '../../lib/range.ts'
import { type CommandContext, complain, exit, explain, painter, refuse } from './context.ts'

interface Options {
  readonly since?: string
  readonly until?: string
  readonly spans?: readonly string[]
  readonly log?: readonly string[]
  readonly metrics?: string
  readonly json?: true
}

/** How many differences of each kind are shown, and with `--json`. */
const examplesMax = { text: 20, json: 1_000_000 } as const
const scrapeMsMax = 5000

export function reconcileCommand(context: CommandContext): void {
  const { program, env, io, flags, end, refuseUse } = context
  program
    .command('reconcile')
    .description('compare the ledger with spans, log lines and metrics; exit 1 when they differ')
    .option('--since <when>', `only requests since this time: ${momentHelp}`)
    .option('--until <when>', 'only requests before this time, in the form of --since')
    .option('--spans <file...>', "JSON lines of the collector's file exporter")
    .option('--log <file...>', "the sidecar's standard output; - is standard input")
    .option('--metrics <source>', 'URL or file of its metrics (default: its admin port, else the counters in the ledger)')
    .option('--json', 'print one JSON document')
    .action(async (options: Options) => {
      let range: OpenRange
      try {
        range = openRangeOf(options, Date.now())
      } catch (error) {
        return refuseUse(explain(error))
      }
      const { loadConfig } = await import('../../config/config.ts')
      const { adminFlag, adminUrl } = await import('../admin-url.ts')
      const admin = adminFlag(flags())
      const loaded = await loadConfig({ flags: admin.flags, env, readFile: io.readFile, upstreamNeeded: false })
      if ('errors' in loaded) return end(await refuse(loaded.errors, env, io))
      const problem = problemOf(options, loaded.config)
      if (problem !== undefined) {
        complain(io, env, problem)
        return end(exit.refused)
      }
      const { ledger } = loaded.config
      const isEqual = await run(options, range, ledger, admin.url ?? adminUrl(loaded.config), context)
      end(isEqual ? exit.done : exit.failed)
    })
}

/** The error in the arguments, as a sentence. */
function problemOf(options: Options, { ledger }: Config): string | undefined {
  if (!existsSync(ledger)) return `--ledger: The file ${JSON.stringify(ledger)} does not exist.`
  const absent = [...(options.spans ?? []), ...(options.log ?? [])].find((name) => name !== '-' && !existsSync(name))
  return absent === undefined ? undefined : `The file ${JSON.stringify(absent)} does not exist.`
}

async function run(options: Options, range: OpenRange, ledger: string, admin: URL, { io, env }: CommandContext): Promise<boolean> {
  const [{ reconcile }, { describeReconciliation }] = await Promise.all([
    import('../reconcile/reconcile.ts'),
    import('../reconcile/print.ts'),
  ])
  const { metrics, isRunning, other } = await metricsOf(options.metrics, ledger, admin)
  const open = (name: string) => (name === '-' ? process.stdin : createReadStream(name, { highWaterMark: 1 << 20 }))
  const result = await reconcile({
    ledger,
    range,
    spans: (options.spans ?? []).map(open),
    logs: (options.log ?? []).map(open),
    metrics,
    isRunning,
    other,
    examplesMax: options.json ? examplesMax.json : examplesMax.text,
    now: Date.now,
  })
  io.stdout.write(options.json ? `${JSON.stringify(result)}\n` : describeReconciliation(result, painter(io.stdout, env)))
  return result.equal
}

/** A source given with --metrics must respond, and be of this ledger. The default admin port need not: no sidecar may be running, or another one. */
async function metricsOf(source: string | undefined, ledger: string, admin: URL) {
  const { readFile } = await import('node:fs/promises')
  const { otherSidecar } = await import('../instance.ts')
  if (source !== undefined && !/^https?:/.test(source)) return { metrics: () => readFile(source, 'utf8'), isRunning: false }
  const url = source ?? new URL('/metrics', admin).href
  const metrics = async () => {
    const response = await fetch(url, { signal: AbortSignal.timeout(scrapeMsMax) })
    if (!response.ok) throw new Error(`${url} answered ${response.status}.`)
    return response.text()
  }
  const other = await otherSidecar(url, ledger)
  if (source !== undefined && other !== undefined)
    throw new Error(`${other} Name the metrics of its own sidecar with --metrics URL, or the other ledger with --ledger FILE.`)
  if (source !== undefined) return { metrics, isRunning: true }
  if (other !== undefined) return { metrics: undefined, isRunning: false, other }
  const isRunning = await metrics().then(
    (text) => text.includes('tokenweir_'),
    () => false,
  )
  return { metrics: isRunning ? metrics : undefined, isRunning }
}
