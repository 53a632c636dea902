/** The reading of one response, on a copy of its bytes: a stream message by message, a whole body only kept for the recorder. */

import type { FirstToken, Framing, Opening, ResponseFacts, TextSample } from '../lib/exchange.ts'
import { type Json, object } from '../lib/json.ts'
import { createBeside, createLongMembers } from './beside.ts'
import { Collected, type CopyBudget } from './collected.ts'
import { createDecoder, type Decoder } from './decode/decode.ts'
import { tokenIn } from './first-token.ts'
import { createFold, type Fold, streamsArrays } from './fold.ts'
import { chooseFraming, createFramer } from './frames/choose.ts'
import type { Framer, FramerOptions } from './frames/framer.ts'
import { createPayload, type Payload } from './payload.ts'
import { createSketch, type Sketch } from './sketch.ts'
import { createTextCollector, type TextCollector } from './texts.ts'

export interface ReadingOptions {
  readonly bodyBytesMax: number
  readonly messageBytesMax: number
  /** Of all whole bodies. */
  readonly copies: CopyBudget
  /** Estimates are on: the text of streams is counted, and its beginning kept. */
  readonly estimates: boolean
}

/** One of these and an event's carry are what a stream holds. */
const gatheredBytesMax = 2048

/** Content types whose body is not decoded here before its framing is known: whole bodies go to the recorder as they came. */
function isCompressed(encoding: string | undefined): encoding is string {
  return encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity'
}

/** bytes → (decoded copy) → messages → facts, for one response. */
export class ResponseReader {
  framing: Framing = 'none'
  readonly encoding: string | undefined
  readonly #opening: Opening
  readonly #headers: Readonly<Record<string, string>>
  readonly #options: ReadingOptions
  readonly #notes: Set<string>
  readonly #contentType: string | undefined
  /** A JSON array is a stream here; an error's body is none. */
  readonly #arrayStream: boolean
  /** Made for a stream only: whole bodies are read by the recorder. */
  #fold: Fold | undefined
  #text: TextCollector | undefined
  #framer: Framer | undefined
  /** What an event-stream carries in its parts. */
  #payload: Payload | undefined
  /** Sees the same bytes as the framer. */
  #beside: Framer | undefined
  #hasLost = false
  #decoder: Decoder | undefined
  #whole: Collected | undefined
  #gathered: Buffer | undefined
  #gatheredBytes = 0
  #begun = false
  /** When the bytes that are being read came. */
  #receivedAt = 0
  #firstTokenAt = 0
  #firstTokenOf: FirstToken['of'] | undefined
  #onEnd: (() => void) | undefined

  constructor(opening: Opening, status: number, headers: Readonly<Record<string, string>>, options: ReadingOptions, notes: Set<string>) {
    this.#options = options
    this.#notes = notes
    this.#contentType = headers['content-type']
    this.encoding = headers['content-encoding']
    this.#opening = opening
    this.#headers = headers
    this.#arrayStream = status < 400 && streamsArrays(opening.method, opening.path)
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

  /** In milliseconds after `startedAt`. */
  firstToken(startedAt: number): FirstToken | undefined {
    return this.#firstTokenOf && { ms: this.#firstTokenAt - startedAt, of: this.#firstTokenOf }
  }

  outputText(): TextSample | undefined {
    return this.#text?.sample()
  }

  /** The body as it came, when it is the recorder's to read. To be asked once. */
  wholeBody(): readonly Uint8Array[] | undefined {
    return this.#whole?.handOver()
  }

  /** `receivedAt`: by the clock of `firstToken`; of a recording there is none. */
  push(chunk: Uint8Array, receivedAt = 0): void {
    if (!this.#begun) this.#begin(chunk)
    this.#receivedAt = receivedAt
    if (this.#whole !== undefined) {
      this.#whole.push(chunk)
      return
    }
    if (this.#decoder !== undefined) {
      this.#decoder.push(chunk)
      return
    }
    if (this.framing === 'sse') this.#gather(chunk)
    else this.#frame(chunk)
    this.#lookForToken(chunk)
  }

  /** Only until the first token has come, mostly in the first or second chunk. */
  #lookForToken(chunk: Uint8Array): void {
    if (this.#firstTokenOf !== undefined || this.#fold === undefined) return
    this.#firstTokenOf = tokenIn(chunk, this.#fold.format)
    this.#firstTokenAt = this.#receivedAt
  }

  /**
   * Small chunks are copied together and read some KiB at a time: reading each event as it comes, with cold caches, cost more than forwarding
   * it. The first chunk is read at once (it has id and model), the last when the answer ends, whatever way it ends.
   */
  #gather(chunk: Uint8Array): void {
    if (this.#gathered === undefined) {
      this.#gathered = Buffer.allocUnsafeSlow(gatheredBytesMax)
      this.#frame(chunk)
      return
    }
    if (this.#gatheredBytes + chunk.length > gatheredBytesMax) this.#readGathered()
    if (chunk.length > gatheredBytesMax / 2) {
      this.#readGathered()
      this.#frame(chunk)
      return
    }
    this.#gathered.set(chunk, this.#gatheredBytes)
    this.#gatheredBytes += chunk.length
  }

  #frame(bytes: Uint8Array): void {
    this.#framer?.push(bytes)
    this.#beside?.push(bytes)
  }

  /** The SSE framer keeps nothing of a chunk, so the block is used again. */
  #readGathered(): void {
    if (this.#gathered === undefined || this.#gatheredBytes === 0) return
    const bytes = this.#gathered.subarray(0, this.#gatheredBytes)
    this.#gatheredBytes = 0
    this.#frame(bytes)
  }

  /** Calls back when everything that was received has been read: at once, unless a decoder is still at work. */
  end(onEnd: () => void): void {
    if (!this.#begun) this.#frameByHead()
    if (this.#whole?.overflowed && this.#decoder === undefined) this.#settleWhole(this.#whole)
    if (this.#decoder !== undefined) {
      this.#onEnd = onEnd
      this.#decoder.end()
    } else {
      this.#endFramer()
      onEnd()
    }
  }

  /** A stream is a stream from its head on, also when the client leaves before its first byte. */
  #frameByHead(): void {
    const framing = this.#chooseFraming(new Uint8Array(0))
    if (framing !== 'whole') this.framing = framing
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
      this.#whole = new Collected(this.#options.bodyBytesMax, this.#options.copies, compressed ? () => this.#decodedSketch() : undefined)
      return
    }
    const note = (text: string) => this.#notes.add(text)
    if (this.#options.estimates) this.#text = createTextCollector()
    const fold = createFold(this.#opening.method, this.#opening.path, this.#headers, undefined, this.#text)
    this.#fold = fold
    const options: FramerOptions = {
      onMessage: (message) => {
        if (this.#payload?.take(message) !== true) fold.message(message.event, message.data)
      },
      onNote: note,
      messageBytesMax: this.#options.messageBytesMax,
      wantedKeys: fold.wantedKeys,
    }
    this.#framer = createFramer(framing, options)
    this.#beside = this.#createBeside(framing, fold)
    if (framing === 'eventstream') this.#payload = createPayload(this.#headers['x-amzn-sagemaker-content-type'], options)
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

  #createBeside(framing: Framing, fold: Fold): Framer | undefined {
    const { messageBytesMax } = this.#options
    const onLong = (json: string | undefined) => {
      if (json === undefined) this.#hasLost = true
      else {
        this.#notes.add('scanned')
        fold.message(undefined, Buffer.from(json))
      }
    }
    const onStray = (json: Json) => {
      const body = object(json)
      if (body !== undefined && framing === 'sse') fold.failed(body)
    }
    if (framing === 'json-array') return createLongMembers({ messageBytesMax, onLong })
    return framing === 'sse' || framing === 'ndjson' ? createBeside({ messageBytesMax, onLong, onStray }) : undefined
  }

  /** Of a body that was too long to keep, its sketch; it is JSON as it stands, whatever the encoding was. */
  #settleWhole(whole: Collected): void {
    this.#notes.add(whole.settle() ? 'scanned' : 'limit_hit')
  }

  /** A compressed body is only decoded here once it is too long to be handed on. */
  #decodedSketch(): Sketch {
    const sketch = createSketch()
    const decoder = createDecoder(this.encoding as string, {
      onData: (chunk) => sketch.push(chunk),
      onNote: (text) => this.#notes.add(text),
      onEnd: () => {
        if (this.#whole !== undefined) this.#settleWhole(this.#whole)
        this.#onEnd?.()
      },
    })
    this.#decoder = decoder
    const push = (chunk: Uint8Array) => {
      decoder.push(chunk)
      return chunk.length
    }
    return { push, json: sketch.json }
  }

  /** Runs in the decoder's callback, outside every guard of the proxy path. */
  #pushDecoded(chunk: Uint8Array): void {
    try {
      this.#frame(chunk)
      this.#lookForToken(chunk)
    } catch {
      this.#framer = undefined
      this.#notes.add('observer_failed')
    }
  }

  #endFramer(): void {
    try {
      this.#readGathered()
      this.#framer?.end()
      this.#payload?.end()
      this.#beside?.end()
    } catch {
      this.#notes.add('observer_failed')
    }
    // Every message that the framer has lost was scanned.
    if (this.#notes.has('scanned') && !this.#hasLost) this.#notes.delete('limit_hit')
    for (const note of this.#fold?.notes ?? []) this.#notes.add(note)
  }
}
