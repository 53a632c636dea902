/** Samples → figures per target. Pure. */
import type { Spread } from './jobs.ts'
import type { MemorySample, Sample, Timed } from './measure.ts'
import type { StartSample } from './passes.ts'

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
  behindUs: (sample: Sample) => sample.behindCpu?.totalUs,
  rssMiB: (sample: Sample) => (sample.rssKiB === undefined ? undefined : sample.rssKiB / 1_024),
  spread: (of: 'answer' | 'firstByte' | 'delay', key: keyof Spread) => (sample: Sample) => sample.result[of]?.[key],
}

export interface Samples {
  readonly timed: readonly Sample[]
  readonly gateways: readonly Sample[]
  readonly memory: readonly MemorySample[]
  readonly starts: readonly StartSample[]
}

export function figure(samples: readonly Sample[], target: string, scenario: Timed, pick: Pick): Figure | undefined {
  return figureOf(samples.filter((sample) => sample.target === target && sample.scenario === scenario).map(pick))
}

export function memoryFigure({ memory }: Samples, target: string, streams: number): Figure | undefined {
  return figureOf(memory.filter((sample) => sample.target === target && sample.streams === streams).map((sample) => sample.kibPerStream))
}

export function startFigure({ starts }: Samples, target: string): Figure | undefined {
  return figureOf(starts.filter((sample) => sample.target === target).map((sample) => sample.ms))
}

/** Of the same round, so that a drift of the machine cancels out. */
function ofRound(samples: readonly Sample[], target: string, scenario: Timed, round: number, pick: Pick): number | undefined {
  const found = samples.find((sample) => sample.target === target && sample.scenario === scenario && sample.round === round)
  return found === undefined ? undefined : pick(found)
}

export function perRound(
  samples: readonly Sample[],
  scenario: Timed,
  combine: (value: (target: string, pick: Pick) => number) => number,
): Figure | undefined {
  const rounds = [...new Set(samples.map((sample) => sample.round))]
  return figureOf(rounds.map((round) => combine((target, pick) => ofRound(samples, target, scenario, round, pick) ?? Number.NaN)))
}

/** What a target adds to the direct way, in microseconds. */
export function added(samples: readonly Sample[], target: string, scenario: Timed, pick: Pick): Figure | undefined {
  return perRound(samples, scenario, (value) => value(target, pick) - value('direct', pick))
}
