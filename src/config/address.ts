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
