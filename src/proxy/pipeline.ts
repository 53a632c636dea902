/**
 * One client connection. A client may send requests before the response to the first has come (pipelining, RFC 9112 §9.3.2): each is passed on when the
 * response to the one before it has been written, so a connection has one upstream connection at most, and responses keep their order.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Forwarder, OpenRequest } from './forwarder.ts'
import { headsAtOnce, Reads } from './reads.ts'
import { type Refusal, refusals } from './refusals.ts'

/**
 * Requests that wait on one connection, and on all. The connection that goes beyond is closed: were it only read no further, nobody would see its client
 * leave. One that waits takes about 5 KB.
 */
const waitingMax = 1000
const allWaitingMax = 10_000

/** Requests whose client has left: so many are recorded at once, then others have their turn. A thousand would keep them waiting for 50 ms. */
const leftAtOnce = 20
/** So many are kept for later at most: each takes as much as one that waits. */
const leftMax = 2000

/** What all connections of a listener share. */
export class Pipelines {
  /** Requests that wait for their turn. */
  waiting = 0
  /** Their client has left, and they are still to be recorded. */
  readonly forwarder: Forwarder
  /** A connection was closed because too many requests waited. */
  readonly overflowed: () => void
  readonly reads = new Reads()
  readonly #left: Turn[] = []

  constructor(forwarder: Forwarder, overflowed: () => void) {
    this.forwarder = forwarder
    this.overflowed = overflowed
  }

  leave(turns: readonly Turn[]): void {
    if (turns.length === 0) return
    if (this.#left.length === 0) setImmediate(this.#recordSome)
    this.#left.push(...turns)
    this.recordLeft(Math.max(0, this.#left.length - leftMax))
  }

  /** For the stop, which waits for nothing. */
  recordLeft(count = this.#left.length): void {
    for (const { request } of this.#left.splice(0, count)) if (request !== undefined) this.forwarder.drop(request)
  }

  readonly #recordSome = (): void => {
    this.recordLeft(leftAtOnce)
    if (this.#left.length > 0) setImmediate(this.#recordSome)
  }
}

/** What comes behind the request under way. */
interface Turn {
  /** Of the last word on a connection there is none. */
  readonly request?: IncomingMessage
  refusal?: Refusal | undefined
  readonly begin: (refusal: Refusal | undefined) => void
}

export class Pipeline {
  readonly #socket: Socket
  readonly #shared: Pipelines
  readonly #waiting: Turn[] = []
  /** Until its response has been written. */
  #open: OpenRequest | undefined
  #response: ServerResponse | undefined
  /** The request that arrived last. */
  #latest: IncomingMessage | undefined
  /** Nothing that comes from the client is understood any more. */
  #isBroken = false
  #isLastNext = false

  constructor(socket: Socket, shared: Pipelines) {
    this.#socket = socket
    this.#shared = shared
  }

  /** Whether a request has not been answered yet. */
  get isBusy(): boolean {
    return this.#open !== undefined
  }

  /** The next request is the last of which it is known where it ends. */
  lastIsNext(): void {
    this.#isLastNext = true
  }

  request(request: IncomingMessage, response: ServerResponse, refusal?: Refusal): void {
    if (this.#isBroken) return
    if (this.#isLastNext) {
      this.#isBroken = true
      response.shouldKeepAlive = false
    }
    this.#latest = request
    if (this.#open === undefined) this.#begin(request, response, refusal)
    else this.#wait({ request, refusal, begin: (found) => this.#begin(request, response, found) })
  }

  /** Something else than a request: it is the last on this connection. */
  last(begin: () => void): void {
    if (this.#open === undefined) begin()
    else this.#wait({ begin })
  }

  /** node:http no longer tells the response under way that its socket takes more: it has handed the connection over. */
  handedOver(): void {
    this.#socket.on('error', () => undefined)
    this.#socket.on('drain', () => this.#response?.emit('drain'))
  }

  /** The client sent what is no HTTP; `begin` answers, where that does not belong to a request. */
  broke(begin: () => void): void {
    if (this.#isBroken) return // told again at each read
    this.#isBroken = true
    if (this.#latest === undefined || this.#latest.complete) {
      this.last(begin)
      return
    }
    const turn = this.#waiting.at(-1)
    if (turn !== undefined) turn.refusal = refusals.malformed
    else if (this.#open === undefined) this.#socket.destroy()
    else this.#open.broke()
  }

  /** The connection is closed, or about to be. */
  close(): void {
    this.#shared.waiting -= this.#waiting.length
    this.#shared.leave(this.#waiting.splice(0))
  }

  #begin(request: IncomingMessage, response: ServerResponse, refusal?: Refusal): void {
    this.#response = response
    this.#open = this.#shared.forwarder.handle(request, response, this.#next, refusal)
  }

  readonly #next = (): void => {
    this.#open = undefined
    this.#response = undefined // with all that belonged to it
    if (this.#latest?.complete) this.#latest = undefined
    if (this.#waiting.length === 0 || !this.#socket.writable) return
    const turn = this.#waiting.shift() as Turn
    this.#shared.waiting--
    turn.begin(turn.refusal)
  }

  #wait(turn: Turn): void {
    this.#waiting.push(turn)
    this.#shared.waiting++
    if (this.#waiting.length === headsAtOnce) this.#shared.reads.pipelined(this.#socket)
    if (this.#socket.destroyed || (this.#waiting.length <= waitingMax && this.#shared.waiting <= allWaitingMax)) return
    this.#shared.overflowed()
    this.#socket.destroy()
  }
}
