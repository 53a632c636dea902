/**
 * Keeps one recorder thread running, and every batch until it has been recorded. A thread that dies is followed by another, without end; that
 * one is told again what its predecessor had not acknowledged. A batch on which recorders die each time is given up and counted.
 */
import type { Worker } from 'node:worker_threads'
import { Cell } from '../lib/shared-counters.ts'
import type { FromRecorder, ToRecorder } from './batch.ts'
import { type Gathered, packed } from './gathered.ts'
import { toWire } from './wire.ts'

export interface SupervisorOptions {
  /** Starts a recorder's thread; `again` when another has died, with the port that its admin server had. */
  readonly start: (again: { readonly adminPort: number } | undefined) => Worker
  readonly cells: Int32Array
  /** A sentence for the operator, on stderr. */
  readonly report: (message: string) => void
  /** A recorder has died: its successor knows of nothing that is open. */
  readonly onDeath: () => void
  /** A batch has been recorded or given up: nothing of it is kept any more. */
  readonly onDone: (batch: Gathered) => void
  /** The first pause before a recorder is started again; it doubles up to 10 s. */
  readonly pauseMs?: number | undefined
}

export interface Supervisor {
  /** Resolves when the first recorder has its ledger and its admin port; rejects with the sentence that mends it. */
  readonly ready: Promise<{ readonly adminPort: number }>
  post(batch: Gathered): void
  /** Writes and exports everything within `deadlineMs`; resolves always, with the thread ended. */
  close(deadlineMs: number): Promise<void>
  /** What is not yet exported is no longer waited for, only what is not yet recorded, for a moment. */
  hurry(): void
}

/** Endings that one recorder may have before it: what waits beyond them is packed when its turn comes, so a long queue holds up nothing. */
const endingsUnderWayMax = 4000
const pauseUsualMs = 100
const pauseMsMax = 10_000
/** Deaths with the same batch first in the queue: then its bodies are left out, then it is given up. */
const deathsWithBodiesMax = 2
const deathsMax = 3
/** How long a hurried end waits for what is not yet recorded. */
const hurryMsMax = 3000
const hurriedCloseMs = 250
/** Beyond the recorder's own deadline, for its answer to arrive. */
const answerMsMax = 1000

interface Waiting {
  readonly batch: Gathered
  /** The recorder for which it was gathered, counted from 0. */
  readonly recorder: number
  isPosted: boolean
  deaths: number
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { cells, report, onDeath, onDone, pauseMs: pauseFirstMs = pauseUsualMs } = options
  /** Oldest first; what has been posted to the recorder of now stands before the rest. */
  const queue: Waiting[] = []
  let posted = 0
  let endingsUnderWay = 0
  let recorder = 0
  let worker: Worker | undefined
  let isReady = false
  let adminPort: number | undefined
  let pauseMs = pauseFirstMs
  let restart: NodeJS.Timeout | undefined
  let closeUntil: number | undefined
  let isCloseTold = false
  let isHurried = false
  const first = Promise.withResolvers<{ adminPort: number }>()
  first.promise.catch(() => undefined)
  const closed = Promise.withResolvers<void>()

  begin()

  function begin(): void {
    restart = undefined
    const started = options.start(adminPort === undefined ? undefined : { adminPort })
    worker = started
    let problem = 'The recorder stopped.'
    started.on('message', (message: FromRecorder) => {
      if (worker !== started) return
      if (message.kind === 'problem' && message.fatal) {
        problem = message.message
        // At the first start it waits to be closed; a later one is tried again.
        if (adminPort !== undefined) {
          void started.terminate()
          return
        }
        first.reject(new Error(message.message))
      }
      onMessage(message)
    })
    started.on('error', (error) => {
      problem = `The recorder failed: ${error.message}`
    })
    started.on('exit', () => {
      if (worker === started) onExit(problem)
    })
  }

  function onMessage(message: FromRecorder): void {
    switch (message.kind) {
      case 'ready':
        isReady = true
        adminPort = message.adminPort
        first.resolve({ adminPort: message.adminPort })
        pump()
        return
      case 'problem':
        report(message.message)
        return
      case 'recorded':
        pauseMs = pauseFirstMs
        acknowledge()
        return
      case 'closed':
        closed.resolve()
    }
  }

  function acknowledge(): void {
    if (posted === 0) return
    posted--
    const { batch } = queue.shift() as Waiting
    endingsUnderWay -= batch.ended.length
    onDone(batch)
    pump()
  }

  function pump(): void {
    if (worker === undefined || !isReady) return
    while (posted < queue.length && (posted === 0 || endingsUnderWay < endingsUnderWayMax)) post(worker, queue[posted] as Waiting)
    if (closeUntil !== undefined && posted === queue.length) tellClose(worker, closeUntil)
  }

  function post(to: Worker, one: Waiting): void {
    const batch = packed(one.batch, { isAnew: one.recorder !== recorder, withBodies: one.deaths < deathsWithBodiesMax })
    const message: ToRecorder = { kind: 'batch', wire: toWire(batch), ...(one.isPosted ? { resent: true } : {}) }
    to.postMessage(message, [batch.bytes.buffer as ArrayBuffer])
    one.isPosted = true
    posted++
    endingsUnderWay += one.batch.ended.length
  }

  function tellClose(to: Worker, until: number): void {
    if (isCloseTold) return
    isCloseTold = true
    const deadlineMs = isHurried ? hurriedCloseMs : Math.max(hurriedCloseMs, until - performance.now())
    to.postMessage({ kind: 'close', deadlineMs } satisfies ToRecorder)
  }

  function onExit(problem: string): void {
    const wasReady = isReady
    worker = undefined
    isReady = false
    isCloseTold = false
    if (adminPort === undefined) {
      first.reject(new Error(problem))
      closed.resolve()
      return
    }
    if (wasReady && posted > 0) blame(queue[0] as Waiting)
    posted = 0
    endingsUnderWay = 0
    recorder++
    onDeath()
    if (closeUntil !== undefined && queue.length === 0) {
      closed.resolve() // all is recorded; what it was exporting stays for the next start
      return
    }
    report(`${problem} It is started again in ${pauseMs} ms; what it had not recorded is told to its successor.`)
    restart = setTimeout(() => {
      Atomics.add(cells, Cell.recorderRestarts, 1)
      try {
        begin()
      } catch (error) {
        onExit(`The recorder could not be started: ${error instanceof Error ? error.message : String(error)}.`)
      }
    }, pauseMs)
    pauseMs = Math.min(pauseMs * 2, pauseMsMax)
  }

  function blame(one: Waiting): void {
    if (++one.deaths < deathsMax) return
    queue.shift()
    Atomics.add(cells, Cell.lostWithRecorder, one.batch.ended.length)
    report(`${deathsMax} recorders died on the same ${one.batch.ended.length} records, which are dropped and counted.`)
    onDone(one.batch)
  }

  /** One that is closing has everything recorded but its last batches, and waits only for a collector. */
  function endSoon(): void {
    const isRecorded = setInterval(() => {
      if (queue.length > 0) return
      clearInterval(isRecorded)
      setTimeout(closed.resolve, hurriedCloseMs)
    }, 5)
    const giveUp = setTimeout(closed.resolve, hurryMsMax)
    closed.promise.finally(() => {
      clearInterval(isRecorded)
      clearTimeout(giveUp)
    })
  }

  return {
    ready: first.promise,
    post(batch) {
      queue.push({ batch, recorder, isPosted: false, deaths: 0 })
      pump()
    },
    async close(deadlineMs) {
      closeUntil = performance.now() + deadlineMs
      const giveUp = setTimeout(closed.resolve, Math.max(hurriedCloseMs, deadlineMs) + answerMsMax)
      if (adminPort === undefined && worker !== undefined) tellClose(worker, closeUntil) // it never became ready, and answers all the same
      if (isHurried) endSoon()
      pump()
      await closed.promise
      clearTimeout(giveUp)
      clearTimeout(restart)
      if (queue.length > 0)
        report(`The recorder gave up: ${queue.reduce((sum, { batch }) => sum + batch.ended.length, 0)} records are lost.`)
      await worker?.terminate()
    },
    hurry() {
      isHurried = true
      if (closeUntil !== undefined) endSoon()
    },
  }
}
