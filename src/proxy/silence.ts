/**
 * Clients that stop in the middle of something: of a request's body, or of reading what waits for them. All that is open is looked at every few seconds;
 * a timer for each request would cost more. A look that comes late, because the machine was suspended, counts once.
 */
import type { Taker } from './client.ts'

/** Milliseconds; 0 means without limit. */
export interface SilenceLimits {
  /** While a request's body is awaited: without a byte of it. */
  readonly bodyMs: number
  /** While bytes wait for a peer: without it taking one. */
  readonly readMs: number
}

/** The same, in looks. */
export interface Silence {
  readonly everyMs: number
  readonly bodyLooks: number
  readonly readLooks: number
}

/** Looks within the shorter limit: silence is noticed so much later at most. */
const looksPerLimit = 10

export function silenceOf({ bodyMs, readMs }: SilenceLimits): Silence {
  const everyMs = Math.ceil(Math.min(...[bodyMs, readMs].filter((ms) => ms > 0)) / looksPerLimit)
  const looks = (ms: number) => (ms > 0 ? Math.ceil(ms / everyMs) : Number.POSITIVE_INFINITY)
  return { everyMs: Number.isFinite(everyMs) ? everyMs : 0, bodyLooks: looks(bodyMs), readLooks: looks(readMs) }
}

/** A count that grows as long as its peer does something. */
export class Progress {
  #last: number | undefined
  #looks = 0

  /** The number of looks since `count` grew; it is undefined while nothing is awaited. */
  stoodFor(count: number | undefined): number {
    this.#looks = count !== undefined && count === this.#last ? this.#looks + 1 : 0
    this.#last = count
    return this.#looks
  }
}

/** Bytes that the system has taken for a socket's peer, or that HTTP/2 has taken of a stream; undefined while none wait. It takes more when the peer has read. */
export function takenBytes(socket: Taker | null | undefined): number | undefined {
  return socket == null || socket.writableLength === 0 ? undefined : socket.bytesWritten - socket.writableLength
}
