import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createDeflate,
  createGzip,
  createZstdCompress,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createDecoder, type DecoderLimits, decodeWhole } from '../../src/observe/decode/decode.ts'
import { fixtures } from './fixtures.ts'
import { bytewise, randomCuts, run, seeded } from './run.ts'

interface Decoded {
  readonly data: Buffer
  readonly notes: readonly string[]
}

/** Resolves a little after the end, so that a second one would be seen. */
function decode(encoding: string | undefined, chunks: Iterable<Uint8Array>, limits?: DecoderLimits): Promise<Decoded> {
  return new Promise((resolve, reject) => {
    const data: Buffer[] = []
    const notes: string[] = []
    let ends = 0
    const callbacks = {
      onData: (chunk: Buffer) => (ends > 0 ? reject(new Error('data after the end')) : data.push(chunk)),
      onNote: (note: string) => notes.push(note),
      onEnd: () => {
        if (++ends > 1) reject(new Error('ended twice'))
        setImmediate(() => resolve({ data: Buffer.concat(data), notes }))
      },
    }
    const decoder = createDecoder(encoding, callbacks, limits)
    for (const chunk of chunks) decoder.push(chunk)
    decoder.end()
    decoder.end()
  })
}

const text = Buffer.from(Array.from({ length: 12 }, (_, index) => `data: {"n":${index},"t":"${'世界'.repeat(index % 3)}"}\n\n`).join(''))

const encoders: Readonly<Record<string, readonly [encoding: string, encode: (bytes: Buffer) => Buffer]>> = {
  gzip: ['gzip', gzipSync],
  'x-gzip, spelt in capitals': [' X-GZIP ', gzipSync],
  'deflate with the wrapper of zlib': ['deflate', deflateSync],
  'deflate without a wrapper': ['deflate', deflateRawSync],
  br: ['br', brotliCompressSync],
  zstd: ['zstd', zstdCompressSync],
  'gzip, then br': ['gzip, br', (bytes) => brotliCompressSync(gzipSync(bytes))],
  'zstd, then deflate': ['zstd,identity,deflate', (bytes) => deflateRawSync(zstdCompressSync(bytes))],
  identity: ['identity', (bytes) => bytes],
}

describe.each(Object.entries(encoders))('a body in %s', (_, [encoding, encode]) => {
  const encoded = encode(text)

  it('is decoded wherever it is cut', async () => {
    const expected = { data: text, notes: [] }
    for (let at = 0; at <= encoded.length; at++) {
      expect(await decode(encoding, [encoded.subarray(0, at), encoded.subarray(at)])).toEqual(expected)
    }
    expect(await decode(encoding, bytewise(encoded))).toEqual(expected)
    expect(decodeWhole(encoding, encoded, text.length)).toEqual(text)
  })

  it('that was cut short gives what could be decoded, the same in a stream and whole', async () => {
    let longest = 0
    for (let length = 0; length < encoded.length; length++) {
      const cut = encoded.subarray(0, length)
      const { data, notes } = await decode(encoding, randomCuts(cut, seeded(length)))
      expect({ length, notes, data }).toEqual({ length, notes: [], data: text.subarray(0, data.length) })
      expect(decodeWhole(encoding, cut, text.length)).toEqual(data)
      expect(data.length).toBeGreaterThanOrEqual(longest)
      longest = data.length
    }
  })

  it('gives every framer the same messages as the plain body', async () => {
    const random = seeded(9)
    for (const { framing, body, messages, notes } of fixtures) {
      const decoded = await decode(encoding, randomCuts(encode(body), random))
      expect(decoded).toEqual({ data: body, notes: [] })
      expect(run(framing, randomCuts(decoded.data, random))).toEqual({ messages, notes })
    }
  })

  it('stops at the limit of decoded bytes', async () => {
    const bomb = encode(Buffer.alloc(1_000_000, 'a'))
    const { data, notes } = await decode(encoding, [bomb], { decodedBytesMax: 100_000 })
    if (encoding === 'identity') return
    expect(notes).toEqual(['limit_hit'])
    expect(data.length).toBeLessThanOrEqual(100_000)
    expect(decodeWhole(encoding, bomb, 999_999)).toBe('limit_hit')
    expect(decodeWhole(encoding, bomb, 1_000_000)).toEqual(Buffer.alloc(1_000_000, 'a'))
  })
})

describe.each([
  ['gzip', () => createGzip(), constants.Z_SYNC_FLUSH],
  ['deflate', () => createDeflate(), constants.Z_SYNC_FLUSH],
  ['br', () => createBrotliCompress(), constants.BROTLI_OPERATION_FLUSH],
  ['zstd', () => createZstdCompress(), constants.ZSTD_e_flush],
] as const)('a stream in %s that is flushed after each event', (encoding, createEncoder, flush) => {
  it('is decoded event by event, each before the next one is there', async () => {
    const encoder = createEncoder()
    let arrived = () => {}
    let decoded = ''
    const decoder = createDecoder(encoding, {
      onData(chunk) {
        decoded += chunk.toString()
        arrived()
      },
      onNote: (note) => expect(note).toBeUndefined(),
      onEnd: () => arrived(),
    })
    encoder.on('data', (chunk: Buffer) => decoder.push(chunk))
    for (let index = 0; index < 5; index++) {
      const before = decoded
      const next = new Promise<void>((resolve) => {
        arrived = resolve
      })
      encoder.write(`data: {"n":${index}}\n\n`)
      encoder.flush(flush)
      await next
      expect(decoded).toBe(`${before}data: {"n":${index}}\n\n`)
    }
    const ended = new Promise<void>((resolve) => {
      arrived = resolve
    })
    decoder.end()
    await ended
  })
})

describe('a decoder', () => {
  it.each(['gzip', 'deflate', 'br', 'zstd', 'br, gzip', 'gzip, br'])(
    'of %s notes a parse error once and ends when bytes are corrupt',
    async (encoding) => {
      const garbage = Buffer.alloc(5000, 'This is an error page, whatever the head of this answer may say. ')
      const { notes } = await decode(encoding, [garbage, garbage, garbage])
      expect(notes).toEqual(['parse_error'])
      expect(decodeWhole(encoding, garbage, 1e6)).toBe('parse_error')
    },
  )

  it.each(['{"a":1}', ' \n[1]', 'data: {}\n\n', '\ufeffevent: a\n\n'])('of gzip takes %j, which is none, as it is', async (plain) => {
    const body = Buffer.from(plain)
    expect(await decode('gzip', bytewise(body))).toEqual({ data: body, notes: [] })
    expect(decodeWhole('gzip', body, 1e6)).toEqual(body)
    expect(decodeWhole('gzip', body, body.length - 1)).toBe('limit_hit')
  })

  // All bits set: a block of a type that does not exist, in each of them.
  it.each([
    ['gzip', gzipSync(text, { finishFlush: constants.Z_SYNC_FLUSH })],
    ['deflate', deflateSync(text, { finishFlush: constants.Z_SYNC_FLUSH })],
    ['deflate', deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH })],
    ['br', brotliCompressSync(text, { finishFlush: constants.BROTLI_OPERATION_FLUSH })],
    ['zstd', zstdCompressSync(text, { finishFlush: constants.ZSTD_e_flush })],
  ])('of %s gives what stands before the corrupt bytes', async (encoding, encoded) => {
    const corrupt = Buffer.alloc(100, 0xff)
    expect(await decode(encoding, [encoded, corrupt, encoded])).toEqual({ data: text, notes: ['parse_error'] })
    expect(await decode(encoding, bytewise(Buffer.concat([encoded, corrupt])))).toEqual({ data: text, notes: ['parse_error'] })
  })

  it.each(['compress', 'gzip, exi', 'constructor', 'gzip, gzip, gzip'])('notes once that it does not know %s', async (encoding) => {
    expect(await decode(encoding, [text, text])).toEqual({ data: Buffer.alloc(0), notes: ['unsupported_encoding'] })
    expect(decodeWhole(encoding, text, 1e6)).toBe('unsupported_encoding')
  })

  it('notes nothing where there is no body', async () => {
    for (const encoding of ['compress', 'gzip', 'deflate', 'br', 'zstd', 'gzip, br', undefined]) {
      expect(await decode(encoding, [Buffer.alloc(0)])).toEqual({ data: Buffer.alloc(0), notes: [] })
    }
    expect(decodeWhole('gzip', Buffer.alloc(0), 10)).toEqual(Buffer.alloc(0))
  })

  it.each([undefined, '', 'identity', ' Identity , '])('of %j passes on the very chunks at once', (encoding) => {
    const events: unknown[] = []
    const decoder = createDecoder(encoding, {
      onData: (chunk) => events.push(chunk),
      onNote: (note) => events.push(note),
      onEnd: () => events.push('end'),
    })
    decoder.push(text)
    decoder.end()
    decoder.push(text)
    expect(events).toEqual([text, 'end'])
    expect(events[0]).toBe(text)
    expect(decodeWhole(encoding, text, text.length)).toBe(text)
    expect(decodeWhole(encoding, text, text.length - 1)).toBe('limit_hit')
  })

  it('takes no more than its limit of bytes that wait', async () => {
    const encoded = gzipSync(text)
    const few = { queuedBytesMax: encoded.length }
    expect(await decode('gzip', [encoded], few)).toEqual({ data: text, notes: [] })
    expect((await decode('gzip', [encoded, Buffer.alloc(1)], few)).notes).toEqual(['limit_hit'])
  })

  it('may be given more than that limit in the course of time', async () => {
    const event = () => zstdCompressSync(Buffer.from('data: 1\n\n'))
    const seen: string[] = []
    let arrived = () => {}
    const callbacks = {
      onData: (chunk: Buffer) => {
        seen.push(chunk.toString())
        arrived()
      },
      onNote: (note: string) => seen.push(note),
      onEnd: () => {},
    }
    const decoder = createDecoder('zstd', callbacks, { queuedBytesMax: event().length * 2 })
    for (let turn = 0; turn < 5; turn++) {
      const next = new Promise<void>((resolve) => {
        arrived = () => setImmediate(resolve)
      })
      decoder.push(event())
      await next
    }
    expect(seen).toEqual(Array(5).fill('data: 1\n\n'))
  })

  it('waits for its end to be told before it says that it has ended', async () => {
    let ended = false
    const decoder = createDecoder('gzip', { onData: () => {}, onNote: () => {}, onEnd: () => (ended = true) })
    decoder.push(Buffer.from('no gzip at all'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(ended).toBe(false)
    decoder.end()
    expect(ended).toBe(true)
  })
})

describe('a body of several zstd frames', () => {
  const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 0xaa, 0xbb, 0xcc])
  const emptySkippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])
  const checksummed = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }
  const noise = Buffer.from(Array.from({ length: 400 }, (_, index) => (index * index * 31) % 251))
  const frames = [
    zstdCompressSync(text),
    emptySkippable,
    zstdCompressSync(Buffer.alloc(0)),
    zstdCompressSync(text, checksummed),
    skippable,
    zstdCompressSync(Buffer.alloc(300_000, 'a'), checksummed),
    zstdCompressSync(noise),
  ]
  const plain = Buffer.concat([text, text, Buffer.alloc(300_000, 'a'), noise])

  it('is decoded wherever it is cut', async () => {
    const encoded = Buffer.concat(frames)
    for (let at = 0; at <= encoded.length; at++) {
      const { data, notes } = await decode('zstd', [encoded.subarray(0, at), encoded.subarray(at)])
      expect({ at, notes, same: data.equals(plain) }).toEqual({ at, notes: [], same: true })
    }
    expect((await decode('zstd', bytewise(encoded))).data.equals(plain)).toBe(true)
    expect(Buffer.from(decodeWhole('zstd', encoded, plain.length)).equals(plain)).toBe(true)
    expect(decodeWhole('zstd', encoded, plain.length - 1)).toBe('limit_hit')
  })
})
