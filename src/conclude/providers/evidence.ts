/** What the attribution of a request to a provider is decided by. */
export interface Evidence {
  readonly routeProvider?: string | undefined
  /** Name of the wire format. */
  readonly format?: string | undefined
  readonly requestModel?: string | undefined
  readonly responseModel?: string | undefined
  /** The provider that the response body names. */
  readonly bodyProvider?: string | undefined
  /** Lower-case names. */
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly responseHeaders: Readonly<Record<string, string>>
  /** The upstream's host, without port. */
  readonly host: string
  readonly path: string
  /** The base path of the upstream's URL: gateways mount providers there too. Not seen by the operator's rules. */
  readonly basePath?: string | undefined
}
