/** One look at an address over the network, as the sidecar would reach it: connection, TLS, HTTP. Sends no credentials and asks no model. */
import { connect } from 'node:tls'
import { Agent, ProxyAgent, request } from 'undici'
import type { ForwardProxy } from '../config/forward-proxy.ts'
import type { UnreachableReason } from '../lib/exchange.ts'
import { textOfHtml } from '../lib/quoted.ts'

export interface Probed {
  readonly url: URL
  /** What it answered. */
  readonly answer?: { readonly status: number; readonly contentType: string | undefined; readonly said: string; readonly tookMs: number }
  /** Its clock is ahead of ours by this, as far as can be told: it is known to the second. */
  readonly aheadMs?: number | undefined
  readonly unreachable?: { readonly reason: UnreachableReason; readonly code: string }
  /** Plain HTTP was refused, and TLS is spoken there. */
  readonly speaksTls?: boolean
  /** The header that marks answers of a tokenweir. */
  readonly ownError?: string | undefined
}

export interface ProbeOptions {
  readonly proxy?: ForwardProxy | 'none' | undefined
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly patienceMs?: number
}

const patienceUsualMs = 10_000
const bodyCharactersMax = 16_384

/** Never rejects. */
export async function probe(url: URL, options: ProbeOptions = {}): Promise<Probed> {
  const { proxy, method = 'GET', headers = {}, body, patienceMs = patienceUsualMs } = options
  const connecting = { connect: { timeout: patienceMs } }
  const dispatcher =
    proxy === undefined || proxy === 'none'
      ? new Agent(connecting)
      : new ProxyAgent({ uri: proxy.origin, ...(proxy.authorization === undefined ? {} : { token: proxy.authorization }) })
  const sentAt = Date.now()
  const begun = performance.now()
  try {
    const signal = AbortSignal.timeout(patienceMs)
    const response = await request(url, { dispatcher, method, headers, body: body ?? null, signal })
    const tookMs = performance.now() - begun
    const text = await beginning(response.body)
    const contentType = single(response.headers['content-type'])
    return {
      url,
      answer: {
        status: response.statusCode,
        contentType,
        said: /html/i.test(contentType ?? '') ? textOfHtml(text) : text,
        tookMs,
      },
      aheadMs: aheadMs(single(response.headers['date']), sentAt, Date.now()),
      ownError: single(response.headers['x-tokenweir-error']),
    }
  } catch (error) {
    const unreachable = whyUnreachable(error as Error, proxy)
    const mayBeTls = url.protocol === 'http:' && (unreachable.reason === 'closed' || unreachable.reason === 'protocol')
    return { url, unreachable, ...(mayBeTls ? { speaksTls: await speaksTls(url, patienceMs) } : {}) }
  } finally {
    await dispatcher.destroy()
  }
}

const single = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value)

async function beginning(body: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of body) {
    text += chunk.toString('utf8')
    if (text.length > bodyCharactersMax) break
  }
  return text.slice(0, bodyCharactersMax)
}

/** How far the clock behind a `Date` field is ahead of ours. It was written between the two moments, cut to the second. */
export function aheadMs(date: string | undefined, sentAt: number, receivedAt: number): number | undefined {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs)) return undefined
  if (theirs > receivedAt) return theirs - receivedAt
  return theirs + 1000 < sentAt ? theirs + 1000 - sentAt : 0
}

const reasons: readonly (readonly [RegExp, UnreachableReason])[] = [
  [/^(ENOTFOUND|EAI_)/, 'dns'],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|EMFILE)/, 'connect'],
  [/TIMEDOUT|TIMEOUT/, 'timeout'],
  [/SSL|TLS|CERT|SIGNATURE|SELF_SIGNED|EPROTO/, 'tls'],
  [/^HPE_/, 'protocol'],
]

function whyUnreachable(error: Error, proxy: ProbeOptions['proxy']): NonNullable<Probed['unreachable']> {
  const cause = (error.cause ?? error) as NodeJS.ErrnoException & { errors?: readonly NodeJS.ErrnoException[] }
  const code = cause.name === 'TimeoutError' ? 'TIMEOUT' : (cause.code ?? cause.errors?.[0]?.code ?? cause.name)
  if (proxy !== undefined && proxy !== 'none' && /Proxy response|407/.test(cause.message)) return { reason: 'proxy_refused', code }
  return { reason: reasons.find(([pattern]) => pattern.test(code))?.[1] ?? 'closed', code }
}

function speaksTls({ hostname, port }: URL, patienceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    // Only whether TLS is spoken: nothing is sent, so nobody needs to be trusted.
    const socket = connect({ host, port: Number(port || 80), rejectUnauthorized: false })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('secureConnect', () => end(true))
    socket.once('error', () => end(false))
    socket.setTimeout(patienceMs, () => end(false))
  })
}
