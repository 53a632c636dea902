/** Which upstream a path goes to, and what the path is there. What can be worked out once per route, is. */
import type { Route } from '../config/config.ts'

/** A route with the parts of its upstream's URL taken out: `URL` computes them anew at each reading. */
export interface Destination {
  readonly route: Route
  /** Scheme, host and port. */
  readonly origin: string
  /** Host and, where it is not the scheme's own, port: the `Host` field. */
  readonly host: string
  /** Without the brackets of an IPv6 address. */
  readonly address: string
  readonly port: number
  /** Base path without a final slash. */
  readonly base: string
}

export function destinationOf(route: Route): Destination {
  const { origin, host, hostname, port, protocol, pathname } = route.upstream
  return {
    route,
    origin,
    host,
    address: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
    base: pathname.replace(/\/+$/, ''),
  }
}

export interface Match {
  readonly destination: Destination
  /** Path and query towards the upstream, byte for byte but for prefix and base path. */
  readonly path: string
}

/** Longest prefix wins; a prefix matches at a `/` boundary only, so `/v1` does not catch `/v10`. */
export function createRouter(routes: readonly Route[]): (pathAndQuery: string) => Match | undefined {
  const ordered = [...routes].sort((a, b) => b.prefix.length - a.prefix.length)
  const table = ordered.map((route) => ({
    destination: destinationOf(route),
    prefix: route.prefix.endsWith('/') ? route.prefix.slice(0, -1) : route.prefix,
    strip: route.stripPrefix,
  }))
  return (pathAndQuery) => {
    for (const { destination, prefix, strip } of table) {
      if (!pathAndQuery.startsWith(prefix)) continue
      const next = pathAndQuery.charCodeAt(prefix.length)
      if (!Number.isNaN(next) && next !== 0x2f && next !== 0x3f) continue
      const path = destination.base + (strip ? pathAndQuery.slice(prefix.length) : pathAndQuery)
      return { destination, path: path.charCodeAt(0) === 0x2f ? path : `/${path}` }
    }
    return undefined
  }
}
