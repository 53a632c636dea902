import { describe, expect, it } from 'vitest'
import { createFanOut } from '../../src/sinks/fan-out.ts'
import type { Batch, Sink } from '../../src/sinks/sink.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf } from './exchange-of.ts'
import { samples } from './scrape.ts'

const batch: Batch = { opened: [], ended: [exchangeOf()] }

function collecting(name: string): Sink & { readonly batches: Batch[] } {
  const batches: Batch[] = []
  return { name, batches, record: (one) => void batches.push(one), close: async () => {} }
}

const throwing: Sink = {
  name: 'ledger',
  record() {
    throw new Error('broken')
  },
  close: () => Promise.reject(new Error('still broken')),
}

describe('the fan-out', () => {
  it('hands a batch to every sink, also after one that throws, and counts the throw', async () => {
    const [before, after] = [collecting('span'), collecting('log')]
    const meter = createMeter(Date.now)
    const lines: string[] = []
    const fanOut = createFanOut([before, throwing, after], meter, (line) => lines.push(line))
    fanOut.record(batch)
    fanOut.record(batch)
    expect([before.batches, after.batches]).toEqual([
      [batch, batch],
      [batch, batch],
    ])
    expect(samples(meter, 'tokenweir_sink_failures')).toEqual({
      'tokenweir_sink_failures_total{sink="span"}': 0,
      'tokenweir_sink_failures_total{sink="ledger"}': 2,
      'tokenweir_sink_failures_total{sink="log"}': 0,
    })
    expect(lines).toEqual(['The ledger sink failed on a batch: broken', 'The ledger sink failed on a batch: broken'])
  })

  it('closes every sink, also when one cannot', async () => {
    const closed: string[] = []
    const closing = (name: string): Sink => ({ ...collecting(name), close: async () => void closed.push(name) })
    const lines: string[] = []
    await createFanOut([closing('span'), throwing, closing('log')], createMeter(Date.now), (line) => lines.push(line)).close()
    expect(closed).toEqual(['span', 'log'])
    expect(lines).toEqual(['The ledger sink failed to close: Error: still broken'])
  })
})
