import { describe, expect, it } from 'vitest'
import { createLogSink, logLine, type Write } from '../../src/sinks/log.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf, failedExchangeOf, otherExchangeOf } from './exchange-of.ts'

describe('the line of a streamed answer', () => {
  it('has every known fact, and no other', () => {
    expect(JSON.parse(logLine(exchangeOf({ ending: { firstChunkMs: 50.12345 } })))).toEqual({
      time: '2026-09-21T14:13:20.260Z',
      level: 'info',
      msg: 'Streaming request logged',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
      exchange_id: '01993c5c-0000-7000-8000-000000000001',
      method: 'POST',
      path: '/v1/chat/completions',
      route: 'default',
      status: 200,
      end_reason: 'completed',
      operation: 'chat',
      provider: 'openai',
      request_model: 'gpt-4o',
      response_model: 'gpt-4o-2024-08-06',
      response_id: 'chatcmpl-1',
      input_tokens: 20,
      output_tokens: 7,
      usage_outcome: 'reported',
      time_to_first_chunk_ms: 50.123,
      duration_ms: 260.5,
      request_bytes: 120,
      response_bytes: 4096,
    })
  })

  it('steers no terminal, and is the same JSON', () => {
    const path = '/a\u009b2J\u202e\u061c\u2028\u007f'
    const line = logLine(exchangeOf({ opening: { path } }))
    expect([line.includes('"/a\\u009b2J\\u202e\\u061c\\u2028\\u007f"'), JSON.parse(line).path]).toEqual([true, path])
  })

  it('has what it cost, and what was estimated', () => {
    const cost = { status: 'priced', usd: 0.0125, source: 'table', cacheSavedUsd: 0.25 } as const
    const lines = [exchangeOf({ cost }), exchangeOf({ cost: { status: 'unpriced' }, estimatedInputTokens: 21, estimatedOutputTokens: 8 })]
    const plain = JSON.parse(logLine(exchangeOf()))
    expect(lines.map((exchange) => JSON.parse(logLine(exchange)))).toEqual([
      { ...plain, cost: 0.0125, cost_status: 'priced', cache_saved: 0.25 },
      { ...plain, cost_status: 'unpriced', estimated_input_tokens: 21, estimated_output_tokens: 8 },
    ])
  })

  it('says how fast it came, where that is known', () => {
    expect(JSON.parse(logLine(exchangeOf({ timePerOutputTokenMs: 12.34567 })))).toEqual({
      ...JSON.parse(logLine(exchangeOf())),
      time_per_output_token_ms: 12.346,
      output_tokens_per_second: 81,
    })
  })

  it.each(['completed', 'client-aborted', 'upstream-aborted', 'sidecar-stopped'] as const)(
    'says so whatever way it ended: %s',
    (endReason) => {
      expect(JSON.parse(logLine(exchangeOf({ endReason }))).msg).toBe('Streaming request logged')
    },
  )
})

describe('the line of another request', () => {
  it('says that a request was logged', () => {
    const lines = [
      otherExchangeOf(),
      failedExchangeOf(400, { ending: { streamed: true } }),
      otherExchangeOf({ ending: { status: undefined } }),
    ]
    expect(lines.map((exchange) => JSON.parse(logLine(exchange)).msg)).toEqual(['Request logged', 'Request logged', 'Request logged'])
  })

  it('is a warning when the caller was at fault, an error when the upstream was', () => {
    const exchanges = [failedExchangeOf(429), failedExchangeOf(502), exchangeOf({ errorType: 'upstream_aborted' }), exchangeOf()]
    expect(exchanges.map((exchange) => JSON.parse(logLine(exchange)).level)).toEqual(['warn', 'error', 'error', 'info'])
  })
})

/** A standard output that the test drives: each write waits until it is answered. */
function driven(waitingBytesMax?: number) {
  const asked: { bytes: string; done: Parameters<Write>[1] }[] = []
  const meter = createMeter(Date.now)
  const write: Write = (bytes, done) => asked.push({ bytes: Buffer.from(bytes).toString(), done })
  const marks: number[] = []
  const sink = createLogSink({
    meter,
    write,
    onMark: (rowid) => marks.push(rowid),
    ...(waitingBytesMax === undefined ? {} : { waitingBytesMax }),
  })
  const record = (...ids: string[]) => {
    sink.record({ opened: [], ended: ids.map((id) => exchangeOf({ opening: { id } })) })
    sink.letOut(0)
  }
  const idsOf = (text: string | undefined) => [...(text ?? '').matchAll(/"exchange_id":"([^"]+)"/g)].map((match) => match[1])
  const dropped = () => meter.total('tokenweir.log.dropped')
  const failure = (code: string) => Object.assign(new Error(code), { code })
  return { asked, sink, record, idsOf, dropped, failure, marks }
}

describe('writing', () => {
  it('waits for the commit, and marks the rows whose lines are out', () => {
    const { asked, sink, record, idsOf, marks } = driven()
    sink.record({ opened: [], ended: [exchangeOf({ opening: { id: 'a' } })] })
    expect(asked).toEqual([])
    sink.letOut(7)
    record('b') // whose commit failed: its row comes with a later one
    sink.letOut(9)
    expect([asked.map(({ bytes }) => idsOf(bytes)), marks]).toEqual([[['a']], []])
    asked[0]?.done(null, Buffer.byteLength(asked[0].bytes))
    expect([asked.map(({ bytes }) => idsOf(bytes)), marks]).toEqual([[['a'], ['b']], [7]])
    asked[1]?.done(null, Buffer.byteLength(asked[1].bytes))
    expect(marks).toEqual([7, 9])
  })

  it('says of a line that it may be the second', () => {
    const { asked, sink } = driven()
    sink.replay([exchangeOf()])
    expect(JSON.parse(asked[0]?.bytes ?? '')).toEqual({ ...JSON.parse(logLine(exchangeOf())), replayed: true })
  })

  it('puts a batch into one write, and what comes meanwhile into the next', () => {
    const { asked, record, idsOf } = driven()
    record('a', 'b')
    record('c')
    record('d')
    expect(asked.map(({ bytes }) => idsOf(bytes))).toEqual([['a', 'b']])
    asked[0]?.done(null, Buffer.byteLength(asked[0].bytes))
    expect(asked.map(({ bytes }) => idsOf(bytes))).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
    expect(asked[1]?.bytes.split('\n')).toHaveLength(3)
  })

  it('goes on after a part was written', () => {
    const { asked, record } = driven()
    record('a')
    const whole = asked[0]?.bytes ?? ''
    asked[0]?.done(null, 10)
    expect(asked[1]?.bytes).toBe(whole.slice(10))
  })

  it('asks again when the pipe is full', async () => {
    const { asked, record, failure, dropped } = driven()
    record('a')
    asked[0]?.done(failure('EAGAIN'), 0)
    await expect.poll(() => asked.length).toBe(2)
    expect([asked[1]?.bytes === asked[0]?.bytes, dropped()]).toEqual([true, 0])
  })

  it('drops and counts what a slow reader leaves no room for', () => {
    const { asked, record, idsOf, dropped } = driven(1500)
    record('a')
    record('b')
    record('c', 'd')
    asked[0]?.done(null, Buffer.byteLength(asked[0].bytes))
    expect([idsOf(asked[1]?.bytes), dropped()]).toEqual([['b'], 2])
  })

  it('gives up for good when nobody reads any more, and still closes', async () => {
    const { asked, sink, record, failure, dropped } = driven()
    record('a')
    record('b', 'c')
    asked[0]?.done(failure('EPIPE'), 0)
    record('d')
    await sink.close()
    expect([asked.length, dropped()]).toEqual([1, 4])
  })

  it('loses only one chunk to an error that passes', () => {
    const { asked, record, idsOf, failure, dropped } = driven()
    record('a')
    record('b')
    asked[0]?.done(failure('ENOSPC'), 0)
    expect([idsOf(asked[1]?.bytes), dropped()]).toEqual([['b'], 1])
  })

  it('closes when everything is written', async () => {
    const { asked, sink, record } = driven()
    record('a')
    let closed = false
    const closing = sink.close().then(() => (closed = true))
    await Promise.resolve()
    expect(closed).toBe(false)
    asked[0]?.done(null, Buffer.byteLength(asked[0].bytes))
    await closing
    expect(closed).toBe(true)
  })
})
