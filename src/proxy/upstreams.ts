/** The upstreams of all routes, each made when it is first asked for. */
import type { Route } from '../config/config.ts'
import { type CertificatesOptions, watchCertificates } from './certificates.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

export interface Upstreams {
  /** Routes of one origin share its connections, but for those that ask for HTTP/2, or for certificates of their own. */
  of(route: Route, origin: string, http2: boolean): Upstream
  destroy(): void
}

type Options = Omit<UpstreamOptions, 'http2' | 'proxy' | 'certificates'> & Pick<CertificatesOptions, 'cells' | 'report'>

/** Throws with an actionable message where certificates cannot be read. */
export function createUpstreams(routes: readonly Route[], { cells, report, ...options }: Options): Upstreams {
  const made = new Map<string, Upstream>()
  const certificates = new Map(
    routes.flatMap((route) => {
      const { ca, cert, key } = route.tls ?? {}
      return ca === undefined && cert === undefined ? [] : [[route, watchCertificates({ files: { ca, cert, key }, cells, report })]]
    }),
  )
  return {
    of(route, origin, http2) {
      const own = certificates.get(route)
      const key = `${origin}${http2 ? ' HTTP/2' : ''}${own === undefined ? '' : ` ${route.name}`}`
      const known = made.get(key)
      if (known !== undefined) return known
      const proxy = route.proxy === 'none' ? undefined : route.proxy
      const upstream = createUpstream(origin, { ...options, http2, proxy, certificates: own })
      made.set(key, upstream)
      return upstream
    },
    destroy() {
      for (const upstream of made.values()) upstream.destroy()
      for (const own of certificates.values()) own.stop()
    },
  }
}
