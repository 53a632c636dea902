/**
 * What is read from client connections, handed to the parser a few heads at a time where somebody pipelines. One read may hold a thousand requests, and
 * node:http makes them all before anybody else has a turn: 30 ms of waiting for every other client. To see what is read costs a request about a tenth, so
 * it is done from the first pipelining client on, until there has been none for a while.
 */
import type { Socket } from 'node:net'

/** Handed over in one turn of the event loop. A client that pipelines in earnest sends fewer. */
export const headsAtOnce = 16
const watchedMs = 600_000

/** Of a listener. */
export class Reads {
  /** By the monotonic clock. */
  #watchedUntil = Number.NEGATIVE_INFINITY
  readonly #inTurns = new WeakSet<Socket>()

  /** node:http has begun to read it. */
  begun(socket: Socket): void {
    if (performance.now() < this.#watchedUntil) this.#take(socket)
  }

  /** More requests came on it at once than are handed over in a turn. */
  pipelined(socket: Socket): void {
    this.#watchedUntil = performance.now() + watchedMs
    // Not now: the parser is in the middle of what it has read.
    setImmediate(() => this.#take(socket))
  }

  #take(socket: Socket): void {
    const isRead = socket.listenerCount('data') > 0 // else node:http has handed it over
    if (socket.destroyed || !isRead || this.#inTurns.has(socket)) return
    this.#inTurns.add(socket)
    readInTurns(socket)
  }
}

const headEnd = '\r\n\r\n'
/** Of a head: `GET / HTTP/1.1` and its ends of lines. */
const headBytesMin = 18

/** Of a connection that node:http has begun to read. */
export function readInTurns(socket: Socket): void {
  // Without a listener of ours, node:http's parser would take the bytes from the handle, and nothing here would see them.
  socket.on('data', nothing)
  socket.off('data', nothing)
  const push = socket.push.bind(socket)
  const read = socket._read.bind(socket)
  /** What has been read and not been handed over, in order; null is the end. */
  let kept: (Buffer | null)[] = []
  const handOver = (): void => {
    const chunk = kept.shift()
    if (chunk === undefined || socket.destroyed) return
    const rest = chunk === null ? undefined : behindHeads(chunk)
    if (rest !== undefined) kept.unshift(rest)
    push(rest === undefined || chunk === null ? chunk : chunk.subarray(0, chunk.length - rest.length))
    if (kept.length > 0) setImmediate(handOver)
  }
  const pushInTurns = (chunk: Buffer | null): boolean => {
    if (kept.length > 0) kept.push(chunk)
    else if (chunk === null || behindHeads(chunk) === undefined) return push(chunk)
    else {
      kept = [chunk]
      handOver()
    }
    return false
  }
  // Nothing more is read before that.
  const readInTime = (size: number): void => {
    if (kept.length === 0) read(size)
  }
  socket.push = pushInTurns
  socket._read = readInTime
}

const nothing = (): void => undefined

/** What comes behind as many heads as are handed over at once. */
function behindHeads(chunk: Buffer): Buffer | undefined {
  if (chunk.length <= headsAtOnce * headBytesMin) return undefined
  let at = 0
  for (let heads = 0; heads < headsAtOnce; heads++) {
    const end = chunk.indexOf(headEnd, at, 'latin1')
    if (end < 0) return undefined
    at = end + headEnd.length
  }
  return at < chunk.length ? chunk.subarray(at) : undefined
}
