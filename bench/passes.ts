/** The passes of a run: each starts what it measures, lets the targets take turns, and stops them with their records verified. */
import { atFullLoad, checkTold, gatewayNames, inFrontOf, startAtFullLoad, startGatewayTargets } from './gateways.ts'
import {
  checkBodies,
  type MemorySample,
  measure,
  measureMemory,
  type Sample,
  type Stage,
  type Timed,
  timedNames,
  warmUp,
} from './measure.ts'
import type { Options } from './options.ts'
import { allCores, stop } from './processes.ts'
import type { Target } from './targets.ts'
import { stopAndVerify, type Verdict } from './verify.ts'

export interface StartSample {
  readonly target: string
  readonly round: number
  /** From the start of the process until it is ready. */
  readonly ms: number
}

export interface Pass {
  readonly stage: Stage
  readonly options: Options
  /** Targets that can be started here, in the order of the report. */
  readonly names: readonly string[]
  readonly verdicts: Verdict[]
  say(line: string): void
}

/** Another target begins each round, and every other round goes backwards: nobody always follows the same neighbour. */
export function turns<Item>(items: readonly Item[], round: number): readonly Item[] {
  const from = round % Math.max(1, items.length)
  const turned = [...items.slice(from), ...items.slice(0, from)]
  return round % 2 === 0 ? turned : turned.reverse()
}

function describe(sample: Sample): string {
  const { cpu, behindCpu, result } = sample
  const unit = sample.scenario === 'json' ? 'request' : 'event'
  const parts = [
    cpu === undefined ? '' : `${cpu.totalUs.toFixed(1)} µs/${unit} (first thread ${cpu.mainUs.toFixed(1)})`,
    behindCpu === undefined ? '' : `the gateway ${behindCpu.totalUs.toFixed(1)}`,
    `${Math.round(sample.unitsPerSecond)} ${unit}s/s`,
    result.firstByte === undefined ? '' : `first byte ${Math.round(result.firstByte.p50)}/${Math.round(result.firstByte.p99)} µs`,
    result.delay === undefined ? '' : `delay ${Math.round(result.delay.p50)}/${Math.round(result.delay.p99)} µs`,
    sample.ownChunkP99Us === undefined ? '' : `own p99 ≤ ${sample.ownChunkP99Us.toFixed(0)} µs`,
    `load ${Math.round(sample.loadShare * 100)} % upstream ${Math.round(sample.upstreamShare * 100)} %`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

async function inTurns({ stage, options, say }: Pass, targets: readonly Target[], scenarios: readonly Timed[]): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    for (const scenario of scenarios) {
      for (const target of turns(targets, round)) {
        const sample = await measure(stage, target, scenario, round)
        samples.push(sample)
        say(`round ${round + 1}/${options.rounds} ${scenario} ${target.name}: ${describe(sample)}`)
      }
    }
  }
  return samples
}

async function stopTarget({ stage, verdicts }: Pass, target: Target, occasion: string): Promise<void> {
  const verdict = await stopAndVerify(target, `${target.name}, ${occasion}`, stage.load.sent(target.port))
  if (verdict !== undefined) verdicts.push(verdict)
}

export async function timedPass(pass: Pass): Promise<Sample[]> {
  const { stage, options, names, say } = pass
  const scenarios = timedNames.filter((scenario) => options.scenarios.includes(scenario))
  if (scenarios.length === 0) return []
  const targets: Target[] = []
  for (const name of names) {
    const target = await stage.kinds[name]?.start(name, stage.around)
    if (target === undefined) continue
    await checkBodies(stage, target)
    await warmUp(stage, target)
    say(`${name}: bodies equal, warm${target.readyMs === undefined ? '' : `, ready after ${Math.round(target.readyMs)} ms`}`)
    targets.push(target)
  }
  const samples = await inTurns(pass, targets, scenarios)
  for (const target of targets) await stopTarget(pass, target, 'timed scenarios')
  return samples
}

export async function memoryPass(pass: Pass): Promise<MemorySample[]> {
  const { stage, options, names, say } = pass
  if (!options.scenarios.includes('memory')) return []
  const samples: MemorySample[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    for (const streams of stage.size.memoryStreams) {
      for (const name of turns(names, round)) {
        const occasion = `memory ${round + 1}, ${streams} streams`
        const sample = await measureMemory(stage, name, streams, round, (target) => stopTarget(pass, target, occasion))
        samples.push(sample)
        const delayMs = ((sample.result.delay?.p99 ?? 0) / 1_000).toFixed(1)
        const kib = sample.kibPerStream?.toFixed(1) ?? '–'
        say(`round ${round + 1}/${options.rounds} memory ${name}, ${streams} streams: ${kib} KiB per stream, delay p99 ${delayMs} ms`)
      }
    }
  }
  return samples
}

/** Each start takes about a second and varies by a tenth. */
const startsPerRound = 3

/** The first start of each fills the compile cache and is not counted. */
export async function startPass({ stage, options, names, say }: Pass): Promise<StartSample[]> {
  if (!options.scenarios.includes('start')) return []
  const samples: StartSample[] = []
  for (let round = -1; round < options.rounds * startsPerRound; round += 1) {
    for (const name of turns(names, round + 1)) {
      const target = await stage.kinds[name]?.start(name, stage.around)
      if (target?.process === undefined || target.readyMs === undefined) continue
      await stop(target.process)
      if (target.records !== undefined) await stop(target.records.sink.process)
      if (round < 0) continue
      samples.push({ target: name, round, ms: target.readyMs })
      say(`start ${round + 1}/${options.rounds * startsPerRound} ${name}: ready after ${Math.round(target.readyMs)} ms`)
    }
  }
  return samples
}

/**
 * Gateways last, by themselves: they do some work even when nobody asks for any. They and tokenweir run wherever the kernel puts them, as a
 * sidecar does: on a core that a gateway keeps busy, each request would find tokenweir's code and data gone from the caches.
 */
export async function gatewayPass(whole: Pass, skipped: Readonly<Record<string, string>>): Promise<Sample[]> {
  const pass = { ...whole, stage: { ...whole.stage, around: { ...whole.stage.around, cores: allCores } } }
  const { stage, options, say } = pass
  if (!options.scenarios.includes('gateways')) return []
  const targets: Target[] = []
  for (const name of gatewayNames) {
    if (name in skipped) continue
    say(`${name}: starting`)
    targets.push(...(await startGatewayTargets(stage, name)))
  }
  const loaded = targets.length === 0 ? undefined : await startAtFullLoad(stage)
  if (loaded !== undefined) targets.push(loaded)
  for (const target of targets) {
    if (target !== loaded) await checkTold(stage, target)
    await warmUp(stage, target)
    say(`${target.name}: its clients are told what the upstream says, warm, ready after ${Math.round(target.readyMs ?? 0)} ms`)
  }
  const samples = await inTurns(pass, targets, ['json', 'sse-paced'])
  // tokenweir before the gateway that it stands in front of.
  for (const target of targets.toReversed()) await stopTarget(pass, target, 'gateways')
  return samples
}

export const gatewayRowNames = (samples: readonly Sample[]): readonly string[] => {
  const known = [...gatewayNames.flatMap((name) => [name, inFrontOf(name)]), atFullLoad]
  return known.filter((name) => samples.some((sample) => sample.target === name))
}
