/** How a request's body is read: small ones whole, the rest as they come. */
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'

/** `null` when there is none. */
export type RequestBody = Buffer | Readable | null

/** Bodies of a known length up to this many bytes are read before dispatch: an upstream connection is not held for a slow client. */
const smallBytesMax = 64 * 1024
/** A body that has to be read whole is let go on as a stream, unchanged, when it is longer than this. */
const wholeBytesMax = 32 * 1024 * 1024

/** `onBody` is called once; not at all when the client leaves before a body that is read whole is complete. */
export function readBody(request: IncomingMessage, whole: boolean, onBody: (body: RequestBody) => void): void {
  const length = Number(request.headers['content-length'] ?? Number.NaN)
  const chunked = request.headers['transfer-encoding'] !== undefined
  if (!chunked && !(length > 0)) onBody(null)
  else if (whole && (chunked || length <= wholeBytesMax)) collect(request, wholeBytesMax, onBody)
  else if (!chunked && length <= smallBytesMax) collect(request, smallBytesMax, onBody)
  else onBody(request)
}

function collect(request: IncomingMessage, bytesMax: number, onBody: (body: RequestBody) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes <= bytesMax) return
    request.off('data', onData)
    request.off('end', onEnd)
    const stream = new PassThrough()
    for (const held of chunks) stream.write(held)
    request.pipe(stream)
    request.once('close', () => request.complete || stream.destroy())
    onBody(stream)
  }
  const onEnd = () => {
    request.off('data', onData) // holds the chunks
    request.off('end', onEnd)
    onBody(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))
  }
  request.on('data', onData)
  request.on('end', onEnd)
}
