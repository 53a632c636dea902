/** One measurement: a job run against one target, with the CPU that every process involved spent on it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Load, Upstream } from './aides.ts'
import { tailEvents } from './fixture.ts'
import type { Job, Result } from './jobs.ts'
import type { ScenarioName, Size } from './options.ts'
import { chunkBuckets, quantileUs } from './own-metrics.ts'
import { type Cpu, type CpuSpent, cpuOf, descriptorsMax, machineMs, rssKiB, settled, spent } from './processes.ts'
import type { Kind, Surroundings, Target } from './targets.ts'

/** Of all threads of a process and of those that it started; `main` is its first thread. */
export type CpuPerUnit = CpuSpent & { readonly totalUs: number; readonly mainUs: number }

export interface Sample {
  readonly target: string
  readonly scenario: ScenarioName
  readonly round: number
  /** Requests for `json`, events for the others. */
  readonly units: number
  readonly unitsPerSecond: number
  /** Absent for `direct`. */
  readonly cpu?: CpuPerUnit
  /** What the gateway behind tokenweir took for the same work. */
  readonly behindCpu?: CpuPerUnit
  readonly rssKiB?: number
  /** Share of one core, 0 to 1. */
  readonly loadShare: number
  readonly upstreamShare: number
  /** What programs that are not part of the bench took meanwhile, in cores. */
  readonly strangersShare: number
  /** tokenweir's own histogram: the bucket bound that 99 % of the chunks were handed on within, in microseconds. */
  readonly ownChunkP99Us?: number | undefined
  readonly result: Result
}

export interface MemorySample {
  readonly target: string
  readonly round: number
  readonly streams: number
  readonly kibPerStream?: number
  readonly result: Result
}

/** What the runner has at hand throughout a run. */
export interface Stage {
  readonly around: Surroundings
  /** What may be started, by its name. */
  readonly kinds: Readonly<Record<string, Kind>>
  readonly upstream: Upstream
  readonly load: Load
  readonly size: Size
}

/** Scenarios that are a job of the load client against a running target. */
export const timedNames = ['json', 'sse-paced', 'sse-unpaced', 'latency'] as const satisfies readonly ScenarioName[]
export type Timed = (typeof timedNames)[number]

function jobOf(scenario: Timed, { port, through }: Target, size: Size): Job {
  const pace = { port, intervalMs: size.intervalMs }
  const { gatewaySeconds: seconds, gatewayConcurrency, gatewayStreams } = size
  if (through !== undefined && scenario === 'json') return { kind: 'json', port, through, seconds, concurrency: gatewayConcurrency }
  if (through !== undefined) return { kind: 'paced', ...pace, through, seconds, streams: gatewayStreams }
  switch (scenario) {
    case 'json':
      return { kind: 'json', port, seconds: size.jsonSeconds, concurrency: size.jsonConcurrency }
    case 'sse-paced':
      return { kind: 'paced', ...pace, seconds: size.pacedSeconds, streams: size.pacedStreams }
    case 'sse-unpaced':
      return { kind: 'unpaced', port, seconds: size.unpacedSeconds, concurrency: size.unpacedConcurrency, events: size.unpacedEvents }
    case 'latency':
      return { kind: 'latency', ...pace, seconds: size.latencySeconds, streams: size.latencyStreams, probesPerSecond: size.probesPerSecond }
  }
}

/** Nothing is timed of a target that answers wrongly. */
export function demandNoFailure(target: string, scenario: string, result: Result): void {
  if (result.failures > 0)
    throw new Error(`${target}, ${scenario}: ${result.failures} of ${result.requests} failed, first: ${result.failure}`)
}

export function perUnit(before: Cpu, after: Cpu, units: number): CpuPerUnit {
  const cpu = spent(before, after)
  return { ...cpu, totalUs: (cpu.totalMs * 1_000) / units, mainUs: (cpu.mainMs * 1_000) / units }
}

export async function measure(stage: Stage, target: Target, scenario: Timed, round: number): Promise<Sample> {
  const pid = target.process?.pid
  const behind = target.behind?.pid
  const pids = [stage.load.process.pid, stage.upstream.process.pid, ...[pid, behind].filter((one) => one !== undefined)]
  const buckets = await chunkBuckets(target)
  const before = pids.map(cpuOf)
  const machineBefore = machineMs()
  const result = await stage.load.run(jobOf(scenario, target, stage.size))
  const share = (ms: number) => ms / 1_000 / result.seconds
  const shares = pids.map((one, index) => share(spent(before[index] ?? new Map(), cpuOf(one)).totalMs))
  const strangersShare = Math.max(0, share(machineMs() - machineBefore) - shares.reduce((sum, one) => sum + one, 0))
  demandNoFailure(target.name, scenario, result)
  const units = scenario === 'json' ? result.requests : result.events
  const [loadShare = 0, upstreamShare = 0] = shares
  const rates = { units, unitsPerSecond: units / result.seconds, loadShare, upstreamShare, strangersShare }
  const sample = { target: target.name, scenario, round, ...rates, result }
  const [, , targetBefore, behindBefore] = before
  if (pid === undefined || targetBefore === undefined) return sample
  await settled(pid)
  const cpu = perUnit(targetBefore, cpuOf(pid), units)
  const behindCpu = behind === undefined || behindBefore === undefined ? {} : { behindCpu: perUnit(behindBefore, cpuOf(behind), units) }
  const ownChunkP99Us = quantileUs(buckets, await chunkBuckets(target), 0.99)
  return { ...sample, cpu, ...behindCpu, rssKiB: rssKiB(pid), ownChunkP99Us }
}

/** Brings compilers and connection pools to their steady state: so many requests, or what a slow machine does in so many seconds. */
export async function warmUp(stage: Stage, target: Target): Promise<void> {
  const { port, through } = target
  const { warmRequests, gatewayWarmSeconds, gatewayConcurrency } = stage.size
  const secondsMax = through === undefined ? stage.size.warmSecondsMax : gatewayWarmSeconds
  const concurrency = through === undefined ? 32 : gatewayConcurrency
  const began = stage.load.sent(port)
  const run = async (job: Job) => demandNoFailure(target.name, 'warm-up', await stage.load.run(job))
  for (let seconds = 0; seconds < secondsMax && stage.load.sent(port) - began < warmRequests; seconds += 0.5) {
    await run({ kind: 'json', port, through, seconds: 0.5, concurrency })
  }
  if (through !== undefined) return run({ kind: 'paced', port, through, seconds: 2, streams: stage.size.gatewayStreams, intervalMs: 40 })
  await run({ kind: 'unpaced', port, seconds: 0.2, concurrency: 4, events: 5_000 })
  await run({ kind: 'paced', port, seconds: 0.4, streams: 50, intervalMs: 40 })
}

/** The answers through a proxy must be those of the upstream, byte for byte, before anything is timed. */
export async function checkBodies(stage: Stage, target: Target): Promise<void> {
  const asks = [
    { mode: 'json' },
    { mode: 'paced', events: 10 + tailEvents, intervalMs: 5, stamped: false },
    { mode: 'unpaced', events: 1_000, perWrite: 7 },
  ] as const
  for (const ask of asks) {
    const expected = await stage.load.run({ kind: 'fetch', port: stage.upstream.port, ask })
    const got = await stage.load.run({ kind: 'fetch', port: target.port, ask })
    demandNoFailure(target.name, 'body check', got)
    if (JSON.stringify(got.fetched) !== JSON.stringify(expected.fetched)) {
      const both = `${JSON.stringify(got.fetched)} instead of ${JSON.stringify(expected.fetched)}`
      throw new Error(`${target.name} changes the answer to ${ask.mode}: ${both}`)
    }
  }
}

const opensPerSecond = 1_500

/** Median of some readings: a collection in between must not decide. */
async function restingRssKiB(pid: number, seconds: number): Promise<number> {
  const readings: number[] = []
  for (let count = 0; count < 9; count += 1) {
    await sleep((seconds * 1_000) / 9)
    readings.push(rssKiB(pid))
  }
  return readings.sort((a, b) => a - b)[4] ?? 0
}

/** A fresh process per number of streams, so that no other scenario's heap hides the growth. `onEnd` gets the target before it is stopped. */
export async function measureMemory(
  stage: Stage,
  name: string,
  streams: number,
  round: number,
  onEnd: (target: Target) => Promise<void>,
): Promise<MemorySample> {
  if (streams * 2 + 200 > descriptorsMax()) throw new Error(`${streams} streams need ${streams * 2 + 200} descriptors: raise ulimit -n`)
  const target = await stage.kinds[name]?.start(name, stage.around)
  if (target === undefined) throw new Error(`no target ${name}`)
  const { port, process } = target
  const { memoryIntervalMs: intervalMs, memoryHoldSeconds } = stage.size
  await stage.load.run({ kind: 'paced', port, seconds: 0.5, streams: 50, intervalMs: 40 })
  if (process !== undefined) await settled(process.pid)
  const restKiB = process === undefined ? 0 : await restingRssKiB(process.pid, 0.3)
  demandNoFailure(name, 'memory', await stage.load.run({ kind: 'hold', port, streams, intervalMs, opensPerSecond }))
  const openKiB = process === undefined ? await sleep(memoryHoldSeconds * 1_000, 0) : await restingRssKiB(process.pid, memoryHoldSeconds)
  const result = await stage.load.run({ kind: 'release' })
  await onEnd(target)
  const sample: MemorySample = { target: name, round, streams, result }
  return process === undefined ? sample : { ...sample, kibPerStream: (openKiB - restKiB) / streams }
}
