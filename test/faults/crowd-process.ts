/** Connections of others, in a process of their own: idle ones, and one hostile client of each kind. Told what to do by messages: see `Order`. */
import net, { type Socket } from 'node:net'

/** The answer to each is `{ done: true }`. */
export type Order =
  | { readonly kind: 'idle'; readonly port: number; readonly count: number }
  | { readonly kind: 'hostile'; readonly port: number }
  | { readonly kind: 'leave' }

const host = 'Host: a\r\n'
const get = `GET /v1/models?as=json HTTP/1.1\r\n${host}\r\n`
const post = (fields: string) => `POST /v1/chat/completions?as=json HTTP/1.1\r\n${host}${fields}\r\n`
const idle = new Set<Socket>()
const hostile = new Set<Socket>()
const timers = new Set<NodeJS.Timeout>()

function connect(port: number, into: Set<Socket>): Socket {
  const socket = net.connect(port, '127.0.0.1')
  into.add(socket)
  socket.on('error', () => undefined)
  socket.on('close', () => into.delete(socket))
  return socket
}

/** A connection that is opened again when it has been closed; `use` gives what it does, until then, in each interval. */
function again(port: number, everyMs: number, use: (socket: Socket) => () => void): void {
  let socket: Socket | undefined
  let step = () => {}
  const timer = setInterval(() => {
    if (socket === undefined || socket.destroyed) {
      socket = connect(port, hostile)
      step = use(socket)
    } else step()
  }, everyMs)
  timers.add(timer)
}

const hostileKinds: readonly ((port: number) => void)[] = [
  /** A head byte by byte. */
  (port) =>
    again(port, 200, (socket) => {
      socket.resume().write(`GET /slow HTTP/1.1\r\n${host}X: `)
      return () => socket.write('a')
    }),
  /** A body byte by byte. */
  (port) =>
    again(port, 200, (socket) => {
      socket.resume().write(post('Content-Length: 100000\r\n'))
      return () => socket.write('a')
    }),
  /** Chunks of one byte each. */
  (port) =>
    again(port, 2, (socket) => {
      socket.resume().write(post('Transfer-Encoding: chunked\r\n'))
      return () => socket.write('1\r\na\r\n')
    }),
  /** Asks for much and reads nothing. */
  (port) =>
    again(port, 1000, (socket) => {
      socket.pause().write(`GET /v1/files?as=big HTTP/1.1\r\n${host}\r\n`.repeat(4))
      return () => {}
    }),
  /** A thousand requests at once, again and again. */
  (port) =>
    again(port, 1000, (socket) => {
      socket.resume()
      return () => {
        if (socket.writableLength === 0) socket.write(get.repeat(1000))
      }
    }),
  /** Heads that are nearly too large, and too large. */
  (port) =>
    again(port, 100, (socket) => {
      socket.resume()
      let count = 0
      return () => socket.write(`GET /v1/models?as=json HTTP/1.1\r\n${host}X: ${'a'.repeat(++count % 5 === 0 ? 100_000 : 60_000)}\r\n\r\n`)
    }),
  /** Connects and leaves. */
  (port) =>
    again(port, 5, (socket) => {
      socket.on('connect', () => socket.destroy())
      return () => {}
    }),
  /** Sends a request and leaves. */
  (port) =>
    again(port, 20, (socket) => {
      socket.on('connect', () => socket.write(`${post('Content-Length: 2\r\n')}{}`, () => socket.destroy()))
      return () => {}
    }),
  /** No HTTP. */
  (port) =>
    again(port, 20, (socket) => {
      socket.resume().write('\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03')
      return () => {}
    }),
]

/** Every second of them has asked once before. */
async function openIdle(port: number, count: number): Promise<void> {
  const atOnce = 100
  for (let from = 0; from < count; from += atOnce) {
    const opened = Array.from({ length: Math.min(atOnce, count - from) }, async (_, index) => {
      const socket = connect(port, idle)
      const isUsed = index % 2 === 0
      await new Promise((resolve) => {
        socket.once('close', resolve)
        socket.once(isUsed ? 'data' : 'connect', resolve)
        if (isUsed) socket.write(get)
      })
      socket.resume()
    })
    await Promise.all(opened)
  }
}

async function obey(order: Order): Promise<void> {
  if (order.kind === 'idle') await openIdle(order.port, order.count)
  else if (order.kind === 'hostile') for (const begin of hostileKinds) begin(order.port)
  else {
    for (const timer of timers) clearInterval(timer)
    timers.clear()
    for (const socket of hostile) socket.destroy()
  }
}

process.on('message', (order: Order) => {
  obey(order).then(() => process.send?.({ done: true, idle: idle.size }))
})
process.on('disconnect', () => process.exit(0))
