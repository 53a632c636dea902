/** The head of a response, and what it says of the body's length and of the connection (RFC 9112 §4, §6, §9.3). */
import type { FaultCode } from './fault.ts'
import { readFields } from './fields.ts'

/** Where a body ends: there is none, after so many bytes, with its last chunk, or with the connection. */
export type Framing = 'none' | 'length' | 'chunked' | 'open'

export interface ResponseHead {
  readonly status: number
  readonly statusText: string
  /** Flat list as received, latin1. */
  readonly rawHeaders: string[]
  readonly framing: Framing
  /** Bytes of the body where its framing is `length`. */
  readonly length: number
  /** Whether the connection can carry another exchange after this one. */
  readonly persists: boolean
  /** Seconds of `Keep-Alive: timeout=N`. */
  readonly keepAliveSeconds: number | undefined
}

const statusLine = /HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n/y
/** Up to 10^15 - 1, which a number holds exactly. */
const contentLength = /^\d{1,15}$/

/**
 * `section` is the head without the blank line; `bodiless` for the answer to a HEAD. At least as strict as llhttp: a repeated Content-Length
 * or Transfer-Encoding, one beside the other, and any transfer coding but `chunked` are faults, and so is a 101, which no request of
 * ours asks for.
 */
export function readHead(section: string, bodiless: boolean): ResponseHead | FaultCode {
  statusLine.lastIndex = 0
  const line = statusLine.exec(section)
  if (line === null) return 'BAD_STATUS_LINE'
  const rawHeaders = readFields(section, statusLine.lastIndex)
  if (rawHeaders === undefined) return 'BAD_FIELD'
  const status = Number(line[2])
  let length = -1
  let isChunked = false
  let closes = false
  let persists = line[1] === '1'
  let keepAliveSeconds: number | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (length >= 0 || !contentLength.test(value)) return 'BAD_LENGTH'
      length = Number(value)
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      if (isChunked || value.toLowerCase() !== 'chunked') return 'BAD_TRANSFER_CODING'
      isChunked = true
      // RFC 9112 §6.1: the framing of an HTTP/1.0 message with a transfer coding is not to be trusted.
      if (line[1] === '0') closes = true
    } else if (name.length === 10) {
      const lower = name.toLowerCase()
      if (lower === 'keep-alive') keepAliveSeconds = timeoutOf(value)
      else if (lower !== 'connection') continue
      else if (hasOption(value, 'close')) closes = true
      else if (hasOption(value, 'keep-alive')) persists = true
    }
  }
  if (isChunked && length >= 0) return 'BAD_LENGTH'
  const hasBody = isChunked || length > 0
  if (status === 101 || (status < 200 && hasBody)) return 'BAD_INTERIM'
  let framing: Framing = isChunked ? 'chunked' : length < 0 ? 'open' : 'length'
  if (bodiless || status < 200 || status === 204 || status === 304) {
    framing = 'none'
    // One that speaks of a body may be followed by it all the same, and so may an answer to HEAD: nothing more is read from that connection.
    if (bodiless || hasBody) closes = true
  }
  if (framing === 'open') closes = true
  return { status, statusText: line[3] ?? '', rawHeaders, framing, length, persists: persists && !closes, keepAliveSeconds }
}

function hasOption(value: string, option: string): boolean {
  const lower = value.toLowerCase()
  return lower === option || lower.split(',').some((one) => one.trim() === option)
}

function timeoutOf(value: string): number | undefined {
  const found = /(?:^|[,;\s])timeout\s?=\s?(\d{1,9})/i.exec(value)
  return found === null ? undefined : Number(found[1])
}
