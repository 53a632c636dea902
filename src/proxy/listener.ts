/** The port that clients talk to: an HTTP/1.1 server with its limits, and its answers to what is no HTTP request. */
import http from 'node:http'
import type { Socket } from 'node:net'
import type { Address } from '../config/config.ts'
import { Cell } from '../lib/shared-counters.ts'
import { errorBody, errorHeader } from './failures.ts'
import type { Forwarder } from './forwarder.ts'
import { isUpgrade } from './upgrade.ts'

export interface ListenerOptions {
  readonly address: Address
  readonly forwarder: Forwarder
  readonly cells: Int32Array
  /** Bytes of a request's header section; more is answered 431. */
  readonly headerBytesMax: number
}

export interface Listener {
  /** The port really bound: of use when 0 was asked for. */
  readonly port: number
  /** Accepts nothing more; resolves when no connection is left. */
  close(): Promise<void>
  /** Ends the connections that are left. */
  destroyConnections(): void
}

/** A head that takes longer to arrive is answered 408: a client that dribbles bytes holds nothing for long. */
const headMsMax = 60_000
/** Longer than the idle timeout of common load balancers and client pools (60 s), so that it is the client that closes. */
const keepAliveMs = 75_000
/** Connections that the system may hold ready for us; Node's 511 overflows when thousands of clients come at once. */
const backlogMax = 4096
/** Between checks for connections that became idle while closing. */
const closeIdleMs = 100

export function listen(options: ListenerOptions): Promise<Listener> {
  const { forwarder, cells } = options
  const server = http.createServer({
    maxHeaderSize: options.headerBytesMax,
    headersTimeout: headMsMax,
    requestTimeout: 0, // an upload may take as long as it takes; the upstream's own limits hold
    keepAliveTimeout: keepAliveMs,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    noDelay: true,
    highWaterMark: 64 * 1024,
    shouldUpgradeCallback: isUpgrade,
  })
  server.maxHeadersCount = 0 // the size limit bounds them; a silent cut at 2,000 would lose fields
  // Client pools open connections ahead of need; Node counts them among neither the idle nor the answering ones when it closes.
  const unused = new Set<Socket>()
  server.on('connection', (socket) => {
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  server.on('request', (request, response) => {
    unused.delete(request.socket)
    forwarder.handle(request, response)
  })
  server.on('checkContinue', (request, response) => {
    unused.delete(request.socket)
    response.writeContinue()
    forwarder.handle(request, response)
  })
  // Upgraded connections are no longer node:http's: it neither counts nor closes them.
  const upgraded = new Set<Socket>()
  server.on('upgrade', (request, stream, head) => {
    const socket = stream as Socket
    unused.delete(socket)
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    forwarder.upgrade(request, socket, head)
  })
  server.on('connect', (_request, socket) =>
    answerRaw(socket as Socket, 405, 'connect_refused', 'tokenweir is a reverse proxy: CONNECT is not served.'),
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    Atomics.add(cells, Cell.malformed, 1)
    // Bytes that are no HTTP after a request under way: its answer must not be mixed with ours.
    if (forwarder.isAnswering(socket)) socket.destroy()
    else answerClientError(socket as Socket, error.code)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: options.address.port, host: options.address.host, backlog: backlogMax }, () => {
      server.off('error', reject)
      server.on('error', () => undefined) // accept errors such as EMFILE: the next connection is tried again
      const bound = server.address()
      resolve({
        port: typeof bound === 'object' && bound !== null ? bound.port : options.address.port,
        close: () =>
          new Promise((done) => {
            forwarder.closeConnections()
            const timer = setInterval(() => server.closeIdleConnections(), closeIdleMs)
            server.close(() => {
              clearInterval(timer)
              done()
            })
            server.closeIdleConnections()
            for (const socket of unused) socket.destroy()
          }),
        destroyConnections: () => {
          server.closeAllConnections()
          for (const socket of upgraded) socket.destroy()
        },
      })
    })
  })
}

function answerClientError(socket: Socket, code: string | undefined): void {
  if (code === 'HPE_HEADER_OVERFLOW')
    answerRaw(socket, 431, 'header_too_large', 'The header section of the request is too large (limits.headerBytes).')
  else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') answerRaw(socket, 408, 'request_timeout', 'The head of the request did not arrive in time.')
  else answerRaw(socket, 400, 'malformed_request', 'The request is not valid HTTP/1.1.')
}

function answerRaw(socket: Socket, status: number, code: string, message: string): void {
  const body = errorBody(code, message)
  socket.on('error', () => undefined)
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n${errorHeader}: ${code}\r\nconnection: close\r\n\r\n${body}`,
  )
}
