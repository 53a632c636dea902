/** How connections of an upstream are made: to it directly, through a tunnel that a forward proxy opens (CONNECT), or to that proxy. By undici's connector. */
import { isIP, type Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { buildConnector, Client, type Dispatcher } from 'undici'
import type { ForwardProxy } from '../config/forward-proxy.ts'
import { type Connect, handsOver, onread } from './arrivals.ts'
import type { Certificates } from './certificates.ts'
import { faultOf, UpstreamFault } from './fault.ts'

export interface ConnectSettings {
  /** Milliseconds; 0 means without limit. */
  readonly connectMs: number
  /** Half of the connection may end before the other. */
  readonly allowHalfOpen?: boolean
  /** HTTP/2 is asked for first. */
  readonly http2?: boolean
  /** The path of the upstream's Unix socket, whatever its host and port. */
  readonly socketPath?: string | undefined
  /** Of the client, and the CA that is trusted. */
  readonly certificates?: Certificates | undefined
}

/** TLS sessions that are kept: with the client's own `Host`, there can be any number of names. */
const sessionsMax = 100

/** `isUndicis`: nobody but undici reads from these connections. */
function baseConnector(
  { connectMs, allowHalfOpen = false, http2 = false, socketPath, certificates }: ConnectSettings,
  isUndicis = false,
): Connect {
  // undici's types leave out what it hands on to node:net, and that the connector gives the socket.
  const options = { allowH2: http2, preferH2: http2, maxCachedSessions: sessionsMax, timeout: connectMs, allowHalfOpen }
  if (isUndicis) Object.assign(options, { onread })
  if (socketPath !== undefined) Object.assign(options, { socketPath })
  const build = (more: object = {}) => buildConnector({ ...options, ...more } as buildConnector.BuildOptions) as unknown as Connect
  let connect = build()
  certificates?.use((pem) => {
    connect = build({ secureContext: createSecureContext(pem) })
  })
  // Without any `servername`, undici would take the one in the request's `Host`; an address is none that TLS can ask for, but the certificate must bear it.
  return (target, callback) => connect(isIP(target.servername ?? '') === 0 ? target : { ...target, servername: '' }, callback)
}

export function directConnector(settings: ConnectSettings): Connect {
  // What was upgraded is the caller's, and half-open for it; HTTP/2 is Node's.
  return handsOver(baseConnector(settings, settings.allowHalfOpen !== true && settings.http2 !== true))
}

/** To the proxy itself, which is asked for the whole URL. `host` is the upstream's, for people. */
export function forwardingConnector(proxy: ForwardProxy, host: string, settings: ConnectSettings): Connect {
  const connect = handsOver(baseConnector(settings, true))
  return (target, callback) =>
    connect(target, (...result) => {
      if (result[0] === null) callback(...result)
      else callback(unreachable(proxy, host, result[0]), null)
    })
}

/** Through a tunnel. Opening it has the limit of time, and so has the handshake with the upstream. */
export function tunnellingConnector(proxy: ForwardProxy, host: string, settings: ConnectSettings): Connect {
  const toProxy = baseConnector({ connectMs: settings.connectMs })
  const toUpstream = baseConnector({ ...settings, connectMs: 0 })
  return handsOver((target, callback) => new Tunnel(proxy, host, target, callback).open(toProxy, toUpstream, settings.connectMs))
}

class Tunnel {
  readonly #proxy: ForwardProxy
  readonly #host: string
  readonly #target: buildConnector.Options
  #callback: buildConnector.Callback | undefined
  #timer: NodeJS.Timeout | undefined
  /** What is being made, or has been made last. */
  #socket: ReturnType<Connect>

  constructor(proxy: ForwardProxy, host: string, target: buildConnector.Options, callback: buildConnector.Callback) {
    this.#proxy = proxy
    this.#host = host
    this.#target = target
    this.#callback = callback
  }

  open(toProxy: Connect, toUpstream: Connect, connectMs: number): this {
    const { hostname, port, protocol } = this.#target
    const authority = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
    const proxyFault = (error: Error) => this.#fail(unreachable(this.#proxy, this.#host, error))
    if (connectMs > 0) this.#timer = setTimeout(() => proxyFault(new UpstreamFault('CONNECT_TIMEOUT')), connectMs)
    const client = new Client(this.#proxy.origin, {
      ...{ headersTimeout: 0, connectTimeout: connectMs },
      connect: (target, callback) => {
        this.#socket = toProxy(target, callback)
      },
    })
    const { authorization } = this.#proxy
    const headers = ['host', authority, ...(authorization === undefined ? [] : ['proxy-authorization', authorization])]
    const request = { path: authority, headers, servername: new URL(this.#proxy.origin).hostname }
    client.connect(request as unknown as Dispatcher.ConnectOptions<null>, (error, response) => {
      if (error !== null) return proxyFault(error)
      const socket = response.socket as Socket
      socket.on('error', () => undefined) // `close` follows
      this.#socket = socket
      if (this.#callback === undefined) socket.destroy()
      else if (response.statusCode < 200 || response.statusCode > 299) this.#fail(refused(this.#proxy, this.#host, response.statusCode))
      else this.#reach(socket, toUpstream, connectMs)
    })
    return this
  }

  destroy(): void {
    this.#end()
    this.#socket?.destroy()
  }

  /** The proxy has opened the tunnel: what fails from here on is the upstream's. */
  #reach(socket: Socket, toUpstream: Connect, connectMs: number): void {
    if (this.#target.protocol !== 'https:') {
      this.#end()?.(null, socket)
      return
    }
    clearTimeout(this.#timer)
    if (connectMs > 0) this.#timer = setTimeout(() => this.#fail(new UpstreamFault('CONNECT_TIMEOUT')), connectMs)
    this.#socket = toUpstream({ ...this.#target, httpSocket: socket }, (...result) => {
      if (result[0] === null) this.#end()?.(...result)
      else this.#fail(result[0])
    })
  }

  #fail(error: Error): void {
    this.#end()?.(error, null)
    this.#socket?.destroy()
  }

  #end(): buildConnector.Callback | undefined {
    clearTimeout(this.#timer)
    const callback = this.#callback
    this.#callback = undefined
    return callback
  }
}

function unreachable({ origin }: ForwardProxy, host: string, error: Error): UpstreamFault {
  const fault: NodeJS.ErrnoException = faultOf(error)
  const why = fault.code ?? fault.name
  return new UpstreamFault('PROXY_UNREACHABLE', `The proxy ${origin} on the way to ${host} cannot be reached: ${why}.`)
}

export function refused({ origin }: ForwardProxy, host: string, status: number): UpstreamFault {
  const hint = status === 407 ? '. Write the user and the password that it asks for into its URL: http://user:password@host:port' : ''
  return new UpstreamFault('PROXY_REFUSED', `The proxy ${origin} opened no way to ${host}: it answered ${status}${hint}.`)
}
