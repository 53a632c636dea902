import { describe, expect, it } from 'vitest'
import { createMeter } from '../../src/telemetry/meter.ts'

const start = 1_790_000_000_000
const meterAt = (ms = start) => createMeter(() => ms)

describe('a counter', () => {
  it('is there at zero as soon as its label set is asked for', () => {
    const meter = meterAt()
    meter.counter('tokenweir.sink.failures', { sink: 'log' })
    expect(meter.collect()).toEqual([{ name: 'tokenweir.sink.failures', sums: [{ labels: { sink: 'log' }, startedAt: start, value: 0 }] }])
  })

  it('is one series for one label set, whoever asks, and leaves out labels without a value', () => {
    const meter = meterAt()
    meter.counter('tokenweir.requests', { 'http.route': 'default', reason: undefined }).add(1)
    meter.counter('tokenweir.requests', { 'http.route': 'default' }).add(2)
    meter.counter('tokenweir.requests', { 'http.route': 'other' }).add(4)
    expect(meter.collect()).toEqual([
      {
        name: 'tokenweir.requests',
        sums: [
          { labels: { 'http.route': 'default' }, startedAt: start, value: 3 },
          { labels: { 'http.route': 'other' }, startedAt: start, value: 4 },
        ],
      },
    ])
    expect(meter.total('tokenweir.requests')).toBe(7)
  })
})

describe('the start of counting', () => {
  it('is that of the oldest counter, of an earlier process where there was one, and of no reading', () => {
    let now = start
    const meter = createMeter(() => now)
    meter.reading('tokenweir.exchanges.open', {}).set(1)
    expect(meter.startedAt()).toBeUndefined()
    now = start + 5000
    meter.counter('tokenweir.log.dropped', {})
    now = start + 9000
    meter.counter('tokenweir.requests.malformed', {})
    expect(meter.startedAt()).toBe(start + 5000)
    meter.restore({ name: 'tokenweir.log.dropped', labels: {}, startedAt: start - 60_000, value: 2, histogram: undefined })
    expect(meter.startedAt()).toBe(start - 60_000)
  })
})

describe('a histogram', () => {
  it('counts a value that equals a bound below it', () => {
    const meter = meterAt()
    const histogram = meter.histogram('gen_ai.client.token.usage', {})
    for (const value of [0, 1, 2, 4, 1e9]) histogram.record(value)
    const counts = [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    expect(meter.collect()).toEqual([
      { name: 'gen_ai.client.token.usage', histograms: [{ labels: {}, startedAt: start, counts, count: 5, sum: 1_000_000_007 }] },
    ])
  })

  it('has no sum once counts came in whose values are unknown', () => {
    const meter = meterAt()
    const histogram = meter.histogram('tokenweir.overhead.chunk', {})
    histogram.addToBucket(0, 3)
    histogram.addToBucket(22, 1)
    const counts = [3, ...new Array(21).fill(0), 1]
    expect(meter.collect()).toEqual([
      { name: 'tokenweir.overhead.chunk', histograms: [{ labels: {}, startedAt: start, counts, count: 4, sum: undefined }] },
    ])
  })
})

describe('a collection', () => {
  it('has readings as they are now, and the others when one cannot be had', () => {
    const meter = meterAt()
    const open = meter.reading('tokenweir.exchanges.open', {})
    let value = 4
    meter.beforeCollect(() => {
      throw new Error('gone')
    })
    meter.beforeCollect(() => open.set(value))
    meter.collect()
    value = 2
    expect(meter.collect()).toEqual([{ name: 'tokenweir.exchanges.open', sums: [{ labels: {}, startedAt: start, value: 2 }] }])
  })
})
