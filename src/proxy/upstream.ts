/**
 * Connections to one upstream origin. Free ones wait on a stack, and the last one used is the first to be used again; there is no limit to
 * those in use, as there is none to the clients.
 *
 * A free connection is taken at the end of the event loop's turn, when everything that had arrived on it has been read: one that the upstream
 * has closed, or on which it has sent what nobody asked for, is not used. What remains is a close that is under way while the request is
 * written. The request is then sent once more, on a fresh connection, if the system took nothing of it, or if its method is idempotent and its
 * body is still there (RFC 9110 §9.2.2). Any other may have reached the upstream, and fails: a POST is never sent twice.
 */
import type { ClientRequest } from 'node:http'
import { createRoster } from '../lib/indexed-set.ts'
import { Call, type CallHandler, type CallRequest, type UpstreamRequest } from './client/call.ts'
import { createConnector } from './client/connect.ts'
import { Connection, type ConnectionOwner } from './client/connection.ts'
import { UpstreamFault } from './client/fault.ts'
import { openRequest } from './client/open.ts'

export interface UpstreamOptions {
  /** Milliseconds; 0 means without limit. */
  readonly connectMs: number
  readonly headMs: number
  readonly idleMs: number
  /** Bytes of a response's header section. */
  readonly headerBytes: number
}

export interface Upstream {
  /** Throws when the method, the path or a field cannot be sent. */
  dispatch(request: CallRequest, handler: CallHandler): Call
  /** A request on a connection of its own, for an upgrade: the connection is then the caller's. Throws as `dispatch` does. */
  open(request: UpstreamRequest): ClientRequest
  /** Ends every connection; what is still running on them fails. */
  destroy(): void
}

/** Free connections kept. */
const freeMax = 1024
/** A free connection is closed after this long: before the upstream closes it, as far as that is known. */
const freeMs = 4000
/** Where the upstream says how long it keeps them, so much earlier. */
const keepAliveMarginMs = 2000
const keepAliveMsMax = 600_000
/** Limits are looked at this often, and for short ones often enough for a quarter of them. */
const tickMsMax = 500
const tickMsMin = 5

export function createUpstream(origin: string, options: UpstreamOptions): Upstream {
  const connector = createConnector(origin)
  const limits = [options.connectMs, options.headMs, options.idleMs].filter((ms) => ms > 0)
  const tickMs = Math.max(tickMsMin, Math.min(tickMsMax, ...limits.map((ms) => ms / 4)))
  /** Never early: the first tick may come at once. */
  const ticksOf = (ms: number) => (ms > 0 ? Math.ceil(ms / tickMs) + 1 : 0)
  const all = createRoster<Connection>()
  const free: Connection[] = []
  let waiting: Call[] = []
  let timer: NodeJS.Timeout | undefined
  let isDestroyed = false

  const owner = {
    now: 0,
    connectTicks: ticksOf(options.connectMs),
    headTicks: ticksOf(options.headMs),
    bodyTicks: ticksOf(options.idleMs),
    idleTicks(keepAliveSeconds) {
      const ms = keepAliveSeconds === undefined ? freeMs : Math.min(keepAliveSeconds * 1000 - keepAliveMarginMs, keepAliveMsMax)
      return ms > 0 ? Math.ceil(ms / tickMs) : 0
    },
    rests(connection) {
      if (free.length < freeMax) free.push(connection)
      else connection.drop()
    },
    closed(connection) {
      all.remove(connection)
      const at = free.lastIndexOf(connection)
      if (at >= 0) free.splice(at, 1)
      if (all.size() > 0) return
      clearInterval(timer)
      timer = undefined
    },
    failed(call, error, maySendAgain) {
      if (!maySendAgain || isDestroyed) {
        call.fail(error)
        return
      }
      call.again = true
      connect(call)
    },
  } satisfies ConnectionOwner

  const tick = () => {
    owner.now++
    for (const connection of all.all()) connection.tick()
  }
  const connect = (call: Call) => {
    timer ??= setInterval(tick, tickMs).unref()
    const servername = connector.servernameOf(call.host)
    const socket = connector.connect(servername, false)
    all.add(new Connection(socket, connector.isSecure, servername, call, owner, options.headerBytes))
  }
  /** A free connection to the same server, the last one used first. */
  const take = (servername: string | undefined): Connection | undefined => {
    for (let i = free.length - 1; i >= 0; i--) {
      const connection = free[i] as Connection
      if (connection.servername === servername && connection.isUsable) return free.splice(i, 1)[0]
    }
    return undefined
  }
  const assign = () => {
    const calls = waiting
    waiting = []
    for (const call of calls) {
      if (call.isOver) continue
      const connection = take(connector.servernameOf(call.host))
      if (connection === undefined) connect(call)
      else connection.carry(call)
    }
  }

  return {
    dispatch(request, handler) {
      const call = new Call(request, handler)
      if (isDestroyed) queueMicrotask(() => call.fail(new UpstreamFault('STOPPED')))
      else if (free.length <= waiting.length) connect(call)
      else if (waiting.push(call) === 1) setImmediate(assign)
      return call
    },
    open: (request) => openRequest(connector, request, options),
    destroy() {
      isDestroyed = true
      const error = new UpstreamFault('STOPPED')
      for (const connection of all.all()) connection.destroy(error)
      for (const call of waiting) call.fail(error)
      waiting = []
    },
  }
}
