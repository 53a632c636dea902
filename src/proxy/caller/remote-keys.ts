/**
 * Token keys at a URL. jose keeps them, and asks for them again when they are old or a token names a key that is not among them; this file says how:
 * within a limit of time, of bytes and of attempts, and with the keys of before where there are no new ones.
 */
import type { createRemoteJWKSet } from 'jose'
import { Client } from 'undici'
import type { ForwardProxy } from '../../config/forward-proxy.ts'
import { directConnector, tunnellingConnector } from '../connectors.ts'

export interface RemoteKeysOptions {
  readonly url: string
  /** On the way to the URL. */
  readonly proxy: ForwardProxy | undefined
  readonly jose: typeof import('jose')
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  readonly times?: Partial<typeof usualTimes>
}

/** Milliseconds. */
const usualTimes = {
  /** One fetch may take this long. */
  fetchMs: 5000,
  /** After a fetch that failed, the next one is not tried sooner. */
  retryMs: 10_000,
  /** A token that names an unknown key, which anybody can send, causes no fetch sooner after the last. */
  cooldownMs: 10_000,
  /** Keys that are older are fetched again. */
  ageMsMax: 600_000,
}
const bytesMax = 2 ** 20

/** Begins to fetch at once, and waits for nothing. What it gives rejects where no keys were ever read. */
export function createRemoteKeys({ url, proxy, jose, report, times }: RemoteKeysOptions): ReturnType<typeof createRemoteJWKSet> {
  const { fetchMs, retryMs, cooldownMs, ageMsMax } = { ...usualTimes, ...times }
  const { origin, host, pathname, search } = new URL(url)
  const settings = { connectMs: fetchMs }
  const connect = proxy === undefined ? directConnector(settings) : tunnellingConnector(proxy, host, settings)
  const client = new Client(origin, {
    ...{ headersTimeout: fetchMs, bodyTimeout: fetchMs, maxResponseSize: bytesMax },
    connect: (target, callback) => void connect(target, callback),
  })
  let last: string | undefined
  let failedAt = Number.NEGATIVE_INFINITY
  let isFailing = false

  async function read(headers: Headers, signal: AbortSignal): Promise<string> {
    const { statusCode, body } = await client.request({
      path: pathname + search,
      method: 'GET',
      headers: Object.fromEntries(headers),
      signal,
    })
    const text = await body.text()
    if (statusCode !== 200) throw new Error(`it answered ${statusCode}`)
    if (!isKeySet(text)) throw new Error('its answer is no JSON Web Key Set')
    return text
  }

  function isKeySet(text: string): boolean {
    try {
      const set = JSON.parse(text)
      jose.createLocalJWKSet(set)
      return set.keys.length > 0
    } catch {
      return false
    }
  }

  async function fetchKeys(headers: Headers, signal: AbortSignal): Promise<Response> {
    if (performance.now() - failedAt >= retryMs) {
      try {
        last = await read(headers, signal)
        isFailing = false
      } catch (error) {
        failedAt = performance.now()
        const { code, message } = error as NodeJS.ErrnoException
        const effect = last === undefined ? 'Until they can, its tokens name nobody.' : 'The keys of before stay in effect.'
        if (!isFailing)
          report(`The token keys at ${origin}${pathname} cannot be fetched (${typeof code === 'string' ? code : message}). ${effect}`)
        isFailing = true
      }
    }
    if (last === undefined) throw new Error('There are no keys.')
    return new Response(last)
  }

  const keys = jose.createRemoteJWKSet(new URL(url), {
    ...{ timeoutDuration: fetchMs, cooldownDuration: cooldownMs, cacheMaxAge: ageMsMax },
    [jose.customFetch]: (_url, { headers, signal }) => fetchKeys(headers, signal),
  })
  keys.reload().catch(() => undefined) // said above
  return keys
}
