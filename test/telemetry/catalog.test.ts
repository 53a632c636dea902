import { describe, expect, it } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { spanContent } from '../../src/telemetry/attributes.ts'
import {
  type AttributeEntry,
  type AttributeName,
  attributes,
  type Generation,
  type MetricEntry,
  type MetricName,
  metrics,
  overheadBucketsMicros,
  prometheusName,
} from '../../src/telemetry/catalog.ts'
import { generations } from '../../src/telemetry/names.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'

const entries = Object.entries(metrics) as [MetricName, MetricEntry][]

describe('the catalog', () => {
  it('describes every metric in a sentence, with a unit', () => {
    expect(entries.filter(([, { description, unit }]) => !description.endsWith('.') || unit === '').map(([name]) => name)).toEqual([])
  })

  it('gives buckets to histograms, ascending, and to nothing else', () => {
    const wrong = entries.filter(([, { kind, buckets }]) => {
      const ascending = buckets?.every((bound, index) => index === 0 || bound > (buckets[index - 1] as number))
      return kind === 'histogram' ? ascending !== true : buckets !== undefined
    })
    expect(wrong).toEqual([])
  })

  it('has buckets beyond ten minutes for whatever a model can take', () => {
    const operations = entries.filter(([name, { unit }]) => name.startsWith('gen_ai.client.') && unit === 's')
    expect(operations.map(([, { buckets }]) => buckets?.at(-1))).toEqual(operations.map(() => 655.36))
    expect(operations).toHaveLength(6)
  })

  it('fits the chunk-overhead histogram into the shared cells', () => {
    expect(overheadBucketsMicros.length).toBeLessThanOrEqual(24)
    expect(Cell.chunkOverhead + overheadBucketsMicros.length + 1).toBeLessThanOrEqual(cellCount)
    expect([overheadBucketsMicros[0], overheadBucketsMicros.at(-1)]).toEqual([10, 1_000_000])
  })
})

describe('the Prometheus names', () => {
  it.each([
    ['gen_ai.client.token.usage', 'gen_ai_client_token_usage'],
    ['gen_ai.client.operation.duration', 'gen_ai_client_operation_duration_seconds'],
    ['tokenweir.streams.zero_usage', 'tokenweir_streams_zero_usage_total'],
    ['process.cpu.time', 'process_cpu_time_seconds_total'],
    ['process.memory.usage', 'process_memory_usage_bytes'],
    ['tokenweir.exchanges.open', 'tokenweir_exchanges_open'],
  ] as const)('%s is %s', (name, expected) => {
    expect(prometheusName(name)).toBe(expected)
  })

  it('are all different', () => {
    const names = entries.map(([name]) => prometheusName(name))
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('the generations', () => {
  const other = { '1.41': 'genai', genai: '1.41' } as const

  it.each(['1.41', 'genai'] as const)('%s names only what is its own or shared', (generation: Generation) => {
    const names = generations[generation]
    const used = [
      names.duration,
      names.timeToFirstChunk,
      names.timePerOutputChunk,
      ...[...names.tokenHistograms, ...names.tokenCounters].map(({ metric }) => metric),
    ]
    const generationOf = (name: MetricName) => (metrics[name] as MetricEntry).generation
    expect(used.filter((name) => generationOf(name) === other[generation])).toEqual([])
    const exchange = exchangeOf({ response: { usage: { cacheWriteTokens: 3 } } })
    const put = Object.keys(spanContent(exchange, generation).attributes) as AttributeName[]
    const ofGeneration = put.map((name) => (attributes[name] as AttributeEntry).generation).filter((one) => one !== undefined)
    expect(ofGeneration).toEqual([generation])
  })

  it('use every metric that belongs to a generation', () => {
    const used = new Set<MetricName>(
      Object.values(generations).flatMap(({ tokenHistograms, tokenCounters, ...durations }) => [
        ...Object.values(durations),
        ...[...tokenHistograms, ...tokenCounters].map(({ metric }) => metric),
      ]),
    )
    expect(entries.filter(([name, { generation }]) => generation !== undefined && !used.has(name)).map(([name]) => name)).toEqual([])
  })
})
