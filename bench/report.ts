/** Figures → Markdown. */
import { readFileSync, writeFileSync } from 'node:fs'
import { atFullLoad } from './gateways.ts'
import { gatewayRowNames } from './passes.ts'
import { fullLoadShareOf, type Ratio, ratiosOf, shareOf } from './ratios.ts'
import { added, type Figure, figure, figureOf, memoryFigure, type Pick, picks, type Samples, startFigure } from './summary.ts'
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
  /** The target of an earlier commit, with `--baseline`. */
  readonly baseline: string | undefined
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
    cell(figure(samples.timed, target, 'json', picks.totalUs)),
    cell(figure(samples.timed, target, 'json', picks.mainUs)),
    cell(figure(samples.timed, target, 'json', picks.perSecond)),
    cell(figure(samples.timed, target, 'json', inMs(picks.spread('answer', 'p99')))),
    cell(figure(samples.timed, target, 'sse-paced', picks.totalUs)),
    cell(figure(samples.timed, target, 'sse-unpaced', picks.totalUs)),
    cell(figure(samples.timed, target, 'sse-unpaced', picks.perSecond)),
    cell(figure(samples.timed, target, 'json', picks.rssMiB)),
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
    cell(target === 'direct' ? undefined : added(samples.timed, target, 'latency', picks.spread('firstByte', 'p50'))),
    cell(target === 'direct' ? undefined : added(samples.timed, target, 'latency', picks.spread('firstByte', 'p99'))),
    cell(figure(samples.timed, target, 'latency', picks.spread('delay', 'p50'))),
    cell(figure(samples.timed, target, 'latency', picks.spread('delay', 'p99'))),
    cell(figure(samples.timed, target, 'sse-paced', picks.spread('delay', 'p50'))),
    cell(figure(samples.timed, target, 'sse-paced', picks.spread('delay', 'p99'))),
  ])
  const head = ['µs', 'added first byte p50', 'p99', 'delay p50, 1,000 events/s', 'p99', 'p50, 5,000 events/s', 'p99']
  return table(head, rows)
}

function memoryTable({ samples, targets }: Report): string {
  const counts = [...new Set(samples.memory.map((sample) => sample.streams))]
  const rows = targets.map((target) => [
    target,
    ...counts.flatMap((streams) => {
      const open = samples.memory.filter((sample) => sample.target === target && sample.streams === streams)
      const delayMs = figureOf(open.map(({ result }) => result.delay && result.delay.p99 / 1_000))
      return [cell(memoryFigure(samples, target, streams)), cell(delayMs)]
    }),
    cell(startFigure(samples, target)),
  ])
  const heads = counts.flatMap((streams) => [`KiB per stream, ${streams.toLocaleString('en')} open`, 'delay p99 ms'])
  return table(['', ...heads, 'start to ready ms'], rows)
}

/** Each gateway by itself, and tokenweir in front of one: its CPU beside that of the gateway, for the same work at the same time. */
function gatewayTable({ samples }: Report): string {
  const { gateways } = samples
  const columns = (name: string, scenario: 'json' | 'sse-paced') => {
    const behind = figure(gateways, name, scenario, picks.behindUs)
    const total = figure(gateways, name, scenario, picks.totalUs)
    if (name === atFullLoad) return ['–', cell(total)]
    return behind === undefined ? [cell(total), '–'] : [cell(behind), cell(total)]
  }
  const rows = gatewayRowNames(gateways).map((name) => [name, ...columns(name, 'json'), ...columns(name, 'sse-paced')])
  const head = ['CPU of all processes', 'gateway, µs/request', 'tokenweir, µs/request', 'gateway, µs/event', 'tokenweir, µs/event']
  const shares = [shareOf(samples, 'LiteLLM', 'json'), shareOf(samples, 'LiteLLM', 'sse-paced')] as const
  const full = [fullLoadShareOf(samples, 'LiteLLM', 'json'), fullLoadShareOf(samples, 'LiteLLM', 'sse-paced')] as const
  const sentence =
    `In front of LiteLLM tokenweir takes ${cell(shares[0])} % of its CPU per request and ${cell(shares[1])} % per event; ` +
    `with both at full load, each by itself, ${cell(full[0])} % and ${cell(full[1])} %.`
  return shares[0] === undefined ? table(head, rows) : `${table(head, rows)}\n\n${sentence}`
}

/** Ends a sentence of the README's comparison; undefined where LiteLLM was not measured. */
export function shareWords({ samples }: Report): Readonly<Record<'README.md' | 'README.zh-CN.md', string>> | undefined {
  const figures = [shareOf, fullLoadShareOf].flatMap((share) => [share(samples, 'LiteLLM', 'json'), share(samples, 'LiteLLM', 'sse-paced')])
  const known = figures.filter((figure) => figure !== undefined).map(({ median }) => `${digits(median)} %`)
  if (known.length < figures.length) return undefined
  const [request, event, fullRequest, fullEvent] = known
  return {
    'README.md': `, ${request} of LiteLLM's CPU per request and ${event} per streamed event in front of it (${fullRequest} and ${fullEvent} with both at full load)`,
    'README.zh-CN.md': `：放在 LiteLLM 之前，每个请求用掉 LiteLLM 的 CPU 的 ${request}，每个流式事件 ${event}（两者都满载时为 ${fullRequest} 和 ${fullEvent}）`,
  }
}

function ratioTable(ratios: readonly Ratio[]): string {
  const limit = (value: number | undefined) => (value === undefined ? '–' : `≤ ${value}`)
  const rows = ratios.map(({ what, measured, unit, must, stretch, reached }) => [
    what,
    `${cell(measured)} ${unit}`,
    limit(must),
    limit(stretch),
    reached === 'no' ? '**no**' : reached,
  ])
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
    const share = figure(samples.timed, target, 'json', picks.loadShare)
    return share === undefined ? undefined : `${target} ${Math.round(share.median * 100)} %`
  })
  const strangers = figureOf([...samples.timed, ...samples.gateways].map((sample) => sample.strangersShare))
  const warning = (strangers?.median ?? 0) > quietShareMax ? ' **The machine was busy: rates and tail delays are noise.**' : ''
  const ofGateways = gatewayRowNames(samples.gateways).map((name) => {
    const share = figure(samples.gateways, name, 'json', picks.loadShare)
    return share === undefined ? undefined : `${name} ${Math.round(share.median * 100)} %`
  })
  const others = `Programs that are no part of the bench took ${Math.round((strangers?.median ?? 0) * 100)} % of a core meanwhile.${warning}`
  const known = [...parts, ...ofGateways].filter((part) => part !== undefined)
  return known.length === 0
    ? others
    : `Load client and mock upstream together took, of their core, under JSON: ${known.join(', ')}. ${others}`
}

/** The results tables: for the reader of the documents, who has no earlier commit to compare with. */
export function resultsOf(report: Report): string {
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
  const { timed, gateways, memory, starts } = report.samples
  const parts = [
    [intro, ...absent].join('\n'),
    timed.length > 0 ? cpuTable(report) : '',
    timed.length > 0 ? latencyTable(report) : '',
    memory.length + starts.length > 0 ? memoryTable(report) : '',
    gateways.length > 0 ? gatewayTable(report) : '',
    timed.length + gateways.length > 0 ? helpersLine(report) : '',
    verdicts.length > 0 ? verdictTable(verdicts) : '',
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

/** What the documents get: without the baseline. */
export function readersReport(report: Report): Report {
  const { baseline, targets, verdicts } = report
  if (baseline === undefined) return report
  return {
    ...report,
    targets: targets.filter((name) => name !== baseline),
    verdicts: verdicts.filter(({ occasion }) => !occasion.startsWith(baseline)),
  }
}

/** What the terminal shows besides: the limits that this commit is held to. */
export const limitsOf = ({ samples, baseline }: Report): string => ratioTable(ratiosOf(samples, baseline))

/** Replaces what stands between the markers `<!-- name -->` and `<!-- /name -->` of a document. */
export function publish(file: string, name: string, markdown: string): void {
  const text = readFileSync(file, 'utf8')
  const [openMark, closeMark] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [text.indexOf(openMark), text.indexOf(closeMark)]
  if (from < 0 || to < from) throw new Error(`${file}: put ${openMark} and ${closeMark} around what is generated`)
  writeFileSync(file, `${text.slice(0, from + openMark.length)}${markdown}${text.slice(to)}`)
}
