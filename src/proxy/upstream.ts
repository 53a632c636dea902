/**
 * Connections to one upstream origin, each an undici `Client`. Free ones wait on a stack, and the last one used is the first to be used again (a pool
 * that looks through all of them at each request was the largest cost with thousands of open streams); there is no limit to those in use, as there is
 * none to the clients.
 *
 * A free connection on which the upstream has sent an end, or bytes that nobody asked for, is not used. What remains is a close that is under way while
 * the request is written. The request is then sent once more, on a fresh connection, if its method is idempotent and its body is still there (RFC 9110
 * §9.2.2). Any other may have reached the upstream, and fails: a POST is never sent twice.
 */
import { isIP } from 'node:net'
import { Client } from 'undici'
import { socketPathOf } from '../config/address.ts'
import type { ForwardProxy } from '../config/forward-proxy.ts'
import { createIndexedSet, type Member } from '../lib/indexed-set.ts'
import type { Connect } from './arrivals.ts'
import { Call, type Carrier, straight, type Upstream, type Way } from './call.ts'
import type { Certificates } from './certificates.ts'
import { directConnector, forwardingConnector, refused, tunnellingConnector } from './connectors.ts'
import { UpstreamFault } from './fault.ts'
import { createMultiplexed } from './multiplexed.ts'

export interface UpstreamOptions {
  /** Milliseconds; 0 means without limit. */
  readonly connectMs: number
  readonly headMs: number
  readonly idleMs: number
  /** Bytes of a response's header section. */
  readonly headerBytes: number
  /** HTTP/2 where the upstream offers it (ALPN). */
  readonly http2?: boolean
  /** On the way to the upstream. */
  readonly proxy?: ForwardProxy | undefined
  /** A connection was made, TLS and forward proxy included, within so many milliseconds. */
  readonly onConnected?: ((ms: number) => void) | undefined
  /** Of ours, and the CA that is trusted. */
  readonly certificates?: Certificates | undefined
}

export type { Upstream }

/** Free connections kept. */
const freeMax = 1024
/** A free connection is closed after this long, until the upstream is known to close them sooner. Where it says how long (Keep-Alive), undici heeds it. */
const freeMs = 4000
/** Of the time after which an upstream was seen to close a free connection. */
const learntShare = 0.8
/** A connection that was closed sooner than that says nothing of it: its upstream stops, or does not keep connections at all. */
const learntMsMin = 1000

interface Connection extends Carrier, Member {
  readonly dispatcher: Client
  /** While it is being made. */
  making: ReturnType<Connect>
  isUsed: boolean
  /** `performance.now()`. */
  freeSince: number
}

/** What a connection is made with. */
interface Kind {
  /** Of whom it is asked for. */
  readonly origin: string
  readonly connect: Connect
  readonly way: Way
}

/** `origin`: scheme, host and port; or `http+unix` with the path of a socket (`config/address.ts`). */
export function createUpstream(origin: string, options: UpstreamOptions): Upstream {
  const socketPath = socketPathOf(new URL(origin))
  return socketPath === undefined ? createUpstreamAt(origin, options) : createUpstreamAt('http://localhost', options, socketPath)
}

function createUpstreamAt(origin: string, options: UpstreamOptions, socketPath?: string): Upstream {
  const { protocol, hostname, host } = new URL(origin)
  const isSecure = protocol === 'https:'
  const ownName = hostname.replace(/^\[|\]$/g, '')
  const nameFor = (call: Call) => (isSecure ? servernameOf(call.name, ownName) : undefined)
  const { proxy, connectMs, http2 = false, certificates } = options
  const settings = clientOptions(options)
  const connectorOf = (allowHalfOpen: boolean) => {
    const of = { connectMs, allowHalfOpen, http2, certificates }
    return timed(proxy === undefined ? directConnector({ ...of, socketPath }) : tunnellingConnector(proxy, host, of), options)
  }
  if (http2) return createMultiplexed(origin, { ...settings, connect: toClient(connectorOf(false)) }, nameFor)
  const plain = isSecure || proxy === undefined ? { origin, connect: connectorOf(false), way: straight } : forwarded(origin, proxy, options)
  // Half of an upgraded connection may end before the other; that is for its two ends to deal with. It needs a tunnel in any case.
  const halfOpen = { origin, connect: connectorOf(true), way: straight }
  return createStack(plain, halfOpen, settings, nameFor)
}

/** Without TLS a forward proxy is asked for the whole URL. */
function forwarded(origin: string, proxy: ForwardProxy, options: UpstreamOptions): Kind {
  const { connectMs } = options
  const { host } = new URL(origin)
  const { authorization } = proxy
  return {
    origin: proxy.origin,
    connect: timed(forwardingConnector(proxy, host, { connectMs }), options),
    way: {
      prefix: origin,
      fields: authorization === undefined ? [] : ['proxy-authorization', authorization],
      refused: (status) => refused(proxy, host, status),
    },
  }
}

function timed(connect: Connect, { onConnected }: UpstreamOptions): Connect {
  if (onConnected === undefined) return connect
  return (target, callback) => {
    const from = performance.now()
    return connect(target, (...result) => {
      if (result[0] === null) onConnected(performance.now() - from)
      callback(...result)
    })
  }
}

function clientOptions({ headMs, idleMs, headerBytes }: UpstreamOptions): Client.Options {
  return { pipelining: 1, headersTimeout: headMs, bodyTimeout: idleMs, maxHeaderSize: headerBytes, keepAliveTimeout: freeMs }
}

function toClient(connect: Connect): NonNullable<Extract<Client.Options['connect'], (...all: never[]) => unknown>> {
  return (target, callback) => void connect(target, callback)
}

function createStack(plain: Kind, halfOpen: Kind, settings: Client.Options, nameFor: (call: Call) => string | undefined): Upstream {
  const busy = createIndexedSet<Connection>()
  const free: Connection[] = []
  /** Calls for a free connection: it is taken at the end of the turn, when an end that had arrived on it has been seen. */
  const waiting: Call[] = []
  /** A free connection is not used after this long, since the upstream was seen to close one. */
  let learntMs: number | undefined
  let isDestroyed = false
  let isRetired = false

  function open(servername: string | undefined, { origin, connect, way }: Kind = plain): Connection {
    const client = new Client(origin, {
      ...settings,
      keepAliveTimeout: learntMs ?? freeMs,
      connect(target, callback) {
        connection.making = connect(target, (...result) => {
          connection.making = undefined
          callback(...result)
        })
      },
    })
    const connection: Connection = {
      ...{ dispatcher: client, way, servername, headMs: settings.headersTimeout ?? 0 },
      ...{ making: undefined, isUsed: false, freeSince: 0, place: -1 },
      settled: (persists) => settled(connection, persists),
      again(call) {
        end(connection)
        if (isDestroyed) call.fail(new UpstreamFault('STOPPED'))
        else carry(call, open(servername))
      },
    }
    client.on('disconnect', (_origin, _targets, error) => onDisconnect(connection, error))
    return connection
  }

  function onDisconnect(connection: Connection, error: NodeJS.ErrnoException): void {
    const at = free.lastIndexOf(connection)
    if (at < 0) return
    free.splice(at, 1)
    end(connection)
    const ms = performance.now() - connection.freeSince
    if (error.code !== 'UND_ERR_INFO' && ms > learntMsMin) learntMs = Math.min(learntMs ?? freeMs, ms * learntShare)
  }

  /** A free connection to the same server, the last one used first. */
  function take(servername: string | undefined): Connection | undefined {
    const oldest = learntMs === undefined ? 0 : performance.now() - learntMs
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
  function end(connection: Connection): void {
    busy.remove(connection)
    void connection.dispatcher.destroy(new UpstreamFault('STOPPED'))
    connection.making?.destroy()
  }

  function carry(call: Call, connection: Connection): void {
    busy.add(connection)
    call.isOnUsedConnection = connection.isUsed
    connection.isUsed = true
    try {
      call.dispatchOn(connection)
    } catch (error) {
      end(connection)
      throw error
    }
  }

  function assign(): void {
    for (const call of waiting.splice(0)) {
      if (call.isOver) continue
      try {
        carry(call, take(nameFor(call)) ?? open(nameFor(call)))
      } catch (error) {
        call.fail(error as Error)
      }
    }
  }

  function settled(connection: Connection, persists: boolean): void {
    if (!persists || isDestroyed || isRetired || free.length >= freeMax) {
      end(connection)
      return
    }
    busy.remove(connection)
    connection.freeSince = performance.now()
    free.push(connection)
  }

  return {
    dispatch(request, handler) {
      const call = new Call(request, handler)
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
      for (const connection of [...free.splice(0), ...busy.all()]) end(connection)
    },
    retire() {
      isRetired = true
      for (const connection of free.splice(0)) end(connection)
    },
  }
}

/** Whom a connection has to belong to: a name, or where the upstream has none, its address. */
function servernameOf(host: string | undefined, ownName: string): string {
  const name = (host ?? '').replace(/:\d*$/, '')
  return name === '' || isIP(name.replace(/^\[|\]$/g, '')) !== 0 ? ownName : name
}
