/**
 * A push reader of HTTP/1.1 responses for the load client: Content-Length and chunked, one response after the other.
 * It must cost a small part of what the proxies cost; it need not survive hostile input.
 */

export interface ResponseEvents {
  head(status: number, contentType: string): void
  /** A slice of the decoded body; valid during the call. */
  body(slice: Buffer): void
  end(): void
}

export interface ResponseReader {
  /** Throws on framing it does not know. */
  push(bytes: Buffer): void
  /** Between two responses. */
  readonly idle: boolean
}

type State = 'head' | 'length' | 'size' | 'chunk' | 'chunk-end' | 'trailer'

const statusLine = /^HTTP\/1\.1 (\d{3})/
const lengthHeader = /\r\ncontent-length: *(\d+)/i
const typeHeader = /\r\ncontent-type: *([^\r]*)/i
const chunkedHeader = /\r\ntransfer-encoding: *chunked/i
const carriageReturn = 13

/** Value of the hexadecimal digits in `bytes` from `from` to `to`. */
function hexadecimal(bytes: Buffer, from: number, to: number): number {
  let value = 0
  for (let index = from; index < to; index += 1) {
    const digit = bytes[index] ?? 0
    if (digit === 59) return value // ';' begins an extension
    value = value * 16 + (digit < 58 ? digit - 48 : (digit | 32) - 87)
  }
  if (!Number.isSafeInteger(value)) throw new Error('no chunk size')
  return value
}

export function createResponseReader(events: ResponseEvents): ResponseReader {
  let state: State = 'head'
  /** Bytes left of the body or of the chunk. */
  let left = 0
  let held: Buffer | undefined

  function finish(): void {
    state = 'head'
    events.end()
  }

  function head(bytes: Buffer, from: number): number {
    const end = bytes.indexOf('\r\n\r\n', from, 'latin1')
    if (end < 0) return from
    const text = bytes.toString('latin1', from, end)
    const status = Number(statusLine.exec(text)?.[1] ?? 0)
    events.head(status, typeHeader.exec(text)?.[1] ?? '')
    const length = lengthHeader.exec(text)
    if (length !== null) {
      left = Number(length[1])
      state = 'length'
      if (left === 0) finish()
    } else if (chunkedHeader.test(text)) state = 'size'
    else throw new Error(`no framing in: ${text}`)
    return end + 4
  }

  function data(bytes: Buffer, from: number): number {
    const to = Math.min(bytes.length, from + left)
    left -= to - from
    events.body(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
    if (left === 0) {
      if (state === 'length') finish()
      else state = 'chunk-end'
    }
    return to
  }

  /** A line up to CRLF; returns the offset after it, or `from` while it is not whole. */
  function line(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length && bytes[at] !== carriageReturn) at += 1
    if (at + 1 >= bytes.length) return from
    if (state === 'size') {
      left = hexadecimal(bytes, from, at)
      state = left === 0 ? 'trailer' : 'chunk'
    } else if (state === 'chunk-end') state = 'size'
    else if (at === from) finish()
    return at + 2
  }

  function step(bytes: Buffer, from: number): number {
    if (state === 'head') return head(bytes, from)
    if (state === 'length' || state === 'chunk') return data(bytes, from)
    return line(bytes, from)
  }

  return {
    push(chunk) {
      const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
      held = undefined
      let at = 0
      while (at < bytes.length) {
        const next = step(bytes, at)
        if (next === at) {
          held = bytes.subarray(at)
          return
        }
        at = next
      }
    },
    get idle() {
      return state === 'head' && held === undefined
    },
  }
}
