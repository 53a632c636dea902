/** Samples → figures per target → ratios against the targets of PERFORMANCE. Pure. */
import type { Spread } from './jobs.ts'
import type { MemorySample, Sample, Timed } from './measure.ts'

/** Median over the rounds, with the lowest and the highest. */
export interface Figure {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function figureOf(values: readonly (number | undefined)[]): Figure | undefined {
  const sorted = values.filter((value) => value !== undefined && Number.isFinite(value)).sort((a, b) => (a ?? 0) - (b ?? 0)) as number[]
  const low = sorted[0]
  const high = sorted.at(-1)
  if (low === undefined || high === undefined) return undefined
  const middle = sorted.length / 2
  const median = ((sorted[Math.ceil(middle) - 1] ?? low) + (sorted[Math.floor(middle)] ?? high)) / 2
  return { median, low, high }
}

export type Pick = (sample: Sample) => number | undefined

export const picks = {
  totalUs: (sample: Sample) => sample.cpu?.totalUs,
  mainUs: (sample: Sample) => sample.cpu?.mainUs,
  perSecond: (sample: Sample) => sample.unitsPerSecond,
  loadShare: (sample: Sample) => sample.loadShare + sample.upstreamShare,
  ownChunkP99Us: (sample: Sample) => sample.ownChunkP99Us,
  rssMiB: (sample: Sample) => (sample.rssKiB === undefined ? undefined : sample.rssKiB / 1_024),
  spread: (of: 'answer' | 'firstByte' | 'delay', key: keyof Spread) => (sample: Sample) => sample.result[of]?.[key],
}

export interface Samples {
  readonly timed: readonly Sample[]
  readonly memory: readonly MemorySample[]
}

export function figure(samples: Samples, target: string, scenario: Timed, pick: Pick): Figure | undefined {
  return figureOf(samples.timed.filter((sample) => sample.target === target && sample.scenario === scenario).map(pick))
}

/** Of the same round, so that a drift of the machine cancels out. */
function ofRound(samples: Samples, target: string, scenario: Timed, round: number, pick: Pick): number | undefined {
  const found = samples.timed.find((sample) => sample.target === target && sample.scenario === scenario && sample.round === round)
  return found === undefined ? undefined : pick(found)
}

export function perRound(
  samples: Samples,
  scenario: Timed,
  combine: (value: (target: string, pick: Pick) => number) => number,
): Figure | undefined {
  const rounds = [...new Set(samples.timed.map((sample) => sample.round))]
  return figureOf(rounds.map((round) => combine((target, pick) => ofRound(samples, target, scenario, round, pick) ?? Number.NaN)))
}

/** What a target adds to the direct way, in microseconds. */
export function added(samples: Samples, target: string, scenario: Timed, pick: Pick): Figure | undefined {
  return perRound(samples, scenario, (value) => value(target, pick) - value('direct', pick))
}

export interface Ratio {
  readonly what: string
  readonly measured: Figure
  /** How `measured` and the limits read: a factor, or a unit. */
  readonly unit: string
  readonly must: number
  readonly stretch: number
  /** What the stretch is measured against, where it is another peer. */
  readonly stretchMeasured?: Figure | undefined
}

const us = 'tokenweir'

function quotient(samples: Samples, scenario: Timed, peer: string, pick: Pick): Figure | undefined {
  return perRound(samples, scenario, (value) => value(us, pick) / value(peer, pick))
}

interface Row {
  readonly what: string
  readonly unit?: string
  readonly must: number
  readonly stretch: number
  readonly measured: Figure | undefined
  readonly stretchMeasured?: Figure | undefined
}

function cpuRows(samples: Samples): Row[] {
  const ratio = (scenario: Timed, peer: string, pick: Pick) => quotient(samples, scenario, peer, pick)
  const { totalUs, mainUs } = picks
  return [
    {
      what: 'CPU per JSON request, whole process / http-proxy',
      must: 0.75,
      stretch: 0.4,
      measured: ratio('json', 'http-proxy', totalUs),
    },
    {
      what: 'CPU per JSON request, proxying thread / undici dispatch (stretch: / nginx)',
      must: 1.25,
      stretch: 2,
      measured: ratio('json', 'undici', mainUs),
      stretchMeasured: ratio('json', 'nginx', mainUs),
    },
    {
      what: 'CPU per paced event / http-proxy (stretch: / nginx)',
      must: 1,
      stretch: 1.5,
      measured: ratio('sse-paced', 'http-proxy', totalUs),
      stretchMeasured: ratio('sse-paced', 'nginx', totalUs),
    },
    {
      what: 'CPU per unpaced event / undici dispatch (stretch: / nginx)',
      must: 1.1,
      stretch: 1.2,
      measured: ratio('sse-unpaced', 'undici', totalUs),
      stretchMeasured: ratio('sse-unpaced', 'nginx', totalUs),
    },
  ]
}

function latencyRows(samples: Samples): Row[] {
  const firstByte = (key: 'p50' | 'p99', peer: string) => {
    const pick = picks.spread('firstByte', key)
    return perRound(samples, 'latency', (value) => (value(us, pick) - value('direct', pick)) / (value(peer, pick) - value('direct', pick)))
  }
  const rows = (['p50', 'p99'] as const).map((key) => ({
    what: `added first byte ${key} / undici dispatch (stretch: / nginx)`,
    must: 1.1,
    stretch: 1.5,
    measured: firstByte(key, 'undici'),
    stretchMeasured: firstByte(key, 'nginx'),
  }))
  const delay = picks.spread('delay', 'p99')
  const addedMs = perRound(samples, 'sse-paced', (value) => (value(us, delay) - value('direct', delay)) / 1_000)
  const ownMs = perRound(samples, 'sse-paced', (value) => value(us, picks.ownChunkP99Us) / 1_000)
  const limits = { unit: 'ms', must: 0.5, stretch: 0.2 }
  return [
    ...rows,
    { what: 'delay per event, p99 at 5,000 events/s, less that of the direct way', ...limits, measured: addedMs },
    { what: 'the same, from chunk read to chunk written, by its own histogram (upper bound)', ...limits, measured: ownMs },
    {
      what: 'delay per event, p99 at 1,000 events/s / nginx',
      must: 3.5,
      stretch: 1.7,
      measured: quotient(samples, 'latency', 'nginx', delay),
    },
  ]
}

function memoryRows(samples: Samples): Row[] {
  return samples.memory
    .filter((sample) => sample.target === us)
    .map((sample) => ({
      what: `memory per open paced stream, ${sample.streams.toLocaleString('en')} of them`,
      unit: 'KiB',
      must: 64,
      stretch: 22,
      measured: figureOf([sample.kibPerStream]),
    }))
}

/** Rows whose figures were measured in this run. */
export function ratiosOf(samples: Samples, readyMs: readonly number[]): Ratio[] {
  const ready: Row = { what: 'start to ready', unit: 's', must: 1, stretch: 0.3, measured: figureOf(readyMs.map((ms) => ms / 1_000)) }
  return [...cpuRows(samples), ...latencyRows(samples), ...memoryRows(samples), ready].flatMap(({ measured, unit = '×', ...row }) =>
    measured === undefined ? [] : [{ ...row, unit, measured }],
  )
}
