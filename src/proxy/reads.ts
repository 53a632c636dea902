/**
 * What is read from a client connection, handed to the parser a few heads at a time. One read may hold a thousand requests, and node:http makes them all
 * before anybody else has a turn: 30 ms of waiting for every other client.
 */
import type { Socket } from 'node:net'

/** Handed over in one turn of the event loop. A client that pipelines in earnest sends fewer. */
const headsAtOnce = 16
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
  socket.push = (chunk: Buffer | null): boolean => {
    if (kept.length > 0) kept.push(chunk)
    else if (chunk === null || behindHeads(chunk) === undefined) return push(chunk)
    else {
      kept = [chunk]
      handOver()
    }
    return false
  }
  // Nothing more is read before that.
  socket._read = (size) => {
    if (kept.length === 0) read(size)
  }
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
