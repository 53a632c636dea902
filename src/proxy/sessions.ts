/**
 * Clients that speak HTTP/2 (RFC 9113), each connection a session of node:http2. What floods it (resets, settings, pings, CONTINUATION frames, header
 * fields) meets the limits of nghttp2 and Node, and these.
 */
import http2 from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { Cell } from '../lib/shared-counters.ts'
import { sendError } from './failures.ts'
import type { Forwarder } from './forwarder.ts'
import type { Places } from './places.ts'
import { refusals } from './refusals.ts'
import { StreamRequest, StreamResponse } from './streams.ts'

export interface SessionsOptions {
  readonly forwarder: Forwarder
  readonly places: Places
  readonly cells: Int32Array
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  /** Bytes of a request's header section, 32 more for each field (RFC 9113 §6.5.2); more is answered 431. */
  readonly headerBytesMax: number
  /** A session without a request is closed after this long. */
  readonly idleMs: number
}

export interface Sessions {
  open(socket: TLSSocket): void
  /** Asks the clients of all sessions for no more requests (GOAWAY); a session ends with its last request. */
  close(): void
  /** Ends the sessions that carry no request. */
  closeIdle(): void
  /** Ends all, once what was written has gone. */
  destroy(): void
}

/** Requests of one client at a time; as many as Go's server allows. A client opens another connection for more. */
const streamsMax = 250
/** Bytes of request bodies that a client may send ahead: of one request, and of all of a connection. Uploads of some MiB are usual. */
const streamWindowBytes = 256 * 1024
const sessionWindowBytes = 1024 * 1024
/** What a field counts beside its bytes. */
const fieldBytes = 32
/** node:http2 resets a stream over its own limit and tells nobody. That limit is wider than ours, so that a request between the two leaves a record. */
const headerMargin = 2
/** Of requests that a client takes back: so many at once, and so many per second. More end the session (CVE-2023-44487). */
const streamResetBurst = 1000
const streamResetRate = 33

export function createSessions({ forwarder, places, cells, report, headerBytesMax, idleMs }: SessionsOptions): Sessions {
  /** With the number of requests that each carries. */
  const sessions = new Map<http2.ServerHttp2Session, number>()
  const options = {
    settings: {
      maxConcurrentStreams: streamsMax,
      maxHeaderListSize: headerMargin * headerBytesMax,
      initialWindowSize: streamWindowBytes,
      enablePush: false,
    },
    maxHeaderListPairs: Math.ceil((headerMargin * headerBytesMax) / fieldBytes),
    strictSingleValueFields: false, // an upstream's repeated field crosses as it does over HTTP/1.1
    streamResetBurst,
    streamResetRate,
  }

  function serve(session: http2.ServerHttp2Session, request: StreamRequest, response: StreamResponse, headerBytes: number): void {
    sessions.set(session, (sessions.get(session) ?? 0) + 1)
    response.once('close', () => {
      const requests = sessions.get(session)
      if (requests !== undefined) sessions.set(session, requests - 1)
    })
    places.requested(request.socket)
    if (request.method === 'CONNECT') refuseConnect(request, response)
    else forwarder.handle(request, response, () => undefined, headerBytes > headerBytesMax ? refusals.headerTooLarge : undefined)
  }

  let isTold = false
  /** nghttp2 has ended the session. Any other error is of the connection below. */
  function broke({ code, message }: NodeJS.ErrnoException): void {
    if (code !== 'ERR_HTTP2_ERROR') return
    Atomics.add(cells, Cell.http2Broken, 1)
    if (isTold) return
    isTold = true
    report(
      `A client flooded an HTTP/2 connection or broke its protocol, and the connection was closed: ${message}. This is said once; ` +
        'tokenweir.connections.dropped counts each (reason http2).',
    )
  }

  return {
    open(socket) {
      const session = http2.performServerHandshake(socket, options)
      socket.once('end', () => socket.destroy()) // without this side, the other is of no use
      sessions.set(session, 0)
      session.setLocalWindowSize(sessionWindowBytes)
      session.setTimeout(idleMs, () => sessions.get(session) === 0 && session.close())
      session.on('error', broke) // `close` follows
      session.on('close', () => sessions.delete(session))
      session.on('stream', (stream, headers, _flags, rawHeaders) => {
        stream.on('error', () => undefined) // `close` follows
        const request = new StreamRequest(stream, headers, rawHeaders, socket)
        serve(session, request, new StreamResponse(stream, request), headerBytesOf(rawHeaders))
      })
    },
    close() {
      for (const session of sessions.keys()) session.close()
    },
    closeIdle() {
      for (const [session, requests] of sessions) if (requests === 0) session.close()
    },
    destroy() {
      for (const session of sessions.keys()) {
        session.close()
        setImmediate(() => setImmediate(() => session.destroy())) // node:http2 writes at the end of the turn
      }
    },
  }
}

function headerBytesOf(rawHeaders: readonly string[]): number {
  let bytes = (rawHeaders.length / 2) * fieldBytes
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

/** Nor is a WebSocket opened in a stream (RFC 8441): the settings do not offer it, so clients ask for one by HTTP/1.1. */
function refuseConnect(request: StreamRequest, response: StreamResponse): void {
  request.on('error', () => undefined)
  sendError(response, 405, 'connect_refused', 'tokenweir is a reverse proxy: CONNECT is not served.', undefined)
}
