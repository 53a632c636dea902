/**
 * Content-Encoding, undone on a copy (RFC 9110 §8.4). `createDecoder` is for streams on the proxying thread: zlib works on the thread
 * pool and hands over each piece as soon as its bytes are there. `decodeWhole` is for bodies on the recorder thread.
 *
 * Codings: gzip, x-gzip, deflate (with and without zlib's wrapper, as both are sent under that name), br, zstd, identity, and lists of
 * at most two of them. A body that was cut gives all that could be decoded; one that is gzip only by name is taken as it is.
 */
import { PassThrough, type Transform } from 'node:stream'
import {
  brotliDecompressSync,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from 'node:zlib'
import { asBuffer } from '../frames/bytes.ts'

export type DecoderNote = 'limit_hit' | 'parse_error' | 'unsupported_encoding'

export interface DecoderCallbacks {
  readonly onData: (chunk: Buffer) => void
  /** Each note at most once. */
  readonly onNote: (note: DecoderNote) => void
  /** Exactly once, after `end()` and after the last `onData`; within the call of `end()` when nothing was left to decode. */
  readonly onEnd: () => void
}

export interface DecoderLimits {
  /** Bytes that wait to be decoded; more give `limit_hit` and end the decoding. Default 8 MiB. */
  readonly queuedBytesMax?: number
  /** Bytes that come out, against decompression bombs; more give `limit_hit` and end the decoding. Default 256 MiB. */
  readonly decodedBytesMax?: number
}

export interface Decoder {
  /** Never throws. `chunk` must not be changed until it is decoded. */
  push(chunk: Uint8Array): void
  end(): void
}

type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

const codings: ReadonlyMap<string, Coding> = new Map([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
  ['zstd', 'zstd'],
])
const codingsMax = 2

/** The codings in the order in which they are to be undone: the last one applied comes first. */
function codingsOf(encoding: string | undefined): readonly Coding[] | undefined {
  if (encoding === undefined) return []
  const names = encoding.split(',').map((name) => name.trim().toLowerCase())
  const applied = names.filter((name) => name !== '' && name !== 'identity').map((name) => codings.get(name))
  const known = applied.filter((coding) => coding !== undefined)
  return known.length === applied.length && known.length <= codingsMax ? known.reverse() : undefined
}

/** `encoding` is the value of Content-Encoding; undefined means that there is none. */
export function createDecoder(encoding: string | undefined, callbacks: DecoderCallbacks, limits: DecoderLimits = {}): Decoder {
  const noted = new Set<DecoderNote>()
  const onNote = (note: DecoderNote) => {
    if (!noted.has(note)) callbacks.onNote(note)
    noted.add(note)
  }
  const undone = codingsOf(encoding)
  if (undone === undefined) {
    const unsupported: Decoder = { push: () => onNote('unsupported_encoding'), end: callbacks.onEnd }
    return endsOnce(unsupported)
  }
  const last: Decoder = { push: (chunk) => callbacks.onData(asBuffer(chunk)), end: callbacks.onEnd }
  const chain = undone.reduceRight<Decoder>((next, coding) => createStage(coding, next, onNote, limits), last)
  return endsOnce(chain)
}

/** Takes no empty chunk, nothing after `end`, and only the first `end`. */
function endsOnce(decoder: Decoder): Decoder {
  let ended = false
  return {
    push(chunk) {
      if (!ended && chunk.length > 0) decoder.push(chunk)
    },
    end() {
      if (ended) return
      ended = true
      decoder.end()
    },
  }
}

/** Undoes one coding and pushes what comes out to `next`, whose end comes exactly once, after this one's. */
function createStage(coding: Coding, next: Decoder, onNote: (note: DecoderNote) => void, limits: DecoderLimits): Decoder {
  const { queuedBytesMax = 8 * 1024 * 1024, decodedBytesMax = 256 * 1024 * 1024 } = limits
  const split = coding === 'zstd' ? createZstdSplitter() : (chunk: Buffer) => [chunk]
  let engine: Transform | undefined
  let queuedBytes = 0
  let decodedBytes = 0
  let stopped = false
  let ended = false

  function stop(note?: DecoderNote): void {
    if (stopped) return
    stopped = true
    if (note !== undefined) onNote(note)
    engine?.destroy()
    if (ended) next.end()
  }

  function decoded(chunk: Buffer): void {
    decodedBytes += chunk.length
    if (decodedBytes > decodedBytesMax) stop('limit_hit')
    else next.push(chunk)
  }

  function start(firstByte: number): Transform {
    const made = createEngine(coding, firstByte)
    made.on('data', decoded)
    made.on('end', () => stop())
    made.on('error', () => stop('parse_error'))
    return made
  }

  return {
    push(chunk) {
      if (stopped) return
      queuedBytes += chunk.length
      if (queuedBytes > queuedBytesMax) return stop('limit_hit')
      engine ??= start(chunk[0] as number)
      for (const piece of split(asBuffer(chunk))) {
        engine.write(piece, () => {
          queuedBytes -= piece.length
        })
      }
    },
    end() {
      ended = true
      if (stopped || engine === undefined) next.end()
      else engine.end()
    },
  }
}

// `flush`: what a chunk holds comes out with that chunk. `finishFlush`: a body that ends too early is no error.
const zlibOptions = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const brotliOptions = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH }
const zstdOptions = {
  flush: constants.ZSTD_e_flush,
  finishFlush: constants.ZSTD_e_flush,
  // A window of 8 MiB is the most that HTTP allows (RFC 9659 §3); zstd itself would allocate 128.
  params: { [constants.ZSTD_d_windowLogMax]: 23 },
}

/** A zlib header has 8 in its low four bits (RFC 1950 §2.2), with which no encoder begins a raw deflate block. */
function hasZlibHeader(firstByte: number | undefined): boolean {
  return firstByte !== undefined && (firstByte & 0x0f) === 8
}

/**
 * JSON or an event under the name of gzip, which begins with 0x1f: from servers and proxies that undo a coding and leave its name. In the
 * other codings a body may begin with any of these.
 */
function isPlain(coding: Coding, firstByte: number | undefined): boolean {
  return coding === 'gzip' && firstByte !== undefined && plainBeginnings.includes(firstByte)
}

const plainBeginnings = Buffer.from('{[deir: \t\r\n\xef', 'latin1')

function createEngine(coding: Coding, firstByte: number): Transform {
  if (isPlain(coding, firstByte)) return new PassThrough()
  switch (coding) {
    case 'gzip':
      return createGunzip(zlibOptions)
    case 'deflate':
      return hasZlibHeader(firstByte) ? createInflate(zlibOptions) : createInflateRaw(zlibOptions)
    case 'br':
      return createBrotliDecompress(brotliOptions)
    case 'zstd':
      return createZstdDecompress(zstdOptions)
  }
}

/** What a body of `encoding` decodes to, or why it does not. `maxBytes` bounds the result, and what stands between two codings. */
export function decodeWhole(encoding: string | undefined, bytes: Uint8Array, maxBytes: number): Uint8Array | DecoderNote {
  const undone = codingsOf(encoding)
  if (undone === undefined) return 'unsupported_encoding'
  let body = bytes
  try {
    for (const coding of undone) if (body.length > 0) body = decodeSync(coding, asBuffer(body), maxBytes)
  } catch (error) {
    return error instanceof RangeError ? 'limit_hit' : 'parse_error'
  }
  return body.length > maxBytes ? 'limit_hit' : body
}

/** Throws a RangeError when a coding's result is longer than `maxBytes`; zstd may give a byte more per frame. */
function decodeSync(coding: Coding, bytes: Buffer, maxBytes: number): Buffer {
  const maxOutputLength = Math.max(1, maxBytes)
  if (isPlain(coding, bytes[0])) return bytes
  switch (coding) {
    case 'gzip':
      return gunzipSync(bytes, { ...zlibOptions, maxOutputLength })
    case 'deflate':
      return (hasZlibHeader(bytes[0]) ? inflateSync : inflateRawSync)(bytes, { ...zlibOptions, maxOutputLength })
    case 'br':
      return brotliDecompressSync(bytes, { ...brotliOptions, maxOutputLength })
    case 'zstd':
      return decodeZstdSync(createZstdSplitter()(bytes), maxOutputLength)
  }
}

function decodeZstdSync(frames: readonly Buffer[], bytesMax: number): Buffer {
  const decoded: Buffer[] = []
  let room = bytesMax
  for (const frame of frames) {
    const piece = zstdDecompressSync(frame, { ...zstdOptions, maxOutputLength: Math.max(1, room) })
    room -= piece.length
    decoded.push(piece)
  }
  return decoded.length === 1 ? (decoded[0] as Buffer) : Buffer.concat(decoded)
}

/**
 * Cuts chunks at the ends of zstd frames (RFC 8878 §3.1). A body may be many frames (middleware that compresses each chunk by itself makes
 * such ones), and Node 24's decoder drops what follows a frame's end within one write; between two writes it starts anew.
 */
function createZstdSplitter(): (chunk: Buffer) => Buffer[] {
  let step: ZstdStep = { read: 'magic', bytes: 4 }
  let hasChecksum = false
  let value = 0
  let bytesRead = 0

  function after(): ZstdStep {
    if (step.read === 'magic') return value === 0xfd2fb528 ? { read: 'descriptor', bytes: 1 } : skippable(value)
    if (step.read === 'skippable size') return { read: 'last bytes', bytes: value }
    if (step.read === 'descriptor') {
      hasChecksum = (value & 4) !== 0
      return { read: 'header', bytes: zstdHeaderBytes(value) }
    }
    if (step.read === 'header' || step.read === 'block') return { read: 'block header', bytes: 3 }
    if (step.read === 'block header') {
      const bytes = ((value >> 1) & 3) === 1 ? 1 : value >>> 3
      return (value & 1) === 0 ? { read: 'block', bytes } : { read: 'last bytes', bytes: bytes + (hasChecksum ? 4 : 0) }
    }
    return { read: 'magic', bytes: 4 }
  }

  return (chunk) => {
    const pieces: Buffer[] = []
    let start = 0
    let at = 0
    while (at < chunk.length) {
      for (; bytesRead < Math.min(4, step.bytes) && at < chunk.length; at++) value += (chunk[at] as number) * 256 ** bytesRead++
      const skipped = Math.min(step.bytes - bytesRead, chunk.length - at)
      bytesRead += skipped
      at += skipped
      if (bytesRead < step.bytes) break
      if (step.read === 'last bytes' && at > start) {
        pieces.push(chunk.subarray(start, at))
        start = at
      }
      step = after()
      value = 0
      bytesRead = 0
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start))
    return pieces
  }
}

interface ZstdStep {
  readonly read: 'magic' | 'skippable size' | 'descriptor' | 'header' | 'block header' | 'block' | 'last bytes'
  readonly bytes: number
}

/** A frame to be skipped, or bytes that are no zstd: those are left in one piece, for the decoder to find wrong. */
function skippable(magic: number): ZstdStep {
  return magic >>> 4 === 0x184d2a5 ? { read: 'skippable size', bytes: 4 } : { read: 'last bytes', bytes: Number.POSITIVE_INFINITY }
}

/** Window descriptor, dictionary id and content size, by the flags of the frame's descriptor. */
function zstdHeaderBytes(descriptor: number): number {
  const singleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number
  return (singleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
}
