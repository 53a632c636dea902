/** Figures → what this commit must hold: against an earlier commit (`--baseline`), bare proxies, and the gateway behind it. Pure. */
import { atFullLoad, inFrontOf } from './gateways.ts'
import type { Timed } from './measure.ts'
import { type Figure, figureOf, memoryFigure, type Pick, perRound, picks, type Samples, startFigure } from './summary.ts'

export interface Ratio {
  readonly what: string
  readonly measured: Figure
  /** How `measured` and the limits read: a factor, or a unit. */
  readonly unit: string
  /** Upper limits of the median. */
  readonly must: number
  readonly stretch?: number | undefined
  readonly reached: 'no' | 'must' | 'stretch'
}

interface Row {
  readonly what: string
  readonly unit: string
  readonly must: number
  readonly stretch?: number
  readonly measured: Figure | undefined
}

const us = 'tokenweir'

/** Per start, in turns, so that a drift of the machine cancels out here too. */
function startQuotient({ starts }: Samples, peer: string): Figure | undefined {
  const ms = (target: string, round: number) => starts.find((sample) => sample.target === target && sample.round === round)?.ms
  const rounds = [...new Set(starts.map((sample) => sample.round))]
  return figureOf(rounds.map((round) => (ms(us, round) ?? Number.NaN) / (ms(peer, round) ?? Number.NaN)))
}

function baselineRows(samples: Samples, baseline: string): Row[] {
  const times = (scenario: Timed, pick: Pick) => perRound(samples.timed, scenario, (value) => value(us, pick) / value(baseline, pick))
  const { totalUs, mainUs } = picks
  const unit = '×'
  return [
    { what: `CPU per JSON request, proxying thread / ${baseline}`, unit, must: 1.35, stretch: 1.1, measured: times('json', mainUs) },
    { what: `CPU per JSON request, whole process / ${baseline}`, unit, must: 1.4, stretch: 1, measured: times('json', totalUs) },
    { what: `CPU per paced event / ${baseline}`, unit, must: 1.12, stretch: 1, measured: times('sse-paced', totalUs) },
    { what: `CPU per unpaced event / ${baseline}`, unit, must: 1.3, stretch: 1, measured: times('sse-unpaced', totalUs) },
    { what: `start to ready / ${baseline}`, unit, must: 1.1, measured: startQuotient(samples, baseline) },
  ]
}

function latencyRows({ timed }: Samples): Row[] {
  const delay = picks.spread('delay', 'p99')
  const first = picks.spread('firstByte', 'p50')
  const tail = perRound(timed, 'latency', (value) => value(us, delay) / value('nginx', delay))
  const added = perRound(timed, 'latency', (value) => {
    const direct = value('direct', first)
    return (value(us, first) - direct) / (value('undici', first) - direct)
  })
  return [
    { what: 'delay per event, p99 at 1,000 events/s / nginx', unit: '×', must: 3.5, stretch: 1.7, measured: tail },
    { what: 'added first byte p50 / undici dispatch', unit: '×', must: 1.25, stretch: 1, measured: added },
  ]
}

function memoryRows(samples: Samples): Row[] {
  return [...new Set(samples.memory.map((sample) => sample.streams))].map((streams) => ({
    what: `memory per open paced stream, ${streams.toLocaleString('en')} of them`,
    unit: 'KiB',
    must: 66,
    stretch: 42,
    measured: memoryFigure(samples, us, streams),
  }))
}

/** What tokenweir takes in front of a gateway, in per cent of what the gateway itself takes for the same work at the same time. */
export function shareOf({ gateways }: Samples, gateway: string, scenario: Timed): Figure | undefined {
  const name = inFrontOf(gateway)
  return perRound(gateways, scenario, (value) => (100 * value(name, picks.totalUs)) / value(name, picks.behindUs))
}

/** The same of what each takes when it has as much to do as it can bear: tokenweir with an upstream that costs nothing, the gateway by itself. */
export function fullLoadShareOf({ gateways }: Samples, gateway: string, scenario: Timed): Figure | undefined {
  return perRound(gateways, scenario, (value) => (100 * value(atFullLoad, picks.totalUs)) / value(gateway, picks.totalUs))
}

function gatewayRows(samples: Samples): Row[] {
  const [request, event] = (['json', 'sse-paced'] as const).map((scenario) => fullLoadShareOf(samples, 'LiteLLM', scenario))
  return [
    { what: "CPU per JSON request, of LiteLLM's, both at full load", unit: '%', must: 3, stretch: 2, measured: request },
    { what: "CPU per paced event, of LiteLLM's, both at full load", unit: '%', must: 6, stretch: 4, measured: event },
    {
      what: "CPU per JSON request, of LiteLLM's, in front of it",
      unit: '%',
      must: 3,
      stretch: 2,
      measured: shareOf(samples, 'LiteLLM', 'json'),
    },
    {
      what: "CPU per paced event, of LiteLLM's, in front of it",
      unit: '%',
      must: 6,
      stretch: 4,
      measured: shareOf(samples, 'LiteLLM', 'sse-paced'),
    },
  ]
}

function seconds(figure: Figure | undefined): Figure | undefined {
  return figure && { median: figure.median / 1_000, low: figure.low / 1_000, high: figure.high / 1_000 }
}

function reached({ must, stretch }: Row, median: number): Ratio['reached'] {
  if (!(median <= must)) return 'no'
  return stretch !== undefined && median <= stretch ? 'stretch' : 'must'
}

/** Rows whose figures were measured in this run; ratios are taken round by round, and then their median. */
export function ratiosOf(samples: Samples, baseline: string | undefined): Ratio[] {
  const rows: Row[] = [
    ...(baseline === undefined ? [] : baselineRows(samples, baseline)),
    ...latencyRows(samples),
    ...memoryRows(samples),
    { what: 'start to ready', unit: 's', must: 1, stretch: 0.3, measured: seconds(startFigure(samples, us)) },
    ...gatewayRows(samples),
  ]
  return rows.flatMap(({ measured, ...row }) =>
    measured === undefined ? [] : [{ ...row, measured, reached: reached({ ...row, measured }, measured.median) }],
  )
}
