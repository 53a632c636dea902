/** Room for clients: each connection takes a file descriptor, and so does what its requests need. Shared by all listeners. */
import type { Socket } from 'node:net'
import { perRequest } from './descriptors.ts'

export interface PlacesOptions {
  /** Descriptors for clients and their requests; undefined where nothing limits them. */
  readonly max: number | undefined
  /** Requests that have not ended. */
  readonly openCount: () => number
  /** A connection was refused or closed because descriptors are scarce. */
  readonly lacking: () => void
}

export class Places {
  readonly max: number
  readonly lacking: () => void
  readonly #openCount: () => number
  #connections = 0
  /** Client pools open connections ahead of need; Node counts them among neither the idle nor the answering ones when it closes. */
  readonly #unused = new Set<Socket>()
  readonly #closeIdle = new Set<() => void>()

  constructor({ max, openCount, lacking }: PlacesOptions) {
    this.max = max ?? Number.POSITIVE_INFINITY
    this.#openCount = openCount
    this.lacking = lacking
  }

  /** Of one listener: ends its connections that are between two requests. */
  onLack(closeIdle: () => void): void {
    this.#closeIdle.add(closeIdle)
  }

  accepted(socket: Socket): void {
    this.#connections++
    socket.once('close', () => this.#connections--)
    // The last one that there is room for makes some for the next, which would be refused before it is seen here.
    if (this.#used() >= this.max && !this.#makeRoom(socket) && this.#used() > this.max) socket.destroy()
  }

  /** It may carry requests: now, or once its handshake is over. */
  ready(socket: Socket): void {
    this.#unused.add(socket)
    socket.once('close', () => this.#unused.delete(socket))
  }

  requested(socket: Socket): void {
    this.#unused.delete(socket)
    if (this.#used() + perRequest > this.max) this.#makeRoom(socket)
  }

  destroyUnused(): void {
    for (const socket of this.#unused) socket.destroy()
  }

  #used(): number {
    return this.#connections + perRequest * this.#openCount()
  }

  /** The connection that has been silent longest since it was opened goes, or else all between two requests. False where there is none. */
  #makeRoom(newest: Socket): boolean {
    const [oldest] = this.#unused
    this.lacking()
    if (oldest !== undefined && oldest !== newest) {
      oldest.destroy()
      return true
    }
    for (const closeIdle of this.#closeIdle) closeIdle()
    return this.#connections - 1 > this.#openCount()
  }
}
