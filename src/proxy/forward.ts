/**
 * One request's way through the proxy: read → dispatch → answer. The client's write comes first, observation after it, and nothing that
 * the observer does or fails to do changes a byte.
 *
 * Order of calls on an `Observer`: requestData* requestEnd? responseStart? responseData* end.
 */
import type { TLSSocket } from 'node:tls'
import type { ClientSilence, Opening, Outcome } from '../lib/exchange.ts'
import type { Member } from '../lib/indexed-set.ts'
import { Cell } from '../lib/shared-counters.ts'
import { type BodyBudget, type HeldBody, readBody, type Unread } from './body.ts'
import type { Call, CallHandler, RequestBody } from './call.ts'
import type { ClientRequest, ServedResponse } from './client.ts'
import { ClientResponse, type ClientResponseOwner } from './client-response.ts'
import { isLack } from './descriptors.ts'
import { type BodyReader, type Edit, type Editor, isEdit, type Probe, type RequestHead } from './edit.ts'
import { errorCode, sendError, sendUnreachable, unreachableReason } from './failures.ts'
import { GuardedObserver } from './guarded-observer.ts'
import { type RequestRewrite, requestHeaders, responseHeaders } from './headers.ts'
import type { UpstreamHealth } from './health.ts'
import type { Observer } from './observer.ts'
import type { Callers, OpeningOptions } from './opening.ts'
import { type Refusal, refusals } from './refusals.ts'
import type { Destination } from './routes.ts'
import { Progress, type Silence, type SilenceLimits, takenBytes } from './silence.ts'
import type { UpstreamOf } from './upstreams.ts'

/** A client that takes nothing more off its socket gets this long to receive what an aborted upstream had sent. */
const cutFlushMsMax = 30_000

export interface ForwardOptions extends OpeningOptions {
  /** The upstream of an origin; `http2` as its route has it. */
  readonly upstreamOf: UpstreamOf
  /** Told what the upstream of an origin does. */
  readonly healthOf: (origin: string) => UpstreamHealth
  readonly observe: (opening: Opening) => Observer
  /** How long and how much is read on for a client that has left, where the route says so. */
  readonly drain: { readonly msMax: number; readonly bytesMax: number }
  /** Absent when not one byte may change. */
  readonly editor?: Editor | undefined
  /** Of all request bodies that are read whole. */
  readonly bodies: BodyBudget
  readonly silence: SilenceLimits
  /** Responses tell the id of their exchange (`idHeader`). */
  readonly tellsId?: boolean | undefined
  /** Shared counters, see `Cell`. */
  readonly cells: Int32Array
  /** A connection could not be made for lack of a descriptor. */
  readonly lacking: () => void
}

const unreadCells: Readonly<Record<Unread, number>> = { size: Cell.injectionSkippedSize, budget: Cell.injectionSkippedBudget }

interface ReadBody {
  readonly body: RequestBody
  readonly unread: Unread | undefined
  readonly reader: BodyReader | undefined
}

/** What goes to the upstream: the client's own bytes, or edited ones. */
interface Outgoing {
  readonly destination: Destination
  readonly path: string
  readonly own: RequestBody
  readonly edited: RequestBody
  /** The response to the edited bytes must not be compressed. */
  readonly isIdentity: boolean
}

interface ResponseBeginning {
  readonly status: number
  readonly statusText: string
  readonly rawHeaders: string[]
  readonly receivedAt: number
}

interface HeldResponse extends ResponseBeginning {
  readonly chunks: Buffer[]
}

/** The upstream's client calls this object for the one side, node:http's events for the other. Whoever is first to end it, ends it once. */
export class Forwarding implements CallHandler, ClientResponseOwner, Member {
  place = 0
  readonly #request: ClientRequest
  readonly #response: ServedResponse
  readonly #clientResponse: ClientResponse
  readonly #opening: Opening
  readonly #options: ForwardOptions
  readonly #onSettled: () => void
  readonly #observer: GuardedObserver
  #call: Call | undefined
  #health: UpstreamHealth | undefined
  /** Nothing more will come from the upstream. */
  #upstreamDone = false
  #settled = false
  #headSent = false
  /** Of the upstream's answer. */
  #status: number | undefined
  /** The client has left, and the answer is read on for its usage. */
  #draining: NodeJS.Timeout | undefined
  #drainedBytes = 0
  #drains = false
  #cutting = false
  /** Until it is sent for good. */
  #outgoing: Outgoing | undefined
  #edit: Edit | undefined
  /** The request is the client's own, and its response is looked at. */
  #probe: Probe | undefined
  #watch: ReturnType<Probe['watch']>
  /** Of an edited request whose first event is not known yet. */
  #held: HeldResponse | undefined
  #sentAgain = false
  #body: HeldBody | undefined
  readonly #sending = new Progress()
  readonly #reading = new Progress()

  /** `onSettled`: the exchange has its ending. `onClosed`: nothing more will be written of its response. */
  constructor(
    request: ClientRequest,
    response: ServedResponse,
    opening: Opening,
    options: ForwardOptions,
    onSettled: () => void,
    onClosed: () => void,
  ) {
    this.#request = request
    this.#response = response
    this.#clientResponse = new ClientResponse(response, this)
    this.#opening = opening
    this.#options = options
    this.#onSettled = onSettled
    this.#observer = new GuardedObserver(() => options.observe(opening), options.cells)
    const named: Parameters<NonNullable<Callers['later']>>[1] = (caller, claims) =>
      this.#observer.tell((observer) => observer.caller(caller, claims))
    options.callers?.later?.(request.headers, named, request.socket)
    response.sendDate = false
    response.on('close', () => {
      this.#onClientClosed()
      onClosed()
    })
    response.on('error', () => undefined) // a write after the client left; `close` follows
    request.on('error', () => undefined)
  }

  /** What the client is told of it. */
  get #id(): string | undefined {
    return this.#options.tellsId ? this.#opening.id : undefined
  }

  /** Where the request is at fault, its connection ends: what follows on it may be no request. */
  refuse({ status, code, message }: Refusal, persists = true): void {
    if (!persists) this.#response.shouldKeepAlive = false
    sendError(this.#response, status, code, message, this.#id)
    this.#request.resume()
    this.#settle({ kind: 'refused', reason: code })
  }

  broke(): void {
    if (this.#settled) return
    if (this.#headSent) {
      this.#response.destroy()
      return
    }
    this.refuse(refusals.malformed, false)
    this.#call?.abort()
  }

  begin(destination: Destination, path: string): void {
    const request = this.#request
    if (!path.startsWith('/') || request.url === '*') {
      this.refuse(refusals.target)
      return
    }
    // Before, a refusal would have come instead. Who asks by HTTP/1.0 does not know of it.
    if (request.headers.expect !== undefined && request.httpVersionMinor > 0) this.#response.writeContinue()
    const head: RequestHead = {
      origin: destination.origin,
      method: this.#opening.method,
      path: this.#opening.path,
      contentType: request.headers['content-type'],
      contentEncoding: request.headers['content-encoding'],
    }
    const reader = this.#options.editor?.reads(head)
    this.#drains = destination.route.disconnect === 'drain'
    const reading = { whole: reader !== undefined, budget: this.#options.bodies }
    this.#body = readBody(request, reading, {
      push: reader && ((chunk) => reader.push(chunk)),
      body: (body, unread) => this.#bodyRead(destination, path, { body, unread, reader }),
    })
  }

  #bodyRead(destination: Destination, path: string, { body, unread, reader }: ReadBody): void {
    const edit = Array.isArray(body) ? reader?.edit(body) : undefined
    if (isEdit(edit)) this.#edit = edit
    else this.#probe = edit
    if (reader !== undefined && unread !== undefined) {
      Atomics.add(this.#options.cells, unreadCells[unread], 1)
      this.#observer.tell((observer) => observer.note('usage_injection_skipped'))
    }
    const edited = this.#edit?.body ?? body
    // What is compressed cannot be read in passing, neither to take usage out nor to see whether it comes.
    const isIdentity = this.#edit !== undefined || this.#probe?.isForKnowledge === true
    this.#outgoing = { destination, path, own: body, edited, isIdentity }
    this.#dispatch(this.#outgoing, false)
  }

  #dispatch({ destination, path, own, edited, isIdentity }: Outgoing, isAgain: boolean): void {
    if (this.#settled) return
    const request = this.#request
    const body = isAgain ? own : edited
    const rewrite = rewriteOf(request, this.#opening, destination, isIdentity && !isAgain)
    const headers = requestHeaders(request.rawHeaders, rewrite)
    const { method } = this.#opening
    this.#upstreamDone = false
    this.#health = this.#options.healthOf(destination.origin)
    try {
      this.#call = this.#options
        .upstreamOf(destination.route, destination.origin, destination.route.http2 === true)
        .dispatch({ method, path, headers, host: rewrite.host, name: nameFor(destination), body }, this)
    } catch {
      this.refuse({ ...refusals.target, message: 'The request cannot be sent on as it is.' })
    }
  }

  bodySent(chunk: Buffer): void {
    this.#observer.tell((observer) => observer.requestData(chunk))
  }

  requestSent(): void {
    if (this.#edit === undefined) this.#forgetRequest()
    this.#observer.tell((observer) => observer.requestEnd())
  }

  interim(status: number, rawHeaders: string[]): void {
    // An HTTP/1.0 client must not be sent 1xx (RFC 9110 §15.2). Whoever waited for a 100 has had ours.
    if (this.#request.httpVersionMinor > 0 && status !== 100)
      this.#response.writeInformation?.(status, responseHeaders(rawHeaders, { status, takesChunks: false }))
  }

  head(status: number, statusText: string, rawHeaders: string[]): void {
    const receivedAt = this.#options.clock.now()
    this.#health?.answered(status)
    if (this.#judge(status) === 'again') {
      // Nobody waits for what an upstream has to say of an edit, which may be without end.
      this.#call?.abort()
      this.#sendAgain()
      return
    }
    const head = { status, statusText, rawHeaders, receivedAt }
    if (this.#edit?.holds(rawHeaders) === true) this.#held = { ...head, chunks: [] }
    else this.#begin(head)
  }

  /** The response is the client's. */
  #begin({ status, statusText, rawHeaders, receivedAt }: ResponseBeginning): void {
    this.#status = status
    if (this.#edit !== undefined) {
      this.#edit.accepted()
      this.#observer.tell((observer) => observer.note('usage_injected'))
    }
    const filter = this.#edit?.filter(rawHeaders)
    this.#watch = this.#probe?.watch(rawHeaders)
    this.#probe = undefined
    this.#forgetRequest()
    if (this.#draining === undefined) {
      const framing = { status, takesChunks: takesChunks(this.#request), filtered: filter !== undefined, id: this.#id }
      this.#clientResponse.head(status, statusText, responseHeaders(rawHeaders, framing), filter)
      this.#headSent = true
    }
    this.#observer.tell((observer) => observer.responseStart({ status, rawHeaders }, receivedAt))
  }

  data(chunk: Buffer): void {
    if (this.#held !== undefined) {
      this.#hold(this.#held, chunk)
      return
    }
    const receivedAt = this.#options.clock.now()
    if (this.#draining === undefined) {
      this.#clientResponse.push(chunk, receivedAt)
      return
    }
    this.written(chunk, receivedAt)
    this.#drainedBytes += chunk.length
    if (this.#drainedBytes > this.#options.drain.bytesMax) this.#endClient()
  }

  /** Nothing of the response has reached the client: its first event decides whether it is the client's. */
  #hold(held: HeldResponse, chunk: Buffer): void {
    held.chunks.push(chunk)
    const body = held.chunks.length === 1 ? chunk : Buffer.concat(held.chunks)
    const first = this.#edit?.first(body) ?? 'fine'
    if (first === 'unknown yet') return
    this.#held = undefined
    if (first === 'error') {
      this.#call?.abort()
      this.#sendAgain()
      return
    }
    this.#begin(held)
    this.data(body)
  }

  /** The answer's: its bytes are with the client, and now they are observed. */
  written(bytes: Buffer, receivedAt: number): void {
    this.#observer.responseData(bytes, receivedAt)
    this.#watch?.push(bytes)
  }

  /** The answer's: the client's socket takes no more for now. */
  full(): void {
    if (!this.#settled) this.#call?.pause()
  }

  drained(): void {
    this.#call?.resume()
  }

  end(rawTrailers: string[]): void {
    this.#upstreamDone = true
    if (this.#endsUnseen()) return
    this.#clientResponse.end(responseHeaders(rawTrailers))
    this.#watch?.end()
  }

  failed(error: Error): void {
    this.#upstreamDone = true
    if (this.#settled) return
    this.#health?.failed(error)
    if (this.#endsUnseen(false)) return
    if (this.#headSent) {
      this.#clientResponse.flushAll()
      this.#settle({ kind: 'upstream-aborted', message: errorCode(error) })
      this.#cutClient()
      return
    }
    const reason = unreachableReason(error)
    if (isLack(error)) this.#options.lacking()
    this.#probe?.answered(undefined)
    // An upstream that was not even there says nothing of what it makes of the request.
    if (!this.#sentAgain && (reason === 'closed' || reason === 'timeout' || reason === 'protocol')) this.#edit?.broken()
    if (!this.#response.destroyed) sendUnreachable(this.#response, reason, error, this.#id)
    this.#request.resume()
    this.#settle({ kind: 'unreachable', reason, message: errorCode(error) })
  }

  /** The end of an answer that no client sees: one that ended without any event, or one that is drained. */
  #endsUnseen(isWhole = true): boolean {
    const isEmpty = isWhole && this.#held !== undefined
    this.#held = undefined
    if (isEmpty) this.#sendAgain()
    else if (this.#draining !== undefined) this.#endClient()
    else return false
    return true
  }

  /** Grace is over: the client's answer ends here. */
  cut(): void {
    if (this.#draining !== undefined) {
      this.#endClient()
      return
    }
    this.#cutting = true
    if (!this.#headSent) sendError(this.#response, 503, 'stopping', 'The sidecar is stopping.', this.#id)
    this.#settle({ kind: 'sidecar-stopped' })
    this.#call?.abort()
    if (this.#headSent) this.#cutClient()
  }

  /** Called every so often: has the client gone silent? */
  look({ bodyLooks, readLooks }: Silence): void {
    if (this.#settled || this.#draining !== undefined) return
    const { complete, readableLength, socket, arrivedBytes = socket?.bytesRead } = this.#request
    // What has come and is not taken waits for the upstream, not for the client.
    const isAwaited = !complete && readableLength === 0
    if (this.#sending.stoodFor(isAwaited ? arrivedBytes : undefined) >= bodyLooks) this.#endSilent('client_body_timeout')
    else if (this.#reading.stoodFor(takenBytes(this.#response.stream ?? this.#response.socket)) >= readLooks)
      this.#endSilent('client_read_timeout')
  }

  #endSilent(reason: ClientSilence): void {
    const isBody = reason === 'client_body_timeout'
    Atomics.add(this.#options.cells, isBody ? Cell.silentBodies : Cell.silentReaders, 1)
    const isAnswered = this.#headSent
    this.#response.shouldKeepAlive = false // where the next request would begin is not known
    const late = 'The rest of the request body did not arrive in time (timeouts.clientBodyMs).'
    if (!isAnswered) sendError(this.#response, 408, reason, late, this.#id)
    this.#settle({ kind: 'client-aborted', reason })
    this.#call?.abort()
    if (isAnswered) this.#response.destroy()
    else this.#request.resume()
  }

  #onClientClosed(): void {
    if (this.#settled) return
    if (this.#upstreamDone && this.#response.writableFinished) {
      this.#settle({ kind: 'answered' })
      return
    }
    if (this.#drains && this.#call !== undefined && !this.#upstreamDone) this.#drain()
    else this.#endClient()
  }

  #endClient(): void {
    this.#settle({ kind: 'client-aborted' })
    this.#call?.abort()
  }

  #drain(): void {
    if (this.#draining !== undefined) return
    this.#draining = setTimeout(() => this.#endClient(), this.#options.drain.msMax)
    this.#observer.tell((observer) => observer.clientGone())
    this.#call?.resume()
  }

  /** What the upstream sent before it broke still reaches the client; the missing end of the body tells it that the answer is cut. */
  #cutClient(): void {
    const { socket, stream } = this.#response
    if (stream !== undefined && !this.#cutting) {
      stream.cut(cutFlushMsMax)
      return
    }
    if (socket === null || this.#cutting) {
      this.#response.destroy()
      return
    }
    socket.setTimeout(cutFlushMsMax, () => socket.destroy())
    socket.destroySoon()
  }

  /** Whether the answer with this status is the client's, or the request is to be sent again as the client wrote it. */
  #judge(status: number): 'go on' | 'again' {
    if (this.#probe?.isForKnowledge === true) this.#observer.tell((observer) => observer.note('usage_probe'))
    this.#probe?.answered(status)
    if (this.#edit === undefined) return 'go on'
    if (this.#sentAgain) {
      this.#edit.judgedAgain(status)
      this.#edit = undefined
      if (status < 400) this.#observer.tell((observer) => observer.note('usage_injection_refused'))
      return 'go on'
    }
    return this.#edit.judge(status)
  }

  /** A stream may be open for hours, and does not hold its prompt meanwhile. */
  #forgetRequest(): void {
    this.#outgoing = undefined
    this.#edit = undefined
    if (this.#body?.letGo()) this.#body = undefined
  }

  #sendAgain(): void {
    this.#sentAgain = true
    this.#observer.tell((observer) => observer.requestAgain())
    if (this.#outgoing !== undefined) this.#dispatch(this.#outgoing, true)
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#draining)
    this.#body?.drop()
    const status = this.#response.headersSent ? this.#response.statusCode : this.#status
    this.#observer.end(outcome, status)
    this.#onSettled()
  }
}

export function rewriteOf(request: ClientRequest, opening: Opening, destination: Destination, edited: boolean): RequestRewrite {
  const flags = opening.traceFlags.toString(16).padStart(2, '0')
  return {
    host: hostFor(destination, request.headers.host),
    traceparent: `00-${opening.traceId}-${opening.spanId}-${flags}`,
    tracestate: opening.traceState,
    clientAddress: request.socket.remoteAddress ?? 'unknown',
    clientHost: request.headers.host,
    clientScheme: (request.socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http',
    edited,
  }
}

/** Whether the response to this request may come in chunks. */
export function takesChunks({ method, httpVersionMinor }: ClientRequest): boolean {
  return method !== 'HEAD' && httpVersionMinor > 0
}

/** Whose certificate is due where it is not the upstream's own: the name that the operator gave, never the client's. */
export function nameFor({ route }: Pick<Destination, 'route'>): string | undefined {
  return route.tls?.serverName ?? (typeof route.host === 'string' ? undefined : route.host.literal)
}

function hostFor({ route, host }: Destination, sent: string | undefined): string {
  if (route.host === 'upstream') return host
  return route.host === 'client' ? (sent ?? host) : route.host.literal
}
