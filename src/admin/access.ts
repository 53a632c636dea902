/**
 * Who may see the page and its data. On the loopback without a token everyone on this machine; elsewhere, or with a token, who knows it: as
 * `Authorization: Bearer`, or by a cookie that a login or a link with `?token=` was exchanged for. The cookie holds no token, but a date
 * signed with it: it outlives a restart, and ends when the token is changed.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { AdminAnswer } from './server.ts'

export interface AccessOptions {
  readonly token: string | undefined
  /** The admin port is on a loopback address. */
  readonly isLoopback: boolean
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** `no-token`: nobody can come in until one is set. */
export type Verdict = 'allowed' | 'no-token' | 'unknown' | 'cross-site'

export interface Access {
  verdict(request: IncomingMessage): Verdict
  /** The `Set-Cookie` of a session when the token is right, else undefined. */
  session(token: string | undefined, request: IncomingMessage): string | undefined
}

const sessionMs = 7 * 86_400_000

export const noTokenSentence =
  'This address is not on the loopback, and no token is set. Set TOKENWEIR_ADMIN_TOKEN (16 characters or more) and start again, or listen on 127.0.0.1 (--admin 127.0.0.1:4142).'
export const unknownSentence = 'A token is needed: send it as Authorization: Bearer TOKEN, or log in on the page.'

export function createAccess({ token, isLoopback, now }: AccessOptions): Access {
  // Digests under a key of this process: equal in length, and telling nothing by the time that they take to compare.
  const key = randomBytes(32)
  const digest = (text: string) => createHmac('sha256', key).update(text).digest()
  const equal = (a: string, b: string) => timingSafeEqual(digest(a), digest(b))
  const isToken = (given: string | undefined) => token !== undefined && given !== undefined && equal(given, token)
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

  return {
    verdict(request) {
      // A page elsewhere cannot read an answer, but it could hold the few streams of events open.
      if (/^(cross-site|same-site)$/.test(String(request.headers['sec-fetch-site'])) && request.headers['sec-fetch-mode'] !== 'navigate') {
        return 'cross-site'
      }
      if (token === undefined) return isLoopback ? 'allowed' : 'no-token'
      const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
      return isToken(bearer) || isSession(cookieOf(request)) ? 'allowed' : 'unknown'
    },
    session(given, request) {
      if (!isToken(given)) return undefined
      const until = now() + sessionMs
      const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : ''
      return `${cookieName(request)}=${until}.${signature(until)}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${sessionMs / 1000}${secure}`
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

/** What a request for data is told; undefined when it may go on. */
export function refusalOf(verdict: Verdict): AdminAnswer | undefined {
  if (verdict === 'allowed') return undefined
  const refused = (status: number, error: string): AdminAnswer => ({
    status,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify({ error })}\n`,
  })
  if (verdict === 'no-token') return refused(403, noTokenSentence)
  if (verdict === 'cross-site') return refused(403, 'This is answered only to the page itself and to programs.')
  return refused(401, unknownSentence)
}
