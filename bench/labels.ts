/**
 * `--labels`: what eight labels cost. One process of tokenweir is asked in short turns: requests whose eight fields are its labels, requests with as many
 * fields that it knows nothing of, and requests without. Two processes differ by more than labels cost, however often they are started.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Job } from './jobs.ts'
import { checkBodies, demandNoFailure, perUnit, type Stage, warmUp } from './measure.ts'
import { turns } from './passes.ts'
import { cpuOf, settled, stop } from './processes.ts'
import { tokenweirWith } from './targets.ts'
import { stopAndVerify, type Verdict } from './verify.ts'

const labels = ['team', 'user', 'feature', 'stage', 'region', 'tenant', 'project', 'agent'] as const
/** Values of a label: they recur, as those of teams and features do. */
const valuesOfOne = 10

/** The same bytes in each, but for the names. */
const askings = {
  none: undefined,
  fields: labels.map((name) => `y-${name}`),
  labels: labels.map((name) => `x-${name}`),
} as const
type Asking = keyof typeof askings

export interface LabelFigures {
  readonly rounds: number
  readonly metric: boolean
  /** Microseconds of CPU per request of each turn. */
  readonly totalUs: Readonly<Record<Asking, readonly number[]>>
  readonly mainUs: Readonly<Record<Asking, readonly number[]>>
}

const secondsOfTurn = 0.6

/** `metric`: whether the labels are on the metrics too. */
export async function measureLabels(
  stage: Stage,
  { rounds, metric, say }: { readonly rounds: number; readonly metric: boolean; readonly say: (line: string) => void },
): Promise<{ readonly figures: LabelFigures; readonly verdict: Verdict | undefined }> {
  const config = join(stage.around.directory, `labels-${metric}.yaml`)
  const lines = labels.map((name) => `  ${name}: { from: header:x-${name}, metric: ${metric} }`)
  writeFileSync(config, ['labels:', ...lines, ''].join('\n'))
  const name = metric ? 'tokenweir with labels on metrics' : 'tokenweir with labels'
  const target = await tokenweirWith(config).start(name, stage.around)
  const { process } = target
  if (process === undefined) throw new Error(`${name} has no process`)
  const { pid } = process
  const totalUs: Record<Asking, number[]> = { none: [], fields: [], labels: [] }
  const mainUs: Record<Asking, number[]> = { none: [], fields: [], labels: [] }
  try {
    await checkBodies(stage, target)
    await warmUp(stage, target)
    // The first round compiles what only labels need.
    for (let round = -1; round < rounds; round++) {
      for (const asking of turns(Object.keys(askings) as Asking[], round + 1)) {
        const names = askings[asking]
        const job: Job = {
          ...{ kind: 'json', port: target.port, seconds: round < 0 ? 3 : secondsOfTurn, concurrency: stage.size.jsonConcurrency },
          fields: names === undefined ? undefined : { names, values: valuesOfOne },
        }
        await settled(pid)
        const before = cpuOf(pid)
        const result = await stage.load.run(job)
        demandNoFailure(name, asking, result)
        await settled(pid)
        const cpu = perUnit(before, cpuOf(pid), result.requests)
        if (round < 0) continue
        totalUs[asking].push(cpu.totalUs)
        mainUs[asking].push(cpu.mainUs)
      }
      if (round >= 0 && (round + 1) % 10 === 0) say(`${name}: ${round + 1} of ${rounds} rounds`)
    }
    const verdict = await stopAndVerify(target, name, stage.load.sent(target.port))
    return { figures: { rounds, metric, totalUs, mainUs }, verdict }
  } finally {
    await stop(process)
  }
}

const quantile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] as number

/** A median's 95 % interval, by the order of the values. */
function medianWords(values: readonly number[]): string {
  const half = 0.98 / Math.sqrt(values.length)
  const at = (share: number) => quantile(values, Math.min(0.999, Math.max(0, share))).toFixed(3)
  return `${at(0.5)} (${at(0.5 - half)}–${at(0.5 + half)})`
}

export function labelsText(all: readonly LabelFigures[]): string {
  const rows = all.flatMap(({ metric, rounds, totalUs, mainUs }) =>
    (
      [
        ['whole process', totalUs],
        ['proxying thread', mainUs],
      ] as const
    ).map(([of, us]) => {
      const ratios = (over: Asking) => us.labels.map((one, round) => one / (us[over][round] as number))
      const medians = (Object.keys(askings) as Asking[]).map((asking) => quantile(us[asking], 0.5).toFixed(1))
      return `| ${[`${metric ? 'on metrics too, ' : ''}${of}`, ...medians, medianWords(ratios('fields')), medianWords(ratios('none')), rounds].join(' | ')} |`
    }),
  )
  return [
    '| CPU µs per JSON request | no such fields | eight other fields | eight labels | labels over other fields | over none | rounds |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}
