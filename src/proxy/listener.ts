/** The port that clients talk to: an HTTP/1.1 server with its limits, and its answers to what is no HTTP request. */
import http from 'node:http'
import type { Socket } from 'node:net'
import type { Address } from '../config/config.ts'
import { listenError } from '../lib/listen-error.ts'
import { Cell } from '../lib/shared-counters.ts'
import { isLack, perRequest } from './descriptors.ts'
import { errorBody, errorHeader } from './failures.ts'
import type { Forwarder } from './forwarder.ts'
import { Pipeline } from './pipeline.ts'
import { type Refusal, refusals } from './refusals.ts'
import { hasBody, isUpgrade } from './upgrade.ts'

export interface ListenerOptions {
  readonly address: Address
  readonly forwarder: Forwarder
  readonly cells: Int32Array
  /** Bytes of a request's header section; more is answered 431. */
  readonly headerBytesMax: number
  /** Descriptors for clients and their requests; undefined where nothing limits them. */
  readonly placesMax?: number | undefined
  /** A connection was refused or closed because descriptors are scarce. */
  readonly lacking: () => void
}

interface ParserError extends NodeJS.ErrnoException {
  readonly reason?: string
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
    requireHostHeader: false, // refused with a record
    shouldUpgradeCallback(request) {
      const pipeline = pipelines.get(request.socket)
      // Behind another request it is a plain one, which it may be (RFC 9110 §7.8): node:http would hand over the connection with a response under way.
      if (pipeline?.isBusy === false && isUpgrade(request)) return true
      if (pipeline?.isBusy === true || hasBody(request) || !isAllThatWasRead(request.socket)) pipeline?.lastIsNext()
      return false
    },
  })
  server.maxHeadersCount = 0 // the size limit bounds them; a silent cut at 2,000 would lose fields
  const pipelines = new Map<Socket, Pipeline>()
  const shared = { forwarder, waiting: 0, overflowed: () => void Atomics.add(cells, Cell.pipelineOverflow, 1) }
  // Client pools open connections ahead of need; Node counts them among neither the idle nor the answering ones when it closes.
  const unused = new Set<Socket>()
  server.on('connection', (socket) => {
    const pipeline = new Pipeline(socket, shared)
    pipelines.set(socket, pipeline)
    unused.add(socket)
    socket.once('close', () => {
      pipelines.delete(socket)
      unused.delete(socket)
      pipeline.close()
    })
    // The last one that there is room for makes some for the next, which would be refused before it is seen here.
    if (used() >= places && !makeRoom(socket) && used() > places) socket.destroy()
  })
  const onRequest: http.RequestListener = (request, response) => {
    const { socket } = request
    unused.delete(socket)
    if (used() + perRequest > places) makeRoom(socket)
    pipelines.get(socket)?.request(request, response, isOtherProtocol(request) ? refusals.version : undefined)
  }
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', (request, stream, head) => {
    const socket = stream as Socket
    unused.delete(socket)
    forwarder.upgrade(request, socket, head)
  })
  server.on('connect', (_request, stream) => {
    const socket = stream as Socket
    const pipeline = pipelines.get(socket)
    pipeline?.handedOver()
    pipeline?.last(() => answerRaw(socket, 405, 'connect_refused', 'tokenweir is a reverse proxy: CONNECT is not served.'))
  })
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else if (error.code === 'HPE_INVALID_EOF_STATE' && pipelines.get(socket)?.isBusy === true) socket.destroy()
    else if (error.code !== 'HPE_CLOSED_CONNECTION') {
      // That one is what comes behind a request that was the last: nobody waits for an answer to it.
      pipelines.get(socket)?.broke(() => {
        Atomics.add(cells, Cell.malformed, 1)
        answerClientError(socket, error)
      })
    }
  })
  const places = options.placesMax ?? Number.POSITIVE_INFINITY
  if (options.placesMax !== undefined) server.maxConnections = options.placesMax
  const used = () => pipelines.size + perRequest * forwarder.openCount()
  /** The connection that has been silent longest since it was opened goes, or else all between two requests. False where there is none. */
  function makeRoom(newest: Socket): boolean {
    const [oldest] = unused
    options.lacking()
    if (oldest !== undefined && oldest !== newest) {
      oldest.destroy()
      return true
    }
    server.closeIdleConnections()
    return pipelines.size - 1 > forwarder.openCount()
  }
  server.on('drop', options.lacking)
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(new Error(listenError({ name: 'proxy', flag: '--listen', ...options.address }, error)))
    server.once('error', failed)
    server.listen({ port: options.address.port, host: options.address.host, backlog: backlogMax }, () => {
      server.off('error', failed)
      server.on('error', (error) => isLack(error) && options.lacking()) // the next connection is tried again
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
          for (const [socket, pipeline] of pipelines) {
            pipeline.close()
            socket.destroy()
          }
        },
      })
    })
  })
}

/**
 * Whether nothing was read behind the head that the parser has come to. Behind a request with an Upgrade that is not made, node:http throws away what it has
 * read, and would take what it reads next for the beginning of a request.
 */
function isAllThatWasRead(socket: Socket): boolean {
  const read = beingParsed(socket)
  return read !== undefined && read.indexOf('\r\n\r\n') === read.length - 4
}

/** The parser takes RTSP and ICE for HTTP/1.0, and says so nowhere. */
function isOtherProtocol({ httpVersionMajor, httpVersionMinor, method, url, socket }: http.IncomingMessage): boolean {
  if (httpVersionMajor !== 1 || httpVersionMinor !== 0) return false
  const read = beingParsed(socket)
  return ['ICE', 'RTSP'].some((protocol) => read?.includes(`${method} ${url} ${protocol}/1.0`, 0, 'latin1'))
}

/** What the parser is just reading: node:http has it for its own use. */
function beingParsed(socket: Socket): Buffer | undefined {
  return (socket as { parser?: { getCurrentBuffer?: () => Buffer | undefined } }).parser?.getCurrentBuffer?.()
}

function answerClientError(socket: Socket, { code, reason }: ParserError): void {
  if (code === 'HPE_HEADER_OVERFLOW')
    answerRaw(socket, 431, 'header_too_large', 'The header section of the request is too large (limits.headerBytes).')
  else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') answerRaw(socket, 408, 'request_timeout', 'The head of the request did not arrive in time.')
  else refuseRaw(socket, refusalOfParser(code, reason))
}

/** What the parser says of a head. */
function refusalOfParser(code: string | undefined, reason: string | undefined): Refusal {
  if (code === 'HPE_INVALID_VERSION' || code === 'HPE_PAUSED_H2_UPGRADE') return refusals.version
  // Beside a Content-Length it is a message that contradicts itself.
  if (code === 'HPE_INVALID_TRANSFER_ENCODING' && !reason?.includes('Content-Length')) return refusals.transferCoding
  return refusals.malformed
}

function refuseRaw(socket: Socket, { status, code, message }: Refusal): void {
  answerRaw(socket, status, code, message)
}

function answerRaw(socket: Socket, status: number, code: string, message: string): void {
  const body = errorBody(code, message)
  socket.on('error', () => undefined)
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n${errorHeader}: ${code}\r\nconnection: close\r\n\r\n${body}`,
  )
}
