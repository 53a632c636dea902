/** A caller as a signed token names it. Verified off the data path: the request is long on its way when the answer is there. */
import type { IncomingHttpHeaders } from 'node:http'
import type { CallerSource } from '../../config/config.ts'
import { callerName } from './header.ts'
import { createMemory } from './memory.ts'

export interface TokenReader {
  /** What an earlier verification of this token found; undefined when there was none, or it is too old. */
  known(token: string | undefined): Verified | undefined
  /** The caller; undefined when the token does not verify or has no such claim. Never rejects. */
  verify(token: string): Promise<string | undefined>
}

interface Verified {
  readonly caller: string | undefined
  /** Milliseconds since the epoch. */
  readonly until: number
}

type Jose = typeof import('jose')
type JwtSource = Extract<CallerSource, { readonly kind: 'jwt' }>

/** Public-key signatures only: with a shared secret the sidecar could make tokens. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** Clocks of two machines may differ by this much. */
const clockToleranceSeconds = 30
/** A token may be withdrawn before it ends, and a key file may be mended: nothing is believed for longer. */
const believedMs = 300_000
const doubtedMs = 30_000
const tokenCharsMax = 8192

/** The bearer token of a request, when it has the shape of a JWT. */
export function bearerToken(headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers
  if (authorization === undefined || authorization.length > tokenCharsMax) return undefined
  return /^bearer\s+([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization.trim())?.[1]
}

/** `now` gives milliseconds since the epoch. */
export function createTokenReader({ claim, jwks, issuer, audience }: JwtSource, jose: Jose, now: () => number): TokenReader {
  const verified = createMemory<Verified>()
  const underWay = new Map<string, Promise<string | undefined>>()
  const { keys } = jwks
  // A single key without an id is for every token, whatever id the token gives; PEM has none.
  const [only] = keys
  const single = keys.length === 1 && only !== undefined && only.kid === undefined ? only : undefined
  const keyOf =
    single === undefined ? jose.createLocalJWKSet({ keys: [...keys] }) : ({ alg }: { alg?: string }) => jose.importJWK(single, alg)
  const options = {
    algorithms,
    clockTolerance: clockToleranceSeconds,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  }

  async function read(token: string): Promise<string | undefined> {
    try {
      const { payload } = await jose.jwtVerify(token, keyOf, options)
      const caller = callerName(Object.hasOwn(payload, claim) ? payload[claim] : undefined)
      const ends = (payload.exp ?? Number.POSITIVE_INFINITY) * 1000
      verified.set(token, { caller, until: Math.min(ends, now() + (caller === undefined ? doubtedMs : believedMs)) })
      return caller
    } catch {
      // The reason is not told on: the library's errors carry the token's claims.
      verified.set(token, { caller: undefined, until: now() + doubtedMs })
      return undefined
    } finally {
      underWay.delete(token)
    }
  }

  return {
    known(token) {
      const found = token === undefined ? undefined : verified.get(token)
      return found !== undefined && found.until > now() ? found : undefined
    },
    verify(token) {
      let reading = underWay.get(token)
      if (reading === undefined) underWay.set(token, (reading = read(token)))
      return reading
    },
  }
}
