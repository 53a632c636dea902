/** One request to an upstream and its response: undici's view of them on the one side, a `CallHandler` on the other. */
import type { Duplex, Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { type Dispatcher, errors } from 'undici'
import { faultOf, isBreak, UpstreamFault } from './fault.ts'

export interface CallRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Flat list, in order and case. What frames the body is put right or added; `Host` is written first. */
  readonly headers: readonly string[]
  /** The value of `Host`. */
  readonly host: string
  /** Whose name the certificate must bear, perhaps with a port; the upstream's own where undefined. */
  readonly name?: string | undefined
  readonly body: RequestBody
  /** The protocol to upgrade to; without a body. */
  readonly upgrade?: string | undefined
}

/** A whole body is given in pieces. `null` when there is none. */
export type RequestBody = readonly Buffer[] | Readable | null

/** bodySent* requestSent? interim* (head data* end | upgraded)?, and `failed` at any point but after the last. */
export interface CallHandler {
  /** These bytes of the body have been handed to the connection. */
  bodySent(chunk: Buffer): void
  requestSent(): void
  /** A 1xx; header lists are flat, as received, latin1. */
  interim(status: number, rawHeaders: string[]): void
  head(status: number, statusText: string, rawHeaders: string[]): void
  data(chunk: Buffer): void
  end(rawTrailers: string[]): void
  /** The connection is the caller's now; what had been read of it already comes first. */
  upgraded?(rawHeaders: string[], socket: Duplex): void
  failed(error: Error): void
}

/** How requests are written so that they reach the upstream. */
export interface Way {
  /** Stands before every path: the origin, where a forward proxy is asked for the whole URL. */
  readonly prefix: string
  /** Fields for that proxy. */
  readonly fields: readonly string[]
  /** What the proxy's refusal means, which has the status 407. */
  readonly refused: ((status: number) => Error) | undefined
}

export const straight: Way = { prefix: '', fields: [], refused: undefined }

export interface Upstream {
  /** Throws a `TypeError` when the method, the path or a field cannot be sent. */
  dispatch(request: CallRequest, handler: CallHandler): Call
  /** Ends every connection; what is still running on them fails. */
  destroy(): void
  /** Keeps no connection beyond the call that it carries. Calls under way go on, and what is still dispatched gets a connection of its own. */
  retire(): void
}

/** What carries a call: a connection, or several. */
export interface Carrier {
  readonly dispatcher: Dispatcher
  readonly way: Way
  /** Whom it has to belong to. */
  readonly servername: string | undefined
  /** From the request to the head of its response, whatever comes in between; 0 means without limit. */
  readonly headMs: number
  /** The call is over; its connection can carry another one where it `persists`. */
  settled(persists: boolean): void
  /** The connection broke under a request that may be sent a second time. */
  again(call: Call): void
}

/** Methods that a server may be asked twice (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
const notAscii = /[^\x20-\x7e]/
/** What a reason phrase may not hold. */
const notReason = /[^\t\x20-\x7e\x80-\xff]/g
/** Of all interim responses before one response: they go on without back-pressure. */
const interimCharactersMax = 1 << 20
/** Larger bodies are handed to undici as something that can be let go of: it holds on to what it is given until the response has ended. */
const heldBytesMax = 4096
/** So much of a body is written, and looked at, before others have their turn. */
const turnBytesMax = 512 * 1024

export class Call implements Dispatcher.DispatchHandler {
  readonly #handler: CallHandler
  #carrier: Carrier | undefined
  readonly host: string
  readonly name: string | undefined
  /** Let go of when the response begins. */
  #request: Pick<CallRequest, 'method' | 'path' | 'headers' | 'upgrade'> | undefined
  #body: RequestBody
  #controller: Dispatcher.DispatchController | undefined
  /** `dispatch` is under way, and undici may refuse the request. */
  #isDispatching = false
  #refusal: Error | undefined
  #interimCharacters = 0
  #isAnswered = false
  #hasHead = false
  /** `performance.now()`. */
  #sentAt: number | undefined
  #headTimer: NodeJS.Timeout | undefined
  /** It is carried by a connection that has carried another request before. */
  isOnUsedConnection = false
  /** It has been sent a second time, on a fresh connection. */
  #isRepeated = false
  /** The handler is told nothing more. */
  isOver = false

  constructor({ body, host, name, method, path, headers, upgrade }: CallRequest, handler: CallHandler) {
    this.host = host
    this.name = name
    this.#request = { method, path, headers, upgrade }
    this.#handler = handler
    this.#body = body
  }

  /**
   * Throws a `TypeError` when the method, the path or a field cannot be sent: undici tells that as a failure of the request, but it is a mistake of the
   * caller.
   */
  dispatchOn(carrier: Carrier): void {
    const { dispatcher, way, servername } = carrier
    const { method, path, headers, upgrade } = this.#request ?? { method: '', path: '', headers: [] }
    if (!path.startsWith('/')) throw new TypeError('The path of a request must begin with a slash.')
    if (method === 'CONNECT') throw new TypeError('The method of a request must not be CONNECT.')
    this.#carrier = carrier
    this.#isDispatching = true
    dispatcher.dispatch(
      {
        method: method as Dispatcher.HttpMethod,
        path: way.prefix + path,
        headers: sentHeaders(headers, this.host, this.#body, way),
        body: this.#sentBody() as Readable | null,
        upgrade: upgrade ?? null,
        servername,
      } as Dispatcher.DispatchOptions,
      this,
    )
    this.#isDispatching = false
    if (this.#refusal !== undefined) throw new TypeError(this.#refusal.message)
  }

  /** The response is read on only after `resume`; what has been read already still comes. */
  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  /** Ends the call and its connection; the handler is told nothing more. */
  abort(): void {
    if (this.isOver) return
    this.isOver = true
    this.#forgetBody()
    this.#controller?.abort(new UpstreamFault('STOPPED'))
    this.#carrier?.settled(false)
  }

  fail(error: Error): void {
    if (this.isOver) return
    this.isOver = true
    this.#forgetBody()
    this.#handler.failed(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.isOver) controller.abort(new UpstreamFault('STOPPED'))
  }

  onBodySent(chunk: Buffer): void {
    if (!this.isOver && this.#sentAt === undefined) this.#handler.bodySent(chunk)
  }

  onRequestSent(): void {
    if (this.isOver || this.#sentAt !== undefined) return
    this.#sentAt = performance.now()
    if (isWhole(this.#body) && !idempotent.has(this.#request?.method ?? '')) this.#body = null // it is never sent again
    this.#handler.requestSent()
  }

  onResponseStarted(): void {
    this.#isAnswered = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, statusText = ''): void {
    if (this.isOver) return
    const rawHeaders = listOf(controller.rawHeaders)
    controller.rawHeaders = null // undici would hold what was read from the socket until the response has ended
    if (status < 200) {
      this.#onInterim(controller, status, rawHeaders)
      return
    }
    const fault = this.#faultOfHead(status, rawHeaders)
    if (fault !== undefined) {
      controller.abort(fault)
      return
    }
    this.#hasHead = true
    clearTimeout(this.#headTimer)
    this.#request = undefined
    if (isWhole(this.#body)) this.#body = null
    this.#handler.head(status, reasonOf(statusText), rawHeaders)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.isOver) this.#handler.data(chunk)
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.isOver) return
    this.isOver = true
    this.#forgetBody()
    this.#carrier?.settled(true)
    this.#handler.end(listOf(controller.rawTrailers))
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, _status: number, _headers: unknown, socket: Duplex): void {
    const isWanted = !this.isOver
    this.isOver = true
    this.#carrier?.settled(false)
    if (isWanted && this.#handler.upgraded !== undefined) this.#handler.upgraded(listOf(controller.rawHeaders), socket)
    else socket.destroy()
  }

  onResponseError(controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.isOver) return
    if (this.#isDispatching && controller === null && isRefusal(error)) {
      this.#refusal = error
      return
    }
    const fault = this.#faultOf(error, controller)
    if (this.#maySendAgain(fault)) {
      this.#isRepeated = true
      this.#controller = undefined
      this.#carrier?.again(this)
      return
    }
    this.#carrier?.settled(false)
    this.fail(fault)
  }

  #onInterim(controller: Dispatcher.DispatchController, status: number, rawHeaders: string[]): void {
    for (const text of rawHeaders) this.#interimCharacters += text.length
    this.#limitHead(controller)
    if (this.#interimCharacters > interimCharactersMax) controller.abort(new UpstreamFault('HEAD_TOO_LARGE'))
    else this.#handler.interim(status, rawHeaders)
  }

  /** undici's own limit begins anew at each interim response. */
  #limitHead(controller: Dispatcher.DispatchController): void {
    const headMs = this.#carrier?.headMs ?? 0
    if (headMs === 0 || this.#sentAt === undefined || this.#headTimer !== undefined) return
    const leftMs = this.#sentAt + headMs - performance.now()
    this.#headTimer = setTimeout(() => controller.abort(new UpstreamFault('HEAD_TIMEOUT')), Math.max(leftMs, 1))
  }

  #faultOfHead(status: number, rawHeaders: readonly string[]): Error | undefined {
    const refused = this.#carrier?.way.refused
    if (status === 407 && refused !== undefined) return refused(status)
    return isFramedPlainly(rawHeaders) ? undefined : new UpstreamFault('BAD_TRANSFER_CODING')
  }

  #faultOf(error: Error, controller: Dispatcher.DispatchController | null): Error {
    // The client's body broke off: undici ends the request with the stream's own error, or says that it was aborted.
    const isStream = !isWhole(this.#body)
    const { code } = error as NodeJS.ErrnoException
    if (isStream && controller !== null && (code === 'UND_ERR_ABORTED' || code === 'ERR_STREAM_PREMATURE_CLOSE'))
      return new UpstreamFault('REQUEST_CUT')
    if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' && !this.#hasHead) return new UpstreamFault('BAD_RESPONSE')
    return faultOf(error)
  }

  #maySendAgain(fault: Error): boolean {
    if (!this.isOnUsedConnection || this.#isRepeated || this.#isAnswered || !isBreak(fault)) return false
    if (this.#controller === undefined) return true // nothing of it was written
    return isWhole(this.#body) && this.#request !== undefined && idempotent.has(this.#request.method)
  }

  /** What is left of a body that nobody wants any more is read and thrown away, so that its client can read the response. */
  #forgetBody(): void {
    clearTimeout(this.#headTimer)
    const body = this.#body
    this.#body = null
    if (!isWhole(body)) body.resume()
  }

  #sentBody(): Buffer | Iterable<Buffer> | AsyncIterable<Buffer> | null {
    const body = this.#body
    if (body === null) return null
    if (!isWhole(body)) return streamed(body)
    return lengthOf(body) <= heldBytesMax ? joined(body) : piecewise(() => this.#body as readonly Buffer[])
  }
}

function isWhole(body: RequestBody): body is readonly Buffer[] | null {
  return body === null || Array.isArray(body)
}

function joined(body: readonly Buffer[]): Buffer {
  return body.length === 1 ? (body[0] as Buffer) : Buffer.concat(body)
}

function lengthOf(body: readonly Buffer[]): number {
  let bytes = 0
  for (const piece of body) bytes += piece.length
  return bytes
}

/** Functions of their own: a closure made beside another would hold what that one uses. */
function streamed(body: Readable): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => body.iterator({ destroyOnReturn: false }) }
}

function piecewise(body: () => readonly Buffer[]): Iterable<Buffer> | AsyncIterable<Buffer> {
  if (lengthOf(body()) > turnBytesMax) return { [Symbol.asyncIterator]: () => inTurns(body()) }
  return { [Symbol.iterator]: () => body().values() }
}

/** The system may take many MiB at once: others have their turn in between. */
async function* inTurns(body: readonly Buffer[]): AsyncGenerator<Buffer> {
  let bytes = 0
  for (const piece of body) {
    yield piece
    bytes += piece.length
    if (bytes < turnBytesMax) continue
    bytes = 0
    await setImmediate()
  }
}

function isRefusal(error: Error): boolean {
  return error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError
}

/** With the one length that is right, and with none of what undici writes by itself; it writes `host` first. */
function sentHeaders(headers: readonly string[], host: string, body: RequestBody, way: Way): string[] {
  const sent: string[] = ['host', host, ...way.fields]
  const isWholeBody = isWhole(body)
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') continue
    if (isWholeBody && name.length === 14 && name.toLowerCase() === 'content-length') continue
    sent.push(name, headers[i + 1] as string)
  }
  const length = isWholeBody && body !== null ? lengthOf(body) : 0
  if (length > heldBytesMax) sent.push('content-length', String(length))
  return sent
}

/** undici reads the phrase as UTF-8; on the wire it is bytes, which Node writes as latin1. */
function reasonOf(text: string): string {
  return notAscii.test(text) ? Buffer.from(text).toString('latin1').replace(notReason, '') : text
}

/** Any other transfer coding than `chunked`, once, would be lost: it is a field of one hop, and the client would be given what is still encoded. */
function isFramedPlainly(rawHeaders: readonly string[]): boolean {
  let isChunked = false
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== 17 || name.toLowerCase() !== 'transfer-encoding') continue
    if (isChunked || (rawHeaders[i + 1] as string).toLowerCase() !== 'chunked') return false
    isChunked = true
  }
  return true
}

/** HTTP/1.1 gives a flat list of bytes; HTTP/2 an object of texts. */
function listOf(raw: unknown): string[] {
  if (Array.isArray(raw)) {
    const list = new Array<string>(raw.length)
    for (let i = 0; i < raw.length; i++) list[i] = textOf(raw[i] as Buffer | string)
    return list
  }
  if (typeof raw !== 'object' || raw === null) return []
  return Object.entries(raw as Record<string, string | string[]>).flatMap(([name, value]) =>
    name.startsWith(':') ? [] : [value].flat().flatMap((one) => [name, String(one)]),
  )
}

/** Without the white space behind a value, which undici leaves. */
function textOf(part: Buffer | string): string {
  const text = typeof part === 'string' ? part : part.toString('latin1')
  const last = text.charCodeAt(text.length - 1)
  return last === 0x20 || last === 0x09 ? text.trimEnd() : text
}
