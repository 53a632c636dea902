/** The upstreams of all routes, each made when it is first asked for: directly, or through a forward proxy. */
import { forwardProxyOf } from '../config/forward-proxy.ts'
import { createProxiedUpstream } from './proxied-upstream.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

export interface Upstreams {
  of(origin: string, http2: boolean): Upstream
  /** Ends every connection. */
  destroy(): void
}

export function createUpstreams(limits: Omit<UpstreamOptions, 'http2'>): Upstreams {
  const made = new Map<string, Upstream>()
  return {
    of(origin, http2) {
      const key = http2 ? `${origin} HTTP/2` : origin
      const known = made.get(key)
      if (known !== undefined) return known
      const proxy = forwardProxyOf(new URL(origin))
      const options = { ...limits, http2 }
      const upstream = proxy === undefined ? createUpstream(origin, options) : createProxiedUpstream(origin, proxy, options)
      made.set(key, upstream)
      return upstream
    },
    destroy() {
      for (const upstream of made.values()) upstream.destroy()
    },
  }
}
