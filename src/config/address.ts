/** Where a server listens. */
export interface Address {
  readonly host: string
  readonly port: number
  /** The file of a Unix socket and its mode, instead of host and port. */
  readonly unix?: { readonly path: string; readonly mode: number } | undefined
}

/** As it is written in the configuration. */
export function writtenAddress({ host, port, unix }: Address): string {
  if (unix !== undefined) return `unix:${unix.path}?mode=${unix.mode.toString(8).padStart(4, '0')}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Where clients reach it, for people; `port` is the one really bound. */
export function reachedAt({ host, unix }: Address, port: number, isSecure: boolean): string {
  if (unix !== undefined) return `unix:${unix.path}`
  return `${isSecure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An upstream's socket as a URL, which has its path as its host. */
export function unixUpstream(path: string, base: string): URL {
  return new URL(`http+unix://${encodeURIComponent(path)}${base}`)
}

/** The path of the socket; undefined where an upstream is reached over the network. */
export function socketPathOf({ protocol, host }: URL): string | undefined {
  return protocol === 'http+unix:' ? decodeURIComponent(host) : undefined
}

/** As it is written in the configuration. */
export function writtenUpstream(upstream: URL): string {
  const path = socketPathOf(upstream)
  if (path === undefined) return upstream.href
  return `unix:${path}${upstream.pathname.length > 1 ? `:${upstream.pathname}` : ''}`
}
