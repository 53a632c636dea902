/**
 * The admin port: health, metrics, the page. It is read-only but for a login and a reload, so it accepts GET and HEAD elsewhere. Its headers keep pages of other sites from using a response.
 * On a loopback address it accepts only loopback names as `Host` (DNS rebinding).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Pem } from '../config/certificates.ts'
import type { Address } from '../config/config.ts'
import { listenError } from '../lib/listen-error.ts'

export interface AdminAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

/** One exact path. */
export interface AdminRoute {
  readonly path: string
  /** GET (and HEAD) by default. */
  readonly method?: 'POST'
  /** May reject: the response is then 500, and the message goes to stderr only. A handler that writes to `response` itself returns `undefined`. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => AdminAnswer | undefined | Promise<AdminAnswer | undefined>
}

export interface AdminOptions {
  readonly address: Address
  readonly routes: readonly AdminRoute[]
  /** What is given every path that is no route's; 404 when there is none. */
  readonly otherwise?: (request: IncomingMessage, response: ServerResponse) => void
  /** A line for stderr. */
  readonly report: (line: string) => void
}

export interface SecureAdmin {
  readonly minVersion: '1.2' | '1.3'
  /** `use` gives them at once, and with each change. */
  readonly certificates: { use(take: (pem: Pem) => void): void; stop(): void }
}

export interface AdminServer {
  /** The bound port, which matters when 0 was configured. */
  readonly port: number
  close(): Promise<void>
}

/** Headers of every response. */
export const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

class AdminError extends Error {
  override readonly name = 'AdminError'
}

/** Half of the descriptors that are kept from the proxy's clients (`proxy/descriptors.ts`): the ledger and the exporters need theirs. */
export const connectionsMax = 96
const limits = { requestTimeout: 10_000, headersTimeout: 5000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000 }

/** Listens nowhere: it takes the connections that it is given. */
export function createAdminServer({ address, routes, otherwise, report }: AdminOptions): Server {
  const byPath = new Map(routes.map((route) => [route.path, route]))
  const isAllowedHost = hostGuard(address.host)
  return createServer(limits, (request, response) => {
    const answer = async () => {
      if (!isAllowedHost(request.headers.host)) return refuse(response, 421, 'This address answers only to its own name.')
      if (otherwise !== undefined && !byPath.has(pathOf(request))) return otherwise(request, response)
      const given = await dispatch(byPath, request, response)
      if (given !== undefined) send(response, given)
    }
    answer().catch((error) => {
      report(`The admin port failed on ${request.method} ${pathOf(request)}: ${error instanceof Error ? error.message : String(error)}`)
      if (response.headersSent) response.destroy()
      else refuse(response, 500, 'This failed; see the log.')
    })
  })
}

/** Rejects with `AdminError`, whose message is actionable. */
export async function startAdmin({ tls, ...options }: AdminOptions & { readonly tls?: SecureAdmin | undefined }): Promise<AdminServer> {
  const { address, report } = options
  const plain = createAdminServer(options)
  const server = tls === undefined ? plain : secured(plain, tls)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new AdminError(listenError({ name: 'admin', flag: '--admin', ...address }, error))))
    server.listen(address.port, address.host, resolve)
  })
  server.maxConnections = connectionsMax
  server.on('error', (error) => report(`The admin port failed: ${error.message}`))
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) }
}

/** Answers over TLS what `plain` would answer. */
function secured(plain: Server, { minVersion, certificates }: SecureAdmin): Server {
  const server = createSecureServer(limits, (request, response) => plain.emit('request', request, response))
  certificates.use(({ cert, key }) => server.setSecureContext({ cert, key, minVersion: `TLSv${minVersion}` }))
  server.on('close', certificates.stop)
  return server
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve()) // also where it never listened
    server.closeAllConnections()
  })
}

function dispatch(routes: ReadonlyMap<string, AdminRoute>, request: IncomingMessage, response: ServerResponse) {
  const route = routes.get(pathOf(request))
  if (route === undefined) return refusal(404, 'There is no such page.')
  const methods = route.method === undefined ? ['GET', 'HEAD'] : [route.method]
  if (methods.includes(request.method ?? '')) return route.answer(request, response)
  response.setHeader('allow', methods.join(', '))
  return refusal(405, `Only ${methods.join(' and ')} ${methods.length === 1 ? 'is' : 'are'} answered here.`)
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] as string
}

function send(response: ServerResponse, { status, contentType, body, headers: own }: AdminAnswer): void {
  response.writeHead(status, { ...headers, ...own, 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

export function refuse(response: ServerResponse, status: number, error: string): void {
  send(response, refusal(status, error))
}

export function jsonAnswer(status: number, value: unknown): AdminAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}

export function refusal(status: number, error: string): AdminAnswer {
  return jsonAnswer(status, { error })
}

/** Checked only on a loopback address: elsewhere the sidecar cannot know its own names. */
function hostGuard(listenHost: string): (header: string | undefined) => boolean {
  if (!isLoopback(listenHost)) return () => true
  return (header) => {
    const host = header
      ?.replace(/:\d*$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase()
    return host === undefined || host === listenHost.toLowerCase() || isLoopback(host)
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
