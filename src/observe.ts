/**
 * The proxying thread's half of observation: keeps account of one exchange, folds a streamed answer message by message, and leaves
 * whole bodies to the recorder thread, where no parse can delay a chunk. Joins frames and formats into the observer that proxy/ talks to.
 */
import { Gauge } from './batch.ts'
import type { Clock } from './clock.ts'
import { createDecoder, type Decoder } from './decode.ts'
import { createTextCollector, type TextCollector } from './estimates/text.ts'
import type { Ending, Framing, Opening, Outcome, ResponseFacts, TextSample } from './exchange.ts'
import { createFold, type Fold, streamsArrays } from './fold.ts'
import { chooseFraming, createFramer } from './frames/choose.ts'
import type { Framer } from './frames/framer.ts'
import { SessionReader } from './observe/session.ts'
import { pickHeaders } from './proxy/headers.ts'
import type { Observer, ResponseHead } from './proxy/observer.ts'

/** Where openings, request bodies and endings go; see `recorder/link.ts`. Bodies are handed over, never kept by the observer. */
export interface Records {
  opened(opening: Opening): ExchangeRecord
}

/** One exchange's way to the recorder. */
export interface ExchangeRecord {
  requestRead(body: readonly Uint8Array[]): void
  ended(ending: Ending, responseBody: readonly Uint8Array[] | undefined): void
}

export interface ObserveOptions {
  readonly records: Records
  readonly clock: Clock
  readonly gauges: Int32Array
  /** Upper bounds of the chunk-overhead histogram's buckets, in microseconds, ascending. */
  readonly overheadBucketsMicros: readonly number[]
  /** Response headers copied into the ending, lower-case. */
  readonly observedHeaders: ReadonlySet<string>
  readonly bodyBytesMax: number
  readonly messageBytesMax: number
  /** Estimates are on: the text of streams is counted, and its beginning kept. */
  readonly estimates: boolean
}

export function createObserve(options: ObserveOptions): (opening: Opening) => Observer {
  return (opening) => new ExchangeObserver(opening, options)
}

/** Bytes kept up to a limit. Past it everything is dropped: half a JSON document is of no use. */
class Collected {
  chunks: Uint8Array[] = []
  bytes = 0
  overflowed = false
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.bytes > this.#bytesMax) {
      this.overflowed = true
      this.chunks = []
    } else {
      this.chunks.push(chunk)
    }
  }
}

class ExchangeObserver implements Observer {
  readonly #opening: Opening
  readonly #options: ObserveOptions
  readonly #startedAt: number
  #requestBody: Collected
  readonly #record: ExchangeRecord
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

  constructor(opening: Opening, options: ObserveOptions) {
    this.#opening = opening
    this.#options = options
    this.#startedAt = options.clock.now()
    this.#requestBody = new Collected(options.bodyBytesMax)
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
    this.#requestBody = new Collected(this.#options.bodyBytesMax)
    this.#sentBytes = 0
    this.#requestHandedOver = false
  }

  note(text: string): void {
    this.#notes.add(text)
  }

  caller(name: string): void {
    this.#caller = name
  }

  responseStart(head: ResponseHead, receivedAt: number): void {
    this.#headAt = receivedAt
    this.#responseHeaders = pickHeaders(head.rawHeaders, this.#options.observedHeaders)
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
      this.#reader?.push(chunk)
    } catch {
      this.#reader = undefined
      this.#notes.add('observer_failed')
      Atomics.add(this.#options.gauges, Gauge.observerFailed, 1)
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
    if (this.#requestBody.overflowed) this.#notes.add('request_limit_hit')
    this.#record.requestRead(this.#requestBody.chunks)
    this.#requestBody.chunks = []
  }

  /** One cell of the shared histogram; a linear look from the fast end, because nearly every chunk lands in the first few buckets. */
  #countOverhead(receivedAt: number): void {
    const overheadMs = this.#options.clock.now() - receivedAt
    this.#firstByteOverheadMs ??= overheadMs
    const bounds = this.#options.overheadBucketsMicros
    const micros = overheadMs * 1000
    let bucket = 0
    while (bucket < bounds.length && micros > (bounds[bucket] as number)) bucket++
    Atomics.add(this.#options.gauges, Gauge.chunkOverhead + bucket, 1)
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
      endMs: endedAt - this.#startedAt,
      drained: this.#goneAt === undefined ? undefined : { ms: endedAt - this.#goneAt, bytes: this.#responseBytes - this.#bytesWhenGone },
      chunkCount: this.#chunkCount,
      firstByteOverheadMs: this.#firstByteOverheadMs,
      caller: this.#caller,
      format: reader?.format(),
      response: reader?.facts(),
      ...(reader instanceof SessionReader ? { session: reader.session() } : {}),
      ...(reader instanceof ResponseReader && this.#options.estimates ? { outputText: reader.outputText() } : {}),
      notes: [...this.#notes],
    }
  }
}

/** Two of these and an event's carry are what a stream holds. */
const gatheredBytesMax = 4096

/** Content types whose body is not decoded here before its framing is known: whole bodies go to the recorder as they came. */
function isCompressed(encoding: string | undefined): encoding is string {
  return encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity'
}

/** bytes → (decoded copy) → messages → facts, for one response. */
class ResponseReader {
  framing: Framing = 'none'
  readonly encoding: string | undefined
  readonly #opening: Opening
  readonly #headers: Readonly<Record<string, string>>
  readonly #options: ObserveOptions
  readonly #notes: Set<string>
  readonly #contentType: string | undefined
  /** A JSON array is a stream here; an error's body is none. */
  readonly #arrayStream: boolean
  /** Made for a stream only: whole bodies are read by the recorder. */
  #fold: Fold | undefined
  #text: TextCollector | undefined
  #framer: Framer | undefined
  #decoder: Decoder | undefined
  #whole: Collected | undefined
  #gathered: Buffer | undefined
  #gatheredBytes = 0
  #begun = false
  #onEnd: (() => void) | undefined

  constructor(opening: Opening, status: number, headers: Readonly<Record<string, string>>, options: ObserveOptions, notes: Set<string>) {
    this.#options = options
    this.#notes = notes
    this.#contentType = headers['content-type']
    this.encoding = headers['content-encoding']
    this.#opening = opening
    this.#headers = headers
    this.#arrayStream = status < 400 && streamsArrays(opening.method, opening.path)
    // A stream is a stream from its head on, also when the client leaves before its first byte.
    const framing = this.#chooseFraming(new Uint8Array(0))
    if (framing !== 'whole') this.framing = framing
  }

  get streamed(): boolean {
    return this.framing !== 'whole' && this.framing !== 'none'
  }

  format(): string | undefined {
    return this.#fold?.format
  }

  facts(): ResponseFacts | undefined {
    return this.#fold?.facts()
  }

  outputText(): TextSample | undefined {
    return this.#text?.sample()
  }

  /** The body as it came, when it is the recorder's to read. */
  wholeBody(): readonly Uint8Array[] | undefined {
    return this.#whole?.chunks
  }

  push(chunk: Uint8Array): void {
    if (!this.#begun) this.#begin(chunk)
    if (this.#whole !== undefined) this.#whole.push(chunk)
    else if (this.#decoder !== undefined) this.#decoder.push(chunk)
    else if (this.framing === 'sse') this.#gather(chunk)
    else this.#framer?.push(chunk)
  }

  /**
   * Small chunks are copied together and read some KiB at a time: reading each event as it comes, with cold caches, cost more than forwarding
   * it. The first chunk is read at once (it has id and model), the last when the answer ends, whatever way it ends.
   */
  #gather(chunk: Uint8Array): void {
    if (this.#gathered === undefined) {
      this.#gathered = Buffer.allocUnsafeSlow(gatheredBytesMax)
      this.#framer?.push(chunk)
      return
    }
    if (this.#gatheredBytes + chunk.length > gatheredBytesMax) this.#readGathered()
    if (chunk.length > gatheredBytesMax / 2) {
      this.#readGathered()
      this.#framer?.push(chunk)
      return
    }
    this.#gathered.set(chunk, this.#gatheredBytes)
    this.#gatheredBytes += chunk.length
  }

  /** The SSE framer keeps nothing of a chunk, so the block is used again. */
  #readGathered(): void {
    if (this.#gathered === undefined || this.#gatheredBytes === 0) return
    const bytes = this.#gathered.subarray(0, this.#gatheredBytes)
    this.#gatheredBytes = 0
    this.#framer?.push(bytes)
  }

  /** Calls back when everything that was received has been read: at once, unless a decoder is still at work. */
  end(onEnd: () => void): void {
    if (this.#whole?.overflowed) this.#notes.add('limit_hit')
    if (this.#decoder !== undefined) {
      this.#onEnd = onEnd
      this.#decoder.end()
    } else {
      this.#endFramer()
      onEnd()
    }
  }

  #chooseFraming(firstBytes: Uint8Array): Framing {
    return chooseFraming({ contentType: this.#contentType, arrayStream: this.#arrayStream, firstBytes })
  }

  #begin(first: Uint8Array): void {
    this.#begun = true
    const compressed = isCompressed(this.encoding)
    const framing = this.#chooseFraming(compressed ? new Uint8Array(0) : first)
    this.framing = framing
    if (framing === 'none') return
    if (framing === 'whole') {
      this.#whole = new Collected(this.#options.bodyBytesMax)
      return
    }
    const note = (text: string) => this.#notes.add(text)
    if (this.#options.estimates) this.#text = createTextCollector()
    const fold = createFold(this.#opening.method, this.#opening.path, this.#headers, undefined, this.#text)
    this.#fold = fold
    this.#framer = createFramer(framing, {
      onMessage: (message) => fold.message(message.event, message.data),
      onNote: note,
      messageBytesMax: this.#options.messageBytesMax,
      wantedKeys: fold.wantedKeys,
    })
    if (!compressed) return
    this.#decoder = createDecoder(this.encoding as string, {
      onData: (chunk) => this.#pushDecoded(chunk),
      onNote: note,
      onEnd: () => {
        this.#endFramer()
        this.#onEnd?.()
      },
    })
  }

  /** Runs in the decoder's callback, outside every guard of the proxy path. */
  #pushDecoded(chunk: Uint8Array): void {
    try {
      this.#framer?.push(chunk)
    } catch {
      this.#framer = undefined
      this.#notes.add('observer_failed')
    }
  }

  #endFramer(): void {
    try {
      this.#readGathered()
      this.#framer?.end()
    } catch {
      this.#notes.add('observer_failed')
    }
    for (const note of this.#fold?.notes ?? []) this.#notes.add(note)
  }
}
