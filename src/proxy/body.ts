/** How a request's body is read: small ones whole, the rest as they come. What is held of all of them together has a limit. */
import { Readable } from 'node:stream'
import { createIndexedSet, type Member } from '../lib/indexed-set.ts'
import type { RequestBody } from './call.ts'
import type { ClientRequest } from './client.ts'

/** Bodies of a known length up to this many bytes are read before dispatch: an upstream connection is not held for a slow client. */
const smallBytesMax = 64 * 1024
/** A body that has to be read whole is let go on as a stream, unchanged, when it is longer than this. */
const wholeBytesMax = 32 * 1024 * 1024

/** Why a body that was to be read whole goes on as it comes. */
export type Unread = 'size' | 'budget'

export interface BodyHandler {
  /** The next bytes of a body that is read whole; false when that is of no use. */
  readonly push: ((chunk: Buffer) => boolean) | undefined
  /** Once; not at all when the client leaves before a body that is read whole is complete. */
  body(body: RequestBody, unread?: Unread): void
}

/** What is held of one request's body. */
export interface HeldBody {
  /** A whole one is not sent again. False where it goes on as a stream, and so is held until it is dropped. */
  letGo(): boolean
  /** Nothing of it is sent any more. */
  drop(): void
}

export interface BodyReading {
  readonly whole: boolean
  readonly budget: BodyBudget
}

export function readBody(request: ClientRequest, { whole, budget }: BodyReading, handler: BodyHandler): HeldBody | undefined {
  const length = Number(request.headers['content-length'] ?? Number.NaN)
  const chunked = request.headers['transfer-encoding'] !== undefined
  if (!chunked && !(length > 0)) handler.body(null)
  else if (whole && (chunked || length <= wholeBytesMax)) return new Collecting(request, wholeBytesMax, budget, handler)
  else if (!chunked && length <= smallBytesMax) return new Collecting(request, smallBytesMax, budget, handler)
  else handler.body(request, whole ? 'size' : undefined)
  return undefined
}

/** How much is held of all bodies that are read whole. Beyond it the largest of those that are still coming goes on as a stream, so that small ones stay. */
export class BodyBudget {
  #bytesMax: number
  readonly #coming = createIndexedSet<Collecting>()
  #held = 0
  /** Of those that went on as streams, what their upstreams have not taken yet. */
  #leaving = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** From now on; what is held beyond it goes with the next body. */
  limit(bytesMax: number): void {
    this.#bytesMax = bytesMax
  }

  get heldBytes(): number {
    return this.#held + this.#leaving
  }

  began(one: Collecting): void {
    this.#coming.add(one)
  }

  ended(one: Collecting): void {
    this.#coming.remove(one)
  }

  take(one: Collecting, bytes: number): void {
    this.#held += bytes
    if (this.#held <= this.#bytesMax) return
    // Upstreams that take nothing are not to be fed with more and more.
    if (this.heldBytes > 2 * this.#bytesMax) one.goOn('budget')
    else this.#largest(one).goOn('budget')
  }

  /** Of a whole body. */
  give(bytes: number): void {
    this.#held -= bytes
  }

  /** A body goes on as a stream. */
  leave(bytes: number): void {
    this.#held -= bytes
    this.#leaving += bytes
  }

  /** The stream's reader has taken so much, or never will. */
  left(bytes: number): void {
    this.#leaving -= bytes
  }

  #largest(than: Collecting): Collecting {
    return this.#coming.all().reduce((largest, one) => (one.bytes > largest.bytes ? one : largest), than)
  }
}

/** What a piece costs beside its bytes: many of one byte are not cheap. */
const pieceBytes = 256

class Collecting implements HeldBody, Member {
  place = 0
  /** What is held of it costs so much. */
  bytes = 0
  #chunks: Buffer[] = []
  #stream: Readable | undefined
  readonly #request: ClientRequest
  readonly #bytesMax: number
  readonly #budget: BodyBudget
  readonly #handler: BodyHandler

  constructor(request: ClientRequest, bytesMax: number, budget: BodyBudget, handler: BodyHandler) {
    this.#request = request
    this.#bytesMax = bytesMax
    this.#budget = budget
    this.#handler = handler
    budget.began(this)
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
  }

  letGo(): boolean {
    if (this.#stream !== undefined) return false
    this.drop()
    return true
  }

  drop(): void {
    this.#stop()
    this.#chunks = []
    if (this.#stream === undefined) this.#budget.give(this.bytes)
    else this.#budget.left(this.bytes)
    this.bytes = 0
  }

  goOn(unread: Unread): void {
    this.#stop()
    this.#request.pause()
    this.#budget.leave(this.bytes)
    this.#stream = Readable.from(this.#all(), { objectMode: false })
    this.#stream.on('error', () => undefined) // the client left; whoever reads it is told
    this.#handler.body(this.#stream, unread)
  }

  /** What is held, and what is still to come. */
  async *#all(): AsyncGenerator<Buffer> {
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      this.bytes -= costOf(chunk)
      this.#budget.left(costOf(chunk))
      yield chunk
    }
    yield* this.#request.iterator({ destroyOnReturn: false })
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk)
    this.bytes += costOf(chunk)
    const isOfUse = this.#handler.push?.(chunk) !== false
    this.#budget.take(this, costOf(chunk))
    if (this.#stream === undefined && (!isOfUse || this.bytes > this.#bytesMax)) this.goOn('size')
  }

  readonly #onEnd = (): void => {
    this.#stop()
    const chunks = this.#chunks
    this.#chunks = []
    this.#handler.body(chunks)
  }

  #stop(): void {
    this.#budget.ended(this)
    this.#request.off('data', this.#onData) // holds the chunks
    this.#request.off('end', this.#onEnd)
  }
}

function costOf(chunk: Buffer): number {
  return chunk.length + pieceBytes
}
