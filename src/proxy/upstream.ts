/**
 * Connections to one upstream origin. undici's `Pool` looks through all its clients for a free one at each request, which is what made
 * it slow with thousands of open streams; here free connections wait on a stack, and the last one used is the first to be used again.
 */
import { type ClientRequest, request as httpRequest } from 'node:http'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import { buildConnector, Client, type Dispatcher } from 'undici'

export interface UpstreamOptions {
  /** Milliseconds; 0 means without limit. */
  readonly connectMs: number
  readonly headMs: number
  readonly idleMs: number
  /** Bytes of a response's header section. */
  readonly headerBytes: number
}

export interface OwnRequest {
  readonly method: string
  readonly path: string
  /** Flat list. */
  readonly headers: readonly string[]
  /** The value of `Host`, whose name the certificate must bear. */
  readonly host: string
}

export interface Upstream {
  /** The handler's `done` must be called once, when nothing more will come for it: the connection is then free again. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): () => void
  /**
   * A request on a connection of its own, for an upgrade: the connection is then the caller's. Fields are sent as they are, in order and case.
   * Throws when the path or a field cannot be sent.
   */
  open(request: OwnRequest): ClientRequest
  /** Ends every connection; what is still running on them fails. */
  destroy(): Promise<void>
}

/** Free connections kept; their sockets close by themselves after undici's keep-alive timeout (4 s, or what the upstream says). */
const freeMax = 1024

export function createUpstream(origin: string, options: UpstreamOptions): Upstream {
  const connect = buildConnector({ timeout: options.connectMs, keepAlive: true, keepAliveInitialDelay: 30_000, allowH2: false })
  const free: Client[] = []
  const all = new Set<Client>()
  const open = (): Client => {
    const client = new Client(origin, {
      connect,
      pipelining: 1,
      allowH2: false,
      headersTimeout: options.headMs,
      bodyTimeout: options.idleMs,
      maxHeaderSize: options.headerBytes,
    })
    all.add(client)
    return client
  }
  return {
    dispatch(request, handler) {
      const client = free.pop() ?? open()
      client.dispatch(request, handler)
      let done = false
      return () => {
        if (done) return
        done = true
        if (free.length < freeMax) {
          free.push(client)
        } else {
          all.delete(client)
          client.close().catch(() => undefined)
        }
      }
    },
    open({ method, path, headers, host }) {
      const socket = connectTo(origin, host)
      try {
        const request = httpRequest({
          ...{ method, path, headers, setHost: false, maxHeaderSize: options.headerBytes },
          createConnection: () => socket,
        })
        return limited(request, socket, options)
      } catch (error) {
        socket.destroy()
        throw error
      }
    },
    async destroy() {
      await Promise.allSettled([...all].map((client) => client.destroy()))
    },
  }
}

/** Half-open is for the two ends to deal with. */
const socketOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 } as const

function connectTo(origin: string, hostField: string): Socket {
  const { protocol, hostname, port } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (protocol !== 'https:') return net.connect({ ...socketOptions, host, port: Number(port || 80) })
  const servername = hostField.replace(/:\d+$/, '')
  return tls.connect({
    ...{ ...socketOptions, host, port: Number(port || 443), ALPNProtocols: ['http/1.1'] },
    ...(net.isIP(servername.replace(/^\[|\]$/g, '')) === 0 ? { servername } : {}),
  })
}

/** The same limits as for every other request: to connect, then to the head of the answer. */
function limited(request: ClientRequest, socket: Socket, { connectMs, headMs }: UpstreamOptions): ClientRequest {
  const late = () => request.destroy(Object.assign(new Error('The upstream is too slow.'), { code: 'ETIMEDOUT' }))
  let timer = connectMs > 0 ? setTimeout(late, connectMs) : undefined
  socket.once(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => {
    clearTimeout(timer)
    timer = headMs > 0 ? setTimeout(late, headMs) : undefined
  })
  for (const event of ['response', 'upgrade', 'close'] as const) request.once(event, () => clearTimeout(timer))
  return request
}
