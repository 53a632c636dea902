/**
 * Access to the page and its data. On a loopback address without a token, everyone on this machine has it. Otherwise the token is required: as
 * `Authorization: Bearer`, or as a session cookie, which a login or a link with `?token=` sets. The cookie does not hold the token but an expiry date
 * signed with it. So a session survives a restart, and ends when the token changes. An address that sent too many wrong tokens is refused for a while,
 * whatever token it sends; its sessions continue.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createAttempts, windowMs } from './attempts.ts'
import { type AdminAnswer, refusal } from './server.ts'

export interface AccessOptions {
  readonly token: string | undefined
  /** The admin port listens on a loopback address. */
  readonly isLoopback: boolean
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** `no-token`: access is denied until a token is configured. `limited`: too many wrong tokens came from that address. */
export type Verdict = 'allowed' | 'no-token' | 'unknown' | 'cross-site' | 'limited'

export interface Access {
  /** One attempt. A token that is not in `Authorization` is passed in. `session` makes a `Set-Cookie` when the token is right. */
  judge(request: IncomingMessage, token?: string): { readonly verdict: Verdict; readonly session?: () => string }
}

const sessionMs = 7 * 86_400_000

export const noTokenSentence =
  'This address is not on the loopback, and no token is set. Set TOKENWEIR_ADMIN_TOKEN (16 characters or more) and start again, or listen on 127.0.0.1 (--admin 127.0.0.1:4142).'
export const crossSiteSentence = 'This is answered only to the page itself and to programs.'
const limitedSentence = 'Too many wrong tokens came from this address. Wait a minute, and send the right one.'
export const unknownSentence = 'A token is needed: send it as Authorization: Bearer TOKEN, or log in on the page.'

export function createAccess({ token, isLoopback, now }: AccessOptions): Access {
  // Digests with a key of this process have equal length, so that comparing them takes constant time.
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
      // A page of another site cannot read a response, but it could occupy the few event streams.
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

/** With the token of now, which may change while the sidecar runs: its sessions end, and wrong tokens are counted anew. */
export function createChangingAccess({
  token,
  ...options
}: Omit<AccessOptions, 'token'> & { readonly token: () => string | undefined }): Access {
  let current = { token: token(), access: createAccess({ ...options, token: token() }) }
  return {
    judge(request, elsewhere) {
      if (current.token !== token()) current = { token: token(), access: createAccess({ ...options, token: token() }) }
      return current.access.judge(request, elsewhere)
    },
  }
}

/** Browsers store cookies by host, not by port: each sidecar on a host has a cookie name of its own. */
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

/** The error response for a request for data; undefined when it is allowed. */
export function refusalOf(verdict: Verdict): AdminAnswer | undefined {
  if (verdict === 'allowed') return undefined
  if (verdict === 'no-token') return refusal(403, noTokenSentence)
  if (verdict === 'cross-site') return refusal(403, crossSiteSentence)
  if (verdict === 'limited') return { ...refusal(429, limitedSentence), headers: retryAfter }
  return refusal(401, unknownSentence)
}
