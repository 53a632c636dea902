import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { exchangeOf, openingOf, startedAt } from '../sinks/exchange-of.ts'
import { copied, id, type OpenedStore, open } from './harness.ts'
import { rows, waitingRows } from './rows.ts'

/** Requests that ended, in that order, in one commit. */
function end({ ledger, store }: Pick<OpenedStore, 'ledger' | 'store'>, ...indexes: number[]) {
  ledger.record({ opened: [], ended: indexes.map((index) => exchangeOf({ opening: { id: id(index) } })) })
  store.commit()
}
const waiting = ({ store: { queue } }: Pick<OpenedStore, 'store'>, limit = 100) =>
  queue.closedRows(queue.mark('traces'), queue.lastRowid(), limit).map((row) => Number(String(row['id']).slice(-4)))
const acknowledge = ({ store: { queue } }: Pick<OpenedStore, 'store'>, rows: number) => {
  const last = queue.closedRows(queue.mark('traces'), queue.lastRowid(), rows).at(-1)
  queue.advance('traces', Number(last?.['rowid']))
}

describe('the rows that wait', () => {
  it('are the closed ones above the mark, in the order of their ends', () => {
    const opened = open()
    const { store, ledger } = opened
    store.queue.begin('traces')
    ledger.record({ opened: [openingOf({ id: id(1) }), openingOf({ id: id(2) })], ended: [] })
    store.commit()
    end(opened, 3)
    end(opened, 2)
    ledger.record({ opened: [openingOf({ id: id(4) })], ended: [] })
    ledger.record({ opened: [], ended: [5, 4].map((index) => exchangeOf({ opening: { id: id(index) } })) })
    store.commit()
    expect([waiting(opened), waiting(opened, 2)]).toEqual([
      [3, 2, 5, 4],
      [3, 2],
    ])
    acknowledge(opened, 3)
    expect(waiting(opened)).toEqual([4])
    end(opened, 1)
    expect(waiting(opened)).toEqual([4, 1])
  })

  it('get a higher rowid when they are closed, also the newest of the file and the only one', () => {
    const opened = open()
    const { store, ledger, path } = opened
    ledger.record({ opened: [openingOf({ id: id(1) })], ended: [] })
    store.commit()
    const before = rows(path, 'SELECT rowid FROM exchanges')[0]?.['rowid']
    end(opened, 1)
    const after = rows(path, 'SELECT rowid FROM exchanges')[0]?.['rowid']
    expect([before, after]).toEqual([1, 2])
  })

  it('are those after the last row of an earlier process, when export is switched on for the first time', () => {
    const first = open()
    end(first, 1, 2)
    first.ledger.record({ opened: [openingOf({ id: id(3) })], ended: [] })
    first.store.close()
    const second = open(first.path)
    second.store.queue.begin('traces')
    end(second, 3, 4)
    expect(waiting(second)).toEqual([3, 4])
  })

  it('are those that the last process had not acknowledged, also where it was killed', () => {
    const first = open()
    first.store.queue.begin('traces')
    end(first, 1, 2, 3)
    acknowledge(first, 1)
    first.store.commit()
    const second = open(copied(first.path))
    second.store.queue.begin('traces')
    expect([waiting(second), second.store.queue.leftoverUpTo()]).toEqual([[2, 3], 3])
  })
})

describe('a limit of the queue', () => {
  it('gives up the oldest beyond its bytes, which are the share of the file that the rows have', () => {
    const opened = open(undefined, { spool: { bytesMax: 100_000, ageMsMax: 0 } })
    const { store, path } = opened
    store.queue.begin('traces')
    for (let index = 0; index < 300; index++) end(opened, index)
    const { queue } = store
    expect([queue.bytesAfter(0) > 100_000, queue.bytesAfter(queue.lastRowid())]).toEqual([true, 0])
    const given = queue.trim('traces')
    store.commit()
    const left = waiting(opened, 1000)
    expect([given?.reason, Number(given?.rows) + left.length, left.at(-1)]).toEqual(['size', 300, 299])
    expect(queue.bytesAfter(queue.mark('traces'))).toBeLessThanOrEqual(100_000)
    expect(queue.bytesAfter(queue.mark('traces'))).toBeGreaterThan(95_000)
    expect([queue.trim('traces'), waitingRows(path)]).toEqual([undefined, left.length])
  })

  it('gives up what ended too long ago', () => {
    let now = startedAt
    const opened = open(undefined, { spool: { ageMsMax: 5000 }, now: () => now })
    const { store, ledger } = opened
    store.queue.begin('traces')
    const endAt = (index: number, at: number) =>
      ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(index), startedAt: startedAt + at }, ending: { endMs: 0 } })] })
    for (const [index, at] of [0, 1000, 3000].entries()) endAt(index, at)
    store.commit()
    now = startedAt + 5500
    expect([store.queue.trim('traces'), waiting(opened)]).toEqual([{ reason: 'age', rows: 1 }, [1, 2]])
    expect(store.queue.trim('traces')).toBeUndefined()
    now = startedAt + 60_000
    expect([store.queue.trim('traces'), waiting(opened)]).toEqual([{ reason: 'age', rows: 2 }, []])
  })

  it('of 0 is none, and a signal that was never exported has none', () => {
    const opened = open(undefined, { spool: { ageMsMax: 0, bytesMax: 0 }, now: () => startedAt * 2 })
    opened.store.queue.begin('traces')
    end(opened, 1)
    expect([opened.store.queue.trim('traces'), opened.store.queue.trim('logs'), waiting(opened)]).toEqual([undefined, undefined, [1]])
  })
})

describe('retention', () => {
  it('leaves every row that waits, of either signal, and takes it when it waits no more', async () => {
    const opened = open(undefined, { retention: { ageMsMax: 1000, bytesMax: 2 ** 30, rollupAgeMsMax: 0 }, spool: { ageMsMax: 0 } })
    const { store, meter, path } = opened
    store.queue.begin('traces')
    store.queue.begin('logs')
    end(opened, 1, 2, 3, 4)
    acknowledge(opened, 2)
    store.queue.advance('logs', 4)
    store.commit()
    await expect.poll(() => meter.total('tokenweir.ledger.expired')).toBe(2)
    expect(rows(path, 'SELECT rowid FROM exchanges')).toEqual([{ rowid: 3 }, { rowid: 4 }])
    store.queue.advance('traces', 4)
    store.commit()
    await expect.poll(() => meter.total('tokenweir.ledger.expired')).toBe(3)
  })
})

describe('a commit that fails', () => {
  it.each(['exchanges', 'series', 'meta'])(
    'on the table %s leaves every count as it was, however often, and counts once when it succeeds',
    async (table) => {
      const { path, store, ledger, meter } = open(undefined, { retryMs: 1 })
      store.commit()
      const other = new DatabaseSync(path)
      other.exec(`CREATE TRIGGER fault BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'the disk fails here'); END`)
      const counter = meter.counter('tokenweir.requests', { 'http.route': 'new' })
      ledger.record({ opened: [], ended: [1, 2].map((index) => exchangeOf({ opening: { id: id(index) } })) })
      counter.add(2)
      store.queue.begin('traces')
      expect(store.commit()).toBe(false)
      await expect.poll(() => meter.total('tokenweir.ledger.failures')).toBeGreaterThan(3)
      const counts = () =>
        rows(path, "SELECT name, value FROM series WHERE name IN ('tokenweir.requests', 'tokenweir.ledger.written') ORDER BY name")
      expect([meter.total('tokenweir.ledger.written'), meter.total('tokenweir.requests'), counts()]).toEqual([
        0,
        2,
        [{ name: 'tokenweir.ledger.written', value: 0 }],
      ])
      other.exec('DROP TRIGGER fault')
      other.close()
      await expect.poll(store.isWritable).toBe(true)
      expect([meter.total('tokenweir.ledger.written'), counts(), waitingRows(path)]).toEqual([
        2,
        [
          { name: 'tokenweir.ledger.written', value: 2 },
          { name: 'tokenweir.requests', value: 2 },
        ],
        2,
      ])
    },
  )
})
