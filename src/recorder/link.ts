/**
 * The proxying thread's end of the recorder: gathers what observers report, and posts one message every few milliseconds. A request that
 * opens and ends between two messages costs one row and no second trip.
 */
import type { Worker } from 'node:worker_threads'
import { type FromRecorder, Gauge, type Packed, type Slice, type ToRecorder } from '../batch.ts'
import type { Ending, Opening } from '../exchange.ts'
import type { Records } from '../observe.ts'
import { createRoster, type Member } from '../roster.ts'
import { toWire } from './wire.ts'

export interface RecorderLink extends Records {
  /** Resolves when the recorder has its ledger and its admin port; rejects with the sentence that mends it. */
  readonly ready: Promise<{ readonly adminPort: number }>
  /** Writes and exports everything, within `deadlineMs`. */
  close(deadlineMs: number): Promise<void>
}

export interface RecorderLinkOptions {
  /** The worker to start; called again when a recorder has died. */
  readonly start: () => Worker
  readonly gauges: Int32Array
  /** A sentence for the operator, on stderr. */
  readonly report: (message: string) => void
}

/** How long records wait for company. It is also the window that a SIGKILL can lose. */
const batchMs = 50
/** A batch is posted at once when it holds this many bytes of bodies. */
const batchBytesMax = 1024 * 1024
/** Endings posted and not yet recorded; beyond this the recorder is too far behind, and records are dropped and counted. */
const inFlightMax = 200_000
/** Beyond this many endings in flight, bodies are left out, so that memory stays bounded while rows are still written. */
const inFlightWithBodiesMax = 20_000
const restartsMax = 5

interface Open extends Member {
  readonly opening: Opening
  /** The opening has been posted in an earlier batch. */
  posted: boolean
  /** It stands in `fresh`: something of it is to be posted. */
  isFresh: boolean
  ended: boolean
  requestBody: readonly Uint8Array[] | undefined
}

interface Ended {
  readonly opening: Opening | undefined
  readonly ending: Ending
  readonly requestBody: readonly Uint8Array[] | undefined
  readonly responseBody: readonly Uint8Array[] | undefined
}

export function createRecorderLink(options: RecorderLinkOptions): RecorderLink {
  const open = createRoster<Open>()
  let fresh: Open[] = []
  let ended: Ended[] = []
  let bodyBytes = 0
  let inFlight = 0
  let timer: NodeJS.Timeout | undefined
  let restarts = 0
  let closing = false
  let markReady: (value: { adminPort: number }) => void
  let markFailed: (error: Error) => void
  let markClosed: () => void
  const ready = new Promise<{ adminPort: number }>((resolve, reject) => {
    markReady = resolve
    markFailed = reject
  })
  ready.catch(() => undefined)
  const closed = new Promise<void>((resolve) => {
    markClosed = resolve
  })

  let worker = begin()

  function begin(): Worker {
    const started = options.start()
    started.on('message', onMessage)
    started.on('error', (error) => onDeath(`The recorder failed: ${error.message}`))
    started.on('exit', (code) => {
      if (closing) markClosed()
      else if (code === 0) onDeath('The recorder stopped.')
    })
    return started
  }

  function onMessage(message: FromRecorder): void {
    switch (message.kind) {
      case 'ready':
        markReady({ adminPort: message.adminPort })
        return
      case 'problem':
        if (message.fatal) markFailed(new Error(message.message))
        options.report(message.message)
        return
      case 'recorded':
        inFlight -= message.ended
        return
      case 'closed':
        markClosed()
    }
  }

  /** What was posted and not recorded is lost with the thread and counted; what is still open is told to its successor. */
  function onDeath(message: string): void {
    markFailed(new Error(message))
    options.report(message)
    if (inFlight > 0) Atomics.add(options.gauges, Gauge.dropped, inFlight)
    inFlight = 0
    if (closing || ++restarts > restartsMax) {
      markClosed()
      return
    }
    for (const one of open.all()) {
      one.posted = false
      refresh(one)
    }
    worker = begin()
    schedule()
  }

  function schedule(): void {
    timer ??= setTimeout(flush, batchMs)
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const batch = pack(fresh, ended)
    fresh = []
    inFlight += ended.length
    ended = []
    bodyBytes = 0
    worker.postMessage({ kind: 'batch', wire: toWire(batch) } satisfies ToRecorder, [batch.bytes.buffer as ArrayBuffer])
  }

  function refresh(one: Open): void {
    if (!one.isFresh) fresh.push(one)
    one.isFresh = true
  }

  function hold(chunks: readonly Uint8Array[] | undefined): void {
    if (chunks !== undefined) for (const chunk of chunks) bodyBytes += chunk.length
    if (bodyBytes > batchBytesMax) flush()
    else schedule()
  }

  function end(one: Open, ending: Ending, responseBody: readonly Uint8Array[] | undefined): void {
    if (one.ended) return
    one.ended = true
    open.remove(one)
    if (inFlight + ended.length >= inFlightMax) {
      Atomics.add(options.gauges, Gauge.dropped, 1)
      return
    }
    const body = inFlight > inFlightWithBodiesMax ? undefined : responseBody
    ended.push({ opening: one.posted ? undefined : one.opening, ending, requestBody: one.requestBody, responseBody: body })
    hold(body)
  }

  return {
    ready,
    opened(opening) {
      const one: Open = { opening, posted: false, isFresh: false, ended: false, requestBody: undefined, place: -1 }
      open.add(one)
      refresh(one)
      schedule()
      return {
        requestRead(body) {
          if (one.ended || body.length === 0 || inFlight > inFlightWithBodiesMax) return
          one.requestBody = body
          refresh(one)
          hold(body)
        },
        ended: (ending, responseBody) => end(one, ending, responseBody),
      }
    },
    async close(deadlineMs) {
      const until = performance.now() + deadlineMs
      // Decoders finish in their own time: an answer that ended a moment ago may still be on its way here.
      while (open.size() > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5))
      flush()
      closing = true
      const left = Math.max(100, until - performance.now())
      worker.postMessage({ kind: 'close', deadlineMs: left } satisfies ToRecorder)
      let giveUp: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        giveUp = setTimeout(resolve, left + 1000)
      })
      await Promise.race([closed, late])
      clearTimeout(giveUp)
      await worker.terminate()
    },
  }
}

function pack(fresh: readonly Open[], ended: readonly Ended[]): Packed {
  const bodies: (readonly Uint8Array[])[] = []
  let total = 0
  const slice = (chunks: readonly Uint8Array[] | undefined): Slice | undefined => {
    if (chunks === undefined) return undefined
    const offset = total
    for (const chunk of chunks) total += chunk.length
    bodies.push(chunks)
    return [offset, total - offset]
  }
  const opened: Opening[] = []
  const requests: { id: string; body: Slice }[] = []
  for (const one of fresh) {
    one.isFresh = false
    if (one.ended) continue
    if (!one.posted) opened.push(one.opening)
    one.posted = true
    const body = slice(one.requestBody)
    one.requestBody = undefined
    if (body !== undefined) requests.push({ id: one.opening.id, body })
  }
  const packedEnded = ended.map(({ opening, ending, requestBody, responseBody }) => ({
    opening,
    ending,
    requestBody: slice(requestBody),
    responseBody: slice(responseBody),
  }))
  const bytes = new Uint8Array(total)
  let at = 0
  for (const chunks of bodies) {
    for (const chunk of chunks) {
      bytes.set(chunk, at)
      at += chunk.length
    }
  }
  return { opened, requests, ended: packedEnded, bytes }
}
