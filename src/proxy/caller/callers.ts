/**
 * Who calls: a name made of the key that was sent, a header's value, or a claim of a token that was verified. Runs on the proxying thread,
 * the only one that ever sees a credential: what leaves this folder is the name.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Config } from '../../config/config.ts'
import { readSalt } from '../../lib/salt.ts'
import { Cell } from '../../lib/shared-counters.ts'
import type { Callers } from '../opening.ts'
import { createKeyNames } from './api-key.ts'
import { certificateReader } from './client-certificate.ts'
import { headerReader } from './header.ts'
import { bearerToken, createTokenReader, type TokenReader, type Told } from './jwt.ts'
import { createRemoteKeys } from './remote-keys.ts'

export interface CallerOptions {
  readonly sources: Config['caller']
  /** The salt of the keys' names is kept beside it. */
  readonly ledger: string
  /** Claims of verified tokens that labels ask for. */
  readonly claims?: readonly string[]
  /** Shared counters, see `Cell`. */
  readonly cells: Int32Array
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
}

type Source = { readonly kind: 'known'; readonly now: Callers['now'] } | { readonly kind: 'token'; readonly reader: TokenReader }

/** Tokens under verification at a time. A request beyond that goes without a name. */
const verifyingMax = 256

/** Undefined when callers are not told apart. Rejects with the sentence that mends it when the salt cannot be kept. */
export async function createCallers({ sources, ledger, claims, cells, report }: CallerOptions): Promise<Callers | undefined> {
  if (sources.length === 0) return undefined
  const chain: Source[] = []
  for (const source of sources) {
    if (source.kind === 'api-key') chain.push({ kind: 'known', now: createKeyNames(readSalt(`${ledger}.salt`)) })
    else if (source.kind === 'header') chain.push({ kind: 'known', now: headerReader(source.name) })
    else if (source.kind === 'client-cert') {
      const nameOf = certificateReader(source.field)
      chain.push({ kind: 'known', now: (_headers, _target, socket) => nameOf(socket) })
    } else {
      const jose = await import('jose')
      const { url, proxy } = source.jwks
      const keyOf = url === undefined ? undefined : createRemoteKeys({ url, proxy: proxy === 'none' ? undefined : proxy, jose, report })
      chain.push({ kind: 'token', reader: createTokenReader(source, jose, Date.now, claims, keyOf) })
    }
  }
  const now: Callers['now'] = (headers, target, socket) => knownCaller(chain, headers, target, socket)
  if (chain.every(({ kind }) => kind !== 'token')) return { now }
  return { now, claims: (headers) => knownClaims(chain, headers), later: createLater(chain, cells) }
}

function knownCaller(chain: readonly Source[], ...[headers, target, socket]: Parameters<Callers['now']>): string | undefined {
  for (const source of chain) {
    const found = source.kind === 'known' ? source.now(headers, target, socket) : source.reader.known(bearerToken(headers))?.caller
    if (found !== undefined) return found
  }
  return undefined
}

function knownClaims(chain: readonly Source[], headers: IncomingHttpHeaders): Told['claims'] {
  const token = bearerToken(headers)
  for (const source of chain) {
    const claims = source.kind === 'token' ? source.reader.known(token)?.claims : undefined
    if (claims !== undefined) return claims
  }
  return undefined
}

function createLater(chain: readonly Source[], cells: Int32Array): NonNullable<Callers['later']> {
  let verifying = 0

  /** The readers that stand above whatever is known already and have not seen this token; and whether others have, and refused it. */
  function undecided(
    headers: IncomingHttpHeaders,
    token: string,
    socket: Socket | undefined,
  ): { readonly readers: readonly TokenReader[]; readonly refused: boolean } {
    const readers: TokenReader[] = []
    let refused = false
    for (const source of chain) {
      if (source.kind === 'known') {
        if (source.now(headers, '', socket) !== undefined) break
        continue
      }
      const known = source.reader.known(token)
      if (known === undefined) readers.push(source.reader)
      else if (known.caller === undefined) refused = true
      else return { readers, refused: false }
    }
    return { readers, refused }
  }

  async function firstVerified(readers: readonly TokenReader[], token: string): Promise<Told> {
    let claims: Told['claims']
    for (const reader of readers) {
      const told = await reader.verify(token)
      if (told.caller !== undefined) return told
      claims ??= told.claims
    }
    return { caller: undefined, claims }
  }

  return (headers, found, socket) => {
    const token = bearerToken(headers)
    if (token === undefined) return
    const { readers, refused } = undecided(headers, token, socket)
    if (readers.length === 0) {
      if (refused) Atomics.add(cells, Cell.callersUnverified, 1)
      return
    }
    if (verifying >= verifyingMax) {
      Atomics.add(cells, Cell.callersUnread, 1)
      return
    }
    verifying++
    setImmediate(async () => {
      const told = await firstVerified(readers, token)
      verifying--
      if (told.caller === undefined) Atomics.add(cells, Cell.callersUnverified, 1)
      if (told.caller !== undefined || told.claims !== undefined) found(told.caller, told.claims)
    })
  }
}
