/**
 * One request's way through the proxy: read → dispatch → answer. The client's write comes first, observation after it, and nothing that
 * the observer does or fails to do changes a byte.
 *
 * Order of calls on an `Observer`: requestData* requestEnd? responseStart? responseData* end.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { Gauge } from '../batch.ts'
import type { Route } from '../config.ts'
import type { Opening, Outcome } from '../exchange.ts'
import { errorCode, sendError, sendUnreachable, unreachableReason } from './failures.ts'
import { requestHeaders, responseHeaders } from './headers.ts'
import type { Observer } from './observer.ts'
import { type OpeningOptions, openingOf, originForm } from './opening.ts'
import { createRouter, type Destination } from './routes.ts'
import type { Upstream } from './upstream.ts'

/** Request bodies of a known length up to this many bytes are read before dispatch: an upstream connection is not held for a slow client. */
const bufferedBodyBytesMax = 64 * 1024

/** A client that takes nothing more off its socket gets this long to receive what an aborted upstream had sent. */
const cutFlushMsMax = 30_000

export interface ForwardOptions extends OpeningOptions {
  readonly routes: readonly Route[]
  /** The upstream of an origin. */
  readonly upstreamOf: (origin: string) => Upstream
  readonly observe: (opening: Opening) => Observer
  /** Shared counters, see `Gauge`. */
  readonly gauges: Int32Array
}

export interface Forwarder {
  handle(request: IncomingMessage, response: ServerResponse): void
  /** Requests that have not ended. */
  openCount(): number
  /** Whether an answer is under way on that socket. */
  isAnswering(socket: object): boolean
  /** New answers ask their clients to close the connection. */
  closeConnections(): void
  /** Ends every open request as `sidecar-stopped`. */
  cutAll(): void
}

export function createForwarder(options: ForwardOptions): Forwarder {
  const route = createRouter(options.routes)
  const open = new Set<Forwarding>()
  const answering = new WeakMap<object, number>()
  let closing = false
  const count = (socket: object, by: number) => answering.set(socket, (answering.get(socket) ?? 0) + by)
  return {
    handle(request, response) {
      if (closing) response.shouldKeepAlive = false
      const target = originForm(request.url ?? '/')
      const match = route(target)
      const opening = openingOf(request, target, match?.destination, options)
      const { socket } = request // node:http takes it off the request when it is destroyed
      const forwarding = new Forwarding(request, response, opening, options, () => {
        open.delete(forwarding)
        count(socket, -1)
        Atomics.sub(options.gauges, Gauge.open, 1)
      })
      open.add(forwarding)
      count(socket, 1)
      Atomics.add(options.gauges, Gauge.open, 1)
      if (match === undefined) forwarding.refuse(404, 'no_route', 'No configured route has a prefix of this path.')
      else forwarding.begin(match.destination, match.path)
    },
    openCount: () => open.size,
    isAnswering: (socket) => (answering.get(socket) ?? 0) > 0,
    closeConnections() {
      closing = true
    },
    cutAll() {
      for (const forwarding of open) forwarding.cut()
    },
  }
}

/** undici calls this object for the upstream's side, node:http's events for the client's. Whoever is first to end it, ends it once. */
class Forwarding implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #opening: Opening
  readonly #options: ForwardOptions
  readonly #onSettled: () => void
  #observer: Observer | undefined
  #controller: Dispatcher.DispatchController | undefined
  #release: (() => void) | undefined
  /** Nothing more will come from the upstream. */
  #upstreamDone = false
  #settled = false
  #headSent = false
  #cutting = false
  #observerFailed = false

  constructor(request: IncomingMessage, response: ServerResponse, opening: Opening, options: ForwardOptions, onSettled: () => void) {
    this.#request = request
    this.#response = response
    this.#opening = opening
    this.#options = options
    this.#onSettled = onSettled
    this.#observer = this.#guarded(() => options.observe(opening))
    response.sendDate = false
    response.on('close', () => this.#onClientClosed())
    response.on('error', () => undefined) // a write after the client left; `close` follows
    request.on('error', () => undefined)
    // A pipelined request has no socket of its own yet, so its response would never see the connection end.
    if (response.socket === null) request.socket.once('close', () => this.#onClientClosed())
  }

  /** An observer that throws is switched off for this exchange; its `end` is still called, so that there is a record. */
  #guarded<T>(call: () => T): T | undefined {
    try {
      return call()
    } catch {
      Atomics.add(this.#options.gauges, Gauge.observerFailed, 1)
      return undefined
    }
  }

  refuse(status: number, code: string, message: string): void {
    sendError(this.#response, status, code, message)
    this.#request.resume()
    this.#settle({ kind: 'refused', reason: code })
  }

  begin(destination: Destination, path: string): void {
    const request = this.#request
    if (!path.startsWith('/') || request.url === '*') {
      this.refuse(400, 'bad_target', 'The request target must be a path.')
      return
    }
    const length = Number(request.headers['content-length'] ?? Number.NaN)
    const chunked = request.headers['transfer-encoding'] !== undefined
    if (!chunked && !(length > 0)) {
      this.#dispatch(destination, path, null)
    } else if (!chunked && length <= bufferedBodyBytesMax) {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => this.#dispatch(destination, path, chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
    } else {
      this.#dispatch(destination, path, request)
    }
  }

  #dispatch(destination: Destination, path: string, body: Buffer | IncomingMessage | null): void {
    if (this.#settled) return
    const request = this.#request
    const opening = this.#opening
    const flags = opening.traceFlags.toString(16).padStart(2, '0')
    const headers = requestHeaders(request.rawHeaders, {
      host: hostFor(destination, request.headers.host),
      traceparent: `00-${opening.traceId}-${opening.spanId}-${flags}`,
      tracestate: opening.traceState,
      clientAddress: request.socket.remoteAddress ?? 'unknown',
      clientHost: request.headers.host,
      clientScheme: 'http',
    })
    const method = (request.method ?? 'GET') as Dispatcher.HttpMethod
    this.#release = this.#options.upstreamOf(destination.origin).dispatch({ path, method, headers, body }, this)
    if (this.#upstreamDone) this.#release()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('the client is gone'))
  }

  onBodySent(chunk: Buffer): void {
    this.#guardedObserver((observer) => observer.requestData(chunk))
  }

  onRequestSent(): void {
    this.#guardedObserver((observer) => observer.requestEnd())
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: object, statusText?: string): void {
    const receivedAt = this.#options.clock.now()
    const response = this.#response
    const raw = latin1(controller.rawHeaders)
    if (status < 200) {
      // An HTTP/1.0 client must not be sent 1xx (RFC 9110 §15.2).
      if (this.#request.httpVersionMinor > 0) response.writeInformation(status, responseHeaders(raw))
      return
    }
    response.writeHead(status, statusText ?? '', responseHeaders(raw))
    this.#headSent = true
    // The head travels with the first bytes of the body where they came in the same read, and at once where they did not.
    process.nextTick(flushHead, response)
    this.#guardedObserver((observer) => observer.responseStart({ status, rawHeaders: raw }, receivedAt))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const receivedAt = this.#options.clock.now()
    if (!this.#response.write(chunk) && !this.#settled) {
      controller.pause()
      this.#response.once('drain', () => controller.resume())
    }
    this.#guardedObserver((observer) => observer.responseData(chunk, receivedAt))
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#endUpstream()
    const trailers = controller.rawTrailers === null || controller.rawTrailers === undefined ? [] : latin1(controller.rawTrailers)
    if (trailers.length > 0) this.#response.addTrailers(pairs(responseHeaders(trailers)))
    this.#response.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#endUpstream()
    if (this.#settled) return
    if (this.#headSent) {
      this.#settle({ kind: 'upstream-aborted', message: errorCode(error) })
      this.#cutClient()
      return
    }
    const reason = unreachableReason(error)
    if (!this.#response.destroyed) sendUnreachable(this.#response, reason)
    this.#request.resume()
    this.#settle({ kind: 'unreachable', reason, message: errorCode(error) })
  }

  /** Grace is over: the client's answer ends here. */
  cut(): void {
    this.#cutting = true
    this.#settle({ kind: 'sidecar-stopped' })
    this.#controller?.abort(new Error('tokenweir is stopping'))
    if (this.#headSent) this.#cutClient()
    else sendError(this.#response, 503, 'stopping', 'The sidecar is stopping.')
  }

  #onClientClosed(): void {
    if (this.#settled) return
    if (this.#upstreamDone && this.#response.writableFinished) {
      this.#settle({ kind: 'answered' })
      return
    }
    this.#settle({ kind: 'client-aborted' })
    this.#controller?.abort(new Error('the client is gone'))
  }

  /** What the upstream sent before it broke still reaches the client; the missing end of the body tells it that the answer is cut. */
  #cutClient(): void {
    const socket = this.#response.socket
    if (socket === null || this.#cutting) {
      this.#response.destroy()
      return
    }
    socket.setTimeout(cutFlushMsMax, () => socket.destroy())
    socket.destroySoon()
  }

  #endUpstream(): void {
    this.#upstreamDone = true
    this.#release?.()
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    const status = this.#response.headersSent ? this.#response.statusCode : undefined
    this.#guarded(() => this.#observer?.end(outcome, status))
    this.#onSettled()
  }

  #guardedObserver(call: (observer: Observer) => void): void {
    if (this.#observer === undefined || this.#settled || this.#observerFailed) return
    try {
      call(this.#observer)
    } catch {
      this.#observerFailed = true
      Atomics.add(this.#options.gauges, Gauge.observerFailed, 1)
    }
  }
}

function hostFor({ route, host }: Destination, sent: string | undefined): string {
  if (route.host === 'upstream') return host
  return route.host === 'client' ? (sent ?? host) : route.host.literal
}

function flushHead(response: ServerResponse): void {
  // `_header` is written with the first body bytes; asking to flush after that does nothing.
  if (!response.writableEnded && !response.destroyed) response.flushHeaders()
}

/** undici gives raw header bytes; HTTP field values are latin1 on the wire, and node:http writes latin1 back. */
function latin1(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const out: string[] = []
  if (!Array.isArray(raw)) return out
  for (const item of raw) out.push(typeof item === 'string' ? item : item.toString('latin1'))
  return out
}

function pairs(flat: readonly string[]): [string, string][] {
  const out: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] as string, flat[i + 1] as string])
  return out
}
