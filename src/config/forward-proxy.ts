/**
 * The forward proxy through which an upstream is reached: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in lower or upper case, as most programs
 * read them. A loopback address is always reached directly, as in Go's net/http.
 */
import { shown } from './values.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ForwardProxy {
  /** Scheme, host and port: fit for people. */
  readonly origin: string
  /** The value of `Proxy-Authorization`. A secret. */
  readonly authorization: string | undefined
}

/** `key` is the variable that holds it. */
export class ForwardProxyError extends Error {
  readonly key: string

  constructor(key: string, message: string) {
    super(message)
    this.key = key
  }
}

/** Of the host in a URL. */
export const loopback = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/

/**
 * `none` where the upstream is reached directly although a variable names a proxy; undefined where no variable does. Throws a
 * `ForwardProxyError` where the variable holds no proxy that can be used.
 */
export async function forwardProxyOf(upstream: URL, env: Environment): Promise<ForwardProxy | 'none' | undefined> {
  const names = [upstream.protocol === 'https:' ? 'https_proxy' : 'http_proxy', 'all_proxy']
  const key = names.flatMap((name) => [name, name.toUpperCase()]).find((name) => env[name])
  if (key === undefined) return undefined
  const isDirect = loopback.test(upstream.hostname) || (await isExempt(upstream, env['no_proxy'] || env['NO_PROXY'] || ''))
  return isDirect ? 'none' : readProxy(key, env[key] ?? '')
}

/** A value without a scheme is a proxy that is spoken to by HTTP, as for curl. */
function readProxy(key: string, value: string): ForwardProxy {
  const written = value.includes('://') ? value : `http://${value}`
  const url = URL.parse(written)
  const user = url === null ? undefined : userOf(url)
  if (url === null || user === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new ForwardProxyError(key, `${shown(value)} is not a proxy. Write http://host:port, or name the upstream's host in NO_PROXY.`)
  }
  return { origin: url.origin, authorization: user === '' ? undefined : `Basic ${Buffer.from(user).toString('base64')}` }
}

/** `user:password`, empty where there is none; undefined where it is not percent-encoded. */
function userOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return ''
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    return undefined
  }
}

/** Whether NO_PROXY names the upstream. undici's agent is asked, which does not export its rules: it hands a connector of its own to what goes through a proxy. */
async function isExempt(upstream: URL, noProxy: string): Promise<boolean> {
  if (noProxy === '') return false
  const { Dispatcher, EnvHttpProxyAgent } = await import('undici')
  class Nowhere extends Dispatcher {
    override dispatch(): boolean {
      return true
    }
  }
  const proxy = 'http://proxy.invalid'
  let isDirect = false
  const agent = new EnvHttpProxyAgent({
    ...{ httpProxy: proxy, httpsProxy: proxy, noProxy },
    factory(_origin: string | URL, options: { readonly connect?: unknown }) {
      isDirect = typeof options.connect !== 'function'
      return new Nowhere()
    },
  })
  const port = upstream.port || (upstream.protocol === 'https:' ? '443' : '80')
  agent.dispatch({ origin: `https://${upstream.hostname}:${port}`, path: '/', method: 'GET' }, { onResponseError() {} })
  return isDirect
}
