import { describe, expect, it } from 'vitest'
import type { ResponseHead } from '../../../src/proxy/client/response-head.ts'
import { ResponseParser, type ResponseSink } from '../../../src/proxy/client/response-parser.ts'
import { type Parsed, type Sample, samples } from './responses.ts'

/** What a parser says of `parts`, or the fault it ended with. */
function parse(parts: readonly Buffer[], { method, ends }: Sample): Parsed | string {
  const interim: [number, string[]][] = []
  let head: ResponseHead | undefined
  let body = ''
  let ended: string[] | undefined
  const sink: ResponseSink = {
    onInterim: ({ status, rawHeaders }) => void interim.push([status, rawHeaders]),
    onHead: (one) => void (head = one),
    onData: (chunk) => void (body += chunk.toString('latin1')),
    onEnd: (trailers) => void (ended = trailers),
  }
  const parser = new ResponseParser(sink, 65_536)
  parser.begin(method === 'HEAD')
  for (const part of parts) {
    const fault = parser.push(part)
    if (fault !== undefined) return fault
  }
  if (ended === undefined && ends) {
    const fault = parser.finish()
    if (fault !== undefined) return fault
  }
  if (head === undefined || ended === undefined) return 'unfinished'
  const { status, statusText, rawHeaders: fields } = head
  return { interim, status, statusText, fields, body, trailers: ended, persists: parser.persists }
}

/** The table leaves out what is most common. */
function whole(expected: Parsed | string): Parsed | string {
  if (typeof expected === 'string') return expected
  const texts: Record<number, string> = { 200: 'OK', 204: 'No Content', 304: 'Not Modified', 799: 'X' }
  return { interim: [], statusText: texts[expected.status] ?? '', trailers: [], ...expected }
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

function split(bytes: Buffer, next: () => number): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(next() ** 3 * Math.min(bytes.length, 200))
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

describe.each(samples)('$name', (sample) => {
  const bytes = Buffer.from(sample.wire, 'latin1')
  const expected = whole(sample.expected)

  it('is read in one piece', () => {
    expect(parse([bytes], sample)).toEqual(expected)
  })

  // Where more follows behind the end, that is known only when it has come: the connection looks at that itself.
  const inParts = whole(
    sample.inParts ?? (sample.wire.endsWith('evil') ? { ...(sample.expected as Parsed), persists: true } : sample.expected),
  )

  it('is read byte by byte', () => {
    const parts = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
    expect(parse(parts, sample)).toEqual(inParts)
  })

  it('is read in parts of any size', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const found = parse(split(bytes, random(seed)), sample)
      expect([inParts, expected], `seed ${seed}`).toContainEqual(found)
    }
  })
})

it('hands a body on as parts of what it was given', () => {
  const chunks: Buffer[] = []
  const parser = new ResponseParser({ onInterim() {}, onHead() {}, onData: (chunk) => void chunks.push(chunk), onEnd() {} }, 65_536)
  parser.begin(false)
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  parser.push(bytes)
  expect(chunks.map((chunk) => [chunk.toString(), chunk.buffer === bytes.buffer])).toEqual([['hello', true]])
})

it('reads one response after another, each with its own framing', () => {
  const statuses: number[] = []
  let ends = 0
  const parser = new ResponseParser(
    { onInterim() {}, onHead: ({ status }) => void statuses.push(status), onData() {}, onEnd: () => void ends++ },
    65_536,
  )
  for (const wire of [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n',
    'HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\na',
    'HTTP/1.1 204 No\r\n\r\n',
  ]) {
    parser.begin(false)
    expect([parser.push(Buffer.from(wire)), parser.persists]).toEqual([undefined, true])
  }
  expect([statuses, ends]).toEqual([[200, 404, 204], 3])
})
