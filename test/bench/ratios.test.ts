/** The arithmetic of the bench: medians, ratios round by round, and what they are held to. */
import { describe, expect, it } from 'vitest'
import { atFullLoad, inFrontOf } from '../../bench/gateways.ts'
import type { CpuPerUnit, Sample, Timed } from '../../bench/measure.ts'
import { turns } from '../../bench/passes.ts'
import { type Ratio, ratiosOf } from '../../bench/ratios.ts'
import { figureOf, type Samples } from '../../bench/summary.ts'

const none: Samples = { timed: [], gateways: [], memory: [], starts: [] }
const baseline = 'tokenweir@e96871b'
const cpuOf = (totalUs: number, mainUs = totalUs): CpuPerUnit => ({ totalMs: 1, mainMs: 1, threadsMs: {}, totalUs, mainUs })
const spread = (p50: number, p99: number) => ({ samples: 1, p50, p99, max: p99 })

function sampleOf(target: string, scenario: Timed, round: number, more: Partial<Sample>, result: Partial<Sample['result']> = {}): Sample {
  const shares = { loadShare: 0, upstreamShare: 0, strangersShare: 0 }
  const whole = { seconds: 1, requests: 1, failures: 0, events: 1, ...result }
  return { target, scenario, round, units: 1, unitsPerSecond: 1, ...shares, ...more, result: whole }
}

const cpuSamples = (target: string, scenario: Timed, rounds: readonly (readonly [total: number, main: number])[]) =>
  rounds.map(([total, main], round) => sampleOf(target, scenario, round, { cpu: cpuOf(total, main) }))

const latencySample = (target: string, firstByte: number, delay: number) =>
  sampleOf(target, 'latency', 0, {}, { firstByte: spread(firstByte, firstByte), delay: spread(1, delay) })

const found = (ratios: readonly Ratio[], what: string) => ratios.find((ratio) => ratio.what.startsWith(what))

it('a median has its spread, and what was not measured has neither', () => {
  expect(figureOf([5, undefined, 1, Number.NaN, 2])).toEqual({ median: 2, low: 1, high: 5 })
  expect(figureOf([4, 1])).toEqual({ median: 2.5, low: 1, high: 4 })
  expect(figureOf([undefined, Number.NaN])).toBeUndefined()
})

describe('limits', () => {
  it('against an earlier commit are the median of the ratios of each round', () => {
    const timed = [
      // The machine is twice as slow in the second round: no ratio of medians would be 1.2 and 1.1.
      ...cpuSamples('tokenweir', 'json', [
        [120, 55],
        [240, 110],
        [130, 60],
      ]),
      ...cpuSamples(baseline, 'json', [
        [100, 50],
        [200, 100],
        [100, 50],
      ]),
    ]
    const ratios = ratiosOf({ ...none, timed }, baseline)
    expect(found(ratios, 'CPU per JSON request, whole')).toMatchObject({ measured: { median: 1.2, high: 1.3 }, must: 1.4, reached: 'must' })
    expect(found(ratios, 'CPU per JSON request, proxying')).toMatchObject({ measured: { median: 1.1 }, must: 1.35, reached: 'stretch' })
    // Neither events nor starts were measured: no row, rather than a 0.
    expect(ratios).toHaveLength(2)
    expect(ratiosOf({ ...none, timed }, undefined)).toEqual([])
  })

  it('of starts are taken start by start, of tokenweir alone in seconds', () => {
    const starts = [900, 700, 800].flatMap((ms, round) => [
      { target: 'tokenweir', round, ms: 1.5 * ms },
      { target: baseline, round, ms },
    ])
    const ratios = ratiosOf({ ...none, starts }, baseline)
    expect(found(ratios, `start to ready / ${baseline}`)).toMatchObject({ measured: { median: 1.5, low: 1.5, high: 1.5 }, reached: 'no' })
    expect(ratios.at(-1)).toMatchObject({ what: 'start to ready', measured: { median: 1.2 }, unit: 's', reached: 'no' })
  })

  it('of first bytes leave out the direct way, those of the tail do not', () => {
    const timed = [latencySample('direct', 100, 50), latencySample('undici', 300, 0), latencySample('nginx', 0, 200)]
    const ratios = ratiosOf({ ...none, timed: [...timed, latencySample('tokenweir', 340, 600)] }, undefined)
    expect(found(ratios, 'added first byte')?.measured.median).toBe(1.2)
    expect(found(ratios, 'delay per event')).toMatchObject({ measured: { median: 3 }, must: 3.5, reached: 'must' })
  })

  it('of a gateway are shares of what it took itself at the same time', () => {
    const inFront = (scenario: Timed, ours: number, its: number) =>
      sampleOf(inFrontOf('LiteLLM'), scenario, 0, { cpu: cpuOf(ours), behindCpu: cpuOf(its) })
    const gateways = [inFront('json', 150, 6_000), inFront('sse-paced', 42, 600)]
    expect(ratiosOf({ ...none, gateways }, undefined)).toMatchObject([
      { what: "CPU per JSON request, of LiteLLM's, in front of it", measured: { median: 2.5 }, unit: '%', must: 3, reached: 'must' },
      { what: "CPU per paced event, of LiteLLM's, in front of it", measured: { median: 7 }, unit: '%', must: 6, reached: 'no' },
    ])
  })

  it('of a gateway at full load are shares of what it took by itself in the same round', () => {
    const gateways = [
      ...cpuSamples('LiteLLM', 'json', [
        [5_000, 5_000],
        [10_000, 10_000],
      ]),
      ...cpuSamples(atFullLoad, 'json', [
        [125, 60],
        [200, 90],
      ]),
    ]
    expect(ratiosOf({ ...none, gateways }, undefined)).toMatchObject([
      { what: "CPU per JSON request, of LiteLLM's, both at full load", measured: { low: 2, median: 2.25, high: 2.5 }, reached: 'must' },
    ])
  })

  it('of memory are one row per number of streams', () => {
    const result = { seconds: 1, requests: 1, failures: 0, events: 1 }
    const memory = [60, 70, 64].map((kibPerStream, round) => ({ target: 'tokenweir', round, streams: 1_000, kibPerStream, result }))
    expect(ratiosOf({ ...none, memory }, undefined)).toMatchObject([
      { measured: { median: 64, low: 60, high: 70 }, must: 66, reached: 'must' },
    ])
  })
})

it('every target has its turn in every round, none always after the same one', () => {
  expect([0, 1, 2].map((round) => turns(['a', 'b', 'c'], round).join(''))).toEqual(['abc', 'acb', 'cab'])
  expect(turns([], 3)).toEqual([])
})
