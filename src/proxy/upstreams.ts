/** The upstreams of all routes, each made when it is first asked for. */
import type { Route } from '../config/config.ts'
import type { Health } from './health.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

/** Routes of one origin share its connections, but for those that ask for HTTP/2. */
export type UpstreamOf = (origin: string, http2: boolean) => Upstream

type Times = Omit<UpstreamOptions, 'http2' | 'proxy' | 'onConnected'>

export interface Upstreams {
  /**
   * The upstreams of these routes. Those of before that are reached in the same way are kept, with their connections. The others are retired: what has
   * begun with them goes on, on connections that are not used again.
   */
  use(routes: readonly Route[], times: Times): UpstreamOf
  destroy(): void
}

export function createUpstreams(health: Pick<Health, 'of'>): Upstreams {
  /** By all that they are made with. */
  let made = new Map<string, Upstream>()

  function use(routes: readonly Route[], times: Times): UpstreamOf {
    const proxies = new Map(routes.map(({ upstream, proxy }) => [upstream.origin, proxy === 'none' ? undefined : proxy]))
    const wayOf = (origin: string, http2: boolean) => JSON.stringify([origin, http2, proxies.get(origin), times])
    const ways = new Set(routes.flatMap(({ upstream, http2 = false }) => [wayOf(upstream.origin, false), wayOf(upstream.origin, http2)]))
    for (const [way, upstream] of made) if (!ways.has(way)) upstream.retire()
    const mine = new Map([...made].filter(([way]) => ways.has(way)))
    made = mine
    const found = new Map<string, Upstream>()
    return (origin, http2) => {
      const key = http2 ? `${origin} HTTP/2` : origin
      const known = found.get(key)
      if (known !== undefined) return known
      const way = wayOf(origin, http2)
      const account = health.of(origin)
      const kept = made.get(way)
      const upstream =
        kept ?? createUpstream(origin, { ...times, http2, proxy: proxies.get(origin), onConnected: (ms) => account.connected(ms) })
      found.set(key, upstream)
      if (mine === made) mine.set(way, upstream)
      else if (kept === undefined) upstream.retire() // for a request that began before the last change
      return upstream
    }
  }

  return {
    use,
    destroy() {
      for (const upstream of made.values()) upstream.destroy()
    },
  }
}
