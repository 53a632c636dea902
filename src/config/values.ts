/** Parsers of single configuration values. Each takes what a flag, a variable or a file gave, and returns the value or throws an actionable error. */
import { isTimeZone } from '../lib/period.ts'
import { type Address, unixUpstream } from './address.ts'

/** Thrown by a parser. The message says what is wrong with the value and what to write instead. */
export class ValueError extends Error {
  /** The path of keys from the value to the part that is wrong. */
  readonly path: readonly (string | number)[]

  constructor(message: string, path: readonly (string | number)[] = []) {
    super(message)
    this.path = path
  }
}

type Read<T> = (value: unknown) => T

const textMax = 80

/** A value as error messages quote it: cut at 80 characters, with possible credentials removed. */
export function shown(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'an empty value'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value !== 'string') return String(value)
  const safe = value
    .replace(/^([a-z][a-z\d+.-]*:\/\/)?.*@/is, '$1***@')
    .replace(/[?#].+$/s, (rest) => `${rest[0]}***`)
    .replace(/\b(sk|pk|rk|gsk|xai|hf|ghp|AIza|Bearer )[\w-]{8,}/g, '***')
    .replace(/(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{32,}/gi, '***')
  return JSON.stringify(safe.length > textMax ? `${safe.slice(0, textMax)}…` : safe)
}

export function fail(value: unknown, wrong: string, mend: string): never {
  throw new ValueError(`${shown(value)} ${wrong}. ${mend}`)
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Adds the path of the part to an error in it. */
export function within<T>(path: readonly (string | number)[], read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof ValueError ? new ValueError(error.message, [...path, ...error.path]) : error
  }
}

const addressMend = 'Write host:port (127.0.0.1:4141), [ipv6]:port, :port for every interface, or a port alone for 127.0.0.1.'

/** `host:port`, `[ipv6]:port`, `:port` (every interface) or a bare port (loopback). Port 0 lets the system choose. */
export const address: Read<Address> = (value) => {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : ''
  const found = /^(?:(?:\[([\da-f:.%\w]+)\]|([\w.-]*)):)?(\d{1,5})$/i.exec(text)
  if (found === null) return fail(value, 'is not an address', addressMend)
  const port = Number(found[3])
  if (port > 65_535) return fail(value, 'has a port above 65535', addressMend)
  const named = found[1] ?? found[2]
  return { host: named === undefined ? '127.0.0.1' : named === '' ? '0.0.0.0' : named, port }
}

const unixMend = 'Write unix: and an absolute path of at most 100 characters, and perhaps its mode: unix:/run/tokenweir.sock?mode=0660'
/** Linux has room for 107 bytes, macOS for 103. */
const unixPathBytesMax = 100
const unixModeUsual = 0o660

/** An `address`, or `unix:/path` with a mode in octal. */
export const listenAddress: Read<Address> = (value) => {
  if (typeof value !== 'string' || !value.trim().startsWith('unix:')) return address(value)
  const found = /^unix:(\/[^?\0]*[^?/\0])(?:\?mode=(0?[0-7]{3}))?$/.exec(value.trim())
  const path = found?.[1]
  if (path === undefined || Buffer.byteLength(path) > unixPathBytesMax) return fail(value, 'is no Unix socket', unixMend)
  return { host: 'localhost', port: 0, unix: { path, mode: found?.[2] === undefined ? unixModeUsual : Number.parseInt(found[2], 8) } }
}

const upstreamMend = 'Write http:// or https://, the host, and where needed a port and a base path: https://api.openai.com'

/** An http or https URL with an optional base path; no credentials, query or fragment. Or `unix:/path`, with the base path behind another colon. */
export const upstream: Read<URL> = (value) => {
  if (typeof value !== 'string' || value.trim() === '') return fail(value, 'is not a URL', upstreamMend)
  if (value.trim().startsWith('unix:')) {
    const [, path = '', base = ''] = /^unix:(\/[^:?#\0]*[^:?#/\0])(?::(\/[^?#]*))?$/.exec(value.trim()) ?? []
    const isUnix = path !== '' && Buffer.byteLength(path) <= unixPathBytesMax
    return isUnix
      ? unixUpstream(path, base)
      : fail(value, 'is no Unix socket', 'Write unix:/run/gateway.sock, or with a base path unix:/run/gateway.sock:/v1')
  }
  if (!/^https?:\/\//i.test(value.trim())) return fail(value, 'does not begin with http:// or https://', upstreamMend)
  const url = URL.parse(value)
  if (url === null) return fail(value, 'is not a URL', upstreamMend)
  if (url.username !== '' || url.password !== '') {
    return fail(value, 'holds credentials', 'Take them out: clients send their own, in a header, and the sidecar passes them on.')
  }
  if (url.href.includes('?')) return fail(value, 'has a query', 'Take it away: each request brings its own.')
  if (url.href.includes('#')) return fail(value, 'has a fragment', 'Take it away: it is never sent.')
  return url
}

/** The token for the live page. Error messages never quote it. */
export const secret: Read<string> = (value) => {
  if (typeof value === 'string' && /^[\x21-\x7e]{16,256}$/.test(value)) return value
  throw new ValueError(
    'The token is not valid. Write 16 to 256 letters, digits and signs without spaces, such as openssl rand -hex 24 prints.',
  )
}

/** An http or https URL that contains `{traceId}`. */
export const traceUrl: Read<string> = (value) => {
  const url = typeof value === 'string' && value.includes('{traceId}') ? URL.parse(value.replaceAll('{traceId}', '0'.repeat(32))) : null
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return value as string
  return fail(value, 'is no address of traces', 'Write one with {traceId} in it, such as http://127.0.0.1:16686/trace/{traceId}')
}

/** The path of a file on disk. */
export const path: Read<string> = (value) => {
  if (typeof value !== 'string' || value.trim() === '')
    return fail(value, 'is not a path', 'Write the path of a file, such as ./tokenweir.db')
  if (value === ':memory:' || value.includes('\0')) return fail(value, 'is not a file on disk', 'Write a path, such as ./tokenweir.db')
  return value
}

/** A DNS name: TLS cannot ask for an address. */
export const serverName: Read<string> = (value) =>
  typeof value === 'string' && value.length < 254 && /^([a-z\d_]([\w-]{0,61}[a-z\d])?\.)*[a-z]([\w-]{0,61}[a-z\d])?$/i.test(value)
    ? value
    : fail(value, 'is no name of a server', 'Write the DNS name in its certificate, such as gateway.internal.')

/** One of a few words. A number counts as its text: YAML reads 1.41 as a number. */
export function choice<T extends string>(...words: readonly T[]): Read<T> {
  return (value) => {
    const text = typeof value === 'number' ? String(value) : value
    return words.find((word) => word === text) ?? fail(value, 'is not one of the choices', `Write ${words.join(' or ')}.`)
  }
}

/** Node's timers hold no more than 2³¹ − 1 ms, about 24 days. */
const durationMaxMs = 2 ** 31 - 1
const durationMend = 'Write milliseconds (10000) or a number with ms, s, m or h (30s); 0 means without limit.'
const msPer: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds, or text with a unit. 0 means without limit. */
export const duration: Read<number> = (value) => {
  const found = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|)$/.exec(
    String(typeof value === 'number' ? value : typeof value === 'string' ? value.trim() : ''),
  )
  const ms = found === null ? Number.NaN : Number(found[1]) * (msPer[found[2] ?? ''] ?? Number.NaN)
  if (!Number.isInteger(ms)) return fail(value, 'is not a duration', durationMend)
  if (ms > durationMaxMs) return fail(value, 'is longer than 24 days', durationMend)
  return ms
}

/** Between two requests that nobody asked for. */
export const probeInterval: Read<number> = (value) => {
  const ms = duration(value)
  return ms < 1000 ? fail(value, 'is too short', 'Write one second or more, such as 30s.') : ms
}

/** A path with or without a query. */
export const requestPath: Read<string> = (value) => {
  if (typeof value === 'string' && /^\/[\x21-\x22\x24-\x7e]{0,999}$/.test(value)) return value
  return fail(value, 'is not a path', 'Write one that begins with /, such as /health.')
}

const bytesPer: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 }

/** Bytes, or text with a unit (KiB, MiB, GiB; KB, MB, GB), within bounds. */
export function size(min: number, max: number): Read<number> {
  const mend = `Write bytes or a number with KiB, MiB or GiB, from ${formatSize(min)} to ${formatSize(max)}.`
  return (value) => {
    const found = /^(\d+(?:\.\d+)?)\s*([kmg]?i?b|)$/i.exec(
      String(typeof value === 'number' ? value : typeof value === 'string' ? value.trim() : ''),
    )
    const bytes = found === null ? Number.NaN : Number(found[1]) * (bytesPer[found[2]?.toLowerCase() ?? ''] ?? Number.NaN)
    if (!Number.isInteger(bytes)) return fail(value, 'is not a size', mend)
    return bytes < min || bytes > max ? fail(value, 'is out of bounds', mend) : bytes
  }
}

/** Bytes in the largest whole unit: 16777216 → 16MiB. */
export function formatSize(bytes: number): string {
  for (const [unit, per] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= per && bytes % per === 0) return `${bytes / per}${unit}`
  }
  return `${bytes}B`
}

/** A whole number within bounds. */
export function integer(min: number, max: number): Read<number> {
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : fail(value, 'is not a number within bounds', `Write a whole number from ${min} to ${max}.`)
}

/** USD per million tokens. */
export const amount: Read<number> = (value) =>
  typeof value === 'number' && value >= 0 && value <= 1e6
    ? value
    : fail(value, 'is no price', 'Write USD per million tokens as a number, such as 2.5, or free: true.')

/** A point in time, in milliseconds since the epoch. A date without a time is midnight UTC. */
export const moment: Read<number> = (value) => {
  const text = value instanceof Date ? value.toISOString() : value
  const ms = typeof text === 'string' && /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? fail(value, 'is not a date', 'Write a date such as 2026-11-28, or 2026-11-28T16:00:00Z.') : ms
}

export const tokens: Read<number> = (value) =>
  typeof value === 'number' && Number.isInteger(value) && value > 0
    ? value
    : fail(value, 'is not a number of tokens', 'Write a whole number above 0, such as 200000.')

const modelCharactersMax = 256

/** A model's name; `*` matches any characters. */
export const model: Read<string> = (value) =>
  typeof value === 'string' && value.trim() !== '' && value.length <= modelCharactersMax
    ? value.trim()
    : fail(value, 'is no model', 'Write a name such as gpt-4o, or a pattern such as llama-*.')

export const flag: Read<boolean> = (value) =>
  typeof value === 'boolean' ? value : fail(value, 'is neither true nor false', 'Write true or false.')

/** A path prefix, without a `/` at its end (but for `/` itself). It is compared with the path as sent, so it may hold only what a path may. */
export const prefix: Read<string> = (value) => {
  if (typeof value !== 'string' || !value.startsWith('/'))
    return fail(value, "does not begin with '/'", 'Write a path such as /openai, or / for every path.')
  if (!/^[\w\-.~!$&'()*+,;=:@%/]*$/.test(value) || /\/\/|\/\.{1,2}(\/|$)/.test(value)) {
    return fail(value, 'is no path prefix', 'Write whole path segments in URL spelling, such as /openai, without a query.')
  }
  return value.length > 1 && value.endsWith('/') ? value.slice(0, -1) : value
}

const patternMend = 'Write the text itself; * stands for any run of characters.'
const patternCharsMax = 256

/** A pattern for a header's value or a model's name; see `wildcard`. */
export const pattern: Read<string> = (value) => {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || text === '' || text.length > patternCharsMax) return fail(value, 'is no pattern', patternMend)
  return text
}

/** A pattern for a host: no scheme, no port, no path. */
export const hostPattern: Read<string> = (value) =>
  typeof value === 'string' && /^([\w.*-]+|[\da-f:*]*:[\da-f:*]*)$/i.test(value) && !/^[^:]*:\d+$/.test(value)
    ? value.toLowerCase()
    : fail(value, 'is no pattern for a host', 'Write a host without scheme, port and path, such as api.example.com or *.example.com.')

/** A pattern for a path. */
export const pathPattern: Read<string> = (value) =>
  typeof value === 'string' && /^[/*]/.test(value) && !/[?#]/.test(value) && value.length <= patternCharsMax
    ? value
    : fail(value, 'is no pattern for a path', "Write a path that begins with '/' or *, without a query, such as /team-a/*.")

/** A metric label: letters, digits and `. _ - /`, at most 64 characters. */
export const label: Read<string> = (value) =>
  typeof value === 'string' && /^[a-z\d][\w./-]{0,63}$/i.test(value)
    ? value
    : fail(value, 'is no name', 'Write up to 64 letters, digits or . _ - / such as openai or aws.bedrock.')

/** The setting `host` of a route: the `Host` header that the upstream receives. */
export const hostHeader: Read<'upstream' | 'client' | { readonly literal: string }> = (value) => {
  if (value === 'upstream' || value === 'client') return value
  if (typeof value === 'string' && /^(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?$/i.test(value)) return { literal: value }
  return fail(
    value,
    'is no Host header',
    "Write upstream (the upstream's host), client (what the client sent), or a host such as api.example.com:8443.",
  )
}

/** Edit distance: characters to insert, delete, replace or swap (Damerau-Levenshtein). */
function distance(from: string, to: string): number {
  let before: number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, j) => j)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1]
      let cost = Math.min((row[j - 1] ?? 0) + 1, (previous[j] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    before = previous
    previous = row
  }
  return previous[to.length] ?? 0
}

/**
 * The candidate that was probably meant: it begins with the word (`idle`, `idleMs`), or differs from it only in case, `-`, `_` and at most two
 * characters in six.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[-_]/g, '')
  const asked = plain(word)
  const begun = candidates.filter((candidate) => asked.length > 2 && plain(candidate).startsWith(asked))
  if (begun.length === 1) return begun[0]
  const ranked = candidates.map((candidate) => ({ candidate, apart: distance(asked, plain(candidate)) }))
  const best = ranked.sort((a, b) => a.apart - b.apart)[0]
  return best !== undefined && best.apart <= Math.min(2, Math.floor(asked.length / 3)) ? best.candidate : undefined
}

export const timeZone: Read<string> = (value) =>
  typeof value === 'string' && isTimeZone(value) ? value : fail(value, 'is no time zone', 'Write a name such as Europe/Berlin or UTC.')

export const budgetUsd: Read<number> = (value) =>
  typeof value === 'number' && value > 0 && value <= 1e12
    ? value
    : fail(value, 'is no amount', 'Write USD as a number above 0, such as 500.')
