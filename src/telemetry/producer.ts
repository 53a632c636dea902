/** The meter's cells → what the SDK's readers collect. */
import type { HrTime } from '@opentelemetry/api'
import { emptyResource } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram as HistogramValue,
  InstrumentType,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import { type MetricEntry, metrics } from './catalog.ts'
import { hrTime } from './hr-time.ts'
import type { Distribution, Family, HistogramSeries, Meter, SumSeries } from './meter.ts'

export type TemporalitySelector = (instrument: InstrumentType) => AggregationTemporality

/** One per reader: delta temporality needs each reader's own last values. `now` gives milliseconds since the epoch. */
export function createProducer(meter: Meter, now: () => number, temporality?: TemporalitySelector): MetricProducer {
  const convert = createConverter(temporality ?? (() => AggregationTemporality.CUMULATIVE))
  return {
    async collect() {
      const families = meter.collect()
      const endTime = hrTime(now())
      const scopeMetrics = [{ scope: { name: 'tokenweir' }, metrics: families.map((family) => convert(family, endTime)) }]
      return { resourceMetrics: { resource: emptyResource(), scopeMetrics: families.length === 0 ? [] : scopeMetrics }, errors: [] }
    },
  }
}

const instruments = {
  counter: InstrumentType.COUNTER,
  updown: InstrumentType.UP_DOWN_COUNTER,
  gauge: InstrumentType.GAUGE,
  histogram: InstrumentType.HISTOGRAM,
} as const satisfies Record<MetricEntry['kind'], InstrumentType>

type Subtract<Value> = ((value: Value, before: Value) => Value) | undefined

interface Told {
  readonly value: HistogramValue | number
  readonly endTime: HrTime
}

/** Remembers what its reader was last told, so that a delta starts where the last one ended, or where an earlier process did. */
function createConverter(temporality: TemporalitySelector): (family: Family, endTime: HrTime) => MetricData {
  const told = new WeakMap<SumSeries | HistogramSeries, Told>()

  function point<Series extends SumSeries | HistogramSeries, Value extends HistogramValue | number>(
    series: Series,
    read: (counted: Series | NonNullable<Series['earlier']>) => Value,
    endTime: HrTime,
    subtract: Subtract<Value>,
  ): DataPoint<Value> {
    const { labels: attributes, earlier } = series
    const value = read(series)
    const byEarlier = earlier && { value: read(earlier), endTime: hrTime(earlier.untilMs) }
    const before = subtract === undefined ? undefined : (told.get(series) ?? byEarlier)
    if (subtract !== undefined) told.set(series, { value, endTime })
    if (before === undefined || subtract === undefined) return { attributes, startTime: hrTime(series.startedAt), endTime, value }
    return { attributes, startTime: before.endTime, endTime, value: subtract(value, before.value as Value) }
  }

  return (family, endTime) => {
    const { kind, unit, description, buckets = [] }: MetricEntry = metrics[family.name]
    const aggregationTemporality = temporality(instruments[kind])
    const isDelta = aggregationTemporality === AggregationTemporality.DELTA
    const base = { descriptor: { name: family.name, unit, description, valueType: 1 }, aggregationTemporality }
    if ('histograms' in family) {
      const subtract = isDelta ? subtractHistogram : undefined
      const dataPoints = family.histograms.map((series) => point(series, (counted) => histogramValue(counted, buckets), endTime, subtract))
      return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints }
    }
    const subtract = isDelta && kind === 'counter' ? subtractNumber : undefined
    const dataPoints = family.sums.map((series) => point(series, ({ value }) => value, endTime, subtract))
    if (kind === 'gauge') return { ...base, dataPointType: DataPointType.GAUGE, dataPoints }
    return { ...base, dataPointType: DataPointType.SUM, isMonotonic: kind === 'counter', dataPoints }
  }
}

function histogramValue({ counts, count, sum }: Distribution, boundaries: readonly number[]): HistogramValue {
  return { buckets: { boundaries: [...boundaries], counts: [...counts] }, count, ...(sum === undefined ? {} : { sum }) }
}

function subtractNumber(value: number, before: number): number {
  return value - before
}

function subtractHistogram(value: HistogramValue, before: HistogramValue): HistogramValue {
  const counts = value.buckets.counts.map((count, index) => count - (before.buckets.counts[index] ?? 0))
  const sum = value.sum === undefined || before.sum === undefined ? undefined : value.sum - before.sum
  const { boundaries } = value.buckets
  return { buckets: { boundaries, counts }, count: value.count - before.count, ...(sum === undefined ? {} : { sum }) }
}
