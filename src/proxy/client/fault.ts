/** What may go wrong between this client and an upstream, beside the errors of the system and of TLS, which keep their own codes. */

export type FaultCode =
  | 'CONNECT_TIMEOUT'
  | 'HEAD_TIMEOUT'
  | 'BODY_TIMEOUT'
  /** The upstream ended the connection before its answer was complete. */
  | 'CLOSED'
  | 'BAD_STATUS_LINE'
  | 'BAD_FIELD'
  | 'BAD_LENGTH'
  | 'BAD_TRANSFER_CODING'
  | 'BAD_CHUNK'
  /** A 101 that nobody asked for, or a 1xx with a body. */
  | 'BAD_INTERIM'
  | 'HEAD_TOO_LARGE'
  /** The client's body broke off. */
  | 'REQUEST_CUT'
  /** The client's body is longer or shorter than its Content-Length. */
  | 'REQUEST_LENGTH'
  | 'STOPPED'

export class UpstreamFault extends Error {
  readonly code: FaultCode

  constructor(code: FaultCode) {
    super(`The exchange with the upstream failed: ${code}`)
    this.code = code
  }
}

/** Whether the connection broke, as one does that the upstream closed while it was idle. */
export function isBreak(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'CLOSED' || code === 'ECONNRESET' || code === 'EPIPE'
}
