/** Errors of the upstream side as outcomes, and the answers that the sidecar has to invent for them. */
import http from 'node:http'
import type { UnreachableReason } from '../lib/exchange.ts'
import type { ServedResponse } from './client.ts'
import { UpstreamFault } from './fault.ts'
import { idHeader } from './headers.ts'

/** Names this program on every answer that it made itself; the value is the error's code. */
export const errorHeader = 'x-tokenweir-error'

/** Of a request's body, which is read and thrown away rather than its connection ended. */
const unreadBytesMax = 64 * 1024

const reasonByCode: Readonly<Record<string, UnreachableReason>> = {
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  ECONNREFUSED: 'connect',
  ENOENT: 'connect', // the file of a socket
  EACCES: 'connect',
  EHOSTUNREACH: 'connect',
  ENETUNREACH: 'connect',
  EADDRNOTAVAIL: 'connect',
  EMFILE: 'connect',
  ENFILE: 'connect',
  ETIMEDOUT: 'timeout',
  CONNECT_TIMEOUT: 'timeout',
  HEAD_TIMEOUT: 'timeout',
  BODY_TIMEOUT: 'timeout',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  CLOSED: 'closed',
  STOPPED: 'closed',
  ERR_HTTP2_STREAM_ERROR: 'closed',
  ERR_HTTP2_SESSION_ERROR: 'closed',
  EPROTO: 'tls',
  PROXY_REFUSED: 'proxy_refused',
  PROXY_UNREACHABLE: 'proxy_unreachable',
}

/** Why no response head came, from the code of a fault (`fault.ts`) or of the system. */
export function unreachableReason(error: Error): UnreachableReason {
  const code = errorCode(error)
  const known = reasonByCode[code]
  if (known !== undefined) return known
  if (code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || code.startsWith('CERT_') || /CERT|SIGNATURE|SELF_SIGNED/.test(code))
    return 'tls'
  return 'protocol'
}

/** The code of an error. Of several addresses that were tried (Happy Eyeballs), one that was too slow counts before those that refused. */
export function errorCode(error: Error): string {
  const tried: readonly NodeJS.ErrnoException[] = (error as AggregateError).errors ?? []
  if (tried.some(({ code }) => code === 'ETIMEDOUT')) return 'ETIMEDOUT'
  return (error as NodeJS.ErrnoException).code ?? tried[0]?.code ?? error.name
}

const sentences: Readonly<Record<UnreachableReason, string>> = {
  dns: 'The name of the upstream could not be resolved.',
  connect: 'The upstream refused the connection or cannot be reached.',
  tls: 'No secure connection to the upstream could be made.',
  timeout: 'The upstream did not answer in time.',
  closed: 'The upstream closed the connection without an answer.',
  proxy_refused: 'The forward proxy on the way to the upstream refused.',
  proxy_unreachable: 'The forward proxy on the way to the upstream cannot be reached.',
  protocol: 'The upstream answered with something that is not HTTP/1.1.',
}

/** 504 for an upstream that was too slow, 502 for every other failure (RFC 9110 §15.6). Where a forward proxy failed, its name is told, and the host behind it. */
export function sendUnreachable(response: ServedResponse, reason: UnreachableReason, error: Error, id: string | undefined): number {
  const sentence = error instanceof UpstreamFault && reason.startsWith('proxy_') ? error.message : sentences[reason]
  return sendError(response, reason === 'timeout' ? 504 : 502, `upstream_${reason}`, sentence, id)
}

/** JSON `{error: {type, message}}`, the shape that most LLM clients show. */
export function errorBody(code: string, message: string): string {
  return JSON.stringify({ error: { type: `tokenweir_${code}`, message: `tokenweir: ${message}` } })
}

/** Answers with an `errorBody`. `id` goes with it as `idHeader`. Returns the status. The connection is kept where what is left of the request's body is worth reading. */
export function sendError(response: ServedResponse, status: number, code: string, message: string, id: string | undefined): number {
  const body = errorBody(code, message)
  if (!endsSoon(response.req)) response.shouldKeepAlive = false
  const phrase = http.STATUS_CODES[status] ?? '' // node:http would keep one that was set with a head it did not take
  response.writeHead(status, phrase, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    [errorHeader]: code,
    ...(id === undefined ? {} : { [idHeader]: id }),
  })
  response.end(body)
  return status
}

function endsSoon({ complete, headers }: ServedResponse['req']): boolean {
  return complete || (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= unreadBytesMax)
}
