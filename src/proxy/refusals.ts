/** Requests that are answered here: what is wrong with them, by their head (RFC 9110, RFC 9112). */
import type { ClientRequest } from './client.ts'

export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

export const refusals = {
  noRoute: { status: 404, code: 'no_route', message: 'No route of the configuration takes this path, host and headers.' },
  target: { status: 400, code: 'bad_target', message: 'The request target must be a path.' },
  malformed: { status: 400, code: 'malformed_request', message: 'The request is not valid HTTP/1.1.' },
  host: { status: 400, code: 'bad_host', message: 'A request needs one Host field with one name or address, and perhaps a port.' },
  transferCoding: { status: 501, code: 'bad_transfer_coding', message: 'The only transfer coding that is understood is chunked.' },
  headerTooLarge: {
    status: 431,
    code: 'header_too_large',
    message: 'The header section of the request is too large (limits.headerBytes).',
  },
  version: { status: 505, code: 'bad_version', message: 'Only HTTP/1.0 and HTTP/1.1 are spoken here.' },
  loop: {
    status: 508,
    code: 'loop',
    message: 'The upstream leads back to this sidecar: the request has come round. Set --upstream to the address of the gateway behind it.',
  },
  expectation: { status: 417, code: 'bad_expectation', message: 'The only expectation that can be met is 100-continue.' },
} as const satisfies Record<string, Refusal>

/** RFC 3986 §3.2.2 and a port; without the list that a registered name might hold. Empty where the target has no authority. */
const host = /^(?:\[[\w:.%~-]+\]|[\w.~!$&'()*+;=%-]*)(?::\d*)?$/

/** Hops that a request may have behind it. A request that goes round has as many soon, and from few places. */
const hopsMax = 16
const placesOfLoopMax = 4

/** Each time that a request passes here, its `Forwarded` (RFC 7239) grows by one hop. */
function isGoingRound(forwarded: string | undefined): boolean {
  if (forwarded === undefined || forwarded.length < hopsMax * 'for=1.1.1.1'.length) return false
  const hops = forwarded.split(',').map((hop) => hop.trim())
  return hops.length > hopsMax && new Set(hops.slice(-hopsMax)).size <= placesOfLoopMax
}

/** Undefined for a request that can be passed on. */
export function refusalOf(request: ClientRequest): Refusal | undefined {
  const { headers, rawHeaders, httpVersionMajor, httpVersionMinor } = request
  if (httpVersionMajor !== 1 || httpVersionMinor > 1) return refusals.version
  const coding = headers['transfer-encoding']
  // A sender that does not know chunks cannot have framed its body by them (RFC 9112 §6.1).
  if (coding !== undefined && httpVersionMinor === 0) return refusals.malformed
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return refusals.transferCoding
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  if (hosts > 1 || (hosts === 0 && httpVersionMinor > 0) || !host.test(headers.host ?? '')) return refusals.host
  // HTTP/1.0 knows no expectations (RFC 9110 §10.1.1).
  if (headers.expect !== undefined && httpVersionMinor > 0 && headers.expect.toLowerCase() !== '100-continue') return refusals.expectation
  return isGoingRound(headers.forwarded) ? refusals.loop : undefined
}
