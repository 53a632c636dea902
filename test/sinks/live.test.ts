import { describe, expect, it } from 'vitest'
import { bucketOf } from '../../src/ledger/queries/quantiles.ts'
import { listedColumns } from '../../src/ledger/queries/queries.ts'
import { createLiveSink, newestMax } from '../../src/sinks/live.ts'
import { exchangeOf, failedExchangeOf, otherExchangeOf } from './exchange-of.ts'

function liveAt(clock: { ms: number }) {
  return createLiveSink({ columns: listedColumns, bucketOf, now: () => clock.ms })
}

const firstChunks = (sink: ReturnType<typeof liveAt>) => [...sink.look().firstChunks.values()].reduce((sum, count) => sum + count, 0)

describe('what the live page shows of now', () => {
  it('is summed up between two looks, and begins anew', () => {
    const sink = liveAt({ ms: 0 })
    sink.record({ opened: [], ended: [exchangeOf(), exchangeOf({ usageOutcome: 'zero' }), failedExchangeOf(500), otherExchangeOf()] })
    const { firstChunks: _chunks, newest, ...look } = sink.look()
    expect(look).toEqual({
      requests: 4,
      errors: 1,
      streams: 2,
      zeroUsage: { zero: 1 },
      providers: [{ provider: 'openai', tokens: 54, requests: 3 }],
      notShown: 0,
    })
    expect(newest.map((row) => row['path'])).toEqual(['/v1/models', '/v1/chat/completions', '/v1/chat/completions', '/v1/chat/completions'])
    expect(Object.keys(newest[0] ?? {})).toEqual([...listedColumns])
    expect(sink.look()).toMatchObject({ requests: 0, newest: [], notShown: 0, zeroUsage: {}, providers: [] })
  })

  it('names a caller that was only known when the request had ended, as the ledger does', () => {
    const sink = liveAt({ ms: 0 })
    sink.record({ opened: [], ended: [exchangeOf({ opening: { caller: undefined }, caller: 'found late' })] })
    expect(sink.look().newest.map((row) => row['caller'])).toEqual(['found late'])
  })

  it('keeps the newest requests and counts the others', () => {
    const sink = liveAt({ ms: 0 })
    const ended = Array.from({ length: newestMax * 3 }, (_, n) => exchangeOf({ opening: { id: `${n}` } }))
    for (const each of ended) sink.record({ opened: [], ended: [each] })
    const { newest, notShown, requests } = sink.look()
    expect([newest.length, newest[0]?.['id'], notShown, requests]).toEqual([
      newestMax,
      `${newestMax * 3 - 1}`,
      newestMax * 2,
      newestMax * 3,
    ])
  })

  it('knows the first chunks of one minute, no more', () => {
    const clock = { ms: 0 }
    const sink = liveAt(clock)
    sink.record({ opened: [], ended: [exchangeOf()] })
    clock.ms = 30_000
    sink.record({ opened: [], ended: [exchangeOf(), exchangeOf()] })
    expect(firstChunks(sink)).toBe(3)
    clock.ms = 61_000
    expect(firstChunks(sink)).toBe(2)
    clock.ms = 200_000
    expect(firstChunks(sink)).toBe(0)
  })

  it('tells 64 providers apart, and adds up the rest', () => {
    const sink = liveAt({ ms: 0 })
    sink.record({ opened: [], ended: Array.from({ length: 100 }, (_, n) => exchangeOf({ provider: `p${n}` })) })
    const { providers } = sink.look()
    expect([providers.length, providers.at(-1)]).toEqual([65, { provider: 'other', tokens: 36 * 27, requests: 36 }])
  })
})
