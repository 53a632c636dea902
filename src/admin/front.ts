/**
 * The admin port as the proxying thread serves it. It answers `/livez`, `/readyz` and `/api/reload` itself: they say whether requests are served, also
 * while the recorder is busy, blocked or dead. Everything else is the recorder's, and is passed on.
 */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { MessagePort } from 'node:worker_threads'
import type { Address } from '../config/config.ts'
import { connectionOver } from './connection.ts'
import { type AdminRoute, type AdminServer, jsonAnswer, refuse, type SecureAdmin, startAdmin } from './server.ts'

/** Whether what is served is also recorded. */
export interface RecordsState {
  /** `service.instance.id`, of the ledger. Undefined before the recorder is ready. */
  readonly instance: string | undefined
  /** What is wrong, as sentences. */
  readonly problems: readonly string[]
  /** YYYY-MM-DD of the table of prices; undefined until it is loaded. */
  readonly pricesDate?: string | undefined
}

/** Who asks, for the recorder. */
export interface Peer {
  readonly remoteAddress: string | undefined
  readonly localPort: number | undefined
}

export interface FrontOptions {
  readonly address: Address
  readonly tls?: SecureAdmin | undefined
  /** Why requests are not served; undefined when they are. */
  readonly unready: () => string | undefined
  readonly records: () => RecordsState
  /** What else `/readyz` tells: it changes nothing of its status. */
  readonly about?: () => Readonly<Record<string, unknown>>
  /** What else this thread answers. */
  readonly routes?: readonly AdminRoute[]
  /** A connection to the recorder's own server; undefined while there is none. */
  readonly connect: (peer: Peer) => MessagePort | undefined
  readonly report: (line: string) => void
  readonly answerMsMax?: number
}

/** For the head of the recorder's answer. */
const answerUsualMsMax = 10_000

/** Rejects with a message that is actionable. */
export function startFront({
  address,
  tls,
  unready,
  records,
  about = () => ({}),
  routes = [],
  connect,
  report,
  answerMsMax = answerUsualMsMax,
}: FrontOptions): Promise<AdminServer> {
  const ready = () => {
    const reason = unready()
    const { instance, problems, pricesDate } = records()
    const state = { instance, records: { ok: problems.length === 0, problems }, pricesDate, ...about() }
    return reason === undefined
      ? jsonAnswer(200, { ready: true, ...state })
      : jsonAnswer(503, { ready: false, reasons: [reason], ...state })
  }
  return startAdmin({
    address,
    tls,
    routes: [{ path: '/livez', answer: () => jsonAnswer(200, { live: true }) }, { path: '/readyz', answer: ready }, ...routes],
    otherwise: (request, response) => passOn(request, response, connect, answerMsMax),
    report,
  })
}

/** Of one connection; and of a request's body, which no route reads. */
const notPassedOn = ['connection', 'content-length', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade']

const without = (headers: IncomingMessage['headers']) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !notPassedOn.includes(name)))

function passOn(request: IncomingMessage, response: ServerResponse, connect: FrontOptions['connect'], answerMsMax: number): void {
  const { remoteAddress, localPort } = request.socket
  const port = connect({ remoteAddress, localPort })
  if (port === undefined) {
    refuse(response, 503, 'The recorder is being started. Ask again in a moment; /readyz answers.')
    return
  }
  const { method, url } = request
  const headers = 'encrypted' in request.socket ? { ...request.headers, 'x-forwarded-proto': 'https' } : request.headers
  const asked = httpRequest({ method, path: url, headers: without(headers), createConnection: () => connectionOver(port) })
  const late = setTimeout(() => asked.destroy(), answerMsMax)
  asked.on('response', (answer) => {
    clearTimeout(late)
    const { connection: _, 'transfer-encoding': __, 'keep-alive': ___, ...headers } = answer.headers
    response.writeHead(answer.statusCode ?? 502, headers)
    answer.pipe(response)
    answer.on('error', () => response.destroy())
  })
  asked.on('error', () => {
    clearTimeout(late)
    if (response.headersSent) response.destroy()
    else
      refuse(
        response,
        503,
        'The recorder does not answer: it is busy, blocked or has died. Requests are served; /readyz says what is wrong.',
      )
  })
  response.on('close', () => asked.destroy())
  request.resume()
  asked.end()
}
