/**
 * The proxying thread's end of the recorder: gathers what observers report, and posts one message every few milliseconds. A request that
 * opens and ends between two messages costs one row and no second trip.
 */
import type { Worker } from 'node:worker_threads'
import type { Ending, Opening } from '../lib/exchange.ts'
import { createRoster, type Member } from '../lib/indexed-set.ts'
import { Cell } from '../lib/shared-counters.ts'
import type { Records } from '../observe/observe.ts'
import { type Body, bodyOf, type Gathered, type GatheredEnd } from './gathered.ts'
import { createSupervisor } from './supervisor.ts'

export interface RecorderLink extends Records {
  /** Resolves when the recorder has its ledger and its admin port; rejects with the sentence that mends it. */
  readonly ready: Promise<{ readonly adminPort: number }>
  /** Writes and exports everything, within `deadlineMs`. */
  close(deadlineMs: number): Promise<void>
  /** What is recorded and not yet exported is no longer waited for. */
  hurry(): void
}

export interface RecorderLinkOptions {
  /** Starts a recorder; `again` when another has died, with the port that its admin server had. */
  readonly start: (again: { readonly adminPort: number } | undefined) => Worker
  readonly cells: Int32Array
  /** A sentence for the operator, on stderr. */
  readonly report: (message: string) => void
  /** The first pause before a recorder is started again. */
  readonly pauseMs?: number
  readonly limits?: Partial<typeof usualLimits>
}

/** How long records wait for company. It is the larger part of the window that a SIGKILL can lose. */
const batchMs = 50
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
  /** It stands in `fresh`: something of it is to be told. */
  isFresh: boolean
  ended: boolean
  requestBody: Body | undefined
  isRequestTold: boolean
  /** Its request's body was told and is kept, and counts in `openBytes`. */
  isRequestKept: boolean
}

export function createRecorderLink(options: RecorderLinkOptions): RecorderLink {
  const { cells } = options
  const { endingsMax, bodyBytesMax, openBytesMax } = { ...usualLimits, ...options.limits }
  const open = createRoster<Open>()
  let fresh: Open[] = []
  let ended: GatheredEnd[] = []
  let batchBytes = 0
  /** Gathered and not yet recorded: endings, and bytes of bodies. */
  let endings = 0
  let bodyBytes = 0
  let openBytes = 0
  let timer: NodeJS.Timeout | undefined
  let isHurried = false

  const supervisor = createSupervisor({
    ...options,
    onDeath() {
      for (const one of open.all()) {
        one.isTold = false
        one.isRequestTold = false
        refresh(one)
      }
      // What has ended since the last batch was gathered is told to a recorder that knows nothing of it either.
      ended = ended.map((one) => ({ ...one, isOpeningTold: false, isRequestTold: false }))
      schedule()
    },
    onDone(batch) {
      endings -= batch.ended.length
      bodyBytes -= bytesOf(batch)
    },
  })

  function schedule(): void {
    timer ??= setTimeout(flush, batchMs)
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const batch = { ...gatherOpen(), ended }
    ended = []
    batchBytes = 0
    for (const { body } of batch.requests) bodyBytes += body.bytes
    if (fresh.length > 0) schedule()
    if (batch.opened.length + batch.requests.length + batch.ended.length > 0) supervisor.post(batch)
  }

  function gatherOpen(): Omit<Gathered, 'ended'> {
    const opened: Opening[] = []
    const requests: { id: string; body: Body }[] = []
    const now = fresh
    fresh = now.length > openingsPerBatchMax ? now.slice(openingsPerBatchMax) : []
    for (const one of now.length > openingsPerBatchMax ? now.slice(0, openingsPerBatchMax) : now) {
      one.isFresh = false
      if (one.ended) continue
      if (!one.isTold) opened.push(one.opening)
      one.isTold = true
      if (one.requestBody === undefined || one.isRequestTold) continue
      requests.push({ id: one.opening.id, body: one.requestBody })
      one.isRequestTold = true
      keepRequest(one, one.requestBody)
    }
    return { opened, requests }
  }

  function keepRequest(one: Open, { bytes }: Body): void {
    if (one.isRequestKept) return
    one.isRequestKept = openBytes + bytes <= openBytesMax
    if (one.isRequestKept) openBytes += bytes
    else one.requestBody = undefined
  }

  function refresh(one: Open): void {
    if (!one.isFresh) fresh.push(one)
    one.isFresh = true
  }

  function hold(body: Body | undefined): void {
    batchBytes += body?.bytes ?? 0
    if (batchBytes > batchBytesMax) flush()
    else schedule()
  }

  function end(one: Open, ending: Ending, chunks: readonly Uint8Array[] | undefined): void {
    if (one.ended) return
    one.ended = true
    open.remove(one)
    const { opening, requestBody, isRequestTold, isTold } = one
    if (one.isRequestKept && requestBody !== undefined) openBytes -= requestBody.bytes
    if (endings >= endingsMax) {
      Atomics.add(cells, Cell.dropped, 1)
      return
    }
    endings++
    const responseBody = affordable(bodyOf(chunks))
    // One that was told costs nothing more now, and is kept for a recorder that might have to be told again.
    const kept = affordable(requestBody)
    ended.push({ opening, ending, isOpeningTold: isTold, isRequestTold, requestBody: kept, responseBody })
    hold(responseBody)
  }

  function affordable(body: Body | undefined): Body | undefined {
    if (body === undefined || bodyBytes + body.bytes > bodyBytesMax) return undefined
    bodyBytes += body.bytes
    return body
  }

  return {
    ready: supervisor.ready,
    opened(opening) {
      const one: Open = {
        ...{ opening, isTold: false, isFresh: false, ended: false, place: -1 },
        ...{ requestBody: undefined, isRequestTold: false, isRequestKept: false },
      }
      open.add(one)
      refresh(one)
      schedule()
      return {
        requestRead(chunks) {
          if (one.ended || chunks.length === 0) return
          const body = bodyOf(chunks) as Body
          if (bodyBytes + body.bytes > bodyBytesMax) return
          if (one.isRequestKept && one.requestBody !== undefined) openBytes -= one.requestBody.bytes // sent anew, with another body
          one.isRequestKept = false
          one.requestBody = body
          one.isRequestTold = false
          refresh(one)
          hold(body)
        },
        ended: (ending, responseBody) => end(one, ending, responseBody),
      }
    },
    async close(deadlineMs) {
      const from = performance.now()
      const isWaiting = () => performance.now() - from < (isHurried ? Math.min(hurriedEndingsMsMax, deadlineMs) : deadlineMs)
      // Decoders finish in their own time: an answer that ended a moment ago may still be on its way here.
      while (open.size() > 0 && isWaiting()) await new Promise((resolve) => setTimeout(resolve, 5))
      do flush()
      while (fresh.length > 0)
      clearTimeout(timer)
      await supervisor.close(Math.max(0, deadlineMs - (performance.now() - from)))
    },
    hurry() {
      isHurried = true
      supervisor.hurry()
    },
  }
}

/** Of all the bodies that a batch keeps. */
function bytesOf({ requests, ended }: Gathered): number {
  let bytes = 0
  for (const { body } of requests) bytes += body.bytes
  for (const { requestBody, responseBody } of ended) bytes += (requestBody?.bytes ?? 0) + (responseBody?.bytes ?? 0)
  return bytes
}
