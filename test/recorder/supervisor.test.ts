import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { cloneableConfig } from '../../src/recorder/data.ts'
import { bodyOf, type PendingBatch } from '../../src/recorder/pending-batch.ts'
import { Supervisor, type SupervisorOptions } from '../../src/recorder/supervisor.ts'
import { endingOf, openingOf } from '../sinks/exchange-of.ts'
import { FakeWorker } from './fake-worker.ts'
import { configOf } from './harness.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Nothing that waited for a promise waits any more. */
const settle = () => vi.advanceTimersByTimeAsync(0)
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms)

/** `count` endings of one id. */
function batchOf(id: string, { count = 1, body }: { count?: number; body?: string } = {}): PendingBatch {
  const responseBody = body === undefined ? undefined : bodyOf([Buffer.from(body)])
  const one = {
    opening: openingOf({ id }),
    ending: endingOf({ id }),
    isOpeningTold: true,
    isRequestTold: true,
    requestBody: undefined,
    responseBody,
  }
  return { opened: [], requests: [], ended: Array.from({ length: count }, () => one) }
}

function startSupervisor(options: Partial<SupervisorOptions> = {}) {
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
  const workers: FakeWorker[] = []
  const said: string[] = []
  const restarted: boolean[] = []
  const done: string[] = []
  const deaths: number[] = []
  const supervisor = new Supervisor({
    start(again) {
      restarted.push(Boolean(again))
      workers.push(new FakeWorker())
      return worker().thread
    },
    cells,
    report: (message) => said.push(message),
    onDeath: () => deaths.push(workers.length),
    onDone: ({ ended }) => done.push(...ended.slice(0, 1).map(({ ending }) => ending.id)),
    ...options,
  })
  /** The last one, or the one with that number. */
  function worker(number = workers.length - 1): FakeWorker {
    return workers[number] as FakeWorker
  }
  /** Whether it is closed. */
  function close(deadlineMs: number) {
    const closing = { isOver: false }
    void supervisor.close(deadlineMs).then(() => (closing.isOver = true))
    return closing
  }
  /** The worker dies, and a successor is started when the pause is over. */
  async function succeed(pauseMs: number) {
    worker().exit()
    await wait(pauseMs)
  }
  const count = (cell: 'recorderRestarts' | 'lostWithRecorder') => Atomics.load(cells, Cell[cell])
  return { supervisor, workers, worker, said, restarted, done, deaths, close, succeed, count }
}

function startReady(options: Partial<SupervisorOptions> = {}) {
  const started = startSupervisor(options)
  started.worker().ready()
  return started
}

describe('batches', () => {
  it('wait for the recorder to be ready, and are posted in their order', async () => {
    const { supervisor, worker, done } = startSupervisor()
    supervisor.post(batchOf('a'))
    supervisor.post(batchOf('b'))
    expect(worker().told).toEqual([])
    worker().ready()
    await supervisor.ready
    supervisor.post(batchOf('c'))
    expect([worker().told, done]).toEqual([['a', 'b', 'c'], []])
    worker().recorded()
    worker().recorded()
    expect([worker().told, done]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b'],
    ])
  })

  it('are held back while 4000 endings are under way', () => {
    const { supervisor, worker } = startReady()
    for (const [id, count] of [
      ['a', 3999],
      ['b', 1],
      ['c', 4001],
      ['d', 1],
      ['e', 1],
    ] as const)
      supervisor.post(batchOf(id, { count }))
    const first = () => worker().batches.map(({ ended }) => ended[0]?.[0])
    expect(first()).toEqual(['a', 'b'])
    worker().recorded()
    expect(first()).toEqual(['a', 'b', 'c'])
    worker().recorded()
    expect(first()).toEqual(['a', 'b', 'c'])
    worker().recorded()
    expect(first()).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('are not done by an answer to none', () => {
    const { supervisor, worker, done } = startReady()
    worker().recorded()
    supervisor.post(batchOf('a'))
    expect([worker().told, done]).toEqual([['a'], []])
    worker().recorded()
    expect(done).toEqual(['a'])
  })

  it('are told again to a successor, and marked when its predecessor had them', async () => {
    const { supervisor, worker, succeed, done } = startReady()
    for (const id of ['a', 'b', 'c', 'd']) supervisor.post(batchOf(id, { count: 2000 }))
    worker().recorded()
    await succeed(100)
    worker().ready()
    const told = () => worker().batches.map(({ resent, ended }) => [ended[0]?.[0], resent])
    expect(told()).toEqual([
      ['b', true],
      ['c', true],
    ])
    worker().recorded()
    expect([told().at(-1), done]).toEqual([
      ['d', false],
      ['a', 'b'],
    ])
    supervisor.post(batchOf('e'))
    worker().recorded()
    expect(told().at(-1)).toEqual(['e', false])
  })
})

describe('a recorder that dies', () => {
  it('is followed by another after a pause, which is told and counted', async () => {
    const { worker, workers, said, restarted, deaths, count } = startReady()
    worker().fail('out of memory')
    expect([deaths, said]).toEqual([[1], [expect.stringMatching(/out of memory.* in 100 ms/)]])
    await wait(99)
    expect([workers.length, count('recorderRestarts')]).toEqual([1, 0])
    await wait(1)
    expect([restarted, count('recorderRestarts'), vi.getTimerCount()]).toEqual([[false, true], 1, 0])
  })

  it('that says nothing has stopped', () => {
    const { worker, said } = startReady()
    worker().exit()
    expect(said).toEqual([expect.stringMatching(/^The recorder stopped/)])
  })

  it('is started again with twice the pause each time, up to 10 s, until something is recorded', async () => {
    const { supervisor, worker, workers, said, succeed } = startReady()
    const pauses = () => said.map((line) => Number(/in (\d+) ms/.exec(line)?.[1]))
    for (const pauseMs of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) await succeed(pauseMs)
    expect([workers.length, pauses()]).toEqual([10, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]])
    worker().ready()
    await succeed(10_000) // being ready is no success
    worker().ready()
    supervisor.post(batchOf('a'))
    worker().recorded()
    await succeed(100)
    expect([workers.length, pauses().slice(-2)]).toEqual([12, [10_000, 100]])
  })

  it('is started again with the pause that was asked for', async () => {
    const { supervisor, worker, said, succeed } = startReady({ pauseMs: 3 })
    await succeed(3)
    worker().ready()
    supervisor.post(batchOf('a'))
    worker().recorded()
    await succeed(3)
    worker().ready()
    expect(said).toEqual([expect.stringContaining(' 3 ms'), expect.stringContaining(' 3 ms')])
  })

  it('is ended and started again when it cannot start', async () => {
    const { supervisor, worker, workers, said, succeed } = startReady()
    await succeed(100)
    worker().problem('The ledger is locked.', { fatal: true })
    await settle()
    expect([worker().isTerminated, said.at(-1)]).toEqual([true, expect.stringMatching(/^The ledger is locked\..* in 200 ms/)])
    expect(said.length).toBe(2)
    await wait(200)
    worker().ready()
    supervisor.post(batchOf('a'))
    expect([workers.length, worker().told]).toEqual([3, ['a']])
  })

  it('is tried again when no thread can be started', async () => {
    const outcomes = [new FakeWorker(), new Error('no memory'), 'no thread', new FakeWorker()]
    const left = [...outcomes]
    const { supervisor, said } = startSupervisor({
      start() {
        const next = left.shift()
        if (next instanceof FakeWorker) return next.thread
        throw next
      },
    })
    const [first, , , last] = outcomes as FakeWorker[]
    first?.ready()
    supervisor.post(batchOf('a'))
    first?.exit()
    await wait(100)
    await wait(200)
    await wait(400)
    last?.ready()
    expect([last?.told, said.slice(1)]).toEqual([
      ['a again'],
      [expect.stringMatching(/no memory\..* in 200 ms/), expect.stringMatching(/no thread\..* in 400 ms/)],
    ])
  })

  it('has its non-fatal problems told', () => {
    const { worker, said, workers } = startReady()
    worker().problem('A price is unknown.', { fatal: false })
    expect([said, worker().isTerminated, workers.length]).toEqual([['A price is unknown.'], false, 1])
  })

  it('is no longer listened to', async () => {
    const { supervisor, worker, workers, said, done, succeed, deaths } = startReady()
    supervisor.post(batchOf('a'))
    await succeed(100)
    worker().ready()
    const said0 = said.length
    worker(0).recorded()
    worker(0).problem('It was long ago.', { fatal: true })
    worker(0).closed()
    worker(0).emit('exit', 1)
    await settle()
    expect([done, said.length, deaths, workers.length, vi.getTimerCount()]).toEqual([[], said0, [1], 2, 0])
    worker().recorded()
    expect(done).toEqual(['a'])
  })
})

describe('a batch on which recorders die', () => {
  it('loses its bodies after two, and is given up after three: told, counted, and done', async () => {
    const { supervisor, worker, said, done, succeed, count } = startReady({ pauseMs: 1 })
    supervisor.post(batchOf('poison', { count: 2, body: 'an answer' }))
    supervisor.post(batchOf('good', { body: 'another' }))
    const poisoned = () =>
      worker()
        .batches.filter(({ ended }) => ended[0]?.[0] === 'poison')
        .map(({ ended }) => ended[0]?.[3])
    expect(poisoned()).toEqual(['an answer'])
    await succeed(1)
    worker().ready()
    expect(poisoned()).toEqual(['an answer'])
    await succeed(2)
    worker().ready()
    expect([poisoned(), count('lostWithRecorder'), done]).toEqual([[undefined], 0, []])
    await succeed(4)
    expect([count('lostWithRecorder'), done, said.at(-2)]).toEqual([2, ['poison'], expect.stringMatching(/same 2 records/)])
    worker().ready()
    expect(worker().batches).toEqual([{ resent: true, opened: [], requests: [], ended: [['good', true, undefined, 'another']] }])
    await succeed(8)
    worker().ready()
    expect(worker().batches[0]?.ended[0]?.[3]).toBe('another')
  })

  it('has nothing to do with deaths before they were told of it', async () => {
    const { supervisor, worker, succeed, done, count } = startReady({ pauseMs: 1 })
    await succeed(1)
    supervisor.post(batchOf('a', { body: 'an answer' }))
    for (const pauseMs of [2, 4, 8, 16]) await succeed(pauseMs)
    worker().ready()
    expect([worker().batches[0]?.ended[0]?.[3], worker().batches[0]?.resent, done, count('lostWithRecorder')]).toEqual([
      'an answer',
      false,
      [],
      0,
    ])
  })

  it('has nothing to do with deaths before it was the first', async () => {
    const { supervisor, worker, succeed } = startReady({ pauseMs: 1 })
    supervisor.post(batchOf('a'))
    supervisor.post(batchOf('b', { body: 'an answer' }))
    await succeed(1)
    worker().ready()
    await succeed(2)
    worker().ready()
    worker().recorded()
    await succeed(1)
    worker().ready()
    expect(worker().batches[0]?.ended).toEqual([['b', true, undefined, 'an answer']])
  })
})

describe('a first start that fails', () => {
  it('by a message rejects, and waits to be closed', async () => {
    const { supervisor, worker, workers, said, close } = startSupervisor()
    worker().problem('The ledger is locked.', { fatal: true })
    await expect(supervisor.ready).rejects.toThrow('The ledger is locked.')
    expect([said, worker().isTerminated, worker().told]).toEqual([['The ledger is locked.'], false, []])
    const closing = close(0)
    await settle()
    expect([worker().told, closing.isOver]).toEqual([['close in 250'], false])
    worker().closed()
    await settle()
    expect([closing.isOver, worker().isTerminated, workers.length, vi.getTimerCount()]).toEqual([true, true, 1, 0])
  })

  it('by its exit rejects, is not tried again, and is closed at once', async () => {
    const { supervisor, worker, workers, close, deaths } = startSupervisor()
    worker().fail('no such file')
    await expect(supervisor.ready).rejects.toThrow('The recorder failed: no such file')
    const closing = close(1000)
    await settle()
    expect([closing.isOver, workers.length, deaths, worker().told, vi.getTimerCount()]).toEqual([true, 1, [], [], 0])
  })

  it('by its exit while it is closed ends that', async () => {
    const { worker, workers, close } = startSupervisor()
    const closing = close(1000)
    worker().exit()
    await settle()
    expect([closing.isOver, workers.length, vi.getTimerCount()]).toEqual([true, 1, 0])
  })
})

describe('closing', () => {
  it('tells the recorder its deadline, and ends its thread when it has answered', async () => {
    const { worker, workers, said, close } = startReady()
    const closing = close(5000)
    await wait(4000)
    expect([worker().told, closing.isOver, worker().isTerminated]).toEqual([['close in 5000'], false, false])
    worker().closed()
    await settle()
    expect([closing.isOver, worker().isTerminated]).toEqual([true, true])
    worker().problem('It was long ago.', { fatal: false })
    await wait(60_000)
    expect([workers.length, said, vi.getTimerCount()]).toEqual([1, [], 0])
  })

  it('before the recorder is ready tells it once', async () => {
    const { worker, close } = startSupervisor()
    const closing = close(5000)
    expect(worker().told).toEqual(['close in 5000'])
    worker().ready()
    worker().closed()
    await settle()
    expect([worker().told, closing.isOver]).toEqual([['close in 5000'], true])
  })

  it('gives 250 ms at least', () => {
    const { worker, close } = startReady()
    close(249)
    expect(worker().told).toEqual(['close in 250'])
  })

  it('is told when everything has been posted, once, with what is left of the time', async () => {
    const { supervisor, worker, close } = startReady()
    supervisor.post(batchOf('a', { count: 4000 }))
    supervisor.post(batchOf('b'))
    supervisor.post(batchOf('c'))
    close(5000)
    await wait(1500)
    expect(worker().batches.length).toBe(1)
    worker().recorded()
    worker().recorded()
    worker().recorded()
    expect(worker().told.slice(1)).toEqual(['b', 'c', 'close in 3500'])
  })

  it.each([
    { deadlineMs: 5000, givenUpMs: 6000 },
    { deadlineMs: 0, givenUpMs: 1250 },
  ])('within $deadlineMs ms gives up after $givenUpMs ms, and says what is lost', async ({ deadlineMs, givenUpMs }) => {
    const { supervisor, worker, said, close } = startReady()
    supervisor.post(batchOf('a', { count: 2 }))
    supervisor.post(batchOf('b', { count: 3 }))
    const closing = close(deadlineMs)
    await wait(givenUpMs - 1)
    expect([closing.isOver, said]).toEqual([false, []])
    await wait(1)
    expect([closing.isOver, worker().isTerminated, said]).toEqual([true, true, [expect.stringMatching(/ 5 records are lost/)]])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('during a pause waits for the successor', async () => {
    const { supervisor, worker, workers, close } = startReady()
    supervisor.post(batchOf('a'))
    worker().exit()
    const closing = close(5000)
    await wait(100)
    expect([workers.length, worker().told]).toEqual([2, []])
    worker().ready()
    expect(worker().told).toEqual(['a again', 'close in 4900'])
    worker().recorded()
    worker().closed()
    await settle()
    expect([closing.isOver, worker().isTerminated, vi.getTimerCount()]).toEqual([true, true, 0])
  })

  it('during a pause starts none when its time is over', async () => {
    const { supervisor, worker, workers, said, close } = startReady({ pauseMs: 7000 })
    supervisor.post(batchOf('a'))
    worker().exit()
    const closing = close(5000)
    await wait(6000)
    expect([closing.isOver, said.at(-1), vi.getTimerCount()]).toEqual([true, expect.stringMatching(/ 1 records are lost/), 0])
    await wait(60_000)
    expect(workers.length).toBe(1)
  })

  it('is told again to the successor of one that died on the way', async () => {
    const { supervisor, worker, succeed, close } = startReady()
    supervisor.post(batchOf('a'))
    const closing = close(5000)
    expect(worker().told).toEqual(['a', 'close in 5000'])
    await succeed(100)
    worker().ready()
    expect([worker().told, closing.isOver]).toEqual([['a again', 'close in 4900'], false])
  })

  it('is over with a recorder that dies when it has recorded everything', async () => {
    const { supervisor, worker, workers, said, close } = startReady()
    supervisor.post(batchOf('a'))
    const closing = close(5000)
    worker().recorded()
    worker().exit()
    await settle()
    expect([closing.isOver, workers.length, said, vi.getTimerCount()]).toEqual([true, 1, [], 0])
  })

  it('does not count a death before it as its end', async () => {
    const { worker, workers, succeed, close } = startReady()
    await succeed(100)
    worker().ready()
    const closing = close(5000)
    await settle()
    expect([workers.length, worker().told, closing.isOver]).toEqual([2, ['close in 5000'], false])
  })
})

describe('hurry', () => {
  it('before a close gives it 250 ms', async () => {
    const { supervisor, worker, close } = startReady()
    supervisor.hurry()
    expect(vi.getTimerCount()).toBe(0)
    const closing = close(5000)
    expect(worker().told).toEqual(['close in 250'])
    await wait(254)
    expect(closing.isOver).toBe(false)
    await wait(1)
    expect([closing.isOver, worker().isTerminated, vi.getTimerCount()]).toEqual([true, true, 0])
  })

  it('during a close ends it after 250 ms', async () => {
    const { supervisor, worker, said, close } = startReady()
    const closing = close(5000)
    await wait(1000)
    supervisor.hurry()
    expect(worker().told).toEqual(['close in 5000'])
    await wait(254)
    expect(closing.isOver).toBe(false)
    await wait(1)
    expect([closing.isOver, said, vi.getTimerCount()]).toEqual([true, [], 0])
  })

  it('waits for what is not yet recorded', async () => {
    const { supervisor, worker, said, close } = startReady()
    supervisor.post(batchOf('a'))
    const closing = close(5000)
    supervisor.hurry()
    await wait(2000)
    worker().recorded()
    await wait(254)
    expect(closing.isOver).toBe(false)
    await wait(1)
    expect([closing.isOver, said, vi.getTimerCount()]).toEqual([true, [], 0])
  })

  it('waits for that for 3 s', async () => {
    const { supervisor, said, close } = startReady()
    supervisor.post(batchOf('a'))
    const closing = close(5000)
    supervisor.hurry()
    await wait(2999)
    expect(closing.isOver).toBe(false)
    await wait(1)
    expect([closing.isOver, said, vi.getTimerCount()]).toEqual([true, [expect.stringMatching(/ 1 records are lost/)], 0])
  })

  it('ends with the recorder, and leaves no timer', async () => {
    const { supervisor, worker, close } = startReady()
    const closing = close(5000)
    supervisor.hurry()
    await wait(100)
    worker().closed()
    await settle()
    expect([closing.isOver, vi.getTimerCount()]).toEqual([true, 0])
  })
})

describe('other settings', () => {
  const config = cloneableConfig(configOf())

  it('reach the recorder behind what was posted before, also one that is being started, and are in effect when it says so', async () => {
    const { supervisor, worker } = startSupervisor()
    const first = supervisor.use(config)
    worker().ready()
    supervisor.post(batchOf('a'))
    const second = supervisor.use(config)
    expect(worker().told).toEqual(['settings', 'a', 'settings'])
    worker().applied(['one.yaml'])
    expect(await first).toEqual(['one.yaml'])
    worker().applied([])
    expect(await second).toEqual([])
  })

  it('are waited for no longer when the recorder dies, since the next begins with them, or when it is blocked', async () => {
    const { supervisor, worker, succeed } = startReady()
    const lost = supervisor.use(config)
    worker().exit()
    expect([await lost, await supervisor.use(config)]).toEqual([[], []])
    await succeed(100)
    worker().ready()
    const late = supervisor.use(config)
    await wait(10_000)
    expect(await late).toEqual([])
    // Its answer is to that question and to no later one.
    const next = supervisor.use(config)
    worker().applied(['late.yaml'])
    worker().applied(['next.yaml'])
    expect(await next).toEqual(['next.yaml'])
  })
})
