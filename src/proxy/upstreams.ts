/** The upstreams of all routes, each made when it is first asked for. */
import type { Route } from '../config/config.ts'
import { type Certificates, type CertificatesOptions, watchCertificates } from './certificates.ts'
import type { Health } from './health.ts'
import { destinationOf } from './routes.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

/** Routes of one origin share its connections, but for those that ask for HTTP/2, or for certificates of their own. */
export type UpstreamOf = (route: Route, origin: string, http2: boolean) => Upstream

type Times = Omit<UpstreamOptions, 'http2' | 'proxy' | 'onConnected' | 'certificates'>

export interface Upstreams {
  /**
   * The upstreams of these routes. Those of before that are reached in the same way are kept, with their connections. The others are retired: what has
   * begun with them goes on, on connections that are not used again. Throws with an actionable message, and changes nothing, where certificates cannot
   * be read.
   */
  use(routes: readonly Route[], times: Times): UpstreamOf
  destroy(): void
}

export interface UpstreamsOptions extends Pick<CertificatesOptions, 'cells' | 'report'> {
  readonly health: Pick<Health, 'of'>
}

/** The files of a route's own certificates as one text; undefined where it has none. */
function filesOf({ tls: { ca, cert, key } = {} }: Route): string | undefined {
  return ca === undefined && cert === undefined ? undefined : JSON.stringify({ ca, cert, key })
}

export function createUpstreams({ health, cells, report }: UpstreamsOptions): Upstreams {
  /** By all that they are made with. */
  let made = new Map<string, Upstream>()
  /** By the names of their files. */
  let certificates = new Map<string, Certificates>()

  function watch(routes: readonly Route[]): void {
    const wanted = new Set(routes.flatMap((route) => filesOf(route) ?? []))
    const added = new Map<string, Certificates>()
    try {
      for (const files of wanted) {
        if (!certificates.has(files)) added.set(files, watchCertificates({ files: JSON.parse(files), cells, report }))
      }
    } catch (error) {
      for (const one of added.values()) one.stop()
      throw error
    }
    for (const [files, one] of certificates) if (!wanted.has(files)) one.stop()
    certificates = new Map([...[...certificates].filter(([files]) => wanted.has(files)), ...added])
  }

  function use(routes: readonly Route[], times: Times): UpstreamOf {
    watch(routes)
    const watched = certificates
    const wayOf = ({ proxy, tls }: Route, origin: string, http2: boolean) => JSON.stringify([origin, http2, proxy, tls, times])
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
      const own = watched.get(filesOf(route) ?? '')
      const upstream =
        kept ?? createUpstream(origin, { ...times, http2, proxy, certificates: own, onConnected: (ms) => account.connected(ms) })
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
      for (const own of certificates.values()) own.stop()
    },
  }
}
