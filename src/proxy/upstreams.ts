/** The upstreams of all routes, each made when it is first asked for. */
import type { Route } from '../config/config.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

export interface Upstreams {
  /** Routes of one origin share its connections, but for those that ask for HTTP/2. */
  of(origin: string, http2: boolean): Upstream
  destroy(): void
}

export function createUpstreams(routes: readonly Route[], options: UpstreamOptions): Upstreams {
  const made = new Map<string, Upstream>()
  return {
    of(origin, http2) {
      const key = http2 ? `${origin} HTTP/2` : origin
      const known = made.get(key)
      if (known !== undefined) return known
      const proxy = routes.find(({ upstream }) => upstream.origin === origin)?.proxy
      const upstream = createUpstream(origin, { ...options, http2, proxy: proxy === 'none' ? undefined : proxy })
      made.set(key, upstream)
      return upstream
    },
    destroy() {
      for (const upstream of made.values()) upstream.destroy()
    },
  }
}
