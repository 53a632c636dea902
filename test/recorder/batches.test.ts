/** What the link tells a recorder, and when. `link.test.ts` has real threads. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { RecorderLink, type RecorderLinkOptions } from '../../src/recorder/link.ts'
import { bodyOf } from '../../src/recorder/pending-batch.ts'
import { endingOf, openingOf } from '../sinks/exchange-of.ts'
import { FakeWorker } from './fake-worker.ts'
import type { Told } from './told.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const bytes = (text: string) => [Buffer.from(text)]
/** A batch, with what is not said empty. */
const told = (batch: Partial<Told>): Told => ({ resent: false, opened: [], requests: [], ended: [], ...batch })

function startLink(options: Partial<RecorderLinkOptions> = {}) {
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
  const workers: FakeWorker[] = []
  /** The last one. */
  const worker = () => workers.at(-1) as FakeWorker
  const link = new RecorderLink({
    start() {
      workers.push(new FakeWorker())
      return worker().thread
    },
    cells,
    report: () => undefined,
    pauseMs: 1,
    ...options,
  })
  worker().ready()
  const open = (id: string) => {
    const one = link.opened(openingOf({ id }))
    return {
      asks: (text: string) => one.requestRead(bytes(text)),
      asksNothing: () => one.requestRead([]),
      ends: (text?: string) => one.ended(endingOf({ id }), text === undefined ? undefined : bytes(text)),
    }
  }
  /** What the last worker has been told since it was looked at last. */
  const seen = new Map<FakeWorker, number>()
  const fresh = (): readonly Told[] => {
    const { batches } = worker()
    const before = seen.get(worker()) ?? 0
    seen.set(worker(), batches.length)
    return batches.slice(before)
  }
  /** What it is told within the next 50 ms. */
  const next = async () => {
    await wait(50)
    return fresh()
  }
  /** The worker dies, and its successor is ready. */
  const succeed = async () => {
    const before = workers.length
    worker().exit()
    while (workers.length === before) await wait(1)
    worker().ready()
  }
  const recorded = (count = 1) => {
    for (let n = 0; n < count; n++) worker().recorded()
  }
  const count = (cell: 'dropped' | 'unrecorded') => Atomics.load(cells, Cell[cell])
  function close(deadlineMs: number) {
    const closing = { isOver: false }
    void link.close(deadlineMs).then(() => (closing.isOver = true))
    return closing
  }
  return { link, worker, open, fresh, next, succeed, recorded, count, close }
}

describe('a batch', () => {
  it('is posted 50 ms after its first news', async () => {
    const { open, fresh } = startLink()
    open('a')
    await wait(49)
    open('b')
    expect(fresh()).toEqual([])
    await wait(1)
    expect([fresh(), vi.getTimerCount()]).toEqual([[told({ opened: ['a', 'b'] })], 0])
    open('c')
    await wait(50)
    expect(fresh()).toEqual([told({ opened: ['c'] })])
  })

  it('has of an exchange that began and ended in it one row', async () => {
    const { open, next } = startLink()
    const one = open('one')
    one.asks('asked')
    one.ends('answered')
    expect(await next()).toEqual([told({ ended: [['one', true, 'asked', 'answered']] })])
    expect(await next()).toEqual([])
  })

  it('tells each thing once', async () => {
    const { open, next } = startLink()
    const one = open('one')
    expect(await next()).toEqual([told({ opened: ['one'] })])
    one.asks('asked')
    expect(await next()).toEqual([told({ requests: [['one', 'asked']] })])
    one.ends('answered')
    expect(await next()).toEqual([told({ ended: [['one', false, undefined, 'answered']] })])
  })

  it('has a request that is still open, and what ends without any body', async () => {
    const { open, next } = startLink()
    const one = open('one')
    one.asksNothing()
    expect(await next()).toEqual([told({ opened: ['one'] })])
    one.ends()
    expect(await next()).toEqual([told({ ended: [['one', false, undefined, undefined]] })])
  })

  it('has nothing more of an exchange that has ended', async () => {
    const { open, next, count } = startLink()
    const one = open('one')
    one.ends('answered')
    one.ends('answered again')
    one.asks('asked too late')
    expect([await next(), count('unrecorded')]).toEqual([[told({ ended: [['one', true, undefined, 'answered']] })], 1])
    expect(await next()).toEqual([])
  })

  it('has the body that was sent last', async () => {
    const { open, next } = startLink()
    const one = open('one')
    one.asks('asked')
    one.asks('asked anew')
    expect(await next()).toEqual([told({ opened: ['one'], requests: [['one', 'asked anew']] })])
    one.asks('asked once more')
    expect(await next()).toEqual([told({ requests: [['one', 'asked once more']] })])
    one.asks('asked at last')
    one.ends()
    expect(await next()).toEqual([told({ ended: [['one', false, 'asked at last', undefined]] })])
  })

  it('is posted at once beyond 1 MiB of bodies', async () => {
    const { open, fresh, next } = startLink()
    const half = 'x'.repeat(512 * 1024)
    const [a, b] = [open('a'), open('b')]
    a.asks(half)
    b.ends(half)
    expect(fresh()).toEqual([])
    open('c').asks('!')
    expect(fresh().map(({ opened, ended }) => [opened, ended.length])).toEqual([[['a', 'c'], 1]])
    expect(vi.getTimerCount()).toBe(0)
    open('d').asks(half) // counted from the start again
    expect(fresh()).toEqual([])
    expect((await next()).map(({ opened }) => opened)).toEqual([['d']])
  })

  it('has 500 openings at most', async () => {
    const { open, next } = startLink()
    for (let n = 0; n < 1001; n++) open(`${n}`)
    const told = []
    for (let n = 0; n < 4; n++) told.push((await next()).map(({ opened }) => [opened.length, opened[0]]))
    expect(told).toEqual([[[500, '0']], [[500, '500']], [[1, '1000']], []])
  })

  it('has 500 openings', async () => {
    const { open, next } = startLink()
    for (let n = 0; n < 500; n++) open(`${n}`)
    expect((await next()).map(({ opened }) => opened.length)).toEqual([500])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a successor', () => {
  it('is told of all that is open, with requests, and knows it then', async () => {
    const { open, next, recorded, succeed } = startLink()
    const [quiet, asking] = [open('quiet'), open('asking')]
    asking.asks('asked')
    await next()
    recorded()
    for (let time = 0; time < 2; time++) {
      await succeed()
      expect(await next()).toEqual([told({ opened: ['quiet', 'asking'], requests: [['asking', 'asked']] })])
      recorded()
    }
    quiet.ends()
    asking.ends()
    expect(await next()).toEqual([
      told({
        ended: [
          ['quiet', false, undefined, undefined],
          ['asking', false, undefined, undefined],
        ],
      }),
    ])
  })

  it('is told all of what ended unrecorded, or while its predecessor died', async () => {
    const { open, next, fresh, recorded, succeed } = startLink()
    const [before, during, after] = [open('before'), open('during'), open('after')]
    for (const one of [before, during, after]) one.asks('asked')
    await next()
    recorded()
    before.ends('answered')
    await next()
    during.ends('answered')
    await succeed()
    after.ends('answered')
    expect([...fresh(), ...(await next())]).toEqual([
      told({ resent: true, ended: [['before', true, 'asked', 'answered']] }),
      told({
        ended: [
          ['during', true, 'asked', 'answered'],
          ['after', true, 'asked', 'answered'],
        ],
      }),
    ])
  })

  it('is told of what is open from what is open now, not from what its predecessor left unrecorded', async () => {
    const { open, fresh, next, succeed } = startLink()
    open('stays').asks('asked')
    open('ends').ends('answered')
    await next()
    open('later')
    await next()
    await succeed()
    expect([...fresh(), ...(await next())]).toEqual([
      told({ resent: true, ended: [['ends', true, undefined, 'answered']] }),
      told({ opened: ['stays', 'later'], requests: [['stays', 'asked']] }),
    ])
  })

  it('is told once of what opened during the pause', async () => {
    const { worker, open, next, succeed } = startLink()
    worker().exit()
    const one = open('one')
    one.asks('asked')
    await succeed()
    expect((await next()).filter(({ opened }) => opened.length > 0)).toEqual([told({ opened: ['one'], requests: [['one', 'asked']] })])
    one.ends()
    expect(await next()).toEqual([told({ ended: [['one', false, undefined, undefined]] })])
  })
})

describe('limits', () => {
  it('drop and count what ends beyond those of endings, until some are recorded', async () => {
    const { open, next, recorded, count } = startLink({ limits: { endingsMax: 2 } })
    for (const id of ['a', 'b', 'c']) open(id).ends()
    expect((await next()).map(({ ended }) => ended.map(([id]) => id))).toEqual([['a', 'b']])
    expect([count('dropped'), count('unrecorded')]).toEqual([1, 2])
    recorded()
    expect(count('unrecorded')).toBe(0)
    for (const id of ['d', 'e', 'f']) open(id).ends()
    expect((await next()).map(({ ended }) => ended.map(([id]) => id))).toEqual([['d', 'e']])
    expect([count('dropped'), count('unrecorded')]).toEqual([2, 2])
  })

  it('leave out bodies beyond those of bodies, until some are recorded', async () => {
    const { open, next, recorded } = startLink({ limits: { bodyBytesMax: 10 } })
    open('a').ends('12345')
    open('b').ends('123456')
    open('c').ends('12345')
    open('d').ends('1')
    expect((await next()).map(({ ended }) => ended.map(([, , , body]) => body))).toEqual([['12345', undefined, '12345', undefined]])
    const asking = open('e')
    asking.asks('1')
    expect(await next()).toEqual([told({ opened: ['e'] })])
    recorded(2)
    asking.asks('1234567890')
    expect(await next()).toEqual([told({ requests: [['e', '1234567890']] })])
    recorded()
    open('f').ends('1234567890')
    expect((await next()).map(({ ended }) => ended.map(([, , , body]) => body))).toEqual([['1234567890']])
  })

  it('of bodies count those of requests while their batch is not recorded', async () => {
    const { open, next, recorded } = startLink({ limits: { bodyBytesMax: 10 } })
    open('a').asks('123456')
    await next()
    open('b').ends('12345')
    expect((await next()).map(({ ended }) => ended[0]?.[3])).toEqual([undefined])
    recorded(2)
    open('c').ends('1234567890')
    expect((await next()).map(({ ended }) => ended[0]?.[3])).toEqual(['1234567890'])
  })

  it('of bodies count what ends with both of its bodies, and give back both', async () => {
    const { open, next, recorded } = startLink({ limits: { bodyBytesMax: 10 } })
    for (const _ of [1, 2, 3]) {
      const one = open('one')
      one.asks('1234')
      one.ends('123456')
      open('other').ends('1')
      expect((await next()).map(({ ended }) => ended.map((one) => one.slice(2)))).toEqual([
        [
          ['1234', '123456'],
          [undefined, undefined],
        ],
      ])
      recorded()
    }
  })

  it('of what is open leave out bodies for a successor, until some have ended', async () => {
    const { open, next, recorded, succeed } = startLink({ limits: { openBytesMax: 10 } })
    const [a, b, c] = [open('a'), open('b'), open('c')]
    a.asks('12345')
    b.asks('123456')
    c.asks('12345')
    expect((await next()).map(({ requests }) => requests.map(([id]) => id))).toEqual([['a', 'b', 'c']])
    recorded()
    await succeed()
    expect((await next()).map(({ opened, requests }) => [opened, requests.map(([id]) => id)])).toEqual([
      [
        ['a', 'b', 'c'],
        ['a', 'c'],
      ],
    ])
    recorded()
    a.ends()
    b.ends() // counts for nothing
    open('d').asks('12345')
    open('e').asks('1')
    await next()
    recorded()
    await succeed()
    expect((await next()).flatMap(({ requests }) => requests.map(([id]) => id))).toEqual(['c', 'd'])
  })

  it('of what is open count a request sent anew once, by its last body', async () => {
    const { open, next, recorded, succeed } = startLink({ limits: { openBytesMax: 10 } })
    const one = open('one')
    for (const text of ['1234567890', '123456', '123']) {
      one.asks(text)
      await next()
      recorded()
    }
    open('other').asks('1234567')
    open('beyond').asks('1')
    await next()
    recorded()
    await succeed()
    expect((await next()).flatMap(({ requests }) => requests)).toEqual([
      ['one', '123'],
      ['other', '1234567'],
    ])
  })

  it('of what is open count a request told again once', async () => {
    const { open, next, recorded, succeed } = startLink({ limits: { openBytesMax: 10 } })
    open('one').asks('12345')
    await next()
    recorded()
    await succeed()
    await next()
    recorded()
    open('other').asks('12345')
    await next()
    recorded()
    await succeed()
    expect((await next()).flatMap(({ requests }) => requests.map(([id]) => id))).toEqual(['one', 'other'])
  })

  it('of bodies are given back with a batch that is given up', async () => {
    const { open, next, worker, succeed, recorded, count } = startLink({ limits: { endingsMax: 1, bodyBytesMax: 5 } })
    open('poison').ends('12345')
    await next()
    for (let deaths = 0; deaths < 3; deaths++) await succeed()
    expect([worker().batches, count('unrecorded')]).toEqual([[], 0])
    open('good').ends('12345')
    expect((await next()).map(({ ended }) => ended)).toEqual([[['good', true, undefined, '12345']]])
    recorded()
  })

  it('of bodies leave room for what ends while recorders die', async () => {
    const { open, next, worker, succeed, fresh } = startLink({ limits: { bodyBytesMax: 10 } })
    open('stays').asks('12')
    await next()
    for (let deaths = 0; deaths < 5; deaths++) {
      worker().exit()
      await wait(100)
    }
    open('one').ends('12345678')
    await succeed()
    expect([...fresh(), ...(await next())].flatMap(({ ended }) => ended)).toEqual([['one', true, undefined, '12345678']])
  })
})

describe('closing', () => {
  it('posts what is gathered, then tells the recorder', async () => {
    const { worker, open, close } = startLink()
    open('one').ends()
    const closing = close(5000)
    await wait(0)
    expect(worker().told).toEqual(['one', 'close in 5000'])
    worker().recorded()
    worker().closed()
    await wait(0)
    expect([closing.isOver, worker().isTerminated, vi.getTimerCount()]).toEqual([true, true, 0])
  })

  it('waits for what is open', async () => {
    const { worker, open, close } = startLink()
    const one = open('one')
    close(5000)
    await wait(1000)
    expect(worker().told).toEqual(['']) // its opening
    one.ends()
    await wait(5)
    expect(worker().told.slice(1)).toEqual(['one', 'close in 3995'])
  })

  it('waits for that until its time is over, and posts all openings', async () => {
    const { worker, open, close } = startLink()
    for (let n = 0; n < 1001; n++) open(`${n}`)
    const closing = close(20)
    await wait(19)
    expect([worker().batches.length, closing.isOver]).toEqual([0, false])
    await wait(1)
    expect(worker().batches.map(({ opened }) => opened.length)).toEqual([500, 500, 1])
    expect(worker().told.at(-1)).toBe('close in 250')
  })

  it.each([
    { deadlineMs: 5000, waitsMs: 1000 },
    { deadlineMs: 500, waitsMs: 500 },
  ])('within $deadlineMs ms waits for that $waitsMs ms when hurried', async ({ deadlineMs, waitsMs }) => {
    const { link, worker, open, close } = startLink()
    open('one')
    link.hurry()
    close(deadlineMs)
    await wait(waitsMs - 1)
    expect(worker().told).toEqual([''])
    await wait(1)
    expect(worker().told).toEqual(['', 'close in 250'])
  })

  it('hurried on the way waits no longer', async () => {
    const { link, worker, open, close } = startLink()
    open('one')
    close(5000)
    await wait(2000)
    link.hurry()
    await wait(5)
    expect(worker().told.at(-1)).toBe('close in 250')
  })
})

it('one piece of a body is not copied: who sent it on holds it too', () => {
  const [one, another] = [Buffer.from('one'), Buffer.from('another')]
  expect(bodyOf([one])?.chunks[0]).toBe(one)
  expect(bodyOf([one, another])).toEqual({ chunks: [Buffer.from('oneanother')], bytes: 10 })
})
