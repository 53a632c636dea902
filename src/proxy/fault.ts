/** What may go wrong between us and an upstream, in few codes of our own. Errors of the system and of TLS keep theirs. */
import { errors } from 'undici'

export type FaultCode =
  | 'CONNECT_TIMEOUT'
  | 'HEAD_TIMEOUT'
  | 'BODY_TIMEOUT'
  /** The upstream ended the connection before its answer was complete. */
  | 'CLOSED'
  /** No HTTP/1.1, or a message that contradicts itself. */
  | 'BAD_RESPONSE'
  | 'BAD_TRANSFER_CODING'
  /** An interim answer that nobody asked for: a 101, or a 1xx with a body. */
  | 'BAD_INTERIM'
  | 'HEAD_TOO_LARGE'
  /** The client's body broke off. */
  | 'REQUEST_CUT'
  /** The client's body is longer or shorter than its Content-Length. */
  | 'REQUEST_LENGTH'
  /** The forward proxy on the way answered that it opens none. */
  | 'PROXY_REFUSED'
  /** It could not be reached, or broke off. */
  | 'PROXY_UNREACHABLE'
  | 'STOPPED'

export class UpstreamFault extends Error {
  readonly code: FaultCode

  constructor(code: FaultCode, message = `The exchange with the upstream failed: ${code}`) {
    super(message)
    this.code = code
  }
}

const codes: Readonly<Record<string, FaultCode>> = {
  UND_ERR_CONNECT_TIMEOUT: 'CONNECT_TIMEOUT',
  UND_ERR_HEADERS_TIMEOUT: 'HEAD_TIMEOUT',
  UND_ERR_BODY_TIMEOUT: 'BODY_TIMEOUT',
  UND_ERR_SOCKET: 'CLOSED',
  UND_ERR_INFO: 'CLOSED', // an HTTP/2 session that ends in order, with requests on it
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'CLOSED',
  UND_ERR_HEADERS_OVERFLOW: 'HEAD_TOO_LARGE',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'REQUEST_LENGTH',
  UND_ERR_DESTROYED: 'STOPPED',
  UND_ERR_CLOSED: 'STOPPED',
}

/** An error of undici's as one of ours. https://undici.nodejs.org/#/docs/api/Errors.md */
export function faultOf(error: Error): Error {
  if (error instanceof UpstreamFault) return error
  if (error.message === 'bad response' || error.message === 'bad upgrade') return new UpstreamFault('BAD_INTERIM')
  if (error instanceof errors.HTTPParserError) {
    // The connection ended within a message; for everything else the parser's own words say more than a code.
    return error.message.includes('Invalid EOF state') ? new UpstreamFault('CLOSED') : new UpstreamFault('BAD_RESPONSE', error.message)
  }
  const { code = '' } = error as NodeJS.ErrnoException
  const known = codes[code]
  return known === undefined ? error : new UpstreamFault(known)
}

/** Whether the connection broke, as one does that the upstream closed while it was idle. */
export function isBreak(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'CLOSED' || code === 'ECONNRESET' || code === 'EPIPE'
}
