/** A client's request and the response to it as the proxy handles them: those of node:http, or of one HTTP/2 stream (`streams.ts`). */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

export interface ClientRequest extends Readable {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: string[]
  readonly httpVersionMajor: number
  readonly httpVersionMinor: number
  /** The body has arrived. */
  readonly complete: boolean
  readonly socket: Socket
  /** Bytes of the body that have arrived, where the connection carries other requests too. */
  readonly arrivedBytes?: number
}

/** What tells whether bytes that wait are being taken. */
export interface Taker {
  readonly bytesWritten: number
  readonly writableLength: number
}

export interface ServedResponse extends NodeJS.EventEmitter {
  readonly req: { readonly complete: boolean; readonly headers: IncomingHttpHeaders }
  sendDate: boolean
  shouldKeepAlive: boolean
  chunkedEncoding: boolean
  readonly statusCode: number
  readonly headersSent: boolean
  readonly destroyed: boolean
  readonly writableEnded: boolean
  readonly writableFinished: boolean
  /** Null where the connection carries other responses too. */
  readonly socket: Socket | null
  writeContinue(): void
  /** node:http has it since 24.18; before, 1xx responses other than 100 go no further. */
  writeInformation?(status: number, headers: readonly string[]): void
  writeHead(status: number, phrase: string, headers: OutgoingHttpHeaders | string[]): unknown
  flushHeaders(): void
  /** False when the client takes no more for now; `drain` follows. */
  write(chunk: string | Buffer, encoding?: BufferEncoding): boolean
  end(chunk?: string, encoding?: BufferEncoding): unknown
  destroy(): unknown
  /** Of an HTTP/2 stream alone, which ends without its connection. */
  readonly stream?: ResponseStream
}

export interface ResponseStream extends Taker {
  /** Flat list; to be called before `end`. */
  trailers(rawTrailers: readonly string[]): void
  /** Resets the stream, once what was written has gone or the time is over. */
  cut(flushMsMax: number): void
}
