/** A caller as a signed token names it. Verified off the data path: the request is long on its way when the answer is there. */
import type { IncomingHttpHeaders } from 'node:http'
import type { JWTVerifyGetKey } from 'jose'
import type { CallerSource } from '../../config/config.ts'
import { callerName } from './header.ts'
import { createMemory } from './memory.ts'

export interface TokenReader {
  /** What an earlier verification of this token found; undefined when there was none, or it is too old. */
  known(token: string | undefined): Verified | undefined
  /** Without a caller when the token does not verify or has no such claim. Never rejects. */
  verify(token: string): Promise<Told>
}

/** What a verified token says. */
export interface Told {
  readonly caller: string | undefined
  /** The claims that labels ask for, as texts, by `claim:NAME`. */
  readonly claims?: Readonly<Record<string, string>> | undefined
}

interface Verified extends Told {
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
/** Of a token whose key is not known, because keys cannot be fetched or have just changed. */
const keylessMs = 10_000
const tokenCharsMax = 8192
/** More than any label may have: a longer one is dropped there, and counted. */
const claimCharsMax = 1000

/** The bearer token of a request, when it has the shape of a JWT. */
export function bearerToken(headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers
  if (authorization === undefined || authorization.length > tokenCharsMax) return undefined
  return /^bearer\s+([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization.trim())?.[1]
}

function keysIn({ keys }: JwtSource['jwks'], jose: Jose): JWTVerifyGetKey {
  // A single key without an id is for every token, whatever id the token gives; PEM has none.
  const [only] = keys
  if (keys.length === 1 && only !== undefined && only.kid === undefined) return ({ alg }) => jose.importJWK(only, alg)
  return jose.createLocalJWKSet({ keys: [...keys] })
}

/** `now` gives milliseconds since the epoch; `keyOf` is for keys that are fetched. */
export function createTokenReader(
  { claim, jwks, issuer, audience }: JwtSource,
  jose: Jose,
  now: () => number,
  claimNames: readonly string[] = [],
  keyOf: JWTVerifyGetKey = keysIn(jwks, jose),
): TokenReader {
  const verified = createMemory<Verified>()
  const underWay = new Map<string, Promise<Told>>()
  const options = {
    algorithms,
    clockTolerance: clockToleranceSeconds,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  }

  async function read(token: string): Promise<Told> {
    try {
      const { payload } = await jose.jwtVerify(token, keyOf, options)
      const caller = callerName(Object.hasOwn(payload, claim) ? payload[claim] : undefined)
      const ends = (payload.exp ?? Number.POSITIVE_INFINITY) * 1000
      const told = { caller, claims: claimsOf(payload, claimNames) }
      verified.set(token, { ...told, until: Math.min(ends, now() + (caller === undefined ? doubtedMs : believedMs)) })
      return told
    } catch (error) {
      // The reason is not told on: the library's errors carry the token's claims.
      const isKeyless = !(error instanceof jose.errors.JOSEError) || error instanceof jose.errors.JWKSNoMatchingKey
      verified.set(token, { caller: undefined, until: now() + (isKeyless ? keylessMs : doubtedMs) })
      return { caller: undefined }
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

/** Texts, numbers, and lists of them with commas; the labels judge what may be recorded. */
function claimsOf(payload: Readonly<Record<string, unknown>>, names: readonly string[]): Told['claims'] {
  let claims: Record<string, string> | undefined
  for (const name of names) {
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined
    const texts = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string' || typeof one === 'number')
    if (texts.length === 0) continue
    claims ??= {}
    claims[`claim:${name}`] = texts.join(',').slice(0, claimCharsMax)
  }
  return claims
}
