/** Parses `caller`: the sources of a caller's name. Token keys are read and checked here, so that an invalid one is an error at start. */
import { createPublicKey } from 'node:crypto'
import type { ConfigError } from './file.ts'
import { type ForwardProxy, loopback } from './forward-proxy.ts'
import { headerName } from './header-names.ts'
import { fail, isMapping, nearest, shown, ValueError, within } from './values.ts'

export type CallerSource =
  | { readonly kind: 'api-key' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'client-cert'; readonly field: CertificateField }
  | JwtSource

/** What of a client's certificate names it: of its subject the common name or all, of its alternative names the first of a kind. */
export type CertificateField = (typeof certificateFields)[number]
const certificateFields = ['cn', 'subject', 'uri', 'dns', 'email'] as const

export interface JwtSource {
  readonly kind: 'jwt'
  /** Name of the claim whose value names the caller. */
  readonly claim: string
  readonly jwks: Jwks
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
}

/** Public keys, or the file that has them, until `readKeyFiles` has read it; or the URL from which they are fetched while tokens come. */
export interface Jwks {
  readonly file?: string | undefined
  readonly url?: string | undefined
  /** The forward proxy on the way to the URL; `none` where the environment names one that is not for it. */
  readonly proxy?: ForwardProxy | 'none'
  readonly keys: readonly PublicJwk[]
}

/** A public JSON Web Key (RFC 7517). */
export interface PublicJwk {
  readonly kty: string
  readonly kid?: string
  readonly [member: string]: unknown
}

const mend = 'Write none, api-key, header:NAME, client-cert:cn, several of them with commas, or a list under "from".'
const jwtKeys = ['claim', 'jwks', 'issuer', 'audience']

/** Text (`none`, `api-key, header:x-user-id`), a list of sources, or a mapping with that list under `from`. An empty list is `none`. */
export function callerSources(value: unknown): readonly CallerSource[] {
  if (typeof value === 'string') return ofText(value)
  if (Array.isArray(value)) return value.map((item, index) => within([index], () => sourceOf(item)))
  if (!isMapping(value)) return fail(value, 'is no source of callers', mend)
  refuseUnknown(value, ['from'])
  const { from } = value
  return within(['from'], () => (isMapping(from) ? fail(from, 'is not a list', mend) : callerSources(from)))
}

function ofText(text: string): readonly CallerSource[] {
  if (text.trim() === 'none') return []
  return text.split(',').map((part) => {
    const word = part.trim()
    if (word === 'api-key') return { kind: 'api-key' }
    if (word.startsWith('header:')) return { kind: 'header', name: headerName(word.slice('header:'.length).trim()) }
    if (word === 'client-cert' || word.startsWith('client-cert:')) return { kind: 'client-cert', field: certificateField(word) }
    return fail(word, 'is no source of callers', mend)
  })
}

function certificateField(word: string): CertificateField {
  const [, field = 'cn'] = word.split(':')
  return (
    certificateFields.find((one) => one === field) ??
    fail(word, 'names no part of a certificate', `Write client-cert: and ${certificateFields.join(', ')}.`)
  )
}

function sourceOf(item: unknown): CallerSource {
  if (typeof item === 'string') {
    const sources = item.includes(',') ? [] : ofText(item)
    return sources[0] ?? fail(item, 'is no source of callers', 'Write api-key, header: NAME or jwt: {claim: …, jwks: …}.')
  }
  if (!isMapping(item)) return fail(item, 'is no source of callers', 'Write api-key, header: NAME or jwt: {claim: …, jwks: …}.')
  refuseUnknown(item, ['header', 'jwt'])
  const { header, jwt } = item
  if (header !== undefined && jwt !== undefined) {
    throw new ValueError('One source is a header or a jwt. Write them as two, each on a line beginning with "- ".')
  }
  if (header !== undefined) return { kind: 'header', name: within(['header'], () => headerName(header)) }
  return within(['jwt'], () => jwtOf(jwt))
}

function jwtOf(value: unknown): JwtSource {
  if (!isMapping(value)) return fail(value, 'is not a jwt source', 'Write jwt: {claim: sub, jwks: ./jwks.json}.')
  refuseUnknown(value, jwtKeys)
  const text = (key: string) => {
    const found = value[key]
    if (found === undefined || (typeof found === 'string' && found !== '')) return found
    return within([key], () => fail(found, 'is no text', `Write the ${key} as the tokens have it.`))
  }
  const claim = text('claim')
  if (claim === undefined) throw new ValueError('Nothing says which claim names the caller. Write for example claim: sub.')
  const { jwks } = value
  if (jwks === undefined)
    throw new ValueError('Nothing says which keys sign the tokens. Write jwks: with a file, or with the public key itself.')
  return { kind: 'jwt', claim, jwks: within(['jwks'], () => jwksOf(jwks)), issuer: text('issuer'), audience: text('audience') }
}

function jwksOf(value: unknown): Jwks {
  if (isMapping(value)) return { keys: keysOf(value) }
  if (typeof value !== 'string' || value.trim() === '') {
    return fail(value, 'is no key', 'Write a file with a JSON Web Key Set or a public key in PEM, its https:// URL, or the key itself.')
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return { url: keysUrl(value), keys: [] }
  return value.includes('-----BEGIN') ? { keys: keysOfText(value) } : { file: value, keys: [] }
}

/** Whoever can change the answer can make tokens: without TLS it comes from this machine only. */
function keysUrl(value: string): string {
  const url = URL.parse(value.trim())
  if (url === null || !/^https?:$/.test(url.protocol))
    return fail(value, 'is no URL of keys', 'Write for example https://issuer.example/jwks.json.')
  if (url.username !== '' || url.password !== '')
    throw new ValueError('Public keys need no credentials. Take user and password out of the URL.')
  if (url.protocol === 'http:' && !loopback.test(url.hostname))
    throw new ValueError('Over http:// anybody on the way can change the keys. Write https://; http:// is for this machine only.')
  url.hash = ''
  return url.href
}

/** Reads the files that token keys are in. `fault` makes an error of the key file of the source with that index. */
export function readKeyFiles(
  sources: readonly CallerSource[],
  readFile: (path: string) => string,
  fault: (index: number, message: string) => ConfigError,
): { readonly sources: readonly CallerSource[]; readonly errors: readonly ConfigError[] } {
  const errors: ConfigError[] = []
  const read = sources.map((source, index): CallerSource => {
    if (source.kind !== 'jwt' || source.jwks.file === undefined) return source
    const { file } = source.jwks
    try {
      return { ...source, jwks: { file, keys: keysOfText(readFile(file)) } }
    } catch (error) {
      const message =
        error instanceof ValueError
          ? `In ${JSON.stringify(file)}: ${error.message}`
          : `The key file ${JSON.stringify(file)} cannot be read (${(error as NodeJS.ErrnoException).code}).`
      errors.push(fault(index, message))
      return source
    }
  })
  return { sources: read, errors }
}

function keysOfText(text: string): readonly PublicJwk[] {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) throw new ValueError(privateKey)
  if (text.includes('-----BEGIN')) return [checked(() => createPublicKey(text).export({ format: 'jwk' }) as PublicJwk)]
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new ValueError('This is neither a JSON Web Key Set nor a public key in PEM.')
  }
  return keysOf(json)
}

const privateKey = 'This is a private key. Give the sidecar the public key only: it verifies tokens, it makes none.'

function keysOf(value: unknown): readonly PublicJwk[] {
  const listed = isMapping(value) ? (Array.isArray(value['keys']) ? value['keys'] : [value]) : []
  if (listed.length === 0) throw new ValueError('There is no key in it. Write a JSON Web Key Set: {"keys": […]}.')
  return listed.map((jwk: unknown) => {
    if (!isMapping(jwk)) throw new ValueError('A key is not a mapping. Write a JSON Web Key Set: {"keys": […]}.')
    if (jwk['kty'] === 'oct')
      throw new ValueError('This is a shared secret. Have the tokens signed with a key pair, and write its public key.')
    if ('d' in jwk) throw new ValueError(privateKey)
    checked(() => createPublicKey({ key: jwk as never, format: 'jwk' }))
    return jwk as unknown as PublicJwk
  })
}

/** Replaces the library's error by an actionable one, which quotes no part of the key. */
function checked<T>(read: () => T): T {
  try {
    return read()
  } catch {
    throw new ValueError('This key cannot be read. Write an RSA, EC or Ed25519 public key, as PEM or as a JSON Web Key.')
  }
}

function refuseUnknown(mapping: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const stranger = Object.keys(mapping).find((key) => !known.includes(key))
  if (stranger === undefined) return
  const meant = nearest(stranger, known)
  throw new ValueError(
    `There is no key ${shown(stranger)} here. ${meant === undefined ? `The keys are ${known.join(', ')}.` : `Did you mean ${meant}?`}`,
    [stranger],
  )
}

function simply(source: Exclude<CallerSource, JwtSource>): string {
  if (source.kind === 'header') return `header:${source.name}`
  return source.kind === 'client-cert' ? `client-cert:${source.field}` : source.kind
}

/** As it is written in the file: text where that is enough, else a mapping in JSON, which is valid YAML. */
export function writtenSources(sources: readonly CallerSource[]): string | object {
  if (sources.length === 0) return 'none'
  const simple = sources.flatMap((source) => (source.kind === 'jwt' ? [] : simply(source)))
  if (simple.length === sources.length) return simple.join(', ')
  const from = sources.map((source) => {
    if (source.kind !== 'jwt') return simply(source)
    const { kind: _, jwks, ...rest } = source
    return { jwt: { ...rest, jwks: jwks.url ?? jwks.file ?? { keys: jwks.keys } } }
  })
  return { from }
}
