/** Sockets to one origin, plain or TLS. Errors come as the socket's own. */
import net, { type Socket } from 'node:net'
import tls from 'node:tls'

export interface Connector {
  readonly isSecure: boolean
  /** Whom a connection for this value of `Host` has to belong to; `undefined` where that is told by the address, and without TLS. */
  servernameOf(hostField: string): string | undefined
  /** Not connected yet: wait for `connect`, or for `secureConnect`. */
  connect(servername: string | undefined, allowHalfOpen: boolean): Socket
}

/** Names for which a TLS session is kept: with the client's own `Host`, there can be any number. */
const sessionsMax = 100

export function createConnector(origin: string): Connector {
  const { protocol, hostname, port } = new URL(origin)
  const isSecure = protocol === 'https:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const address = { host, port: Number(port || (isSecure ? 443 : 80)) }
  const ownName = net.isIP(host) === 0 ? host : undefined
  const sessions = new Map<string, Buffer>()
  const connectSecurely = (servername: string | undefined, allowHalfOpen: boolean): Socket => {
    const name = servername ?? ''
    const session = sessions.get(name)
    const socket = tls.connect({
      ...{ ...address, allowHalfOpen, ALPNProtocols: ['http/1.1'] },
      ...(servername === undefined ? {} : { servername }),
      ...(session === undefined ? {} : { session }),
    })
    return socket.on('session', (fresh) => {
      sessions.delete(name)
      const [oldest] = sessions.keys()
      if (sessions.size >= sessionsMax && oldest !== undefined) sessions.delete(oldest)
      sessions.set(name, fresh)
    })
  }
  return {
    isSecure,
    servernameOf(hostField) {
      if (!isSecure) return undefined
      const name = hostField.replace(/:\d*$/, '')
      return name === '' || net.isIP(name.replace(/^\[|\]$/g, '')) !== 0 ? ownName : name
    },
    connect(servername, allowHalfOpen) {
      const socket = isSecure ? connectSecurely(servername, allowHalfOpen) : net.connect({ ...address, allowHalfOpen })
      return socket.setNoDelay(true).setKeepAlive(true, 30_000)
    },
  }
}
