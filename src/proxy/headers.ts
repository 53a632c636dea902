/** Which header fields cross the proxy, in one table each way. Order, case and repeats of all others stay as they came. */

/**
 * Fields that belong to one connection (RFC 9110 §7.6.1) and so never cross. `trailer` is not among them: it announces fields that do.
 * Each odd entry has its reason.
 */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection', // never standard, still sent by old clients
  'proxy-authenticate',
  'proxy-authorization', // meant for us as the proxy, not for the upstream
  'te', // the upstream's trailers are read in any case
  'transfer-encoding', // each side frames its own bodies
  'upgrade',
])

export interface TraceContext {
  readonly traceId: string
  readonly parentSpanId: string
  readonly flags: number
}

/** Parses a W3C `traceparent`. `undefined` when it is not valid: the trace then begins here. Source: W3C Trace Context §3.2. */
export function parseTraceparent(value: string | undefined): TraceContext | undefined {
  if (value === undefined) return undefined
  const found = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(value.trim())
  if (found === null) return undefined
  const [, version, traceId, parentSpanId, flags, rest] = found
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (traceId === undefined || parentSpanId === undefined || flags === undefined) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentSpanId)) return undefined
  return { traceId, parentSpanId, flags: Number.parseInt(flags, 16) }
}

/** Lower-case names listed in the `Connection` fields of a message: hop-by-hop by the sender's own word. */
function namedByConnection(rawHeaders: readonly string[]): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const token of (rawHeaders[i + 1] as string).split(',')) {
      const option = token.trim().toLowerCase()
      if (option === '' || option === 'keep-alive' || option === 'close') continue
      named ??= new Set()
      named.add(option)
    }
  }
  return named
}

export interface RequestRewrite {
  /** Value of `Host` towards the upstream. */
  readonly host: string
  readonly traceparent: string
  /** Of the caller; `undefined` when the trace begins here, and then none is sent. */
  readonly tracestate: string | undefined
  /** The peer's address. */
  readonly clientAddress: string
  /** `Host` as the client sent it. */
  readonly clientHost: string | undefined
  readonly clientScheme: 'http' | 'https'
  /** The body is not the client's own: its length is another, and its answer must come uncompressed, or nothing can be taken out of it. */
  readonly edited: boolean
}

/** An address as a `Forwarded` node (RFC 7239 §6): IPv6 in brackets and quotes. */
function forwardedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address
}

/** A quoted string (RFC 9110 §5.6.4) where the value is no plain token. */
function forwardedValue(value: string): string {
  return /^[\w.-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '')}"`
}

/** Header fields for the upstream, as a flat list. */
export function requestHeaders(rawHeaders: readonly string[], rewrite: RequestRewrite): string[] {
  const named = namedByConnection(rawHeaders)
  const out: string[] = []
  let forwardedFor = -1
  let forwarded = -1
  let hostDone = false
  let traceDone = false
  let forwardedHost = false
  let forwardedProto = false
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || named?.has(lower)) continue
    switch (lower) {
      case 'host':
        if (!hostDone) out.push(name, rewrite.host)
        hostDone = true
        continue
      case 'expect': // answered on our side
        continue
      case 'traceparent':
        if (!traceDone) out.push(name, rewrite.traceparent)
        traceDone = true
        continue
      case 'content-length':
      case 'accept-encoding':
        if (rewrite.edited) continue
        break
      case 'tracestate':
        if (rewrite.tracestate === undefined) continue
        break
      case 'x-forwarded-for':
        forwardedFor = out.length + 1
        break
      case 'forwarded':
        forwarded = out.length + 1
        break
      case 'x-forwarded-host':
        forwardedHost = true
        break
      case 'x-forwarded-proto':
        forwardedProto = true
        break
    }
    out.push(name, value)
  }
  if (rewrite.edited) out.push('accept-encoding', 'identity')
  if (!traceDone) out.push('traceparent', rewrite.traceparent)
  if (forwardedFor > 0) out[forwardedFor] = `${out[forwardedFor]}, ${rewrite.clientAddress}`
  else out.push('x-forwarded-for', rewrite.clientAddress)
  if (!forwardedProto) out.push('x-forwarded-proto', rewrite.clientScheme)
  if (!forwardedHost && rewrite.clientHost !== undefined) out.push('x-forwarded-host', rewrite.clientHost)
  const host = rewrite.clientHost === undefined ? '' : `;host=${forwardedValue(rewrite.clientHost)}`
  const hop = `for=${forwardedNode(rewrite.clientAddress)}${host};proto=${rewrite.clientScheme}`
  if (forwarded > 0) out[forwarded] = `${out[forwarded]}, ${hop}`
  else out.push('forwarded', hop)
  if (!hostDone) out.unshift('host', rewrite.host) // last: it moves every index
  return out
}

/** Puts the two fields that upgrade a connection (RFC 9110 §7.8), in the sender's spelling; false for every other field. */
function putUpgrade(out: string[], name: string, lower: string, value: string): boolean {
  if (lower === 'upgrade') out.push(name, value)
  else if (lower === 'connection') {
    const option = value.split(',').find((token) => token.trim().toLowerCase() === 'upgrade')
    if (option !== undefined) out.push(name, option.trim())
  } else return false
  return true
}

/** Header fields for the client of an answer that upgrades the connection. */
export function upgradeHeaders(rawHeaders: readonly string[], ownId?: string): string[] {
  const named = namedByConnection(rawHeaders)
  let id = ownId
  const out: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'content-length' || lower === 'trailer') continue // a 1xx has no body
    if (lower === idHeader) id = undefined
    if (!putUpgrade(out, name, lower, value) && !hopByHop.has(lower) && !named?.has(lower)) out.push(name, value)
  }
  if (id !== undefined) out.push(idHeader, id)
  return out
}

/** The id of the exchange, for whoever wants to look the request up. */
export const idHeader = 'x-tokenweir-id'

/** What decides on the fields that frame a response. */
export interface ResponseFraming {
  readonly status: number
  /** The client understands chunks, and asked for a body. */
  readonly takesChunks: boolean
  /** The body is not the upstream's own: what it says of the length does not hold. */
  readonly filtered?: boolean
  /** Added as `idHeader`, unless the upstream has set that itself: of sidecars in a row the client gets the innermost's. */
  readonly id?: string | undefined
}

/** Header fields for the client, as a flat list; trailers, without `framing`. */
export function responseHeaders(rawHeaders: readonly string[], framing?: ResponseFraming): string[] {
  const named = namedByConnection(rawHeaders)
  const status = framing?.status ?? 200
  const hasNoLength = status < 200 || status === 204 || framing?.filtered === true // RFC 9110 §8.6
  let isChunked = status >= 200 && status !== 204 && status !== 304 && framing?.takesChunks !== false
  let trailer = -1
  let id = framing?.id
  const out: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || named?.has(lower)) continue
    if (lower === idHeader) id = undefined
    if (lower === 'content-length') {
      if (hasNoLength) continue
      isChunked = false
    } else if (lower === 'trailer' && trailer < 0) trailer = out.length
    out.push(name, rawHeaders[i + 1] as string)
  }
  if (id !== undefined) out.push(idHeader, id)
  // Behind a body without chunks there is no place for trailers, and node:http refuses to write such a head.
  return trailer < 0 || isChunked ? out : without(out, 'trailer')
}

function without(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => (fields[i - (i % 2)] as string).toLowerCase() !== name)
}

/** The first value of each field in `wanted` (lower-case names), or that `also` takes, keyed by lower-case name. */
export function pickHeaders(
  rawHeaders: readonly string[],
  wanted: ReadonlySet<string>,
  also?: (name: string) => boolean,
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const lower = (rawHeaders[i] as string).toLowerCase()
    if ((wanted.has(lower) || also?.(lower) === true) && picked[lower] === undefined) picked[lower] = rawHeaders[i + 1] as string
  }
  return picked
}
