/** The upstreams of all routes, each made when it is first asked for. */
import type { Route } from '../config/config.ts'
import type { Health } from './health.ts'
import { destinationOf } from './routes.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

/** Routes of one origin share its connections, but for those that ask for HTTP/2. */
export type UpstreamOf = (route: Route, origin: string, http2: boolean) => Upstream

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
    const wayOf = ({ proxy }: Route, origin: string, http2: boolean) => JSON.stringify([origin, http2, proxy, times])
    const ways = new Set(
      routes.flatMap((route) => [false, route.http2 === true].map((http2) => wayOf(route, destinationOf(route).origin, http2))),
    )
    for (const [way, upstream] of made) if (!ways.has(way)) upstream.retire()
    const mine = new Map([...made].filter(([way]) => ways.has(way)))
    made = mine
    const found = { plain: new Map<Route, Upstream>(), http2: new Map<Route, Upstream>() }
    return (route, origin, http2) => {
      const known = (http2 ? found.http2 : found.plain).get(route)
      if (known !== undefined) return known
      const way = wayOf(route, origin, http2)
      const kept = made.get(way)
      const account = health.of(origin)
      const proxy = route.proxy === 'none' ? undefined : route.proxy
      const upstream = kept ?? createUpstream(origin, { ...times, http2, proxy, onConnected: (ms) => account.connected(ms) })
      ;(http2 ? found.http2 : found.plain).set(route, upstream)
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
