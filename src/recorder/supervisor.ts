/**
 * Keeps one recorder thread running. A thread that dies is followed by another, without end; that one is told again what its predecessor had not
 * acknowledged. A batch on which recorders die each time is given up and counted.
 */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import type { Peer, RecordsState } from '../admin/front.ts'
import { Cell } from '../lib/shared-counters.ts'
import type { FromRecorder, ToRecorder } from './batch.ts'
import { BatchQueue, deathsMax } from './batch-queue.ts'
import type { CloneableConfig } from './data.ts'
import type { PendingBatch } from './pending-batch.ts'

export interface SupervisorOptions {
  /** Starts a recorder's thread, again when another has died. */
  readonly start: (restarted: boolean) => Worker
  readonly cells: Int32Array
  /** A sentence for the operator, on stderr. */
  readonly report: (message: string) => void
  /** A recorder has died: its successor knows of nothing that is open. */
  readonly onDeath: () => void
  /** A batch, or what was open in it, has been recorded, given up or outdated: nothing of it is kept any more. */
  readonly onDone: (batch: PendingBatch) => void
  /** The first pause before a recorder is started again; it doubles up to 10 s. */
  readonly pauseMs?: number | undefined
}

const pauseUsualMs = 100
const pauseMsMax = 10_000
/** How long a hurried end waits for what is not yet recorded. */
const hurryMsMax = 3000
const hurriedCloseMs = 250
/** A batch that has waited longer is told of. */
const silenceMsMax = 5000
/** A change of the settings does not wait longer for a recorder. */
const applyMsMax = 10_000
/** Beyond the recorder's own deadline, for its answer to arrive. */
const answerMsMax = 1000

/** `starting` → `running` → (`pausing` → `starting` → `running`)*; it may be closing in any of them. */
type State =
  | { readonly kind: 'starting'; readonly worker: Worker }
  | { readonly kind: 'running'; readonly worker: Worker }
  | { readonly kind: 'pausing'; readonly restart: NodeJS.Timeout }
  | { readonly kind: 'ended' }

export class Supervisor {
  /** Resolves when the first recorder has its ledger; rejects with what to do about it. */
  readonly ready: Promise<void>
  readonly #options: SupervisorOptions
  readonly #queue = new BatchQueue()
  readonly #first = Promise.withResolvers<void>()
  /** With how many records the recorder says are lost; undefined when it said nothing any more. */
  readonly #closed = Promise.withResolvers<number | undefined>()
  #state: State = { kind: 'ended' }
  /** A recorder has been ready. */
  #wasReady = false
  #told: RecordsState = { instance: undefined, problems: [] }
  #pauseMs: number
  /** `performance.now()` by which it is to be closed. */
  #closeUntil: number | undefined
  #isCloseTold = false
  /** Who waits for settings to be in effect, in their order. */
  #applying: ((files: readonly string[]) => void)[] = []
  #isHurried = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#pauseMs = options.pauseMs ?? pauseUsualMs
    this.ready = this.#first.promise
    this.ready.catch(() => undefined)
    this.#begin()
  }

  post(batch: PendingBatch): void {
    this.#queue.add(batch)
    this.#pump()
  }

  /** What the recorder said last, and what it may not be able to say. */
  state(): RecordsState {
    const { problems } = this.#told
    if (!this.#wasReady) return this.#told
    const { waitedMs, endings } = this.#queue
    if (this.#state.kind !== 'running')
      return { ...this.#told, problems: [`The recorder died and is started again; ${endings} records wait.`, ...problems] }
    if (waitedMs < silenceMsMax) return this.#told
    const silent = `The recorder has taken nothing for ${Math.round(waitedMs / 1000)} s: it is blocked or too slow; ${endings} records wait.`
    return { ...this.#told, problems: [silent, ...problems] }
  }

  connect(peer: Peer): MessagePort | undefined {
    if (this.#state.kind !== 'running') return undefined
    const { port1, port2 } = new MessageChannel()
    this.#state.worker.postMessage({ kind: 'admin', port: port2, peer } satisfies ToRecorder, [port2])
    return port1
  }

  /** `message` is asked for only where a recorder is ready to take it. */
  tell(message: () => ToRecorder | undefined): void {
    if (this.#state.kind !== 'running') return
    const told = message()
    if (told !== undefined) this.#state.worker.postMessage(told)
  }

  /** Settings for the recorder of now; `start` has to give them to the next. Resolves when they are in effect, with the files that were read again. */
  async use(config: CloneableConfig): Promise<readonly string[]> {
    const state = this.#state
    if (state.kind !== 'starting' && state.kind !== 'running') return []
    const applied = Promise.withResolvers<readonly string[]>()
    this.#applying.push(applied.resolve)
    // One that is blocked takes them when it goes on.
    const late = setTimeout(applied.resolve, applyMsMax, [])
    state.worker.postMessage({ kind: 'settings', config } satisfies ToRecorder)
    return applied.promise.finally(() => clearTimeout(late))
  }

  /** Writes and exports everything within `deadlineMs`; resolves always, with the thread ended, and with how many records are lost. */
  async close(deadlineMs: number): Promise<number> {
    this.#closeUntil = performance.now() + deadlineMs
    const giveUp = setTimeout(this.#closed.resolve, Math.max(hurriedCloseMs, deadlineMs) + answerMsMax, undefined)
    // One that never became ready answers all the same.
    if (!this.#wasReady && this.#state.kind === 'starting') this.#tellClose(this.#state.worker, this.#closeUntil)
    if (this.#isHurried) this.#endSoon()
    this.#pump()
    const lost = await this.#closed.promise
    clearTimeout(giveUp)
    const { endings } = this.#queue
    // Of a recorder that said nothing any more: what it had taken and could not write.
    const unwritten = lost === undefined ? Atomics.load(this.#options.cells, Cell.rowsWaiting) : 0
    if (endings + unwritten > 0) this.#options.report(`The recorder gave up: ${endings + unwritten} records are lost.`)
    const state = this.#state
    this.#state = { kind: 'ended' }
    if (state.kind === 'pausing') clearTimeout(state.restart)
    else if (state.kind !== 'ended') await state.worker.terminate()
    return endings + unwritten + (lost ?? 0)
  }

  /** What is not yet exported is no longer waited for, only what is not yet recorded, for a moment. */
  hurry(): void {
    this.#isHurried = true
    if (this.#closeUntil !== undefined) this.#endSoon()
  }

  #begin(): void {
    const isFirst = !this.#wasReady
    const worker = this.#options.start(!isFirst)
    this.#state = { kind: 'starting', worker }
    const isOurs = () => (this.#state.kind === 'starting' || this.#state.kind === 'running') && this.#state.worker === worker
    let problem = 'The recorder stopped.'
    worker.on('message', (message: FromRecorder) => {
      if (!isOurs()) return
      if (message.kind === 'problem' && message.fatal) {
        problem = message.message
        // At the first start it waits to be closed; a later one is tried again.
        if (!isFirst) return void worker.terminate()
        this.#first.reject(new Error(message.message))
      }
      this.#onMessage(message, worker)
    })
    worker.on('error', (error) => {
      problem = `The recorder failed: ${error.message}`
    })
    worker.on('exit', () => {
      if (isOurs()) this.#onExit(problem)
    })
  }

  #onMessage(message: FromRecorder, worker: Worker): void {
    switch (message.kind) {
      case 'ready':
        this.#state = { kind: 'running', worker }
        this.#wasReady = true
        this.#first.resolve()
        this.#pump()
        return
      case 'state':
        this.#told = message.state
        return
      case 'problem':
        this.#options.report(message.message)
        return
      case 'recorded':
        this.#pauseMs = this.#options.pauseMs ?? pauseUsualMs
        this.#onRecorded()
        return
      case 'applied':
        this.#applying.shift()?.(message.files)
        return
      case 'closed':
        this.#closed.resolve(message.lost)
    }
  }

  #onRecorded(): void {
    const batch = this.#queue.acknowledge()
    if (batch === undefined) return
    this.#options.onDone(batch)
    this.#pump()
  }

  /** Posts as much as the recorder may have before it. */
  #pump(): void {
    if (this.#state.kind !== 'running') return
    const { worker } = this.#state
    for (let next = this.#queue.next(); next !== undefined; next = this.#queue.next()) {
      const message: ToRecorder = { kind: 'batch', batch: next.batch, ...(next.isResent ? { resent: true } : {}) }
      worker.postMessage(message, [next.batch.bytes.buffer as ArrayBuffer])
    }
    if (this.#closeUntil !== undefined && this.#queue.isAllPosted) this.#tellClose(worker, this.#closeUntil)
  }

  #tellClose(worker: Worker, until: number): void {
    if (this.#isCloseTold) return
    this.#isCloseTold = true
    const deadlineMs = this.#isHurried ? hurriedCloseMs : Math.max(hurriedCloseMs, until - performance.now())
    worker.postMessage({ kind: 'close', deadlineMs } satisfies ToRecorder)
  }

  #onExit(problem: string): void {
    this.#state = { kind: 'ended' }
    this.#isCloseTold = false
    for (const resolve of this.#applying.splice(0)) resolve([])
    if (!this.#wasReady) {
      this.#first.reject(new Error(problem))
      this.#closed.resolve(undefined)
      return
    }
    const { givenUp, outdated } = this.#queue.recorderDied()
    if (givenUp !== undefined) this.#giveUp(givenUp)
    outdated.forEach(this.#options.onDone)
    this.#options.onDeath()
    // All is recorded; what it was exporting stays for the next start.
    if (this.#closeUntil !== undefined && this.#queue.isEmpty) this.#closed.resolve(undefined)
    else this.#restartLater(problem)
  }

  #restartLater(problem: string): void {
    const pauseMs = this.#pauseMs
    this.#options.report(`${problem} It is started again in ${pauseMs} ms; what it had not recorded is told to its successor.`)
    const restart = setTimeout(() => {
      Atomics.add(this.#options.cells, Cell.recorderRestarts, 1)
      try {
        this.#begin()
      } catch (error) {
        this.#onExit(`The recorder could not be started: ${error instanceof Error ? error.message : String(error)}.`)
      }
    }, pauseMs)
    this.#state = { kind: 'pausing', restart }
    this.#pauseMs = Math.min(pauseMs * 2, pauseMsMax)
  }

  #giveUp(batch: PendingBatch): void {
    Atomics.add(this.#options.cells, Cell.lostWithRecorder, batch.ended.length)
    this.#options.report(`${deathsMax} recorders died on the same ${batch.ended.length} records, which are dropped and counted.`)
    this.#options.onDone(batch)
  }

  /** One that is closing has everything recorded but its last batches, and waits only for a collector. */
  #endSoon(): void {
    let giveUp = setTimeout(this.#closed.resolve, hurryMsMax, undefined)
    const isRecorded = setInterval(() => {
      if (!this.#queue.isEmpty) return
      clearInterval(isRecorded)
      clearTimeout(giveUp)
      giveUp = setTimeout(this.#closed.resolve, hurriedCloseMs, undefined)
    }, 5)
    this.#closed.promise.finally(() => {
      clearInterval(isRecorded)
      clearTimeout(giveUp)
    })
  }
}
