/** The live page: its document, its files, its data and its events, behind one access check. */
import type { IncomingMessage } from 'node:http'
import { quantilesOf } from '../ledger/queries/quantiles.ts'
import type { Reader } from '../ledger/queries/reader.ts'
import type { LiveSink } from '../sinks/live.ts'
import type { Family } from '../telemetry/meter.ts'
import { type Access, noTokenSentence, refusalOf, retryAfter } from './access.ts'
import { apiRoutes } from './api.ts'
import { documentRoutes } from './documents.ts'
import { createEvents } from './events.ts'
import { pageDocument, pageRoutes } from './files.ts'
import { type AdminAnswer, type AdminRoute, jsonAnswer, refusal } from './server.ts'

export interface PageOptions {
  readonly access: Access
  readonly reader: Reader
  readonly live: LiveSink
  /** Requests open now. */
  readonly open: () => number
  readonly isLedgerWritable: () => boolean
  /** What is wrong with the records, as sentences. */
  readonly problems: () => readonly string[]
  readonly collect: () => readonly Family[]
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Seconds since the process started. */
  readonly uptime: () => number
  readonly version: string
  /** YYYY-MM-DD of the table of prices; undefined until it is loaded. */
  readonly pricesDate: () => string | undefined
  /** Where the sidecar writes and sends, and how it is set up, as the page shows it. */
  readonly setup: () => PageSetup
}

export interface PageSetup {
  readonly ledger: string
  readonly capture: string
  /** Where clients are to send their requests; port 0 is one that the kernel chose. */
  readonly listen: { readonly scheme: 'http' | 'https'; readonly host: string; readonly port: number }
  readonly routes: readonly { readonly name: string; readonly prefix: string; readonly upstream: string }[]
  /** Names of the operator's labels. */
  readonly labels: readonly string[]
  /** Spans or metrics are sent to a collector. */
  readonly exports: boolean
  /** The URL of a trace; `{traceId}` is replaced by its id. */
  readonly traceUrl: string | undefined
}

export interface Page {
  readonly routes: readonly AdminRoute[]
  close(): void
}

export function createPage(options: PageOptions): Page {
  const { access, reader, live, open, isLedgerWritable, problems, collect, now, uptime, version, pricesDate, setup } = options
  let lookedAt = now()
  const events = createEvents({
    hello: () => ({ version, traceUrl: setup().traceUrl ?? null, labels: setup().labels, atMs: now() }),
    tick() {
      const { firstChunks, ...look } = live.look()
      const seconds = (now() - lookedAt) / 1000
      lookedAt = now()
      return {
        atMs: lookedAt,
        seconds,
        ...look,
        firstChunkMs: quantilesOf(new Map(firstChunks)),
        open: open(),
        ledgerWritable: isLedgerWritable(),
      }
    },
  })
  const state = () => ({
    version,
    uptimeSeconds: uptime(),
    ...setup(),
    traceUrl: setup().traceUrl ?? null,
    open: open(),
    ledgerWritable: isLedgerWritable(),
    problems: problems(),
    pricesDate: pricesDate() ?? null,
    metrics: ownMetrics(collect()),
  })
  const guarded = [...apiRoutes({ reader, now, state }), events.route].map(
    (route): AdminRoute => ({
      ...route,
      answer: (request, response) => refusalOf(access.judge(request).verdict) ?? route.answer(request, response),
    }),
  )
  return { routes: [...entrance(access), ...pageRoutes(), ...documentRoutes(), ...guarded], close: events.close }
}

/** The document, or the login page where a token is required. */
function entrance(access: Access): readonly AdminRoute[] {
  const index = pageDocument('index.html')
  const login = pageDocument('login.html')
  const document = (request: IncomingMessage): AdminAnswer => {
    const given = new URL(request.url ?? '/', 'http://admin').searchParams.get('token') ?? undefined
    const { verdict, session } = access.judge(request, given)
    // Redirect, so that the token stays neither in the address bar nor in the history.
    if (given !== undefined && session !== undefined)
      return { status: 303, contentType: 'text/plain', body: '', headers: { location: '/', 'set-cookie': session() } }
    if (verdict === 'allowed') return index(200)
    if (verdict === 'no-token') return { status: 403, contentType: 'text/plain; charset=utf-8', body: `${noTokenSentence}\n` }
    return verdict === 'limited' ? { ...login(429), headers: retryAfter } : login(401)
  }
  const enter = (request: IncomingMessage): AdminAnswer => {
    const { verdict, session } = access.judge(request)
    if (session !== undefined) return { ...jsonAnswer(200, { session: true }), headers: { 'set-cookie': session() } }
    return refusalOf(verdict) ?? refusal(400, 'No token was sent, or none is set: there is nothing to log in to.')
  }
  return [
    { path: '/', answer: document },
    { path: '/api/session', method: 'POST', answer: enter },
  ]
}

const shownMetrics = /^tokenweir\.(budget|ledger|spool|recorder|exchanges|log|sink|caller\.unknown|label_overflow|requests\.malformed)/

/** The sidecar's own metrics by name: the sums of their series, with labels. */
function ownMetrics(families: readonly Family[]): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const family of families) {
    if ('sums' in family && shownMetrics.test(family.name)) found[family.name] = family.sums.map(({ labels, value }) => ({ labels, value }))
  }
  return found
}
