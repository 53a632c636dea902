import { AggregationTemporality, DataPointType, type MetricData, type MetricProducer } from '@opentelemetry/sdk-metrics'
import { describe, expect, it } from 'vitest'
import { metrics } from '../../src/telemetry/catalog.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { createProducer } from '../../src/telemetry/producer.ts'

const start = 1_790_000_000_000

function clocked() {
  let now = start
  const clock = () => now
  return { clock, meter: createMeter(clock), at: (ms: number) => (now = start + ms) }
}

async function collect(producer: MetricProducer): Promise<MetricData[]> {
  const { resourceMetrics } = await producer.collect()
  return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
}

describe('what a reader collects', () => {
  it('is nothing while there is nothing', async () => {
    const { meter, clock } = clocked()
    const { resourceMetrics } = await createProducer(meter, clock).collect()
    expect(resourceMetrics.scopeMetrics).toEqual([])
  })

  it('is each metric as the catalog has it', async () => {
    const { meter, clock, at } = clocked()
    meter.counter('tokenweir.sink.failures', { sink: 'log' }).add(2)
    meter.reading('process.memory.usage', {}).set(5)
    meter.reading('nodejs.eventloop.delay.p99', { 'thread.name': 'recorder' }).set(0.5)
    at(1500.25)
    const times = { startTime: [1_790_000_000, 0], endTime: [1_790_000_001, 500_250_000] }
    const cumulative = { aggregationTemporality: AggregationTemporality.CUMULATIVE }
    expect(await collect(createProducer(meter, clock))).toEqual([
      {
        ...cumulative,
        descriptor: { name: 'tokenweir.sink.failures', unit: '{batch}', description: 'Batches that a sink threw on.', valueType: 1 },
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: [{ ...times, attributes: { sink: 'log' }, value: 2 }],
      },
      {
        ...cumulative,
        descriptor: { name: 'process.memory.usage', unit: 'By', description: 'Resident memory of the process.', valueType: 1 },
        dataPointType: DataPointType.SUM,
        isMonotonic: false,
        dataPoints: [{ ...times, attributes: {}, value: 5 }],
      },
      {
        ...cumulative,
        descriptor: {
          name: 'nodejs.eventloop.delay.p99',
          unit: 's',
          description: '99th percentile of the event-loop delay since the last reading.',
          valueType: 1,
        },
        dataPointType: DataPointType.GAUGE,
        dataPoints: [{ ...times, attributes: { 'thread.name': 'recorder' }, value: 0.5 }],
      },
    ])
  })

  it('is cumulative, however often it and others collect', async () => {
    const { meter, clock, at } = clocked()
    const counter = meter.counter('tokenweir.ledger.written', {})
    const [one, two] = [createProducer(meter, clock), createProducer(meter, clock)]
    counter.add(1)
    await collect(one)
    at(5000)
    counter.add(2)
    const dataPoints = [{ attributes: {}, startTime: [1_790_000_000, 0], endTime: [1_790_000_005, 0], value: 3 }]
    expect([(await collect(one))[0]?.dataPoints, (await collect(two))[0]?.dataPoints]).toEqual([dataPoints, dataPoints])
  })

  it('is what came since its own last collection, where deltas are preferred', async () => {
    const { meter, clock, at } = clocked()
    const counter = meter.counter('tokenweir.ledger.written', {})
    const histogram = meter.histogram('tokenweir.overhead.first_byte', {})
    const open = meter.reading('tokenweir.exchanges.open', {})
    const delta = createProducer(meter, clock, () => AggregationTemporality.DELTA)
    counter.add(1)
    histogram.record(0.001)
    open.set(4)
    await collect(delta)
    at(5000)
    counter.add(2)
    histogram.record(0.5)
    const [written, opened, overhead] = await collect(delta)
    const times = { attributes: {}, startTime: [1_790_000_000, 0], endTime: [1_790_000_005, 0] }
    expect(written?.dataPoints).toEqual([{ ...times, value: 2 }])
    expect(opened?.dataPoints).toEqual([{ ...times, value: 4 }])
    const counts = new Array(23).fill(0)
    counts[20] = 1
    expect(overhead?.dataPoints).toEqual([{ ...times, value: { count: 1, sum: 0.5, buckets: { boundaries: expect.any(Array), counts } } }])
    expect((await collect(createProducer(meter, clock)))[0]?.dataPoints[0]?.value).toBe(3)
  })

  it('is what came since the start, where deltas are preferred and an earlier process had counted: that was told by it', async () => {
    const { meter, clock, at } = clocked()
    const saved = { labels: {}, startedAt: start - 60_000 }
    const bounds = metrics['tokenweir.overhead.first_byte'].buckets
    const counts = bounds.map(() => 1).concat(1)
    at(1000)
    // Twice, as where two series of before have become one.
    for (let n = 0; n < 2; n++) meter.restore({ ...saved, name: 'tokenweir.ledger.written', value: 3, histogram: undefined })
    meter.restore({ ...saved, name: 'tokenweir.overhead.first_byte', value: undefined, histogram: { bounds, counts, sum: 9 } })
    const [delta, cumulative] = [createProducer(meter, clock, () => AggregationTemporality.DELTA), createProducer(meter, clock)]
    at(5000)
    meter.counter('tokenweir.ledger.written', {}).add(2)
    meter.histogram('tokenweir.overhead.first_byte', {}).record(0.5)
    const points = async (producer: MetricProducer) => (await collect(producer)).map(({ dataPoints }) => dataPoints[0])
    const [written, overhead] = await points(delta)
    const times = { attributes: {}, startTime: [1_790_000_001, 0], endTime: [1_790_000_005, 0] }
    expect(written).toEqual({ ...times, value: 2 })
    const since = counts.map((_, index) => (index === 20 ? 1 : 0))
    expect(overhead).toEqual({ ...times, value: { count: 1, sum: 0.5, buckets: { boundaries: expect.any(Array), counts: since } } })
    expect((await points(cumulative))[0]).toMatchObject({ startTime: [1_789_999_940, 0], value: 8 })
    at(6000)
    meter.counter('tokenweir.ledger.written', {}).add(1)
    expect((await points(delta))[0]).toMatchObject({ startTime: [1_790_000_005, 0], value: 1 })
  })
})
