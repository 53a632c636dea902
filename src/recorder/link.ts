/**
 * The proxying thread's end of the recorder: gathers what observers report, and posts one message every few milliseconds. A request that
 * opens and ends between two messages costs one row and no second trip.
 */
import type { MessagePort, Worker } from 'node:worker_threads'
import type { Peer, RecordsState } from '../admin/front.ts'
import type { Config } from '../config/config.ts'
import type { Ending, Opening } from '../lib/exchange.ts'
import { createIndexedSet, type Member } from '../lib/indexed-set.ts'
import { Cell } from '../lib/shared-counters.ts'
import type { UpstreamChange } from '../lib/upstream-health.ts'
import type { ExchangeLog, OpenExchange } from '../observe/observe.ts'
import { cloneableConfig } from './data.ts'
import { type BufferedBody, bodyOf, bytesOf, type PendingBatch, type PendingEnd } from './pending-batch.ts'
import { Supervisor } from './supervisor.ts'

export interface RecorderLinkOptions {
  /** Starts a recorder, again when another has died. */
  readonly start: (restarted: boolean) => Worker
  readonly cells: Int32Array
  /** A sentence for the operator, on stderr. */
  readonly report: (message: string) => void
  /** The first pause before a recorder is started again. */
  readonly pauseMs?: number
  readonly limits?: Partial<typeof usualLimits>
}

/** How long records wait for company. It is the larger part of the window that a SIGKILL can lose. */
const batchMs = 50
const upstreamsMs = 1000
/** A batch is posted at once when it holds this many bytes of bodies. */
const batchBytesMax = 1024 * 1024
/** Openings told in one batch: after a recorder's death, thousands are told again, and streams must not wait for that. */
const openingsPerBatchMax = 500
/** How long an end waits for decoders to say how their answers ended. */
const hurriedEndingsMsMax = 1000

const usualLimits = {
  /** Endings posted and not yet recorded; beyond this the recorder is too far behind, and records are dropped and counted. */
  endingsMax: 100_000,
  /** Bodies of batches that are not yet recorded; beyond this they are left out, while rows are still written. */
  bodyBytesMax: 64 * 1024 * 1024,
  /** Request bodies of what is open, kept after they were told for a recorder that might have to be told again. */
  openBytesMax: 32 * 1024 * 1024,
}

interface Open extends Member {
  readonly opening: Opening
  /** The recorder of now has been told of the opening. */
  isTold: boolean
  /** Something of it is to be told. */
  isFresh: boolean
  isEnded: boolean
  requestBody: BufferedBody | undefined
  isRequestTold: boolean
  /** Its request's body was told, is held for another recorder, and counts in `#openBytes`. */
  isRequestHeld: boolean
}

export class RecorderLink implements ExchangeLog {
  /** Resolves when the recorder has its ledger; rejects with what to do about it. */
  readonly ready: Promise<void>
  readonly #cells: Int32Array
  readonly #limits: typeof usualLimits
  readonly #supervisor: Supervisor
  readonly #open = createIndexedSet<Open>()
  /** Of which something is to be told. */
  #fresh: Open[] = []
  #ended: PendingEnd[] = []
  /** Of bodies that came since the last batch. */
  #batchBytes = 0
  /** Gathered and not yet recorded: endings, and bytes of bodies. */
  #endings = 0
  #bodyBytes = 0
  #openBytes = 0
  #timer: NodeJS.Timeout | undefined
  #isHurried = false
  #tellUpstreams = () => {}

  constructor(options: RecorderLinkOptions) {
    this.#cells = options.cells
    this.#limits = { ...usualLimits, ...options.limits }
    this.#supervisor = new Supervisor({
      ...options,
      onDeath: () => this.#tellAgain(),
      onDone: (batch) => {
        this.#endings -= batch.ended.length
        Atomics.store(this.#cells, Cell.unrecorded, this.#endings)
        this.#bodyBytes -= bytesOf(batch)
      },
    })
    this.ready = this.#supervisor.ready
  }

  opened(opening: Opening): OpenExchange {
    const one: Open = {
      opening,
      isTold: false,
      isFresh: false,
      isEnded: false,
      place: -1,
      requestBody: undefined,
      isRequestTold: false,
      isRequestHeld: false,
    }
    this.#open.add(one)
    this.#refresh(one)
    this.#schedule()
    return {
      requestRead: (chunks) => this.#requestRead(one, chunks),
      ended: (ending, responseBody) => this.#end(one, ending, responseBody),
    }
  }

  /** Whether what is served is also recorded. */
  state(): RecordsState {
    const state = this.#supervisor.state()
    const dropped = Atomics.load(this.#cells, Cell.dropped) + Atomics.load(this.#cells, Cell.lostWithRecorder)
    if (dropped === 0) return state
    const problem = `${dropped} requests are not recorded: the recorder was too far behind or died on them.`
    return { ...state, problems: [...state.problems, problem] }
  }

  /** A connection to the recorder's admin server; undefined while there is none. */
  connect(peer: Peer): MessagePort | undefined {
    return this.#supervisor.connect(peer)
  }

  /** What has ended is concluded before these settings hold. Resolves when they do, with the files that were read again. */
  use(config: Config): Promise<readonly string[]> {
    this.#flush()
    return this.#supervisor.use(cloneableConfig(config))
  }

  /** Tells the recorder, every second and at the end, what upstreams did. `changes` is asked for only where there is a recorder to tell. */
  followUpstreams(changes: () => readonly UpstreamChange[]): void {
    const tell = () =>
      this.#supervisor.tell(() => {
        const found = changes()
        return found.length === 0 ? undefined : { kind: 'upstreams', changes: found }
      })
    this.#tellUpstreams = tell
    setInterval(tell, upstreamsMs).unref()
  }

  /** Writes and exports everything, within `deadlineMs`. How many records are lost, which it has said. */
  async close(deadlineMs: number): Promise<number> {
    this.#tellUpstreams()
    const from = performance.now()
    const isWaiting = () => performance.now() - from < (this.#isHurried ? Math.min(hurriedEndingsMsMax, deadlineMs) : deadlineMs)
    // Decoders finish in their own time: an answer that ended a moment ago may still be on its way here.
    while (this.#open.size() > 0 && isWaiting()) await new Promise((resolve) => setTimeout(resolve, 5))
    do this.#flush()
    while (this.#fresh.length > 0)
    return await this.#supervisor.close(Math.max(0, deadlineMs - (performance.now() - from)))
  }

  /** What is recorded and not yet exported is no longer waited for. */
  hurry(): void {
    this.#isHurried = true
    this.#supervisor.hurry()
  }

  #requestRead(one: Open, chunks: readonly Uint8Array[]): void {
    if (one.isEnded || chunks.length === 0) return
    const body = bodyOf(chunks) as BufferedBody
    if (this.#bodyBytes + body.bytes > this.#limits.bodyBytesMax) return
    this.#releaseRequest(one) // sent anew, with another body
    one.requestBody = body
    one.isRequestTold = false
    this.#refresh(one)
    this.#hold(body)
  }

  #end(one: Open, ending: Ending, chunks: readonly Uint8Array[] | undefined): void {
    if (one.isEnded) return
    one.isEnded = true
    this.#open.remove(one)
    this.#releaseRequest(one)
    if (this.#endings >= this.#limits.endingsMax) {
      Atomics.add(this.#cells, Cell.dropped, 1)
      return
    }
    this.#endings++
    const { opening, isTold: isOpeningTold, isRequestTold } = one
    const responseBody = this.#affordable(bodyOf(chunks))
    // One that was told costs nothing more now, and is kept for a recorder that might have to be told again.
    const requestBody = this.#affordable(one.requestBody)
    this.#ended.push({ opening, ending, isOpeningTold, isRequestTold, requestBody, responseBody })
    this.#hold(responseBody)
  }

  /** A recorder has died: its successor is told of all that is open, and of what has ended since the last batch. */
  #tellAgain(): void {
    for (const one of this.#open.all()) {
      one.isTold = false
      one.isRequestTold = false
      this.#refresh(one)
    }
    this.#ended = this.#ended.map((one) => ({ ...one, isOpeningTold: false, isRequestTold: false }))
    this.#schedule()
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), batchMs)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch: PendingBatch = { ...this.#gatherOpen(), ended: this.#ended }
    this.#ended = []
    this.#batchBytes = 0
    for (const { body } of batch.requests) this.#bodyBytes += body.bytes
    Atomics.store(this.#cells, Cell.unrecorded, this.#endings)
    if (this.#fresh.length > 0) this.#schedule()
    if (batch.opened.length + batch.requests.length + batch.ended.length > 0) this.#supervisor.post(batch)
  }

  #gatherOpen(): Omit<PendingBatch, 'ended'> {
    const opened: Opening[] = []
    const requests: { id: string; body: BufferedBody }[] = []
    for (const one of this.#takeFresh()) {
      one.isFresh = false
      if (one.isEnded) continue
      if (!one.isTold) opened.push(one.opening)
      one.isTold = true
      if (one.requestBody === undefined || one.isRequestTold) continue
      requests.push({ id: one.opening.id, body: one.requestBody })
      one.isRequestTold = true
      this.#holdRequest(one, one.requestBody)
    }
    return { opened, requests }
  }

  #takeFresh(): readonly Open[] {
    const fresh = this.#fresh
    this.#fresh = fresh.length > openingsPerBatchMax ? fresh.slice(openingsPerBatchMax) : []
    return fresh.length > openingsPerBatchMax ? fresh.slice(0, openingsPerBatchMax) : fresh
  }

  #holdRequest(one: Open, { bytes }: BufferedBody): void {
    if (one.isRequestHeld) return
    one.isRequestHeld = this.#openBytes + bytes <= this.#limits.openBytesMax
    if (one.isRequestHeld) this.#openBytes += bytes
    else one.requestBody = undefined
  }

  #releaseRequest(one: Open): void {
    if (one.isRequestHeld && one.requestBody !== undefined) this.#openBytes -= one.requestBody.bytes
    one.isRequestHeld = false
  }

  #refresh(one: Open): void {
    if (!one.isFresh) this.#fresh.push(one)
    one.isFresh = true
  }

  #hold(body: BufferedBody | undefined): void {
    this.#batchBytes += body?.bytes ?? 0
    if (this.#batchBytes > batchBytesMax) this.#flush()
    else this.#schedule()
  }

  #affordable(body: BufferedBody | undefined): BufferedBody | undefined {
    if (body === undefined || this.#bodyBytes + body.bytes > this.#limits.bodyBytesMax) return undefined
    this.#bodyBytes += body.bytes
    return body
  }
}
