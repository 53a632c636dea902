/** One request to an upstream and its answer. */
import type { Readable } from 'node:stream'
import { isFieldText, isToken } from './fields.ts'

export interface UpstreamRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Flat list, sent as it is, in order and case; what frames the body is put right or added. */
  readonly headers: readonly string[]
  /** The value of `Host`, whose name the certificate must bear. */
  readonly host: string
}

export interface CallRequest extends UpstreamRequest {
  readonly body: Buffer | Readable | null
}

/** Never called within `dispatch`: bodySent* requestSent? interim* (head data* end)?, and `failed` at any point but after `end`. */
export interface CallHandler {
  /** These bytes of the body have been handed to the connection. */
  bodySent(chunk: Buffer): void
  requestSent(): void
  /** A 1xx; header lists are flat, as received, latin1. */
  interim(status: number, rawHeaders: string[]): void
  head(status: number, statusText: string, rawHeaders: string[]): void
  data(chunk: Buffer): void
  end(rawTrailers: string[]): void
  failed(error: Error): void
}

/** The connection that carries a call. */
export interface Carrier {
  pause(): void
  resume(): void
  drop(): void
}

/** Methods that a server may be asked twice (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** Methods whose requests say so when they have no body: many servers answer 411 else. */
const expectsBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])
const notTarget = /[^\x21-\x7e\x80-\xff]/
const contentLength = /^\d{1,15}$/

export class Call {
  readonly handler: CallHandler
  readonly isHead: boolean
  readonly isIdempotent: boolean
  readonly host: string
  body: Buffer | Readable | null
  /** Bytes of the body; `undefined` when it goes in chunks. */
  readonly bodyBytes: number | undefined
  /** Request line and fields with the blank line, latin1. */
  head: string
  /** Whether the connection can be used again: after a HEAD, or a body where none is expected, servers go wrong. */
  readonly persists: boolean
  carrier: Carrier | undefined
  /** It has been sent a second time, on a fresh connection. */
  again = false
  /** The handler is told nothing more. */
  isOver = false

  /** Throws when the method, the path or a field cannot be sent. */
  constructor({ method, path, headers, host, body }: CallRequest, handler: CallHandler) {
    this.handler = handler
    this.host = host
    this.body = body
    this.isHead = method === 'HEAD'
    this.isIdempotent = idempotent.has(method)
    this.bodyBytes = body === null ? 0 : Buffer.isBuffer(body) ? body.length : declaredLength(headers)
    this.persists = !this.isHead && (this.bodyBytes === 0 || expectsBody.has(method))
    this.head = `${startLine(method, path)}${fieldLines(headers, this.bodyBytes, body !== null || expectsBody.has(method))}${
      this.isHead ? 'connection: close' : 'connection: keep-alive'
    }\r\n\r\n`
  }

  /** The answer is read on only after `resume`; what has been read already still comes. */
  pause(): void {
    this.carrier?.pause()
  }

  resume(): void {
    this.carrier?.resume()
  }

  /** Ends the call and its connection; the handler is told nothing more. */
  abort(): void {
    this.isOver = true
    this.carrier?.drop()
  }

  /** It is not sent again. */
  forgetRequest(): void {
    this.body = null
    this.head = ''
  }

  fail(error: Error): void {
    if (this.isOver) return
    this.isOver = true
    this.handler.failed(error)
  }
}

function declaredLength(headers: readonly string[]): number | undefined {
  let declared: number | undefined
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'content-length') continue
    if (declared !== undefined || !contentLength.test(headers[i + 1] as string)) throw new TypeError('The Content-Length is no length.')
    declared = Number(headers[i + 1])
  }
  return declared
}

function startLine(method: string, path: string): string {
  if (!isToken(method) || method === 'CONNECT') throw new TypeError('The method of a request must be a token other than CONNECT.')
  if (!path.startsWith('/') || notTarget.test(path))
    throw new TypeError('The path of a request must begin with a slash and have no spaces.')
  return `${method} ${path} HTTP/1.1\r\n`
}

/** The one field that frames the body stands where the client has put its own, or at the end. */
function fieldLines(headers: readonly string[], bodyBytes: number | undefined, needsFraming: boolean): string {
  let lines = ''
  let isFramed = false
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    if (!isToken(name) || !isFieldText(value)) throw new TypeError(`The header field ${JSON.stringify(name)} cannot be sent.`)
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (!isFramed) lines += `${name}: ${bodyBytes}\r\n`
      isFramed = true
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      throw new TypeError('The transfer coding of a request is not for its sender to choose.')
    } else {
      lines += `${name}: ${value}\r\n`
    }
  }
  if (isFramed || !needsFraming) return lines
  return lines + (bodyBytes === undefined ? 'transfer-encoding: chunked\r\n' : `content-length: ${bodyBytes}\r\n`)
}
