/**
 * Connections to one upstream origin. undici's `Pool` looks through all its clients for a free one at each request, which is what made
 * it slow with thousands of open streams; here free connections wait on a stack, and the last one used is the first to be used again.
 */
import { buildConnector, Client, type Dispatcher } from 'undici'

export interface UpstreamOptions {
  /** Milliseconds; 0 means without limit. */
  readonly connectMs: number
  readonly headMs: number
  readonly idleMs: number
  /** Bytes of a response's header section. */
  readonly headerBytes: number
}

export interface Upstream {
  /** The handler's `done` must be called once, when nothing more will come for it: the connection is then free again. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): () => void
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
    async destroy() {
      await Promise.allSettled([...all].map((client) => client.destroy()))
    },
  }
}
