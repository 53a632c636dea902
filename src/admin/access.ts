/**
 * Who may see the page and its data. On the loopback without a token everyone on this machine; elsewhere, or with a token, who knows it: as
 * `Authorization: Bearer`, or by a cookie that a login or a link with `?token=` was exchanged for. The cookie holds no token, but a date
 * signed with it: it outlives a restart, and ends when the token is changed. An address that sent wrong tokens too often is not asked further for
 * a while, whatever it sends; sessions go on.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createAttempts, windowMs } from './attempts.ts'
import { type AdminAnswer, refusal } from './server.ts'

export interface AccessOptions {
  readonly token: string | undefined
  /** The admin port is on a loopback address. */
  readonly isLoopback: boolean
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** `no-token`: nobody can come in until one is set. `limited`: too many wrong tokens came from that address. */
export type Verdict = 'allowed' | 'no-token' | 'unknown' | 'cross-site' | 'limited'

export interface Access {
  /** One attempt: a token that stands elsewhere than in `Authorization` is given. `session` makes a `Set-Cookie`, where the token is right. */
  judge(request: IncomingMessage, token?: string): { readonly verdict: Verdict; readonly session?: () => string }
}

const sessionMs = 7 * 86_400_000

export const noTokenSentence =
  'This address is not on the loopback, and no token is set. Set TOKENWEIR_ADMIN_TOKEN (16 characters or more) and start again, or listen on 127.0.0.1 (--admin 127.0.0.1:4142).'
const limitedSentence = 'Too many wrong tokens came from this address. Wait a minute, and send the right one.'
export const unknownSentence = 'A token is needed: send it as Authorization: Bearer TOKEN, or log in on the page.'

export function createAccess({ token, isLoopback, now }: AccessOptions): Access {
  // Digests under a key of this process: equal in length, and telling nothing by the time that they take to compare.
  const key = randomBytes(32)
  const digest = (text: string) => createHmac('sha256', key).update(text).digest()
  const equal = (a: string, b: string) => timingSafeEqual(digest(a), digest(b))
  const isToken = (given: string) => token !== undefined && equal(given, token)
  const signature = (until: number) =>
    createHmac('sha256', token ?? '')
      .update(`tokenweir session until ${until}`)
      .digest('base64url')

  function isSession(cookie: string | undefined): boolean {
    const found = /^(\d{1,16})\.([\w-]{43})$/.exec(cookie ?? '')
    if (found === null) return false
    const until = Number(found[1])
    return equal(found[2] as string, signature(until)) && until > now()
  }

  const attempts = createAttempts(now)
  function ofToken(given: string, request: IncomingMessage): ReturnType<Access['judge']> {
    const { remoteAddress } = request.socket
    if (attempts.isLimited(remoteAddress)) return { verdict: 'limited' }
    if (isToken(given)) return { verdict: 'allowed', session: () => newSession(request) }
    attempts.failed(remoteAddress)
    return { verdict: 'unknown' }
  }

  function newSession(request: IncomingMessage): string {
    const until = now() + sessionMs
    const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : ''
    return `${cookieName(request)}=${until}.${signature(until)}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${sessionMs / 1000}${secure}`
  }

  return {
    judge(request, elsewhere) {
      // A page elsewhere cannot read an answer, but it could hold the few streams of events open.
      if (/^(cross-site|same-site)$/.test(String(request.headers['sec-fetch-site'])) && request.headers['sec-fetch-mode'] !== 'navigate') {
        return { verdict: 'cross-site' }
      }
      if (token === undefined) return { verdict: isLoopback ? 'allowed' : 'no-token' }
      const given = elsewhere ?? /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
      const judged = given === undefined ? ({ verdict: 'unknown' } as const) : ofToken(given, request)
      return judged.verdict !== 'allowed' && isSession(cookieOf(request)) ? { verdict: 'allowed' } : judged
    },
  }
}

/** Browsers keep cookies by host alone: each of several sidecars on one host has its own. */
function cookieName(request: IncomingMessage): string {
  return `tokenweir_${request.socket.localPort}`
}

function cookieOf(request: IncomingMessage): string | undefined {
  const start = `${cookieName(request)}=`
  return request.headers.cookie
    ?.split(/; */)
    .find((part) => part.startsWith(start))
    ?.slice(start.length)
}

/** The window may end sooner. */
export const retryAfter = { 'retry-after': String(windowMs / 1000) } as const

/** What a request for data is told; undefined when it may go on. */
export function refusalOf(verdict: Verdict): AdminAnswer | undefined {
  if (verdict === 'allowed') return undefined
  if (verdict === 'no-token') return refusal(403, noTokenSentence)
  if (verdict === 'cross-site') return refusal(403, 'This is answered only to the page itself and to programs.')
  if (verdict === 'limited') return { ...refusal(429, limitedSentence), headers: retryAfter }
  return refusal(401, unknownSentence)
}
