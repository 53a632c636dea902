/**
 * The mock upstream, a process of its own: raw sockets and pre-built answers, so that it is never what is measured.
 * Over IPC it says `{port}` once it listens, and answers `{stats: true}` with the requests it has had.
 */
import { createServer, type Socket } from 'node:net'
import {
  askOf,
  contentFrame,
  frameStampOffset,
  jsonResponse,
  monotonicNs,
  stampDigits,
  streamHead,
  tailEvents,
  tailFrames,
} from './fixture.ts'

let requests = 0

function stamp(frame: Buffer, nowNs: number): Buffer {
  frame.write(String(nowNs).padStart(stampDigits, '0'), frameStampOffset, 'latin1')
  return frame
}

/** One stream of a pace: `left` content events are still due. */
interface PacedStream {
  readonly socket: Socket
  readonly stamped: boolean
  left: number
}

/** Streams of one interval, in one slot per millisecond; a stream stays in the slot it began in. */
interface Wheel {
  readonly slots: Set<PacedStream>[]
  /** Milliseconds (monotonic) up to which every slot has been served. */
  servedMs: number
}

const wheels = new Map<number, Wheel>()

function wheelOf(intervalMs: number, nowMs: number): Wheel {
  const known = wheels.get(intervalMs)
  if (known !== undefined) return known
  const wheel = { slots: Array.from({ length: intervalMs }, () => new Set<PacedStream>()), servedMs: nowMs }
  wheels.set(intervalMs, wheel)
  return wheel
}

/** False when the stream has ended. */
function sendNext(stream: PacedStream): boolean {
  if (stream.socket.destroyed) return false
  if (stream.left === 0) {
    stream.socket.write(tailFrames)
    return false
  }
  stream.left -= 1
  const frame = Buffer.from(contentFrame)
  stream.socket.write(stream.stamped ? stamp(frame, monotonicNs()) : frame)
  return true
}

function serveWheel(wheel: Wheel, nowMs: number): void {
  // After a pause longer than one turn each stream still gets one event only: a burst would be no pace.
  const from = Math.max(wheel.servedMs + 1, nowMs - wheel.slots.length + 1)
  for (let ms = from; ms <= nowMs; ms += 1) {
    const slot = wheel.slots[ms % wheel.slots.length]
    if (slot === undefined) continue
    for (const stream of slot) if (!sendNext(stream)) slot.delete(stream)
  }
  wheel.servedMs = Math.max(wheel.servedMs, nowMs)
}

setInterval(() => {
  const nowMs = Math.floor(monotonicNs() / 1e6)
  for (const wheel of wheels.values()) serveWheel(wheel, nowMs)
}, 1)

function startPaced(socket: Socket, events: number, intervalMs: number, stamped: boolean): void {
  const nowMs = Math.floor(monotonicNs() / 1e6)
  const stream = { socket, stamped, left: events - tailEvents }
  socket.write(streamHead)
  sendNext(stream)
  const wheel = wheelOf(intervalMs, nowMs)
  // `servedMs` may lag: one slot further on, so that the second event is never early.
  wheel.slots[Math.max(nowMs, wheel.servedMs) % intervalMs]?.add(stream)
}

const blocks = new Map<number, Buffer>()

function blockOf(perWrite: number): Buffer {
  const known = blocks.get(perWrite)
  if (known !== undefined) return known
  const block = Buffer.concat(Array.from({ length: perWrite }, () => contentFrame))
  blocks.set(perWrite, block)
  return block
}

/** Writes of one turn before other streams have theirs. */
const writesPerTurn = 16

function startUnpaced(socket: Socket, events: number, perWrite: number): void {
  const block = blockOf(perWrite)
  let left = events - tailEvents
  const go = () => {
    for (let writes = 0; writes < writesPerTurn; writes += 1) {
      if (socket.destroyed) return
      const count = Math.min(left, perWrite)
      left -= count
      if (count === 0) {
        socket.write(tailFrames)
        return
      }
      if (!socket.write(count === perWrite ? block : block.subarray(0, count * contentFrame.length))) {
        socket.once('drain', go)
        return
      }
    }
    setImmediate(go)
  }
  socket.write(streamHead)
  go()
}

/** `text`: the request's target, or all of it when the target asks nothing. */
function answer(socket: Socket, text: string): void {
  requests += 1
  const ask = askOf(text)
  if (ask.mode === 'json') socket.write(jsonResponse)
  else if (ask.mode === 'paced') startPaced(socket, ask.events, ask.intervalMs, ask.stamped)
  else startUnpaced(socket, ask.events, ask.perWrite)
}

const lengthHeader = /\r\ncontent-length: *(\d+)/i
const chunkedHeader = /\r\ntransfer-encoding: *chunked/i

/** Bytes of the first request in `bytes`, or undefined while it is not whole. Chunked bodies end at the first `0 CRLF CRLF`. */
function requestLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end)
  if (chunkedHeader.test(head)) {
    const last = bytes.indexOf('0\r\n\r\n', end + 4)
    return last < 0 ? undefined : last + 5
  }
  const length = end + 4 + Number(lengthHeader.exec(head)?.[1] ?? 0)
  return bytes.length < length ? undefined : length
}

function serve(socket: Socket): void {
  socket.setNoDelay(true)
  let held: Buffer | undefined
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
    held = undefined
    while (bytes.length > 0) {
      const length = requestLength(bytes)
      if (length === undefined) {
        held = bytes
        return
      }
      const target = bytes.toString('latin1', 0, bytes.indexOf(' HTTP/'))
      answer(socket, target.includes('mode=') ? target : bytes.toString('latin1', 0, length))
      bytes = bytes.subarray(length)
    }
  })
}

const server = createServer(serve)
server.listen({ port: Number(process.argv[2] ?? 0), host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined })
})
process.on('message', () => process.send?.({ requests }))
process.on('disconnect', () => process.exit(0))
