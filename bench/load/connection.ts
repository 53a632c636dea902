/** One keep-alive connection of the load client, and the tally that every job keeps. */
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'
import { monotonicNs } from '../fixture.ts'
import type { Job, Result, Spread, Way } from '../jobs.ts'
import { createResponseReader } from '../response.ts'
import { openStream } from './http2.ts'

/** What a job learns about the one response that is running on its connection. */
export interface Exchange {
  /** `nowNs`: when the bytes were read. */
  body(slice: Buffer, nowNs: number): void
  /** The response is whole. */
  end(nowNs: number): void
}

export interface Connection {
  /** At most one request at a time. */
  send(request: Buffer, exchange: Exchange): void
  close(): void
}

export interface Tally {
  requests: number
  failures: number
  failure: string | undefined
  events: number
  fail(reason: string): void
}

export function createTally(): Tally {
  return {
    requests: 0,
    failures: 0,
    failure: undefined,
    events: 0,
    fail(reason) {
      this.failures += 1
      this.failure ??= reason
    },
  }
}

const ways = new Map<number, Way | undefined>()

/** How the target on that port is spoken to. */
export function reach(port: number, way: Way | undefined): void {
  ways.set(port, way)
}

/** `onLost` is called when a connection breaks or an answer is not 200: the exchange that was running will not end. */
export function open(port: number, tally: Tally, onLost: () => void, onHead?: (status: number, contentType: string) => void): Connection {
  const way = ways.get(port)
  if (way === 'http2') return openStream(port, tally, onLost, onHead)
  let running: Exchange | undefined
  let closed = false
  let nowNs = 0
  const at = { port, host: '127.0.0.1', noDelay: true }
  const socket: Socket = way === 'tls' ? tls.connect({ ...at, rejectUnauthorized: false }) : connect(at)
  const reader = createResponseReader({
    head(status, contentType) {
      if (status !== 200) throw new Error(`status ${status}`)
      onHead?.(status, contentType)
    },
    body: (slice) => running?.body(slice, nowNs),
    end() {
      const ended = running
      running = undefined
      ended?.end(nowNs)
    },
  })
  const lose = (reason: string) => {
    if (closed) return
    closed = true
    socket.destroy()
    tally.fail(reason)
    onLost()
  }
  socket.on('data', (bytes) => {
    if (closed) return
    nowNs = monotonicNs()
    try {
      reader.push(bytes)
    } catch (error) {
      lose(error instanceof Error ? error.message : String(error))
    }
  })
  socket.on('error', (error) => lose(error.message))
  socket.on('close', () => lose('connection closed by the other side'))
  return {
    send(request, exchange) {
      tally.requests += 1
      running = exchange
      socket.write(request)
    },
    close() {
      closed = true
      socket.destroy()
    },
  }
}

/** Nanoseconds in, microseconds out. */
export function spreadOf(samplesNs: readonly number[]): Spread | undefined {
  if (samplesNs.length === 0) return undefined
  const sorted = Float64Array.from(samplesNs).sort()
  const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1_000
  return { samples: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

export type JobOf<Kind extends Job['kind']> = Extract<Job, { kind: Kind }>

export function resultOf(tally: Tally, startedNs: number, more: Partial<Result> = {}): Result {
  const { requests, failures, failure, events } = tally
  return { seconds: (monotonicNs() - startedNs) / 1e9, requests, failures, failure, events, ...more }
}

/** Rejects when a job does not end: a hung target must not hang the bench. */
export function bounded<Value>(seconds: number, what: string, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${seconds} s`)), seconds * 1_000)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
