import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { exchangeOfRow } from '../../src/ledger/rows.ts'
import type { StoreOptions } from '../../src/ledger/store.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import type { Attempt } from '../../src/telemetry/attempt.ts'
import { createOutbox, type Rows } from '../../src/telemetry/outbox.ts'
import { createSender } from '../../src/telemetry/sender.ts'
import { createSpoolCounters } from '../../src/telemetry/spool-counters.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { copied, id, open } from '../store/harness.ts'
import { waitingRows } from '../store/rows.ts'

const delivered: Attempt = { kind: 'delivered', rejected: 0 }
const numberOf = (exchange: Exchange) => Number(exchange.opening.id.slice(-4))

interface Options {
  readonly path?: string
  readonly answer?: (records: readonly number[]) => Attempt | Promise<Attempt>
  readonly isSampled?: (index: number) => boolean
  readonly recordsMax?: number
  readonly memoryRecordsMax?: number
  readonly unwrittenRecordsMax?: number
  readonly store?: Partial<StoreOptions>
  readonly delayMs?: number
}

/** A sender over an outbox over a ledger in a file; the collector keeps the numbers of what it takes. */
function start({
  path,
  answer = () => delivered,
  isSampled = () => true,
  recordsMax = 10,
  memoryRecordsMax = 40,
  unwrittenRecordsMax = 1000,
  store: storeOptions,
  delayMs = 1,
}: Options = {}) {
  const opened = open(path, { spool: { ageMsMax: 0 }, ...storeOptions })
  const { store, meter, ledger } = opened
  const { queue } = store
  queue.begin('traces')
  const requests: (readonly number[])[] = []
  const taken: number[] = []
  const lines: string[] = []
  const counters = createSpoolCounters(meter, 'traces', true)
  const rows: Rows = {
    ...queue,
    mark: () => queue.mark('traces'),
    acknowledge: (rowid) => queue.advance('traces', rowid),
    trim: () => queue.trim('traces'),
    closedAfter: (after, upTo, limit) =>
      queue.closedRows(after, upTo, limit).map((row) => ({ rowid: Number(row['rowid']), exchange: exchangeOfRow(row) })),
  }
  const outbox = createOutbox<number>({
    signal: 'traces',
    rows,
    meter,
    counters,
    leftover: () => ({ records: 0, bytes: 0, oldestAt: undefined }),
    recordOf: (exchange) => (isSampled(numberOf(exchange)) ? numberOf(exchange) : undefined),
    async send(records) {
      requests.push(records)
      const attempt = await answer(records)
      if (attempt.kind === 'delivered') taken.push(...records)
      return attempt
    },
    memoryRecordsMax,
    unwrittenRecordsMax,
    now: Date.now,
  })
  const report = (line: string) => void lines.push(line)
  const backoff = { firstMs: 1, maxMs: 4 }
  const sender = createSender({ signal: 'traces', sources: [outbox], counters, report, recordsMax, delayMs, backoff, stopMsMax: 50 })
  store.onCommit(({ rowids, last }) => outbox.committed(rowids, last))
  queue.onLost(outbox.lost)
  queue.onOpen(() => {
    outbox.opened()
    sender.leftover()
  })
  const put = (from: number, to: number) => {
    const ended = Array.from({ length: to - from }, (_, index) => exchangeOf({ opening: { id: id(from + index) } }))
    ledger.record({ opened: [], ended })
    outbox.add(ended)
  }
  return {
    ...opened,
    outbox,
    sender,
    requests,
    taken,
    lines,
    put,
    /** Ends requests, in one commit. */
    record(from: number, to: number) {
      put(from, to)
      const isCommitted = store.commit()
      sender.arrived()
      return isCommitted
    },
    total: (name: 'written' | 'delivered' | 'replayed' | 'dropped' | 'failures') => meter.total(`tokenweir.spool.${name}`),
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe('the outbox', () => {
  it('sends each record once, in order, and the mark follows', async () => {
    const { record, outbox, taken, total, path } = start()
    for (let from = 0; from < 100; from += 7) record(from, Math.min(from + 7, 100))
    await expect.poll(outbox.depth).toBe(0)
    expect([taken, total('written'), total('delivered'), waitingRows(path)]).toEqual([numbers(0, 100), 100, 100, 0])
  })

  it('reads from the ledger what is no longer in memory', async () => {
    let isAway = true
    const { record, outbox, taken, total, path } = start({
      memoryRecordsMax: 20,
      answer: () => (isAway ? { kind: 'failed', message: 'away' } : delivered),
    })
    for (let from = 0; from < 200; from += 5) record(from, from + 5)
    expect([outbox.depth(), waitingRows(path)]).toEqual([200, 200])
    await expect.poll(() => total('failures')).toBeGreaterThan(1)
    isAway = false
    await expect.poll(outbox.depth).toBe(0)
    expect([taken, total('written'), total('delivered'), waitingRows(path)]).toEqual([numbers(0, 200), 200, 200, 0])
  })

  it('sends what a killed process left, counts it as replayed, and then what is new', async () => {
    const first = start({ answer: () => ({ kind: 'failed', message: 'away' }) })
    first.record(0, 15)
    const second = start({ path: copied(first.path) })
    second.record(15, 20)
    await expect.poll(second.outbox.depth).toBe(0)
    expect([second.taken, second.total('delivered'), second.total('replayed'), second.total('written')]).toEqual([
      numbers(0, 20),
      20,
      15,
      20,
    ])
  })

  it('sends what was recorded before it was made, and counts it as written', async () => {
    const first = start({ delayMs: 60_000 })
    first.record(0, 5)
    first.store.close()
    const before = open(first.path, { spool: { ageMsMax: 0 } })
    before.store.queue.begin('traces')
    before.ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(5) } })] })
    before.store.close()
    const second = start({ path: first.path })
    await expect.poll(second.outbox.depth).toBe(0)
    expect(second.taken).toEqual(numbers(0, 6))
  })

  it('leaves out what a sampler leaves out, in memory and from rows, and the mark passes it', async () => {
    const isSampled = (index: number) => index % 3 === 0
    const first = start({ isSampled, answer: () => ({ kind: 'failed', message: 'away' }) })
    first.record(0, 12)
    expect(first.total('written')).toBe(4)
    const second = start({ isSampled, path: copied(first.path) })
    second.record(12, 30)
    await expect.poll(second.outbox.depth).toBe(0)
    const sampled = numbers(0, 30).filter(isSampled)
    expect([second.taken, second.total('delivered'), waitingRows(second.path)]).toEqual([sampled, sampled.length, 0])
  })

  it('moves the mark where nothing is sampled at all', () => {
    const { record, path, store } = start({ isSampled: () => false })
    record(0, 5)
    store.commit()
    expect(waitingRows(path)).toBe(0)
  })
})

describe('an outbox whose rows cannot be written', () => {
  function locked(path: string) {
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    return () => {
      other.exec('ROLLBACK')
      other.close()
    }
  }

  it('sends from memory, and what was sent is not sent again when the rows are written', async () => {
    const { record, outbox, taken, store, path, total } = start({ store: { retryMs: 5 } })
    store.commit()
    const release = locked(path)
    expect(record(0, 25)).toBe(false)
    await expect.poll(outbox.depth).toBe(0)
    release()
    await expect.poll(store.isWritable).toBe(true)
    record(25, 30)
    await expect.poll(outbox.depth).toBe(0)
    expect([taken, total('delivered'), total('replayed'), waitingRows(path)]).toEqual([numbers(0, 30), 30, 0, 0])
  })

  it.each([4, 40])(
    'drops and counts what is beyond its room in memory, and that is not sent later (%d in memory)',
    async (memoryRecordsMax) => {
      let isAway = true
      const { record, outbox, taken, store, path, total } = start({
        store: { retryMs: 5 },
        unwrittenRecordsMax: 10,
        memoryRecordsMax,
        answer: () => (isAway ? { kind: 'failed', message: 'away' } : delivered),
      })
      store.commit()
      const release = locked(path)
      record(0, 25)
      expect([total('dropped'), outbox.depth()]).toEqual([15, 10])
      release()
      await expect.poll(store.isWritable).toBe(true)
      record(25, 30)
      isAway = false
      await expect.poll(outbox.depth).toBe(0)
      expect([taken, total('written'), total('delivered'), total('dropped'), waitingRows(path)]).toEqual([
        [...numbers(0, 10), ...numbers(25, 30)],
        30,
        15,
        15,
        0,
      ])
    },
  )

  it('begins behind them where it is made while rows wait, and sends each once', async () => {
    const before = open(undefined, { spool: { ageMsMax: 0 }, retryMs: 5 })
    before.store.queue.begin('traces')
    before.store.close()
    const opened = start({ path: before.path, store: { retryMs: 20 } })
    opened.store.commit()
    const release = locked(opened.path)
    // Rows that no outbox was told of, as before the SDK is loaded.
    opened.ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(0) } })] })
    opened.store.commit()
    opened.outbox.opened()
    opened.record(1, 4)
    await expect.poll(() => opened.taken).toEqual([1, 2, 3])
    release()
    await expect.poll(opened.store.isWritable).toBe(true)
    opened.sender.arrived()
    await expect.poll(() => opened.taken).toEqual([1, 2, 3, 0])
    expect([opened.total('written'), opened.total('delivered'), waitingRows(opened.path)]).toEqual([4, 4, 0])
  })
})

describe('a limit', () => {
  it('gives up the oldest, in memory and in the file, and counts them', async () => {
    const { record, outbox, sender, total, store, taken, meter } = start({
      store: { spool: { bytesMax: 60_000, ageMsMax: 0 } },
      memoryRecordsMax: 20,
      delayMs: 60_000,
      recordsMax: 1000,
    })
    for (let from = 0; from < 300; from += 10) record(from, from + 10)
    outbox.trim()
    store.commit()
    const left = outbox.depth()
    const dropped = meter.collect().flatMap((family) => ('sums' in family && family.name === 'tokenweir.spool.dropped' ? family.sums : []))
    expect([total('dropped') + left, left < 200, left > 0]).toEqual([300, true, true])
    expect(dropped.filter(({ value }) => value > 0).map(({ labels }) => labels)).toEqual([{ signal: 'traces', reason: 'size' }])
    record(300, 1200)
    expect(await sender.finish()).toBe(0)
    expect(taken).toEqual(numbers(300 - left, 1200))
  })
})

describe('the sender', () => {
  it('sends again what failed, for as long as it takes, each once', async () => {
    let failures = 12
    const { record, outbox, taken, total, lines, requests } = start({
      answer: () => (failures-- > 0 ? { kind: 'failed', message: '503 Service Unavailable' } : delivered),
    })
    record(0, 2)
    await expect.poll(outbox.depth).toBe(0)
    expect([requests.length, taken, total('delivered'), total('dropped'), total('failures')]).toEqual([13, [0, 1], 2, 0, 12])
    expect([...new Set(lines)]).toEqual([
      'The spans cannot be exported: 503 Service Unavailable. They wait in the spool.',
      'The spans can be exported again.',
    ])
  })

  it.each(['memory', 'rows'])('finds the one record that is refused, from %s, drops it and delivers the others once', async (where) => {
    const refuse = (records: readonly number[]): Attempt =>
      records.includes(23) ? { kind: 'refused', message: '400 Bad Request' } : delivered
    const first = start({ answer: () => ({ kind: 'failed', message: 'away' }), recordsMax: 512, delayMs: 60_000 })
    if (where === 'rows') first.record(0, 41)
    const { record, outbox, taken, total, lines, requests } = start({ path: copied(first.path), answer: refuse, recordsMax: 512 })
    if (where === 'memory') record(0, 41)
    await expect.poll(outbox.depth).toBe(0)
    expect([taken, total('delivered'), total('dropped')]).toEqual([numbers(0, 41).filter((one) => one !== 23), 40, 1])
    expect(lines).toEqual(['The collector refused spans: 400 Bad Request. They are dropped and counted.'])
    expect(requests.length).toBeLessThan(25)
  })

  it('counts what a partial success rejected, and sends nothing of it again', async () => {
    const { record, outbox, requests, total, lines } = start({ answer: () => ({ kind: 'delivered', rejected: 2, message: 'too old' }) })
    record(0, 3)
    await expect.poll(outbox.depth).toBe(0)
    expect([requests.length, total('delivered'), total('dropped')]).toEqual([1, 1, 2])
    expect(lines).toEqual(['The collector rejected 2 spans: too old'])
  })

  it('does not try again at a stop what has just failed', async () => {
    const { record, sender, requests, path } = start({ answer: () => ({ kind: 'failed', message: 'away' }), delayMs: 60_000 })
    record(0, 1)
    expect([await sender.finish(), requests.length, waitingRows(path)]).toEqual([1, 1, 1])
  })

  it('sends everything at a stop, in requests no larger than asked for', async () => {
    const { record, sender, requests } = start({ delayMs: 60_000, recordsMax: 20, memoryRecordsMax: 100 })
    record(0, 15)
    record(15, 50)
    await sender.finish()
    expect(requests.map(({ length }) => length)).toEqual([20, 20, 10])
  })

  it('waits for no collector at a stop that does not answer', async () => {
    const { record, sender, requests } = start({ answer: () => new Promise(() => {}), recordsMax: 5 })
    record(0, 20)
    await expect.poll(() => requests.length).toBe(1)
    expect([await sender.finish(), requests.length]).toEqual([20, 1])
  })
})
