/**
 * What arrives on a connection goes straight to undici, which otherwise gets it by way of the socket's stream: a block of 64 KiB for each read, its
 * buffering, and a turn of `nextTick` (measured: a tenth of an event's cost). Whatever undici does not take at once goes into that stream, whose back-pressure
 * then holds.
 *
 * Some servers send `100 Continue` although nobody waits for it, which a client must bear (RFC 9110 §15.2). undici 8 ends the connection then, so a 100
 * that comes where a response is to begin is taken out before undici sees it.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { OnReadOpts, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'

/** Gives what is being made, so that it can be given up. */
export type Connect = (
  target: buildConnector.Options,
  callback: buildConnector.Callback,
) => { readonly destroy: (error?: Error) => unknown } | undefined

const begin = Buffer.from('HTTP/1.1 100')
const end = '\r\n\r\n'
/** A 100 has hardly ever a field. What is longer is left to undici, which ends the connection. */
const continueBytesMax = 4096

/** Sockets on which a request has been written, and of whose response nothing has come. */
const expecting = new WeakSet<Socket>()
subscribe('undici:client:sendHeaders', (message) => void expecting.add((message as { readonly socket: Socket }).socket))

const arrivals = new WeakMap<Socket, (bytes: Buffer) => boolean>()

/** For connections that nobody but undici ever reads from. All of them are read into one block, out of which is copied at once. */
export const onread: OnReadOpts = {
  buffer: Buffer.allocUnsafeSlow(64 * 1024),
  callback(this: Socket, bytesRead: number, block: Uint8Array): boolean {
    const bytes = Buffer.from(block.subarray(0, bytesRead))
    return arrivals.get(this)?.(bytes) ?? this.push(bytes)
  },
} as OnReadOpts

export function handsOver(connect: Connect): Connect {
  return (target, callback) =>
    connect(target, (...result) => {
      if (result[0] === null && (result[1] as TLSSocket).alpnProtocol !== 'h2') handOver(result[1])
      callback(...result)
    })
}

function handOver(socket: Socket): void {
  const read = socket.read.bind(socket)
  const withoutContinue = createContinueFilter(socket)
  /** undici is being told that there are bytes. */
  let isTelling = false
  let offered: Buffer | undefined
  arrivals.set(socket, (arrived) => {
    const bytes = withoutContinue(arrived)
    if (bytes === undefined) return true
    if (socket.readableLength > 0) return socket.push(bytes)
    offered = bytes
    isTelling = true
    socket.emit('readable')
    isTelling = false
    if (offered === undefined) return true
    offered = undefined
    return socket.push(bytes)
  })
  const readOffered = (size?: number): Buffer | null => {
    if (isTelling && size === undefined && socket.readableLength === 0) {
      const taken = offered
      offered = undefined
      return taken ?? null
    }
    for (;;) {
      const chunk = read(size) as Buffer | null
      const bytes = chunk === null ? null : withoutContinue(chunk)
      if (bytes !== undefined) return bytes
    }
  }
  socket.read = readOffered
}

/** Gives what undici may see, nothing where that was a 100 or its beginning. */
function createContinueFilter(socket: Socket): (bytes: Buffer) => Buffer | undefined {
  let held: Buffer | undefined
  return (arrived) => {
    if (!expecting.has(socket)) return arrived
    let bytes = held === undefined ? arrived : Buffer.concat([held, arrived])
    held = undefined
    while (bytes.length > 0) {
      const isContinue = bytes.length >= begin.length && begin.compare(bytes, 0, begin.length) === 0
      const at = isContinue ? bytes.indexOf(end) : -1
      if (!isContinue || (at < 0 && bytes.length > continueBytesMax)) {
        expecting.delete(socket)
        return bytes
      }
      if (at < 0) {
        held = bytes
        return undefined
      }
      bytes = bytes.subarray(at + end.length)
    }
    return undefined
  }
}
