/**
 * Some servers send `100 Continue` although nobody waits for it, which a client must bear (RFC 9110 §15.2). undici 8 ends the connection then, so a 100
 * that comes where a response is to begin is taken out of what is read from the socket before undici sees it.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'

type Connect = buildConnector.connector

const begin = Buffer.from('HTTP/1.1 100')
const end = '\r\n\r\n'

/** Sockets on which a request has been written, and of whose response nothing has come. */
const expecting = new WeakSet<Socket>()
subscribe('undici:client:sendHeaders', (message) => void expecting.add((message as { readonly socket: Socket }).socket))

export function readsOverContinue(connect: Connect): Connect {
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error !== null) callback(error, null)
      else callback(null, withoutContinue(socket as Socket) as never)
    })
}

function withoutContinue(socket: Socket): Socket {
  const read = socket.read.bind(socket)
  let held: Buffer | undefined
  socket.read = (size?: number) => {
    const chunk = read(size) as Buffer | null
    if (chunk === null || !expecting.has(socket)) return chunk
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
    held = undefined
    if (bytes.length < begin.length || begin.compare(bytes, 0, begin.length) !== 0) {
      expecting.delete(socket)
      return bytes
    }
    const at = bytes.indexOf(end)
    if (at < 0) held = bytes
    else if (bytes.length > at + end.length) socket.unshift(bytes.subarray(at + end.length))
    return socket.read()
  }
  return socket
}
