/** A port that clients talk to, with or without TLS: an HTTP/1.1 server with its limits, and its answers to what is no HTTP request; HTTP/2 is `sessions.ts`. */
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ListenTls, Pem } from '../config/certificates.ts'
import type { Address } from '../config/config.ts'
import { listenError } from '../lib/listen-error.ts'
import { Cell } from '../lib/shared-counters.ts'
import { bind } from './bind.ts'
import type { Certificates } from './certificates.ts'
import { isLack } from './descriptors.ts'
import type { Forwarder } from './forwarder.ts'
import { Pipeline, Pipelines } from './pipeline.ts'
import type { Places } from './places.ts'
import { answerClientError, answerRaw } from './raw-answers.ts'
import type { Reads } from './reads.ts'
import { refusals } from './refusals.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { hasBody, isUpgrade } from './upgrade.ts'

export interface ListenerTls {
  readonly settings: ListenTls
  readonly certificates: Certificates
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
}

export interface ListenerOptions {
  readonly address: Address
  /** Absent where clients speak plain HTTP. */
  readonly tls?: ListenerTls | undefined
  readonly forwarder: Forwarder
  readonly cells: Int32Array
  /** Bytes of a request's header section; more is answered 431. */
  readonly headerBytesMax: number
  readonly places: Places
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
const handshakeMsMax = 20_000
/** Longer than the idle timeout of common load balancers and client pools (60 s), so that it is the client that closes. */
const keepAliveMs = 75_000
/** For a client that still sends to read why it is refused. */
const lingerMs = 500
/** Between checks for connections that became idle while closing. */
const closeIdleMs = 100

export async function listen(options: ListenerOptions): Promise<Listener> {
  const { forwarder, places, tls } = options
  const pipelines = new Map<Socket, Pipeline>()
  const shared = new Pipelines(forwarder, () => void Atomics.add(options.cells, Cell.pipelineOverflow, 1))
  const server = createServer(options, pipelines)
  const sessions = tls?.settings.http2 === true ? createSessions({ ...options, report: tls.report, idleMs: keepAliveMs }) : undefined
  serve(server, { pipelines, shared, sessions }, options)
  if (Number.isFinite(places.max)) server.maxConnections = places.max
  const closeIdle = () => {
    server.closeIdleConnections()
    sessions?.closeIdle()
  }
  places.onLack(closeIdle)
  server.on('drop', places.lacking)
  const port = await bind(server, options.address).catch((error: NodeJS.ErrnoException) => {
    throw Object.assign(new Error(listenError({ name: 'proxy', flag: '--listen', ...options.address }, error)), { code: error.code })
  })
  server.on('error', (error) => isLack(error) && places.lacking()) // the next connection is tried again
  return {
    port,
    close: () =>
      new Promise((done) => {
        forwarder.closeConnections()
        tls?.certificates.stop()
        sessions?.close()
        const timer = setInterval(closeIdle, closeIdleMs)
        server.close(() => {
          clearInterval(timer)
          shared.recordLeft()
          done()
        })
        server.closeIdleConnections()
        places.destroyUnused()
      }),
    destroyConnections: () => {
      sessions?.destroy()
      for (const [socket, pipeline] of pipelines) {
        pipeline.close()
        socket.destroy()
      }
      shared.recordLeft()
    },
  }
}

function createServer({ tls, headerBytesMax }: ListenerOptions, pipelines: ReadonlyMap<Socket, Pipeline>): http.Server | https.Server {
  const options: http.ServerOptions = {
    maxHeaderSize: headerBytesMax,
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
  }
  const server = tls === undefined ? http.createServer(options) : createSecureServer(options, tls)
  server.maxHeadersCount = 0 // the size limit bounds them; a silent cut at 2,000 would lose fields
  return server
}

function createSecureServer(options: http.ServerOptions, { settings, certificates }: ListenerTls): https.Server {
  const { clientCa, clientCertificates, minVersion, http2 } = settings
  const context = ({ cert, key, ca }: Pem) => ({ cert, key, ca, minVersion: `TLSv${minVersion}` }) as const
  const server = https.createServer({
    ...options,
    allowHalfOpen: true, // as node:http has it: who is still sending gets to read why it is refused
    handshakeTimeout: handshakeMsMax,
    ALPNProtocols: http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    requestCert: clientCa !== undefined,
    rejectUnauthorized: clientCa !== undefined && clientCertificates === 'required',
  })
  certificates.use((pem) => server.setSecureContext(context(pem)))
  return server
}

/** Connections whose handshake is over: those that agreed on HTTP/2 are not node:http's. */
function acceptSecure(
  server: http.Server,
  { tls, cells, reads }: { readonly tls: ListenerTls; readonly cells: Int32Array; readonly reads: Reads },
  accept: (socket: TLSSocket) => Sessions | undefined,
): void {
  const listeners = server.listeners('secureConnection')
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket: TLSSocket) => {
    // Where certificates are optional, Node lets any pass.
    if (tls.settings.clientCa !== undefined && !socket.authorized && Object.keys(socket.getPeerCertificate()).length > 0) {
      Atomics.add(cells, Cell.clientsWithoutCertificate, 1)
      socket.destroy()
      return
    }
    const sessions = accept(socket)
    if (sessions !== undefined) sessions.open(socket)
    else {
      for (const listener of listeners) listener.call(server, socket)
      reads.begun(socket)
    }
  })
  let isTold = false
  server.on('tlsClientError', ({ code }: NodeJS.ErrnoException, socket: TLSSocket) => {
    const isForCertificate = Boolean(socket.authorizationError) || code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'
    Atomics.add(cells, isForCertificate ? Cell.clientsWithoutCertificate : Cell.handshakesFailed, 1)
    if (code !== 'ERR_SSL_HTTP_REQUEST' || isTold) return
    isTold = true
    tls.report('A client speaks plain HTTP to a port that expects TLS: its base URL must begin with https://.')
  })
}

function serve(
  server: http.Server,
  { pipelines, shared, sessions }: { pipelines: Map<Socket, Pipeline>; shared: Pipelines; sessions: Sessions | undefined },
  { forwarder, cells, places, tls }: ListenerOptions,
): void {
  const pipe = (socket: Socket) => {
    places.ready(socket)
    const pipeline = new Pipeline(socket, shared)
    pipelines.set(socket, pipeline)
    socket.once('close', () => {
      pipelines.delete(socket)
      pipeline.close()
    })
  }
  server.on('connection', (socket: Socket) => {
    if (tls === undefined) {
      pipe(socket)
      shared.reads.begun(socket)
    }
    places.accepted(socket)
  })
  if (tls !== undefined) {
    acceptSecure(server, { tls, cells, reads: shared.reads }, (socket) => {
      const isHttp2 = socket.alpnProtocol === 'h2'
      if (isHttp2) places.ready(socket)
      else pipe(socket)
      return isHttp2 ? sessions : undefined
    })
  }
  const onRequest: http.RequestListener = (request, response) => {
    const { socket } = request
    places.requested(socket)
    pipelines.get(socket)?.request(request, response, isOtherProtocol(request) ? refusals.version : undefined)
  }
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', (request, stream, head) => {
    const socket = stream as Socket
    places.requested(socket)
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
    const pipeline = pipelines.get(socket)
    // Without a pipeline, its handshake failed. What has been answered is told again at each read; over TLS the answer may still be on its way.
    if (tls !== undefined && socket.writableEnded) setTimeout(() => socket.destroy(), lingerMs).unref()
    else if (pipeline === undefined || error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else if (error.code === 'HPE_INVALID_EOF_STATE' && pipeline.isBusy) socket.destroy()
    else if (error.code !== 'HPE_CLOSED_CONNECTION') {
      // That one is what comes behind a request that was the last: nobody waits for an answer to it.
      pipeline.broke(() => {
        Atomics.add(cells, Cell.malformed, 1)
        answerClientError(socket, error)
      })
    }
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
