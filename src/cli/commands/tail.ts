/** `tokenweir tail`: one line for each request as it ends, out of the ledger. */
import type { Command } from 'commander'
import type { UsageOutcome } from '../../lib/exchange.ts'
import { printableLine } from '../../lib/printable.ts'
import type { ListedRow } from '../tail/follow.ts'
import { type CommandContext, exit, type Io, type Painter, painter, refuse } from './context.ts'
import { widthOf } from './table.ts'
import { cell, cut, widthOfOutput } from './text.ts'

interface Options {
  readonly provider?: string
  readonly model?: string
  readonly caller?: string
  readonly outcome?: string
  readonly errors?: boolean
  readonly zero?: boolean
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
    .option('-n, --lines <number>', 'begin with the last requests, this many', '10')
    .option('--no-follow', 'exit after those')
    .option('--json', 'print one JSON object per request: the columns of the ledger')
    .action(async (options: Options, { args }: Command) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const count = Number(options.lines)
      if (!/^\d+$/.test(options.lines) || count > linesMax) {
        return refuseUse(`-n ${JSON.stringify(options.lines)} is not a whole number up to ${linesMax}.`)
      }
      if (options.outcome !== undefined && !outcomes.some((one) => one === options.outcome)) {
        return refuseUse(`--outcome ${JSON.stringify(options.outcome)} is none of ${outcomes.join(', ')}.`)
      }
      const { loadConfig } = await import('../../config/config.ts')
      const loaded = await loadConfig({ flags: flags(), env, readFile: io.readFile, upstreamNeeded: false })
      if ('errors' in loaded) return end(await refuse(loaded.errors, env, io))
      const { followLedger } = await import('../tail/follow.ts')
      const follower = followLedger(loaded.config.ledger)
      const wanted = filterOf(options)
      const print = printerOf(options, io, painter(io.stdout, env))
      print(follower.last(count, wanted))
      if (options.follow) await untilStopped(io, () => print(follower.next().filter(wanted)))
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

function filterOf({ provider, model, caller, outcome, errors, zero }: Options): (row: ListedRow) => boolean {
  const has = (value: ListedRow[string] | undefined, text: string) =>
    String(value ?? '')
      .toLowerCase()
      .includes(text.toLowerCase())
  const tests: ((row: ListedRow) => boolean)[] = []
  if (provider !== undefined) tests.push((row) => row['provider'] === provider)
  if (model !== undefined) tests.push((row) => has(row['request_model'], model) || has(row['response_model'], model))
  if (caller !== undefined) tests.push((row) => row['caller'] === caller)
  if (outcome !== undefined) tests.push((row) => row['usage_outcome'] === outcome)
  if (errors === true) tests.push((row) => row['error_type'] !== null)
  if (zero === true) tests.push(isWithoutUsage)
  return (row) => tests.every((test) => test(row))
}

function isWithoutUsage(row: ListedRow): boolean {
  return row['usage_outcome'] !== null && row['usage_outcome'] !== 'reported'
}

function printerOf({ json }: Options, io: Io, paint: Painter): (rows: readonly ListedRow[]) => void {
  if (json === true) return (rows) => io.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  let titled = io.stdout.isTTY !== true
  return (rows) => {
    const width = io.stdout.isTTY === true ? widthOfOutput(io.stdout.columns) : undefined
    const title = titled ? '' : `${paint.bold(line(titles, width))}\n`
    titled = true
    io.stdout.write(title + rows.map((row) => `${colourOf(row, paint)(line(textsOf(row), width))}\n`).join(''))
  }
}

/** Columns from left to right. A column that is not `always` shown needs a terminal of that width. */
const layout = [
  { name: 'time', width: 8 },
  { name: 'status', width: 3 },
  { name: 'provider', width: 11, wide: 16 },
  { name: 'model', width: 16, wide: 32 },
  { name: 'caller', width: 15, from: 120 },
  { name: 'input', width: 7, side: 'right' },
  { name: 'output', width: 7, side: 'right' },
  { name: 'cost', width: 9, side: 'right', from: 100 },
  { name: 'took', width: 7, side: 'right' },
] as const
const wideFrom = 120

type Texts = Readonly<Record<(typeof layout)[number]['name'] | 'remark', string>>

const titles: Texts = {
  ...{ time: 'ENDED', status: '', provider: 'PROVIDER', model: 'MODEL', caller: 'CALLER' },
  ...{ input: 'INPUT', output: 'OUTPUT', cost: 'USD', took: 'TOOK', remark: '' },
}

/** Without a width, as for a pipe, every column is shown and nothing is cut. */
function line(texts: Texts, width = Number.POSITIVE_INFINITY): string {
  const shown = layout.filter((column) => !('from' in column) || width >= column.from)
  const cells = shown.map((column) => {
    const wide = 'wide' in column && width >= wideFrom ? column.wide : column.width
    const text = printableLine(texts[column.name])
    return cell(text, width === Number.POSITIVE_INFINITY ? Math.max(wide, widthOf(text)) : wide, 'side' in column ? column.side : 'left')
  })
  return cut([...cells, texts.remark].join(' '), width).trimEnd()
}

function textsOf(row: ListedRow): Texts {
  const number = (name: string) => (typeof row[name] === 'number' ? countOf(row[name] as number) : '–')
  return {
    time: clockOf(Number(row['ended_at'] ?? row['started_at'])),
    status: String(row['status'] ?? '–'),
    provider: String(row['provider'] ?? '–'),
    model: String(row['response_model'] ?? row['request_model'] ?? row['path']),
    caller: String(row['caller'] ?? '–'),
    input: number('input_tokens'),
    output: number('output_tokens'),
    cost: typeof row['cost'] === 'number' ? row['cost'].toFixed(6) : '–',
    took: durationOf(row['duration_ms']),
    remark: remarkOf(row),
  }
}

/** At most seven characters wide up to ten thousand million: no digit of a count is cut. */
function countOf(count: number): string {
  return count < 1_000_000 ? count.toLocaleString('en') : `${(count / 1_000_000).toFixed(count < 100_000_000 ? 2 : 0)}M`
}

/** Remarks about how the request ended. */
function remarkOf(row: ListedRow): string {
  const ended = row['end_reason'] === 'completed' ? [] : [String(row['end_reason'])]
  const status = Number(row['status'])
  const error = row['error_type'] === null || row['error_type'] === String(status) ? [] : [String(row['error_type'])]
  const usage = isWithoutUsage(row) ? [`${row['usage_outcome']}${row['usage_reason'] === null ? '' : `: ${row['usage_reason']}`}`] : []
  return [...new Set([...usage, ...ended, ...error])].join(', ')
}

function colourOf(row: ListedRow, paint: Painter): (text: string) => string {
  if (row['error_type'] !== null) return paint.red
  return isWithoutUsage(row) || row['end_reason'] !== 'completed' ? paint.yellow : (text) => text
}

/** The local time of day. */
function clockOf(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8)
}

function durationOf(milliseconds: ListedRow[string] | undefined): string {
  if (typeof milliseconds !== 'number') return '–'
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(milliseconds < 100_000 ? 1 : 0)} s`
}
