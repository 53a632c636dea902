/**
 * One upgraded connection's way through the proxy: the handshake, the upstream's yes or no to it, then raw bytes both ways. What they mean
 * is nothing to this file. As everywhere the peer's write comes first, observation after it.
 *
 * Order of calls on an `Observer`: requestEnd? responseStart? then (requestData | responseData)* end.
 */
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Opening, Outcome, Side } from '../lib/exchange.ts'
import type { Member } from '../lib/indexed-set.ts'
import { Cell } from '../lib/shared-counters.ts'
import type { Call, CallHandler } from './call.ts'
import { isLack } from './descriptors.ts'
import { errorCode, sendError, sendUnreachable, unreachableReason } from './failures.ts'
import { type ForwardOptions, nameFor, rewriteOf, takesChunks } from './forward.ts'
import { GuardedObserver } from './guarded-observer.ts'
import { requestHeaders, responseHeaders, upgradeHeaders } from './headers.ts'
import type { UpstreamHealth } from './health.ts'
import type { Observer } from './observer.ts'
import type { Callers } from './opening.ts'
import { type Refusal, refusals } from './refusals.ts'
import type { Destination } from './routes.ts'
import { Progress, type Silence, takenBytes } from './silence.ts'

/** A peer that takes nothing more off its socket gets this long to receive what the other side had sent before it broke. */
const cutFlushMsMax = 30_000
/** Once one side has ended, the other may be silent for so long before it is taken to be gone. */
const halfOpenSilenceMsMax = 60_000
/** Bytes a client may send before the upstream has agreed; then it has to wait. */
const earlyBytesMax = 64 * 1024
const nothing = Buffer.alloc(0)

/**
 * Whether a request asks for another protocol on its connection, and may be given it. HTTP/2 in plain text is not offered (RFC 9113 §3.1
 * deprecates it, and Java's client asks for it each time), nor an upgrade behind a body: both are answered as plain requests.
 */
export function isUpgrade(request: IncomingMessage): boolean {
  const protocols = (request.headers.upgrade ?? '').split(',').map((protocol) => protocol.trim().toLowerCase())
  return request.httpVersionMinor > 0 && !hasBody(request) && !protocols.some((protocol) => protocol.startsWith('h2c'))
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0
}

export class Upgrading implements CallHandler, Member {
  place = 0
  readonly #request: IncomingMessage
  readonly #client: Socket
  readonly #response: ServerResponse
  readonly #opening: Opening
  readonly #options: ForwardOptions
  readonly #onSettled: () => void
  readonly #observer: GuardedObserver
  #call: Call | undefined
  #health: UpstreamHealth | undefined
  /** Nothing more will come from the upstream as a response. */
  #upstreamDone = false
  #upstream: Socket | undefined
  /** What the client has sent ahead of the upstream's answer. */
  #early: Buffer[] = []
  #earlyBytes = 0
  #status: number | undefined
  #ended: Record<Side, boolean> = { client: false, upstream: false }
  #endedBy: Side | undefined
  #settled = false
  readonly #reading: Record<Side, Progress> = { client: new Progress(), upstream: new Progress() }

  constructor(request: IncomingMessage, client: Socket, head: Buffer, opening: Opening, options: ForwardOptions, onSettled: () => void) {
    this.#request = request
    this.#client = client
    this.#opening = opening
    this.#options = options
    this.#onSettled = onSettled
    this.#response = new ServerResponse(request)
    this.#response.sendDate = false
    this.#response.shouldKeepAlive = false // node:http has let go of this connection: it carries one answer
    this.#response.assignSocket(client)
    this.#response.on('error', () => undefined)
    this.#response.once('finish', () => this.#endClient())
    this.#observer = new GuardedObserver(() => options.observe(opening), options.cells)
    const named: Parameters<NonNullable<Callers['later']>>[1] = (caller, claims) =>
      this.#observer.tell((observer) => observer.caller(caller, claims))
    options.callers?.later?.(request.headers, named, request.socket)
    client.on('error', () => undefined) // `close` follows
    client.on('close', () => this.#onClosed('client'))
    client.on('end', this.#onEarlyEnd)
    client.on('data', this.#onEarly)
    if (head.length > 0) this.#onEarly(head)
  }

  /** What the client is told of it. */
  get #id(): string | undefined {
    return this.#options.tellsId ? this.#opening.id : undefined
  }

  refuse({ status, code, message }: Refusal): void {
    this.#status = sendError(this.#response, status, code, message, this.#id)
    this.#settle({ kind: 'refused', reason: code })
  }

  begin(destination: Destination, path: string): void {
    const request = this.#request
    const rewrite = rewriteOf(request, this.#opening, destination, false)
    const headers = requestHeaders(request.rawHeaders, rewrite)
    const { method } = this.#opening
    const upgrade = request.headers.upgrade ?? ''
    this.#health = this.#options.healthOf(destination.origin)
    try {
      this.#call = this.#options
        .upstreamOf(destination.route, destination.origin, false)
        .dispatch({ method, path, headers, host: rewrite.host, name: nameFor(destination), body: null, upgrade }, this)
    } catch {
      this.refuse(refusals.target)
    }
  }

  bodySent(): void {}

  requestSent(): void {
    this.#observer.tell((observer) => observer.requestEnd())
  }

  interim(status: number, rawHeaders: string[]): void {
    this.#response.writeInformation?.(status, responseHeaders(rawHeaders, { status, takesChunks: false }))
  }

  /** Called every so often: has one side stopped reading what waits for it? A side with nothing to read may be idle for ever. */
  look({ readLooks }: Silence): void {
    if (this.#settled) return
    const isClientSilent = this.#reading.client.stoodFor(takenBytes(this.#client)) >= readLooks
    if (!isClientSilent && this.#reading.upstream.stoodFor(takenBytes(this.#upstream)) < readLooks) return
    if (isClientSilent) Atomics.add(this.#options.cells, Cell.silentReaders, 1)
    this.#settle(
      isClientSilent ? { kind: 'client-aborted', reason: 'client_read_timeout' } : { kind: 'upstream-aborted', message: 'READ_TIMEOUT' },
    )
    this.#client.destroy()
    this.#drop()
  }

  /** Grace is over: the connection ends here. */
  cut(): void {
    if (this.#status === undefined) this.#status = sendError(this.#response, 503, 'stopping', 'The sidecar is stopping.', this.#id)
    else this.#client.destroy()
    this.#settle({ kind: 'sidecar-stopped' })
    this.#drop()
  }

  readonly #onEarly = (chunk: Buffer): void => {
    if (this.#settled || this.#status !== undefined) return
    this.#early.push(chunk)
    this.#earlyBytes += chunk.length
    if (this.#earlyBytes >= earlyBytesMax) this.#client.pause()
  }

  /** A client that ends before it has an answer is gone: half an HTTP connection is of no use to it. */
  readonly #onEarlyEnd = (): void => {
    if (this.#settled) return
    this.#settle({ kind: 'client-aborted' })
    this.#drop()
    this.#client.destroy()
  }

  failed(error: Error): void {
    this.#upstreamDone = true
    if (this.#settled) return
    this.#health?.failed(error)
    if (this.#status !== undefined) {
      this.#settle({ kind: 'upstream-aborted', message: errorCode(error) })
      cutSocket(this.#client)
      return
    }
    const reason = unreachableReason(error)
    if (isLack(error)) this.#options.lacking()
    this.#status = sendUnreachable(this.#response, reason, error, this.#id)
    this.#settle({ kind: 'unreachable', reason, message: errorCode(error) })
  }

  /** The upstream answers instead of upgrading: any status, with its body. */
  head(status: number, statusText: string, rawHeaders: string[]): void {
    if (this.#settled) return
    const receivedAt = this.#options.clock.now()
    this.#health?.answered(status)
    this.#status = status
    this.#response.writeHead(
      status,
      statusText,
      responseHeaders(rawHeaders, { status, takesChunks: takesChunks(this.#request), id: this.#id }),
    )
    this.#response.flushHeaders()
    this.#observer.tell((observer) => observer.responseStart({ status, rawHeaders }, receivedAt))
  }

  data(chunk: Buffer): void {
    const receivedAt = this.#options.clock.now()
    if (!this.#response.write(chunk)) {
      this.#call?.pause()
      this.#client.once('drain', () => this.#call?.resume())
    }
    this.#observer.tell((observer) => observer.responseData(chunk, receivedAt))
  }

  end(): void {
    this.#upstreamDone = true
    this.#response.once('finish', () => this.#settle({ kind: 'answered' }))
    this.#response.end()
  }

  upgraded(rawHeaders: string[], duplex: Duplex): void {
    const upstream = duplex as Socket
    this.#upstreamDone = true
    upstream.on('error', () => undefined) // `close` follows
    if (this.#settled) {
      upstream.destroy()
      return
    }
    const receivedAt = this.#options.clock.now()
    this.#health?.answered(101)
    const client = this.#client
    this.#upstream = upstream
    this.#status = 101
    this.#response.detachSocket(client)
    client.write(headText(rawHeaders, this.#id), 'latin1')
    this.#observer.tell((observer) => observer.responseStart({ status: 101, rawHeaders }, receivedAt))
    client.off('data', this.#onEarly).off('end', this.#onEarlyEnd)
    upstream.on('close', () => this.#onClosed('upstream'))
    this.#pump('upstream', upstream, client, (observer, chunk, at) => observer.responseData(chunk, at))
    this.#pump('client', client, upstream, (observer, chunk) => observer.requestData(chunk), Buffer.concat(this.#early))
    this.#early = []
  }

  /** One direction, until its side ends it; the other goes on. */
  #pump(side: Side, from: Socket, to: Socket, tell: (observer: Observer, chunk: Buffer, at: number) => void, first = nothing): void {
    const onData = (chunk: Buffer) => {
      const receivedAt = this.#options.clock.now()
      if (!to.write(chunk)) from.pause()
      this.#observer.tell((observer) => tell(observer, chunk, receivedAt))
    }
    to.on('drain', () => from.resume())
    from.on('end', () => {
      this.#ended[side] = true
      this.#endedBy ??= side
      to.end()
      to.setTimeout(halfOpenSilenceMsMax, () => to.destroy())
    })
    from.on('data', onData)
    from.resume() // a client that sent too much ahead had been made to wait
    if (first.length > 0) onData(first)
  }

  #onClosed(side: Side): void {
    if (this.#settled) return
    const other = side === 'client' ? 'upstream' : 'client'
    const socket = side === 'client' ? this.#client : this.#upstream
    // A side that has received everything up to the other's end may close as it likes.
    if (this.#ended[other] && (this.#ended[side] || socket?.writableFinished)) this.#settle({ kind: 'answered', endedBy: this.#endedBy })
    else this.#settle({ kind: side === 'client' ? 'client-aborted' : 'upstream-aborted' })
    if (this.#upstream === undefined) this.#call?.abort()
    else cutSocket(side === 'client' ? this.#upstream : this.#client)
  }

  /** An answer that is no upgrade has been handed over. */
  #endClient(): void {
    this.#client.end()
    this.#client.setTimeout(cutFlushMsMax, () => this.#client.destroy())
    this.#client.resume()
  }

  #drop(): void {
    this.#upstream?.destroy()
    if (!this.#upstreamDone) this.#call?.abort()
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    this.#early = []
    this.#observer.end(outcome, this.#status)
    this.#onSettled()
  }
}

/** What the other side sent before it broke still arrives. */
function cutSocket(socket: Socket): void {
  socket.setTimeout(cutFlushMsMax, () => socket.destroy())
  socket.destroySoon()
}

/** undici does not tell the reason phrase of a 101. */
function headText(rawHeaders: readonly string[], id: string | undefined): string {
  const fields = upgradeHeaders(rawHeaders, id)
  let text = 'HTTP/1.1 101 Switching Protocols\r\n'
  for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  return `${text}\r\n`
}
