/** Which upstream a request goes to, and what its path is there. What can be worked out once per route, is. */
import type { IncomingHttpHeaders } from 'node:http'
import { socketPathOf } from '../config/address.ts'
import type { Route } from '../config/config.ts'
import { byPrecedence } from '../config/routing.ts'
import { wildcard } from '../lib/wildcard.ts'

/** A route with the parts of its upstream's URL taken out: `URL` computes them anew at each reading. */
export interface Destination {
  readonly route: Route
  /** Scheme, host and port. */
  readonly origin: string
  /** Host and, where it is not the scheme's own, port: the `Host` field. */
  readonly host: string
  /** Without the brackets of an IPv6 address; or the path of a socket, which has no port. */
  readonly address: string
  readonly port: number
  /** Base path without a final slash. */
  readonly base: string
}

export function destinationOf(route: Route): Destination {
  const { origin, host, hostname, port, protocol, pathname } = route.upstream
  const base = pathname.replace(/\/+$/, '')
  const socket = socketPathOf(route.upstream)
  if (socket !== undefined) return { route, origin: `${protocol}//${host}`, host: 'localhost', address: socket, port: 0, base }
  return {
    route,
    origin,
    host,
    address: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
    base,
  }
}

export interface Match {
  readonly destination: Destination
  /** Path and query towards the upstream, byte for byte but for prefix and base path. */
  readonly path: string
}

/** A prefix matches at a `/` boundary only, so `/v1` does not catch `/v10`. */
export function createRouter(routes: readonly Route[]): (pathAndQuery: string, headers: IncomingHttpHeaders) => Match | undefined {
  const ordered = [...routes].sort(byPrecedence)
  const table = ordered.map((route) => ({
    destination: destinationOf(route),
    prefix: route.prefix.endsWith('/') ? route.prefix.slice(0, -1) : route.prefix,
    strip: route.stripPrefix,
    holds: conditionOf(route),
  }))
  return (pathAndQuery, headers) => {
    for (const { destination, prefix, strip, holds } of table) {
      if (!pathAndQuery.startsWith(prefix)) continue
      const next = pathAndQuery.charCodeAt(prefix.length)
      if (!Number.isNaN(next) && next !== 0x2f && next !== 0x3f) continue
      if (holds !== undefined && !holds(headers)) continue
      const path = destination.base + (strip ? pathAndQuery.slice(prefix.length) : pathAndQuery)
      return { destination, path: path.charCodeAt(0) === 0x2f ? path : `/${path}` }
    }
    return undefined
  }
}

/** Undefined for a route that takes every request of its prefix. */
function conditionOf({ when }: Route): ((headers: IncomingHttpHeaders) => boolean) | undefined {
  if (when === undefined) return undefined
  const isHost = when.host === undefined ? undefined : wildcard(when.host)
  const isValue = wildcard(when.header?.value ?? '*')
  return (headers) => {
    if (isHost !== undefined && !isHost(hostOf(headers.host ?? ''))) return false
    if (when.header === undefined) return true
    const value = headers[when.header.name]
    return value !== undefined && isValue(String(value))
  }
}

/** Without port and brackets, in lower case. */
function hostOf(field: string): string {
  return field
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
}
