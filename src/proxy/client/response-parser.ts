/**
 * A push parser for the responses of one connection (RFC 9112), at least as strict as llhttp. Only heads, chunk sizes and trailers are looked
 * at; bodies are handed on as they came, in parts of the buffers that were pushed. What is held of a line that has not come whole is bounded.
 */
import type { FaultCode } from './fault.ts'
import { readFields } from './fields.ts'
import { type ResponseHead, readHead } from './response-head.ts'
import { Section } from './section.ts'

/** For each response: onInterim* onHead onData* onEnd. */
export interface ResponseSink {
  onInterim(head: ResponseHead): void
  onHead(head: ResponseHead): void
  onData(chunk: Buffer): void
  /** `parser.persists` says whether the connection can carry another exchange. */
  onEnd(rawTrailers: string[]): void
}

type State = 'head' | 'length' | 'open' | 'chunk size' | 'chunk data' | 'chunk end' | 'trailers' | 'done'

const crlf = Buffer.from('\r\n')
const statusLineStart = 'HTTP/1.'
/** A size, and extensions that nobody uses. */
const chunkLineBytesMax = 4096
/** Of all interim responses before one answer: they go on without back-pressure. */
const interimBytesMax = 1 << 20
const chunkLine =
  /^([0-9a-f]{1,16})(?:;[!#$%&'*+\-.^_`|~\w]+(?:=(?:[!#$%&'*+\-.^_`|~\w]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*\r\n$/i
const chunkLineStart = /^[0-9a-f]{0,16}(?:$|\r|;)/i
const cr = 0x0d
const lf = 0x0a

/** Values of hexadecimal digits by their code; 255 for every other byte. */
const hexDigits = new Uint8Array(256).fill(255)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  hexDigits[digit.charCodeAt(0)] = value
  hexDigits[digit.toUpperCase().charCodeAt(0)] = value
}

export class ResponseParser {
  persists = false
  keepAliveSeconds: number | undefined
  readonly #sink: ResponseSink
  /** The head, or the trailers. */
  readonly #section: Section
  #state: State = 'done'
  #fault: FaultCode | undefined
  #bodiless = false
  /** Bytes of the body, or of the chunk, that are still to come. */
  #remaining = 0
  /** A chunk's first line that has not come whole. */
  #line = ''
  #crSeen = false
  #interimBytes = 0

  /** `sectionBytesMax` bounds a head, and the trailers. */
  constructor(sink: ResponseSink, sectionBytesMax: number) {
    this.#sink = sink
    this.#section = new Section(sectionBytesMax)
  }

  /** A request has been sent; `bodiless` when it was a HEAD. */
  begin(bodiless: boolean): void {
    this.#state = 'head'
    this.#bodiless = bodiless
    this.#interimBytes = 0
    this.persists = false
    this.keepAliveSeconds = undefined
  }

  /** What is wrong with the response; the connection is then of no more use. Bytes behind the end of a response make it end with the connection. */
  push(chunk: Buffer): FaultCode | undefined {
    let at = 0
    while (at < chunk.length && this.#fault === undefined) at = this.#step(chunk, at)
    return this.#fault
  }

  /** The upstream has ended the connection: `CLOSED` when that is not the end of the response. */
  finish(): FaultCode | undefined {
    if (this.#state !== 'open') return 'CLOSED'
    this.#complete([])
    return undefined
  }

  /** Takes something from `chunk` at `at`; returns where to go on. */
  #step(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(chunk, at)
      case 'length':
        return this.#readLength(chunk, at)
      case 'open':
        this.#sink.onData(chunk.subarray(at))
        return chunk.length
      case 'chunk size':
        return this.#readChunkSize(chunk, at)
      case 'chunk data':
        return this.#readChunkData(chunk, at)
      case 'chunk end':
        return this.#readChunkEnd(chunk, at)
      case 'trailers':
        return this.#readTrailers(chunk, at)
      case 'done':
        return chunk.length
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    const text = this.#section.read(chunk, at)
    if (text === undefined) {
      const { fault = this.#section.mayStartWith(statusLineStart) ? undefined : 'BAD_STATUS_LINE' } = this.#section
      return this.#fail(fault, chunk)
    }
    const { next } = this.#section
    const head = readHead(text, this.#bodiless)
    if (typeof head === 'string') return this.#fail(head, chunk)
    if (head.status < 200) {
      this.#interimBytes += text.length
      if (this.#interimBytes > interimBytesMax) return this.#fail('HEAD_TOO_LARGE', chunk)
      this.#sink.onInterim(head)
      return next
    }
    this.persists = head.persists
    this.keepAliveSeconds = head.keepAliveSeconds
    this.#remaining = head.length
    const isEmpty = head.framing === 'none' || (head.framing === 'length' && head.length === 0)
    this.#state = head.framing === 'chunked' ? 'chunk size' : head.framing === 'open' ? 'open' : 'length'
    this.#sink.onHead(head)
    return isEmpty ? this.#end([], chunk, next) : next
  }

  #readLength(chunk: Buffer, at: number): number {
    const next = at + Math.min(this.#remaining, chunk.length - at)
    this.#remaining -= next - at
    this.#sink.onData(at === 0 && next === chunk.length ? chunk : chunk.subarray(at, next))
    return this.#remaining === 0 ? this.#end([], chunk, next) : next
  }

  #readChunkSize(chunk: Buffer, at: number): number {
    // Nearly always the line is here whole and has no extensions.
    if (this.#line === '') {
      let size = 0
      let digits = at
      for (; digits < at + 8; digits++) {
        const digit = hexDigits[chunk[digits] ?? 0] as number
        if (digit === 255) break
        size = size * 16 + digit
      }
      if (digits > at && chunk[digits] === cr && chunk[digits + 1] === lf) return this.#beginChunk(size, chunk, digits + 2)
    }
    const end = chunk.indexOf(lf, at)
    const next = end < 0 ? chunk.length : end + 1
    this.#line += chunk.toString('latin1', at, next)
    if (this.#line.length > chunkLineBytesMax || !chunkLineStart.test(this.#line.slice(0, 17))) return this.#fail('BAD_CHUNK', chunk)
    if (end < 0) return next
    const size = Number.parseInt(chunkLine.exec(this.#line)?.[1] ?? '', 16)
    this.#line = ''
    return Number.isSafeInteger(size) ? this.#beginChunk(size, chunk, next) : this.#fail('BAD_CHUNK', chunk)
  }

  #beginChunk(size: number, chunk: Buffer, next: number): number {
    if (size > 0) {
      this.#remaining = size
      this.#state = 'chunk data'
      return next
    }
    if (chunk[next] === cr && chunk[next + 1] === lf) return this.#end([], chunk, next + 2)
    this.#state = 'trailers'
    this.#section.hold(crlf) // of the last chunk: trailers end with a blank line, as a head does
    return next
  }

  #readChunkData(chunk: Buffer, at: number): number {
    const next = at + Math.min(this.#remaining, chunk.length - at)
    this.#remaining -= next - at
    if (this.#remaining === 0) this.#state = 'chunk end'
    this.#sink.onData(at === 0 && next === chunk.length ? chunk : chunk.subarray(at, next))
    return next
  }

  #readChunkEnd(chunk: Buffer, at: number): number {
    let next = at
    if (!this.#crSeen) {
      if (chunk[next] !== cr) return this.#fail('BAD_CHUNK', chunk)
      next++
      if (next === chunk.length) {
        this.#crSeen = true
        return next
      }
    }
    if (chunk[next] !== lf) return this.#fail('BAD_CHUNK', chunk)
    this.#crSeen = false
    this.#state = 'chunk size'
    return next + 1
  }

  #readTrailers(chunk: Buffer, at: number): number {
    const text = this.#section.read(chunk, at)
    if (text === undefined) return this.#fail(this.#section.fault, chunk)
    const trailers = readFields(text, crlf.length)
    if (trailers === undefined || trailers.some((one, i) => i % 2 === 0 && isFraming(one))) return this.#fail('BAD_FIELD', chunk)
    return this.#end(trailers, chunk, this.#section.next)
  }

  #end(trailers: string[], chunk: Buffer, next: number): number {
    if (next < chunk.length) this.persists = false
    this.#complete(trailers)
    return chunk.length
  }

  #complete(trailers: string[]): void {
    this.#state = 'done'
    this.#sink.onEnd(trailers)
  }

  #fail(fault: FaultCode | undefined, chunk: Buffer): number {
    this.#fault = fault
    return chunk.length
  }
}

/** Fields that must not come behind the body they speak of (RFC 9110 §6.5.1). */
function isFraming(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'content-length' || lower === 'transfer-encoding'
}
