/**
 * The proxying thread's half of observation: keeps account of one exchange, folds a streamed answer message by message, and leaves
 * whole bodies to the recorder thread, where no parse can delay a chunk. Joins frames and formats into the observer that proxy/ talks to.
 */

import type { Clock } from '../lib/clock.ts'
import type { Ending, Opening, Outcome } from '../lib/exchange.ts'
import { Cell } from '../lib/shared-counters.ts'
import { pickHeaders } from '../proxy/headers.ts'
import type { Observer, ResponseHead } from '../proxy/observer.ts'
import { Collected } from './collected.ts'
import { tellsRateLimit } from './rate-limits.ts'
import { type ReadingOptions, ResponseReader } from './response.ts'
import { SessionReader } from './session.ts'

/** Where openings, request bodies and endings go; see `recorder/link.ts`. Bodies are handed over, never kept by the observer. */
export interface ExchangeLog {
  opened(opening: Opening): OpenExchange
}

/** One exchange's way to the recorder. */
export interface OpenExchange {
  requestRead(body: readonly Uint8Array[]): void
  ended(ending: Ending, responseBody: readonly Uint8Array[] | undefined): void
}

export interface ObserveOptions extends ReadingOptions {
  readonly records: ExchangeLog
  readonly clock: Clock
  readonly cells: Int32Array
  /** Upper bounds of the chunk-overhead histogram's buckets, in microseconds, ascending. */
  readonly overheadBucketsMicros: readonly number[]
  /** Response headers copied into the ending, lower-case. */
  readonly observedHeaders: ReadonlySet<string>
}

export function createObserve(options: ObserveOptions): (opening: Opening) => Observer {
  return (opening) => new ExchangeObserver(opening, options)
}

class ExchangeObserver implements Observer {
  readonly #opening: Opening
  readonly #options: ObserveOptions
  readonly #startedAt: number
  #requestBody: Collected
  readonly #record: OpenExchange
  readonly #notes = new Set<string>()
  #requestHandedOver = false
  #requestSentAt: number | undefined
  #headAt: number | undefined
  #responseHeaders: Record<string, string> = {}
  #reader: ResponseReader | SessionReader | undefined
  #sentBytes = 0
  #responseBytes = 0
  #chunkCount = 0
  #firstChunkAt: number | undefined
  #lastChunkAt: number | undefined
  #firstByteOverheadMs: number | undefined
  #goneAt: number | undefined
  #bytesWhenGone = 0
  #caller: string | undefined
  #claims: Opening['labelInputs']

  constructor(opening: Opening, options: ObserveOptions) {
    this.#opening = opening
    this.#options = options
    this.#startedAt = options.clock.now()
    this.#requestBody = new Collected(options.bodyBytesMax, options.copies)
    this.#record = options.records.opened(opening)
  }

  requestData(chunk: Uint8Array): void {
    this.#sentBytes += chunk.length
    if (this.#reader instanceof SessionReader) this.#reader.pushSent(chunk)
    else this.#requestBody.push(chunk)
  }

  requestEnd(): void {
    this.#requestSentAt = this.#options.clock.now()
    this.#handOverRequest()
  }

  requestAgain(): void {
    this.#requestBody.handOver()
    this.#requestBody = new Collected(this.#options.bodyBytesMax, this.#options.copies)
    this.#sentBytes = 0
    this.#requestHandedOver = false
  }

  note(text: string): void {
    this.#notes.add(text)
  }

  caller(name: string | undefined, claims?: Opening['labelInputs']): void {
    this.#caller = name
    this.#claims = claims
  }

  responseStart(head: ResponseHead, receivedAt: number): void {
    this.#headAt = receivedAt
    this.#responseHeaders = pickHeaders(head.rawHeaders, this.#options.observedHeaders, tellsRateLimit)
    this.#reader =
      head.status === 101
        ? this.#sessionReader(head)
        : new ResponseReader(this.#opening, head.status, this.#responseHeaders, this.#options, this.#notes)
  }

  responseData(chunk: Uint8Array, receivedAt: number): void {
    this.#countOverhead(receivedAt)
    this.#responseBytes += chunk.length
    this.#chunkCount++
    this.#firstChunkAt ??= receivedAt
    this.#lastChunkAt = receivedAt
    try {
      this.#reader?.push(chunk, receivedAt)
    } catch {
      this.#reader?.wholeBody()
      this.#reader = undefined
      this.#notes.add('observer_failed')
      Atomics.add(this.#options.cells, Cell.observerFailed, 1)
    }
  }

  clientGone(): void {
    this.#goneAt = this.#options.clock.now()
    this.#bytesWhenGone = this.#responseBytes
  }

  end(outcome: Outcome, statusSent: number | undefined): void {
    const endedAt = this.#options.clock.now()
    this.#handOverRequest()
    const reader = this.#reader
    const finish = () => {
      const seen = reader instanceof SessionReader ? reader.outcomeOf(outcome) : outcome
      this.#record.ended(this.#ending(seen, statusSent, endedAt, reader), reader?.wholeBody())
    }
    if (reader === undefined) finish()
    else reader.end(finish)
  }

  #sessionReader({ rawHeaders }: ResponseHead): SessionReader {
    return new SessionReader({
      opening: this.#opening,
      rawHeaders,
      messageBytesMax: this.#options.messageBytesMax,
      elapsedMs: () => this.#options.clock.now() - this.#startedAt,
      note: (text) => this.#notes.add(text),
    })
  }

  #handOverRequest(): void {
    if (this.#requestHandedOver) return
    this.#requestHandedOver = true
    if (this.#requestBody.overflowed && !this.#requestBody.settle()) this.#notes.add('request_limit_hit')
    this.#record.requestRead(this.#requestBody.handOver())
  }

  /** One cell of the shared histogram; a linear look from the fast end, because nearly every chunk lands in the first few buckets. */
  #countOverhead(receivedAt: number): void {
    const overheadMs = this.#options.clock.now() - receivedAt
    this.#firstByteOverheadMs ??= overheadMs
    const bounds = this.#options.overheadBucketsMicros
    const micros = overheadMs * 1000
    let bucket = 0
    while (bucket < bounds.length && micros > (bounds[bucket] as number)) bucket++
    Atomics.add(this.#options.cells, Cell.chunkOverhead + bucket, 1)
  }

  #ending(outcome: Outcome, status: number | undefined, endedAt: number, reader: ResponseReader | SessionReader | undefined): Ending {
    const since = (moment: number | undefined) => (moment === undefined ? undefined : moment - this.#startedAt)
    return {
      id: this.#opening.id,
      outcome,
      status,
      responseHeaders: this.#responseHeaders,
      streamed: reader?.streamed ?? false,
      framing: reader?.framing ?? 'none',
      contentEncoding: reader?.encoding,
      requestBytes: this.#sentBytes,
      responseBytes: this.#responseBytes,
      requestSentMs: since(this.#requestSentAt),
      responseHeadMs: since(this.#headAt),
      firstChunkMs: since(this.#firstChunkAt),
      lastChunkMs: since(this.#lastChunkAt),
      firstToken: reader instanceof ResponseReader ? reader.firstToken(this.#startedAt) : undefined,
      endMs: endedAt - this.#startedAt,
      drained: this.#goneAt === undefined ? undefined : { ms: endedAt - this.#goneAt, bytes: this.#responseBytes - this.#bytesWhenGone },
      chunkCount: this.#chunkCount,
      firstByteOverheadMs: this.#firstByteOverheadMs,
      caller: this.#caller,
      labelInputs: this.#claims,
      format: reader?.format(),
      response: reader?.facts(),
      session: reader instanceof SessionReader ? reader.session() : undefined,
      outputText: reader instanceof ResponseReader && this.#options.estimates ? reader.outputText() : undefined,
      notes: [...this.#notes],
    }
  }
}
