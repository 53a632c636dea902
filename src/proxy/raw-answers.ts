/** Answers to what is no HTTP request, or none that can be served: written on the connection itself, which ends with them. */
import http from 'node:http'
import type { Socket } from 'node:net'
import { errorBody, errorHeader } from './failures.ts'
import { type Refusal, refusals } from './refusals.ts'

export interface ParserError extends NodeJS.ErrnoException {
  readonly reason?: string
}

export function answerClientError(socket: Socket, { code, reason }: ParserError): void {
  if (code === 'HPE_HEADER_OVERFLOW') refuseRaw(socket, refusals.headerTooLarge)
  else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') answerRaw(socket, 408, 'request_timeout', 'The head of the request did not arrive in time.')
  else refuseRaw(socket, refusalOfParser(code, reason))
}

/** What the parser says of a head. */
function refusalOfParser(code: string | undefined, reason: string | undefined): Refusal {
  if (code === 'HPE_INVALID_VERSION' || code === 'HPE_PAUSED_H2_UPGRADE') return refusals.version
  // Beside a Content-Length it is a message that contradicts itself.
  if (code === 'HPE_INVALID_TRANSFER_ENCODING' && !reason?.includes('Content-Length')) return refusals.transferCoding
  return refusals.malformed
}

function refuseRaw(socket: Socket, { status, code, message }: Refusal): void {
  answerRaw(socket, status, code, message)
}

export function answerRaw(socket: Socket, status: number, code: string, message: string): void {
  const body = errorBody(code, message)
  socket.on('error', () => undefined)
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n${errorHeader}: ${code}\r\nconnection: close\r\n\r\n${body}`,
  )
}
