/**
 * The forward proxy through which an upstream is reached: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in lower or upper case, as curl and most
 * programs read them. A loopback address is always reached directly, as in Go's net/http.
 */
import { getProxyForUrl } from 'proxy-from-env'

export interface ForwardProxy {
  /** Includes its credentials. */
  readonly url: URL
  /** Without credentials, for messages. */
  readonly shown: string
}

const loopback = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/

/** Undefined where the upstream is reached directly. Throws an actionable error when the variable is not the URL of a proxy. */
export function forwardProxyOf(upstream: URL): ForwardProxy | undefined {
  if (loopback.test(upstream.hostname)) return undefined
  const value = getProxyForUrl(upstream)
  if (value === '') return undefined
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^(https?|socks5?):$/.test(url.protocol) || url.hostname === '') {
    throw new Error(
      `The proxy for ${upstream.host} (${upstream.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'} or ALL_PROXY) is no URL of a proxy. ` +
        'Write http://host:port, or name the host in NO_PROXY.',
    )
  }
  return { url, shown: `${url.protocol}//${url.host}` }
}
