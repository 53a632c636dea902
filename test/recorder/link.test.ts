import { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { RecorderLink, type RecorderLinkOptions } from '../../src/recorder/link.ts'
import { endingOf, openingOf } from '../sinks/exchange-of.ts'
import type { Orders } from './fake-recorder.ts'
import type { Told } from './told.ts'

const bytes = (text: string) => [Buffer.from(text)]
const ofId = (list: readonly Told[], id: string) => list.filter(({ ended }) => ended.some(([one]) => one === id))

/** A link whose recorders obey `orders`, the last one for all that follow. */
function startLink(orders: readonly Orders[], options: Partial<RecorderLinkOptions> = {}) {
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
  const workers: Worker[] = []
  const told: Told[][] = []
  const said: string[] = []
  const starts: boolean[] = []
  const link = new RecorderLink({
    start(restarted) {
      starts.push(restarted)
      const heard: Told[] = []
      told.push(heard)
      const worker = new Worker(new URL('./fake-recorder.ts', import.meta.url), {
        workerData: orders[Math.min(workers.length, orders.length - 1)],
      })
      worker.on('message', (message) => {
        if (message.kind === 'told') heard.push(message.told)
      })
      workers.push(worker)
      return worker
    },
    cells,
    report: (message) => said.push(message),
    pauseMs: 10,
    ...options,
  })
  onTestFinished(() => Promise.all(workers.map((worker) => worker.terminate())).then(() => undefined))
  const open = (id: string) => link.opened(openingOf({ id }))
  return { link, cells, workers, told, said, starts, open }
}

describe('a recorder that dies', () => {
  it('is followed by one that is told what was not recorded, marked as told again, then what is open', async () => {
    const { link, cells, workers, told, starts, open } = startLink([{ isSilent: true }, {}])
    await link.ready
    const stays = open('stays')
    stays.requestRead(bytes('asked by stays'))
    const ends = open('ends')
    ends.requestRead(bytes('asked by ends'))
    await expect.poll(() => told[0]?.length).toBe(1)
    ends.ended(endingOf({ id: 'ends' }), bytes('answered to ends'))
    await expect
      .poll(() => ofId(told[0] ?? [], 'ends'))
      .toEqual([{ resent: false, opened: [], requests: [], ended: [['ends', false, undefined, 'answered to ends']] }])
    await workers[0]?.terminate()
    stays.ended(endingOf({ id: 'stays' }), undefined)
    open('later')
    await expect.poll(() => told[1]?.flatMap(({ ended }) => ended).length).toBe(2)
    expect(told[1]?.filter(({ ended }) => ended.length > 0)).toEqual([
      { resent: true, opened: [], requests: [], ended: [['ends', true, 'asked by ends', 'answered to ends']] },
      { resent: false, opened: expect.anything(), requests: [], ended: [['stays', true, 'asked by stays', undefined]] },
    ])
    expect([starts, Atomics.load(cells, Cell.recorderRestarts), Atomics.load(cells, Cell.dropped)]).toEqual([[false, true], 1, 0])
  })

  it('is followed by one that knows what has been open all the time, and its request', async () => {
    const { link, workers, told, open } = startLink([{}])
    await link.ready
    const one = open('one')
    one.requestRead(bytes('asked'))
    await expect.poll(() => told[0]?.flatMap(({ opened }) => opened)).toEqual(['one'])
    await workers[0]?.terminate()
    // The first one may have died before it acknowledged; of that batch there is nothing left to tell.
    await expect
      .poll(() => told[1]?.filter(({ opened }) => opened.length > 0).map(({ opened, requests }) => ({ opened, requests })))
      .toEqual([{ opened: ['one'], requests: [['one', 'asked']] }])
    one.ended(endingOf({ id: 'one' }), bytes('answered'))
    await expect
      .poll(() => ofId(told[1] ?? [], 'one'))
      .toEqual([{ resent: false, opened: [], requests: [], ended: [['one', false, undefined, 'answered']] }])
  })

  it('is followed by one that is told all of what ended while it died', async () => {
    const { link, workers, told, open } = startLink([{}])
    await link.ready
    const one = open('one')
    await expect.poll(() => told[0]?.flatMap(({ opened }) => opened)).toEqual(['one'])
    const gone = workers[0]?.terminate()
    one.ended(endingOf({ id: 'one' }), bytes('answered')) // gathered with what follows within 50 ms, by when the recorder is dead
    await gone
    await expect.poll(() => told[1]?.flatMap(({ ended }) => ended)).toEqual([['one', true, undefined, 'answered']])
  })

  it('is started again without end, more slowly each time, and nothing is dropped meanwhile', async () => {
    const refusals = Array.from({ length: 7 }, () => ({ refuses: 'The ledger is locked.' }))
    const { link, cells, workers, told, said, open } = startLink([{ isSilent: true }, ...refusals, {}], { pauseMs: 1 })
    await link.ready
    open('one').ended(endingOf({ id: 'one' }), undefined)
    await expect.poll(() => told[0]?.length).toBe(1)
    await workers[0]?.terminate()
    await expect.poll(() => told[8]?.flatMap(({ ended }) => ended)).toEqual([['one', true, undefined, undefined]])
    expect([workers.length, Atomics.load(cells, Cell.recorderRestarts), Atomics.load(cells, Cell.lostWithRecorder)]).toEqual([9, 8, 0])
    expect(said).toContain('The ledger is locked. It is started again in 4 ms; what it had not recorded is told to its successor.')
  })

  it('each time on the same exchange loses that one alone, and says so', async () => {
    const { link, cells, told, said, open } = startLink([{ diesOn: 'poison' }])
    await link.ready
    open('poison').ended(endingOf({ id: 'poison' }), undefined)
    await expect.poll(() => told[0]?.length).toBe(1)
    open('good').ended(endingOf({ id: 'good' }), undefined)
    await expect.poll(() => told.at(-1)?.flatMap(({ ended }) => ended.map(([id]) => id))).toEqual(['good'])
    expect(told.map((heard) => ofId(heard, 'poison').length)).toEqual([1, 1, 1, 0])
    expect([Atomics.load(cells, Cell.lostWithRecorder), said.at(-2)]).toEqual([
      1,
      '3 recorders died on the same 1 records, which are dropped and counted.',
    ])
  })

  it('each time on a body still records its exchange, without', async () => {
    const { link, cells, told, open } = startLink([{ diesOnBodyOf: 'poison' }])
    await link.ready
    open('poison').ended(endingOf({ id: 'poison' }), bytes('an answer to die on'))
    await expect
      .poll(() => told.map((heard) => heard.flatMap(({ ended }) => ended)))
      .toEqual([
        [['poison', true, undefined, 'an answer to die on']],
        [['poison', true, undefined, 'an answer to die on']],
        [['poison', true, undefined, undefined]],
      ])
    expect(Atomics.load(cells, Cell.lostWithRecorder)).toBe(0)
  })
})

describe('a recorder that falls behind', () => {
  it('costs bodies first, then records, and each record lost is counted', async () => {
    const limits = { endingsMax: 3, bodyBytesMax: 10, openBytesMax: 10 }
    const { link, cells, workers, told, open } = startLink([{ isSilent: true }, {}], { limits })
    await link.ready
    for (const id of ['a', 'b', 'c', 'd', 'e']) open(id).ended(endingOf({ id }), bytes('sixsix'))
    await expect.poll(() => told[0]?.length).toBe(1)
    await workers[0]?.terminate()
    await expect
      .poll(() => told[1]?.flatMap(({ ended }) => ended))
      .toEqual([
        ['a', true, undefined, 'sixsix'],
        ['b', true, undefined, undefined],
        ['c', true, undefined, undefined],
      ])
    expect(Atomics.load(cells, Cell.dropped)).toBe(2)
    // All of it is given back when it has been recorded.
    await expect
      .poll(async () => {
        open('f').ended(endingOf({ id: 'f' }), bytes('sixsix'))
        return told[1]?.flatMap(({ ended }) => ended).at(-1)
      })
      .toEqual(['f', true, undefined, 'sixsix'])
  })
})

describe('closing', () => {
  it('waits for a recorder that dies on the way, and for its successor', async () => {
    const { link, workers, told, open } = startLink([{ isSilent: true }, {}])
    await link.ready
    open('one').ended(endingOf({ id: 'one' }), undefined)
    await expect.poll(() => told[0]?.length).toBe(1)
    void workers[0]?.terminate()
    await link.close(60_000)
    expect(told[1]?.flatMap(({ ended }) => ended.map(([id]) => id))).toEqual(['one'])
  })

  it('keeps to its deadline, and says what is lost', async () => {
    const { link, said, open } = startLink([{ refuses: 'The ledger is locked.' }])
    await expect(link.ready).rejects.toThrow('The ledger is locked.')
    open('one').ended(endingOf({ id: 'one' }), undefined)
    await link.close(50)
    expect(said).toEqual(['The ledger is locked.', 'The recorder gave up: 1 records are lost.'])
  })
})
