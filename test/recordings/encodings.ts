/** Content codings as upstreams apply them: whole, or flushed as the events come. */
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

interface Coding {
  /** Value of Content-Encoding; undefined where there is none. */
  readonly header: string | undefined
  encode(body: Buffer): Buffer
}

/** By a name of our own: `deflate` means two things on the wire. */
export const codings: Readonly<Record<string, Coding>> = {
  identity: { header: undefined, encode: (body) => body },
  gzip: { header: 'gzip', encode: (body) => gzipSync(body) },
  // The best quality would take a hundred times as long, and is decoded the same.
  br: { header: 'br', encode: (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }) },
  zstd: { header: 'zstd', encode: (body) => zstdCompressSync(body) },
  deflate: { header: 'deflate', encode: (body) => deflateSync(body) },
  'deflate without its wrapper': { header: 'deflate', encode: (body) => deflateRawSync(body) },
}

const engines = {
  gzip: () => [createGzip(), constants.Z_SYNC_FLUSH] as const,
  deflate: () => [createDeflate(), constants.Z_SYNC_FLUSH] as const,
  br: () => [createBrotliCompress(), constants.BROTLI_OPERATION_FLUSH] as const,
  zstd: () => [createZstdCompress(), constants.ZSTD_e_flush] as const,
}

export type StreamCoding = keyof typeof engines
export const streamCodings: readonly StreamCoding[] = ['gzip', 'deflate', 'br', 'zstd']

/** Compressed as a server does that flushes after each of the pieces. */
export async function flushed(coding: StreamCoding, pieces: readonly Buffer[]): Promise<Buffer> {
  const [engine, flush] = engines[coding]()
  const out: Buffer[] = []
  engine.on('data', (chunk: Buffer) => out.push(chunk))
  const ended = new Promise<void>((resolve, reject) => engine.on('end', resolve).on('error', reject))
  for (const piece of pieces) {
    engine.write(piece)
    await new Promise<void>((resolve) => engine.flush(flush, () => resolve()))
  }
  engine.end()
  await ended
  return Buffer.concat(out)
}
