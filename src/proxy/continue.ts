/**
 * Some servers send `100 Continue` although nobody waits for it, which a client must bear (RFC 9110 §15.2). undici 8 ends the connection then, so a 100
 * that comes where a response is to begin is taken out of what is read from the socket before undici sees it.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
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

export function readsOverContinue(connect: Connect): Connect {
  return (target, callback) =>
    connect(target, (...result) => {
      if (result[0] === null && (result[1] as TLSSocket).alpnProtocol !== 'h2') withoutContinue(result[1])
      callback(...result)
    })
}

function withoutContinue(socket: Socket): void {
  const read = socket.read.bind(socket)
  let held: Buffer | undefined
  socket.read = (size?: number) => {
    for (;;) {
      const chunk = read(size) as Buffer | null
      if (chunk === null || !expecting.has(socket)) return chunk
      const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
      held = undefined
      const isContinue = bytes.length >= begin.length && begin.compare(bytes, 0, begin.length) === 0
      const at = isContinue ? bytes.indexOf(end) : -1
      if (!isContinue || (at < 0 && bytes.length > continueBytesMax)) {
        expecting.delete(socket)
        return bytes
      }
      if (at < 0) held = bytes
      else if (bytes.length > at + end.length) socket.unshift(bytes.subarray(at + end.length))
    }
  }
}
