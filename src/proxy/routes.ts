/** Which upstream a path goes to, and what the path is there. */
import type { Route } from '../config.ts'

export interface Target {
  readonly route: Route
  /** Path and query towards the upstream, byte for byte but for prefix and base path. */
  readonly path: string
}

/** Longest prefix wins; a prefix matches at a `/` boundary only, so `/v1` does not catch `/v10`. */
export function createRouter(routes: readonly Route[]): (pathAndQuery: string) => Target | undefined {
  const ordered = [...routes].sort((a, b) => b.prefix.length - a.prefix.length)
  const bases = new Map(ordered.map((route) => [route, route.upstream.pathname.replace(/\/+$/, '')]))
  return (pathAndQuery) => {
    for (const route of ordered) {
      const prefix = route.prefix.endsWith('/') ? route.prefix.slice(0, -1) : route.prefix
      if (!pathAndQuery.startsWith(prefix)) continue
      const next = pathAndQuery.charCodeAt(prefix.length)
      if (!Number.isNaN(next) && next !== 0x2f && next !== 0x3f) continue
      const rest = route.stripPrefix ? pathAndQuery.slice(prefix.length) : pathAndQuery
      const path = `${bases.get(route)}${rest}`
      return { route, path: path.startsWith('/') ? path : `/${path}` }
    }
    return undefined
  }
}
