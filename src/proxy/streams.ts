/**
 * One HTTP/2 stream of a client in the terms of HTTP/1.1, which everything behind it speaks (RFC 9113 §8.8): `Host` instead of `:authority`, a transfer
 * coding where a body has no length. docs/decisions/http2-clients-by-streams.md says why not by node:http2's own compatibility layer.
 */
import { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { constants, type IncomingHttpHeaders as Http2Headers, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { ClientRequest, ResponseStream, ServedResponse } from './client.ts'

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants
/** Between the end of a response and that of its stream, where the client still sends. */
const lingerMs = 500

export class StreamRequest extends Readable implements ClientRequest {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: string[]
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  readonly socket: Socket
  complete: boolean
  arrivedBytes = 0
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream, headers: Http2Headers, rawHeaders: readonly string[], socket: Socket) {
    super({ autoDestroy: false })
    this.#stream = stream
    this.socket = socket
    this.method = headers[':method']
    this.url = headers[':path']
    this.rawHeaders = fieldsOf(rawHeaders, headers)
    this.complete = stream.endAfterHeaders
    const hasUnknownLength = !this.complete && headers['content-length'] === undefined
    const { host = headers[':authority'], ...others } = headers
    this.headers = {
      ...(others as IncomingHttpHeaders),
      host: headers[':authority'] ?? host,
      ...(hasUnknownLength ? { 'transfer-encoding': 'chunked' } : {}),
    }
    if (this.complete) {
      this.push(null)
      return
    }
    stream.on('data', (chunk: Buffer) => {
      this.arrivedBytes += chunk.length
      if (!this.push(chunk)) stream.pause()
    })
    stream.pause()
    stream.on('end', () => {
      if (stream.aborted) return
      this.complete = true
      this.push(null)
    })
    stream.on('close', () => {
      if (!this.complete) this.destroy(Object.assign(new Error('The client reset the stream.'), { code: 'ECONNRESET' }))
    })
  }

  override _read(): void {
    this.#stream.resume()
  }
}

/** The fields as they came, without those that begin with a colon; `Host` first, and the parts of a cookie in one field (RFC 9113 §8.2.3). */
function fieldsOf(raw: readonly string[], headers: Http2Headers): string[] {
  const authority = headers[':authority']
  const fields = authority === undefined ? [] : ['host', authority]
  let hasCookie = false
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    if (name.startsWith(':') || (name === 'host' && authority !== undefined)) continue
    if (name === 'cookie') {
      if (!hasCookie) fields.push(name, headers.cookie ?? '')
      hasCookie = true
    } else fields.push(name, raw[i + 1] as string)
  }
  return fields
}

export class StreamResponse extends EventEmitter implements ServedResponse, ResponseStream {
  readonly req: ClientRequest
  readonly socket = null
  sendDate = false
  /** False: what is left of the request's body is not wanted once the response is there. */
  shouldKeepAlive = true
  /** HTTP/2 frames bodies itself. */
  chunkedEncoding = false
  statusCode = 200
  writableEnded = false
  writableFinished = false
  bytesWritten = 0
  readonly #stream: ServerHttp2Stream
  #head: Record<string, string | string[] | number> | undefined
  #trailers: readonly string[] = []
  #isClosed = false

  constructor(stream: ServerHttp2Stream, req: ClientRequest) {
    super()
    this.#stream = stream
    this.req = req
    stream.on('drain', () => this.emit('drain'))
    stream.on('wantTrailers', () => stream.sendTrailers(objectOf(this.#trailers)))
    for (const event of ['aborted', 'close']) stream.on(event, () => this.#close())
  }

  get stream(): ResponseStream {
    return this
  }

  get destroyed(): boolean {
    return this.#isClosed || this.#stream.destroyed || this.#stream.closed
  }

  get headersSent(): boolean {
    return this.#head !== undefined
  }

  get writableLength(): number {
    return this.#stream.writableLength
  }

  writeContinue(): void {
    this.writeInformation(100, [])
  }

  writeInformation(status: number, headers: readonly string[]): void {
    if (!this.destroyed && !this.#stream.headersSent) this.#stream.additionalHeaders({ ...objectOf(headers), ':status': status })
  }

  /** There is no phrase in HTTP/2. */
  writeHead(status: number, _phrase: string, headers: OutgoingHttpHeaders | string[]): void {
    this.statusCode = status
    this.#head = { ...(Array.isArray(headers) ? objectOf(headers) : (headers as Record<string, string>)), ':status': status }
  }

  flushHeaders(): void {
    if (this.#head === undefined || this.#stream.headersSent || this.destroyed) return
    const options = { waitForTrailers: !this.writableEnded || this.#trailers.length > 0, sendDate: false } // node:http2's types do not know the second
    this.#stream.respond(this.#head, options)
  }

  write(chunk: string | Buffer, encoding?: BufferEncoding): boolean {
    this.flushHeaders()
    if (this.destroyed || this.#stream.writableEnded) return true // without a body by its status or method
    this.bytesWritten += chunk.length
    return encoding === undefined ? this.#stream.write(chunk) : this.#stream.write(chunk, encoding)
  }

  end(chunk = '', encoding?: BufferEncoding): void {
    this.writableEnded = true
    if (chunk !== '') this.write(chunk, encoding)
    else this.flushHeaders()
    if (this.#stream.writableFinished) this.#finish()
    else this.#stream.once('finish', () => this.#finish())
    if (!this.destroyed) this.#stream.end()
  }

  trailers(rawTrailers: readonly string[]): void {
    this.#trailers = rawTrailers
  }

  cut(flushMsMax: number): void {
    if (this.destroyed) return
    const timer = setTimeout(() => this.destroy(), flushMsMax)
    this.once('close', () => clearTimeout(timer))
    this.#stream.write('', () => this.destroy())
  }

  destroy(): void {
    this.#stream.close(NGHTTP2_INTERNAL_ERROR)
  }

  #finish(): void {
    this.writableFinished = true
    // The client may stop sending (RFC 9113 §8.1). The end of the response has gone by then.
    if (!this.shouldKeepAlive && !this.req.complete) setTimeout(() => this.#stream.close(NGHTTP2_NO_ERROR), lingerMs).unref()
    this.#close()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const { rstCode, aborted, writableLength } = this.#stream
    // node:http2 may close a stream whose end has gone before it tells that it has.
    if (this.writableEnded && rstCode === NGHTTP2_NO_ERROR && !aborted && writableLength === 0) this.writableFinished = true
    this.emit('close')
  }
}

/** A flat list as node:http2 takes it; repeated fields stay apart. */
function objectOf(fields: readonly string[]): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    if (name === 'http2-settings') continue // belongs to one connection (RFC 9113 §8.2.2)
    const before = all[name]
    const value = fields[i + 1] as string
    all[name] = before === undefined ? value : [before, value].flat()
  }
  return all
}
