import { describe, expect, it } from 'vitest'
import { createHeldSink } from '../../src/sinks/held.ts'
import type { Batch, Sink } from '../../src/sinks/sink.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf } from './exchange-of.ts'
import { samples } from './scrape.ts'

const batchOf = (...ids: string[]): Batch => ({ opened: [], ended: ids.map((id) => exchangeOf({ opening: { id } })) })

function held(exchangesMax = 10) {
  const meter = createMeter(Date.now)
  const seen: string[][] = []
  const real: Sink = {
    name: 'span',
    record: ({ ended }) => void seen.push(ended.map(({ opening }) => opening.id)),
    close: async () => void seen.push(['closed']),
  }
  const dropped = () => samples(meter, 'tokenweir_spans_dropped')
  return { sink: createHeldSink({ name: 'span', exchangesMax, meter }), real, seen, dropped }
}

const reasons = (queueFull: number, exportFailed: number) => ({
  'tokenweir_spans_dropped_total{reason="queue_full"}': queueFull,
  'tokenweir_spans_dropped_total{reason="export_failed"}': exportFailed,
})

describe('a sink that is still being loaded', () => {
  it('gets everything in order when it is there, and then as it comes', async () => {
    const { sink, real, seen } = held()
    sink.record(batchOf('a', 'b'))
    sink.record(batchOf('c'))
    sink.release(real)
    sink.record(batchOf('d'))
    await sink.close()
    expect(seen).toEqual([['a', 'b', 'c'], ['d'], ['closed']])
  })

  it('costs no more memory than its limit, and what is beyond is counted', () => {
    const { sink, real, seen, dropped } = held(2)
    sink.record(batchOf('a', 'b'))
    sink.record(batchOf('c'))
    sink.release(real)
    expect([seen, dropped()]).toEqual([[['a', 'b']], reasons(1, 0)])
  })

  it('that cannot be loaded counts everything that it was to get', () => {
    const { sink, dropped } = held()
    sink.record(batchOf('a', 'b'))
    sink.release(undefined)
    sink.record(batchOf('c'))
    expect(dropped()).toEqual(reasons(0, 3))
  })
})
