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

/** Where a connection's `Arrivals` are. A `WeakMap` costs more (measured: 1 % of a paced event). */
const key = Symbol('arrivals')
type Read = Socket & { [key]?: Arrivals }

subscribe('undici:client:sendHeaders', (message) => (message as { readonly socket: Read }).socket[key]?.expect())

/** For connections that nobody but undici ever reads from. All of them are read into one block, out of which is copied at once. */
export const onread: OnReadOpts = {
  buffer: Buffer.allocUnsafeSlow(64 * 1024),
  callback(this: Read, bytesRead: number, block: Uint8Array): boolean {
    const bytes = Buffer.from(block.subarray(0, bytesRead))
    return this[key]?.take(bytes) ?? this.push(bytes)
  },
} as OnReadOpts

export function handsOver(connect: Connect): Connect {
  return (target, callback) =>
    connect(target, (...result) => {
      if (result[0] === null && (result[1] as TLSSocket).alpnProtocol !== 'h2') handOver(result[1])
      callback(...result)
    })
}

function handOver(socket: Read): void {
  const of = new Arrivals(socket)
  socket[key] = of
  socket.read = of.read
}

/** Of one connection. */
class Arrivals {
  readonly #socket: Socket
  readonly #readStream: (size?: number) => Buffer | null
  /** A request has been written, and of its response nothing has come. */
  #isExpecting = false
  /** The beginning of what may be a 100. */
  #held: Buffer | undefined
  /** undici is being told that there are bytes. */
  #isTelling = false
  #offered: Buffer | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.#readStream = socket.read.bind(socket)
  }

  expect(): void {
    this.#isExpecting = true
  }

  /** False when nothing more is to be read for now. */
  take(arrived: Buffer): boolean {
    const socket = this.#socket
    const bytes = this.#withoutContinue(arrived)
    if (bytes === undefined) return true
    if (socket.readableLength > 0) return socket.push(bytes)
    this.#offered = bytes
    this.#isTelling = true
    socket.emit('readable')
    this.#isTelling = false
    if (this.#offered === undefined) return true
    this.#offered = undefined
    return socket.push(bytes)
  }

  /** undici's way to what has come: the socket's `read`. */
  readonly read = (size?: number): Buffer | null => {
    if (this.#isTelling && size === undefined && this.#socket.readableLength === 0) {
      const taken = this.#offered
      this.#offered = undefined
      return taken ?? null
    }
    for (;;) {
      const chunk = this.#readStream(size)
      const bytes = chunk === null ? null : this.#withoutContinue(chunk)
      if (bytes !== undefined) return bytes
    }
  }

  /** What undici may see; nothing where that was a 100 or its beginning. */
  #withoutContinue(arrived: Buffer): Buffer | undefined {
    if (!this.#isExpecting) return arrived
    let bytes = this.#held === undefined ? arrived : Buffer.concat([this.#held, arrived])
    this.#held = undefined
    while (bytes.length > 0) {
      const isContinue = bytes.length >= begin.length && begin.compare(bytes, 0, begin.length) === 0
      const at = isContinue ? bytes.indexOf(end) : -1
      if (!isContinue || (at < 0 && bytes.length > continueBytesMax)) {
        this.#isExpecting = false
        return bytes
      }
      if (at < 0) {
        this.#held = bytes
        return undefined
      }
      bytes = bytes.subarray(at + end.length)
    }
    return undefined
  }
}
