/**
 * Connections to one upstream origin, each an undici `Client`. Free ones wait on a stack, and the last one used is the first to be used again (a pool
 * that looks through all of them at each request was the largest cost with thousands of open streams); there is no limit to those in use, as there is
 * none to the clients.
 *
 * A free connection on which the upstream has sent an end, or bytes that nobody asked for, is not used. What remains is a close that is under way while
 * the request is written. The request is then sent once more, on a fresh connection, if its method is idempotent and its body is still there (RFC 9110
 * §9.2.2). Any other may have reached the upstream, and fails: a POST is never sent twice.
 */
import { isIP, type Socket } from 'node:net'
import { buildConnector, Client, type Dispatcher, errors, Pool } from 'undici'
import { Call, type CallHandler, type CallOwner, type CallRequest } from './call.ts'
import { readsOverContinue } from './continue.ts'
import { UpstreamFault } from './fault.ts'

export interface UpstreamOptions {
  /** Milliseconds; 0 means without limit. */
  readonly connectMs: number
  readonly headMs: number
  readonly idleMs: number
  /** Bytes of a response's header section. */
  readonly headerBytes: number
  /** HTTP/2 where the upstream offers it (ALPN). */
  readonly http2?: boolean
}

export interface Upstream {
  /** Throws a `TypeError` when the method, the path or a field cannot be sent. */
  dispatch(request: CallRequest, handler: CallHandler): Call
  /** Ends every connection; what is still running on them fails. */
  destroy(): void
}

/** Free connections kept. */
const freeMax = 1024
/** A free connection is closed after this long, until the upstream is known to close them sooner. Where it says how long (Keep-Alive), undici heeds it. */
const freeMs = 4000
/** Of the time after which an upstream was seen to close a free connection. */
const learntShare = 0.8
/** TLS sessions that are kept: with the client's own `Host`, there can be any number of names. */
const sessionsMax = 100

interface Connection {
  readonly client: Client
  readonly servername: string | undefined
  /** While it is being made. */
  socket: Socket | undefined
  isUsed: boolean
  /** `performance.now()`. */
  freeSince: number
}

export function createUpstream(origin: string, options: UpstreamOptions): Upstream {
  return options.http2 === true
    ? createShared(origin, new Pool(origin, { ...clientOptions(options), allowH2: true }))
    : createStack(origin, options)
}

function clientOptions({ headMs, idleMs, headerBytes, connectMs }: UpstreamOptions): Client.Options {
  return {
    pipelining: 1,
    headersTimeout: headMs,
    bodyTimeout: idleMs,
    connectTimeout: connectMs,
    maxHeaderSize: headerBytes,
    keepAliveTimeout: freeMs,
  }
}

function createStack(origin: string, options: UpstreamOptions): Upstream {
  const { protocol, hostname } = new URL(origin)
  const isSecure = protocol === 'https:'
  const ownName = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined
  const connectorOf = (allowHalfOpen: boolean) =>
    readsOverContinue(
      buildConnector({
        allowH2: false,
        maxCachedSessions: sessionsMax,
        timeout: options.connectMs,
        allowHalfOpen,
      } as buildConnector.BuildOptions),
    )
  const settings = clientOptions(options)
  const plain = connectorOf(false)
  /** Half of an upgraded connection may end before the other; that is for its two ends to deal with. */
  const halfOpen = connectorOf(true)
  const connections = new Map<Call, Connection>()
  const free: Connection[] = []
  /** Calls for a free connection: it is taken at the end of the turn, when an end that had arrived on it has been seen. */
  const waiting: Call[] = []
  let idleMs = freeMs
  let isDestroyed = false

  function open(servername: string | undefined, connect = plain): Connection {
    const client = new Client(origin, {
      ...settings,
      connect(target, callback) {
        const made: typeof callback = (...result) => {
          connection.socket = undefined
          callback(...result)
        }
        connection.socket = (connect as (...given: Parameters<typeof connect>) => Socket | undefined)(target, made)
      },
    })
    const connection: Connection = { client, servername, socket: undefined, isUsed: false, freeSince: 0 }
    client.on('disconnect', (_origin, _targets, error) => onDisconnect(connection, error))
    return connection
  }

  /** An upstream that closes free connections sooner than we do is not given the time to do so again. */
  function onDisconnect(connection: Connection, error: Error): void {
    const at = free.lastIndexOf(connection)
    if (at < 0) return
    free.splice(at, 1)
    end(connection)
    if ((error as NodeJS.ErrnoException).code !== 'UND_ERR_INFO')
      idleMs = Math.min(idleMs, (performance.now() - connection.freeSince) * learntShare)
  }

  /** A free connection to the same server, the last one used first. */
  function take(servername: string | undefined): Connection | undefined {
    const oldest = performance.now() - idleMs
    for (let i = free.length - 1; i >= 0; i--) {
      const connection = free[i] as Connection
      if (connection.servername !== servername) continue
      free.splice(i, 1)
      if (connection.freeSince >= oldest) return connection
      end(connection)
    }
    return undefined
  }

  /** undici lets a connection that is being made go on until it is there. */
  function end({ client, socket }: Connection): void {
    void client.destroy(new UpstreamFault('STOPPED'))
    socket?.destroy()
  }

  function carry(call: Call, connection: Connection): void {
    connections.set(call, connection)
    call.isOnUsedConnection = connection.isUsed
    connection.isUsed = true
    start(connection.client, call, origin, connection.servername)
  }

  const nameFor = ({ host }: Call) => (isSecure ? servernameOf(host, ownName) : undefined)

  function assign(): void {
    for (const call of waiting.splice(0)) if (!call.isOver) carry(call, take(nameFor(call)) ?? open(nameFor(call)))
  }

  const owner: CallOwner = {
    settled(call, persists) {
      const connection = connections.get(call)
      connections.delete(call)
      if (connection === undefined) return
      if (persists && !isDestroyed && free.length < freeMax) {
        connection.freeSince = performance.now()
        free.push(connection)
      } else end(connection)
    },
    again(call) {
      const before = connections.get(call)
      connections.delete(call)
      if (before !== undefined) end(before)
      if (isDestroyed) call.fail(new UpstreamFault('STOPPED'))
      else carry(call, open(before?.servername))
    },
  }

  return {
    dispatch(request, handler) {
      const call = new Call(request, handler, owner)
      if (isDestroyed) queueMicrotask(() => call.fail(new UpstreamFault('STOPPED')))
      else if (request.upgrade !== undefined) carry(call, open(nameFor(call), halfOpen))
      else if (free.length <= waiting.length) carry(call, open(nameFor(call)))
      else if (waiting.push(call) === 1) setImmediate(assign)
      return call
    },
    destroy() {
      isDestroyed = true
      const error = new UpstreamFault('STOPPED')
      for (const call of waiting.splice(0)) call.fail(error)
      for (const connection of [...free.splice(0), ...connections.values()]) end(connection)
    },
  }
}

/** One dispatcher for all calls: it shares connections among them as its protocol has it. */
export function createShared(origin: string, dispatcher: Dispatcher, faultOf = (error: Error, _isStarted: boolean) => error): Upstream {
  let isDestroyed = false
  const calls = new Set<Call>()
  const owner: CallOwner = { settled: (call) => void calls.delete(call), again: (call) => start(dispatcher, call, origin, undefined) }
  return {
    dispatch(request, handler) {
      const call: Call = new Call(
        request,
        { ...boundTo(handler), failed: (error) => handler.failed(faultOf(error, call.isStarted)) },
        owner,
      )
      calls.add(call)
      if (isDestroyed) queueMicrotask(() => call.fail(new UpstreamFault('STOPPED')))
      else start(dispatcher, call, origin, undefined)
      return call
    },
    destroy() {
      isDestroyed = true
      void dispatcher.destroy(new UpstreamFault('STOPPED'))
    },
  }
}

function boundTo(handler: CallHandler): CallHandler {
  return {
    bodySent: (chunk) => handler.bodySent(chunk),
    requestSent: () => handler.requestSent(),
    interim: (status, rawHeaders) => handler.interim(status, rawHeaders),
    head: (status, statusText, rawHeaders) => handler.head(status, statusText, rawHeaders),
    data: (chunk) => handler.data(chunk),
    end: (rawTrailers) => handler.end(rawTrailers),
    upgraded: (rawHeaders, socket) => handler.upgraded?.(rawHeaders, socket),
    failed: (error) => handler.failed(error),
  }
}

/** Whom a connection for this value of `Host` has to belong to; `undefined` where that is told by the address. */
function servernameOf(host: string, ownName: string | undefined): string | undefined {
  const name = host.replace(/:\d*$/, '')
  return name === '' || isIP(name.replace(/^\[|\]$/g, '')) !== 0 ? ownName : name
}

/** undici tells a request that cannot be sent as a failure; it is a mistake of the caller. */
function start(dispatcher: Dispatcher, call: Call, origin: string, servername: string | undefined): void {
  const options = call.options(origin)
  if (!options.path.startsWith('/')) throw new TypeError('The path of a request must begin with a slash.')
  if ((options.method as string) === 'CONNECT') throw new TypeError('The method of a request must not be CONNECT.')
  let refusal: Error | undefined
  let isStarting = true
  const { onResponseError } = call
  call.onResponseError = (controller, error) => {
    if (isStarting && controller === null && (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError))
      refusal = error
    else onResponseError.call(call, controller, error)
  }
  dispatcher.dispatch({ ...options, ...(servername === undefined ? {} : { servername }) } as Dispatcher.DispatchOptions, call)
  isStarting = false
  if (refusal !== undefined) throw new TypeError(refusal.message)
}
