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

interface Reading {
  readonly events: ResponseEvents
  state: State
  /** Bytes left of the body or of the chunk. */
  left: number
}

function finish(reading: Reading): void {
  reading.state = 'head'
  reading.events.end()
}

/** Each step returns the offset after what it took: `from` when more bytes are needed. */
function readHead(reading: Reading, bytes: Buffer, from: number): number {
  const end = bytes.indexOf('\r\n\r\n', from, 'latin1')
  if (end < 0) return from
  const text = bytes.toString('latin1', from, end)
  reading.events.head(Number(statusLine.exec(text)?.[1] ?? 0), typeHeader.exec(text)?.[1] ?? '')
  const length = lengthHeader.exec(text)
  if (length !== null) {
    reading.left = Number(length[1])
    reading.state = 'length'
    if (reading.left === 0) finish(reading)
  } else if (chunkedHeader.test(text)) reading.state = 'size'
  else throw new Error(`no framing in: ${text}`)
  return end + 4
}

function readData(reading: Reading, bytes: Buffer, from: number): number {
  const to = Math.min(bytes.length, from + reading.left)
  reading.left -= to - from
  reading.events.body(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
  if (reading.left > 0) return to
  if (reading.state === 'length') finish(reading)
  else reading.state = 'chunk-end'
  return to
}

function readLine(reading: Reading, bytes: Buffer, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at] !== carriageReturn) at += 1
  if (at + 1 >= bytes.length) return from
  if (reading.state === 'size') {
    reading.left = hexadecimal(bytes, from, at)
    reading.state = reading.left === 0 ? 'trailer' : 'chunk'
  } else if (reading.state === 'chunk-end') reading.state = 'size'
  else if (at === from) finish(reading)
  return at + 2
}

function step(reading: Reading, bytes: Buffer, from: number): number {
  if (reading.state === 'head') return readHead(reading, bytes, from)
  if (reading.state === 'length' || reading.state === 'chunk') return readData(reading, bytes, from)
  return readLine(reading, bytes, from)
}

export function createResponseReader(events: ResponseEvents): ResponseReader {
  const reading: Reading = { events, state: 'head', left: 0 }
  let held: Buffer | undefined
  return {
    push(chunk) {
      const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
      held = undefined
      let at = 0
      while (at < bytes.length) {
        const next = step(reading, bytes, at)
        if (next === at) {
          held = bytes.subarray(at)
          return
        }
        at = next
      }
    },
    get idle() {
      return reading.state === 'head' && held === undefined
    },
  }
}
