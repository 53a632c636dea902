/** Figures → Markdown. */
import { readFileSync, writeFileSync } from 'node:fs'
import { added, type Figure, figure, figureOf, type Pick, picks, type Ratio, ratiosOf, type Samples } from './summary.ts'
import type { Verdict } from './verify.ts'

export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
  readonly pinned: boolean
  readonly versions: Readonly<Record<string, string>>
}

export interface Report {
  readonly machine: Machine
  readonly rounds: number
  readonly skipped: Readonly<Record<string, string>>
  readonly targets: readonly string[]
  readonly readyMs: readonly number[]
  readonly verdicts: readonly Verdict[]
  readonly samples: Samples
}

function digits(value: number): string {
  const size = Math.abs(value)
  return value.toLocaleString('en', { maximumFractionDigits: size < 10 ? 2 : size < 100 ? 1 : 0 })
}

/** Median, and the spread in brackets when there is one. */
function cell(value: Figure | undefined): string {
  if (value === undefined) return '–'
  const median = digits(value.median)
  return value.low === value.high ? median : `${median} (${digits(value.low)}–${digits(value.high)})`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const inMs = (pick: Pick) => (sample: Parameters<Pick>[0]) => {
  const value = pick(sample)
  return value === undefined ? undefined : value / 1_000
}

function cpuTable({ samples, targets }: Report): string {
  const rows = targets.map((target) => [
    target,
    cell(figure(samples, target, 'json', picks.totalUs)),
    cell(figure(samples, target, 'json', picks.mainUs)),
    cell(figure(samples, target, 'json', picks.perSecond)),
    cell(figure(samples, target, 'json', inMs(picks.spread('answer', 'p99')))),
    cell(figure(samples, target, 'sse-paced', picks.totalUs)),
    cell(figure(samples, target, 'sse-unpaced', picks.totalUs)),
    cell(figure(samples, target, 'sse-unpaced', picks.perSecond)),
    cell(figure(samples, target, 'json', picks.rssMiB)),
  ])
  const head = [
    '',
    'JSON µs/request',
    'first thread',
    'req/s',
    'p99 ms',
    'paced SSE µs/event',
    'unpaced SSE µs/event',
    'events/s',
    'RSS MiB',
  ]
  return table(head, rows)
}

function latencyTable({ samples, targets }: Report): string {
  const rows = targets.map((target) => [
    target,
    cell(target === 'direct' ? undefined : added(samples, target, 'latency', picks.spread('firstByte', 'p50'))),
    cell(target === 'direct' ? undefined : added(samples, target, 'latency', picks.spread('firstByte', 'p99'))),
    cell(figure(samples, target, 'latency', picks.spread('delay', 'p50'))),
    cell(figure(samples, target, 'latency', picks.spread('delay', 'p99'))),
    cell(figure(samples, target, 'sse-paced', picks.spread('delay', 'p50'))),
    cell(figure(samples, target, 'sse-paced', picks.spread('delay', 'p99'))),
  ])
  const head = ['µs', 'added first byte p50', 'p99', 'delay p50, 1,000 events/s', 'p99', 'p50, 5,000 events/s', 'p99']
  return table(head, rows)
}

function memoryTable({ samples, targets }: Report): string {
  const counts = [...new Set(samples.memory.map((sample) => sample.streams))]
  const rows = targets.map((target) => [
    target,
    ...counts.flatMap((streams) => {
      const sample = samples.memory.find((one) => one.target === target && one.streams === streams)
      const delay = sample?.result.delay
      const kib = sample?.kibPerStream
      return [kib === undefined ? '–' : digits(kib), delay === undefined ? '–' : digits(delay.p99 / 1_000)]
    }),
  ])
  return table(['', ...counts.flatMap((streams) => [`KiB per stream, ${streams.toLocaleString('en')} open`, 'delay p99 ms'])], rows)
}

/** `must` and `stretch` are upper limits; their own measurements may differ (another peer). */
function reached(ratio: Ratio): string {
  const stretch = ratio.stretchMeasured ?? ratio.measured
  if (ratio.measured.median > ratio.must) return '**no**'
  return stretch.median <= ratio.stretch ? 'stretch' : 'must'
}

function ratioTable(ratios: readonly Ratio[]): string {
  const rows = ratios.map((ratio) => {
    const second = ratio.stretchMeasured === undefined ? '' : `; ${cell(ratio.stretchMeasured)}`
    const unit = ratio.unit === '×' ? ' ×' : ` ${ratio.unit}`
    return [ratio.what, `${cell(ratio.measured)}${second}${unit}`, `≤ ${ratio.must}`, `≤ ${ratio.stretch}`, reached(ratio)]
  })
  return table(['target', 'measured', 'must', 'stretch', 'reached'], rows)
}

function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) =>
    [
      verdict.occasion,
      verdict.requests,
      verdict.ledgerRows,
      verdict.logLines,
      verdict.spans,
      verdict.distinctSpans,
      verdict.exitCode,
      verdict.ok ? 'yes' : '**no**',
    ].map(String),
  )
  return table(['process', 'requests sent', 'ledger rows', 'log lines', 'spans', 'distinct spans', 'exit code', 'equal'], rows)
}

/** Share of a core that strangers may take before tails mean nothing. */
const quietShareMax = 0.1

function helpersLine({ samples, targets }: Report): string {
  const parts = targets.map((target) => {
    const share = figure(samples, target, 'json', picks.loadShare)
    return share === undefined ? undefined : `${target} ${Math.round(share.median * 100)} %`
  })
  const known = parts.filter((part) => part !== undefined)
  const strangers = figureOf(samples.timed.map((sample) => sample.strangersShare))
  const warning = (strangers?.median ?? 0) > quietShareMax ? ' **The machine was busy: rates and tail delays are noise.**' : ''
  const others = `Programs that are no part of the bench took ${Math.round((strangers?.median ?? 0) * 100)} % of a core meanwhile.${warning}`
  return known.length === 0
    ? others
    : `Load client and mock upstream together took, of their core, under JSON: ${known.join(', ')}. ${others}`
}

export function markdownOf(report: Report): string {
  const { machine, skipped, verdicts } = report
  const programs = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const where = `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}`
  const pinning = machine.pinned ? 'The proxy has one core to itself, load and upstream share the rest' : '**Not pinned to cores**'
  const absent = Object.entries(skipped).map(([name, reason]) => `**Skipped: ${name}** (${reason}).`)
  const intro = [
    `${machine.date}, commit ${machine.commit}`,
    where,
    ...(programs.length > 0 ? [programs.join(', ')] : []),
    pinning,
    report.rounds > 1 ? `Medians of ${report.rounds} rounds (lowest–highest).` : 'One round.',
  ].join('. ')
  const { timed, memory } = report.samples
  const parts = [
    [intro, ...absent].join('\n'),
    timed.length > 0 ? cpuTable(report) : '',
    timed.length > 0 ? latencyTable(report) : '',
    memory.length > 0 ? memoryTable(report) : '',
    timed.length > 0 ? helpersLine(report) : '',
    ratioTable(ratiosOf(report.samples, report.readyMs)),
    verdicts.length > 0 ? verdictTable(verdicts) : '',
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

const [openMark, closeMark] = ['<!-- bench -->', '<!-- /bench -->']

/** Replaces what stands between the markers of a document. */
export function publish(file: string, markdown: string): void {
  const text = readFileSync(file, 'utf8')
  const [from, to] = [text.indexOf(openMark), text.indexOf(closeMark)]
  if (from < 0 || to < from) throw new Error(`${file}: put ${openMark} and ${closeMark} on lines of their own`)
  writeFileSync(file, `${text.slice(0, from + openMark.length)}\n${markdown}\n${text.slice(to)}`)
}
