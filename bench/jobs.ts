/** What the runner asks of the load client, and what it gets back. All of it crosses IPC as JSON. */
import type { Ask, Through } from './fixture.ts'

/** Header fields of these names besides the usual ones, each with one of so many values, another on each connection. */
export interface Fields {
  readonly names: readonly string[]
  readonly values: number
}

/** With `through` the answers are a gateway's own, so they are read event by event instead of by their length. */
export type Job =
  /** One request on a connection of its own. */
  | { readonly kind: 'fetch'; readonly port: number; readonly ask: Ask; readonly through?: Through | undefined }
  /** As many JSON requests as go through, `concurrency` at a time. */
  | {
      readonly kind: 'json'
      readonly port: number
      readonly seconds: number
      readonly concurrency: number
      readonly through?: Through | undefined
      readonly fields?: Fields | undefined
    }
  /** `streams` paced streams at the same time, begun evenly within one interval, read to their end. */
  | {
      readonly kind: 'paced'
      readonly port: number
      readonly seconds: number
      readonly streams: number
      readonly intervalMs: number
      readonly through?: Through | undefined
    }
  /** `concurrency` unpaced streams at a time, one after the other; those running when the time is up are read to their end. */
  | { readonly kind: 'unpaced'; readonly port: number; readonly seconds: number; readonly concurrency: number; readonly events: number }
  /** Paced streams as above, and besides `probesPerSecond` new short streams whose first body byte is timed. */
  | {
      readonly kind: 'latency'
      readonly port: number
      readonly seconds: number
      readonly streams: number
      readonly intervalMs: number
      readonly probesPerSecond: number
    }
  /** Opens paced streams and answers when each of them has brought two events; they stay open until `release`. */
  | { readonly kind: 'hold'; readonly port: number; readonly streams: number; readonly intervalMs: number; readonly opensPerSecond: number }
  /** Cuts what `hold` opened. */
  | { readonly kind: 'release' }

/** How a target is spoken to, where not by plain HTTP/1.1. */
export type Way = 'tls' | 'http2'

/** Microseconds. */
export interface Spread {
  readonly samples: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface Fetched {
  readonly status: number
  readonly contentType: string
  readonly bytes: number
  readonly sha256: string
  /** Only with `through`. */
  readonly body?: string
}

export interface Result {
  /** Wall time of the job, in seconds. */
  readonly seconds: number
  /** Requests sent: each of them owes a record. */
  readonly requests: number
  /** Answers that were not 200, not whole, or not of the length expected. */
  readonly failures: number
  /** The first failure in words. */
  readonly failure?: string | undefined
  /** Events received whole. */
  readonly events: number
  /** Whole answer of a JSON request. */
  readonly answer?: Spread | undefined
  /** From the request written to the first byte of the body. */
  readonly firstByte?: Spread | undefined
  /** From the upstream's write to the load client's read, per event. */
  readonly delay?: Spread | undefined
  /** `fetch` only. */
  readonly fetched?: Fetched | undefined
}
