/** What the framers do with a long message, counted in bytes copied, searched, turned into text and allocated; not timed. */
import { describe, expect, it } from 'vitest'
import type { Framing } from '../../src/lib/exchange.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'
import { eventstreamMessage } from './encode.ts'
import { pieces } from './run.ts'

interface Work {
  copied: number
  searched: number
  spelled: number
  allocated: number
}

/** Runs `act` while every way of touching many bytes at once is counted. */
function countWork(act: () => void): Work {
  const work: Work = { copied: 0, searched: 0, spelled: 0, allocated: 0 }
  const methods = Buffer.prototype
  const real = { copy: methods.copy, indexOf: methods.indexOf, lastIndexOf: methods.lastIndexOf, toString: methods.toString }
  const { allocUnsafeSlow, concat } = Buffer
  Object.assign(methods, {
    copy(this: Buffer, target: Buffer, at: number, start: number, end: number) {
      work.copied += end - start
      return real.copy.call(this, target, at, start, end)
    },
    indexOf(this: Buffer, value: number, from = 0) {
      const found = real.indexOf.call(this, value, from)
      work.searched += (found === -1 ? this.length : found + 1) - from
      return found
    },
    lastIndexOf(this: Buffer, value: number, from = this.length) {
      const found = real.lastIndexOf.call(this, value, from)
      work.searched += from - found
      return found
    },
    toString(this: Buffer, encoding?: BufferEncoding, start = 0, end = this.length) {
      work.spelled += end - start
      return real.toString.call(this, encoding, start, end)
    },
  })
  Buffer.allocUnsafeSlow = (size) => {
    work.allocated += size
    return allocUnsafeSlow(size)
  }
  Buffer.concat = () => {
    throw new Error('a framer joins chunks')
  }
  try {
    act()
  } finally {
    Object.assign(methods, real)
    Object.assign(Buffer, { allocUnsafeSlow, concat })
  }
  return work
}

function workOn(framing: Framing, body: Buffer, pieceBytes: number, wantedKeys: readonly string[] | undefined): Work {
  const chunks = pieces(body, pieceBytes)
  let messages = 0
  const work = countWork(() => {
    const framer = createFramer(framing, { onMessage: () => messages++, onNote: () => {}, wantedKeys: () => wantedKeys })
    for (const chunk of chunks) framer.push(chunk)
    framer.end()
  })
  expect(messages).toBeGreaterThan(0)
  return work
}

/** Bodies of about `bytes` bytes; each is one message, or many in the shape that costs most. */
const bodies: Readonly<Record<string, readonly [Framing, (bytes: number) => Buffer]>> = {
  'an SSE line': ['sse', (bytes) => Buffer.from(`data: {"usage":"${'x'.repeat(bytes)}"}\n\n`)],
  'an SSE event of many lines': ['sse', (bytes) => Buffer.from(`${'data: "usage":1,\r\n'.repeat(bytes / 18)}\r\n`)],
  'SSE lines that end in CR': ['sse', (bytes) => Buffer.from(`${'data: {"usage":1}\r\r'.repeat(bytes / 19)}`)],
  'SSE events that are all wanted': ['sse', (bytes) => Buffer.from('data: {"usage":1}\n\n'.repeat(bytes / 19))],
  'SSE events that end in CR before a wanted one': [
    'sse',
    (bytes) => Buffer.from(`${'data: 1\r\r'.repeat(bytes / 9)}data: {"usage":1}\n\n`),
  ],
  'SSE comments': ['sse', (bytes) => Buffer.from(`${':\n'.repeat(bytes / 2)}data: [DONE]\n\n`)],
  'SSE blank lines': ['sse', (bytes) => Buffer.from(`data: [DONE]${'\n'.repeat(bytes)}`)],
  'an NDJSON line': ['ndjson', (bytes) => Buffer.from(`{"usage":"${'x'.repeat(bytes)}"}\n`)],
  'a JSON element with a long string': ['json-array', (bytes) => Buffer.from(`[{"usage":"${'x'.repeat(bytes)}"}]`)],
  'a JSON element with many quotes': ['json-array', (bytes) => Buffer.from(`[{"usage":"${'\\"'.repeat(bytes / 2)}"}]`)],
  'a JSON element with many backslashes': ['json-array', (bytes) => Buffer.from(`[{"usage":"${'\\\\'.repeat(bytes / 2)}"}]`)],
  'an event-stream message': ['eventstream', (bytes) => eventstreamMessage([], 'x'.repeat(bytes))],
  'a whole body': ['whole', (bytes) => Buffer.alloc(bytes, 'x')],
}

const mebibyte = 2 ** 20

describe.each([
  ['in pieces of 1 byte', 1, mebibyte / 8],
  ['in pieces of 100 bytes', 100, mebibyte],
  ['in pieces of 16 KiB', 16_384, mebibyte],
  ['in one piece', Number.MAX_SAFE_INTEGER, mebibyte],
])('the work done on a body that comes %s', (_, pieceBytes, bytes) => {
  it.each(Object.entries(bodies))('is in proportion to its length: %s', (_name, [framing, create]) => {
    const body = create(bytes)
    for (const wantedKeys of [undefined, ['usage']]) {
      const { copied, searched, spelled, allocated } = workOn(framing, body, Math.min(pieceBytes, body.length), wantedKeys)
      // Twice: a line is copied into the block of partial lines and then, if its event is not over, into the event's.
      expect(copied / body.length).toBeLessThanOrEqual(6)
      expect(searched / body.length).toBeLessThanOrEqual(5)
      expect(spelled / body.length).toBeLessThanOrEqual(2)
      expect(allocated / body.length).toBeLessThanOrEqual(6)
    }
  })
})

it('nothing is copied of messages that come in one piece', () => {
  for (const [framing, create] of Object.values(bodies)) {
    if (framing === 'sse') continue
    expect(workOn(framing, create(100_000), Number.MAX_SAFE_INTEGER, undefined)).toMatchObject({ copied: 0, allocated: 0 })
  }
  const events = Buffer.from('event: x\ndata: {"usage":1}\n\n'.repeat(1000))
  expect(workOn('sse', events, events.length, ['usage'])).toMatchObject({ copied: 0, allocated: 0 })
})
