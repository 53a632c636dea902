/** What is known of a request when its head has arrived. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { TraceMode } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Opening } from '../lib/exchange.ts'
import type { Ids } from '../lib/ids.ts'
import type { ClientRequest } from './client.ts'
import { parseTraceparent, pickHeaders } from './headers.ts'
import type { Destination } from './routes.ts'

/** Who calls. The credentials in the headers go no further than this. */
export interface Callers {
  /** What can be told at once: a table's entry, or some microseconds of computing. */
  now(headers: IncomingHttpHeaders, target: string, socket?: Socket): string | undefined
  /** Calls back when something takes longer and then says more than `now` did. Never at once, perhaps never. */
  later?(headers: IncomingHttpHeaders, found: (caller: string | undefined, claims?: Opening['labelInputs']) => void, socket?: Socket): void
  /** What an earlier verification of the request's token says for labels. */
  claims?(headers: IncomingHttpHeaders): Opening['labelInputs']
}

export interface OpeningOptions {
  readonly clock: Clock
  readonly ids: Ids
  /** Request headers copied into the opening, lower-case. */
  readonly observedHeaders: ReadonlySet<string>
  /** What else of the request labels need; undefined when they need nothing. */
  readonly labelInputs?: ((headers: IncomingHttpHeaders, target: string) => Opening['labelInputs']) | undefined
  /** Absent when callers are not to be told apart. */
  readonly callers?: Callers | undefined
}

/** A request target in absolute form (RFC 9112 §3.2.2) is turned into origin form; the route decides the upstream, not the client. */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/i.exec(target)
  const rest = absolute?.[1]
  if (rest === undefined) return target
  return rest.startsWith('/') ? rest : `/${rest}`
}

export function openingOf(request: ClientRequest, target: string, destination: Destination | undefined, options: OpeningOptions): Opening {
  const { clock, ids } = options
  const startedAt = clock.epochAt(clock.now())
  // A fragment has no place in a request target (RFC 9112 §3.2); one that comes all the same is forwarded, and is in no record.
  const hash = target.indexOf('#')
  const written = hash < 0 ? target : target.slice(0, hash)
  const query = written.indexOf('?')
  const trace = traceOf(request.headers, destination?.route.trace ?? 'child', ids)
  // Each by its name: a spread costs more than all the rest of this literal.
  return {
    id: ids.exchangeId(startedAt),
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    traceFlags: trace.traceFlags,
    traceState: trace.traceState,
    link: trace.link,
    usageByCaller: trace.usageByCaller,
    startedAt,
    method: request.method ?? 'GET',
    path: query < 0 ? written : written.slice(0, query),
    queryModel: request.headers.upgrade === undefined || query < 0 ? undefined : modelOf(written.slice(query + 1)),
    route: destination?.route.name ?? 'none',
    serverAddress: destination?.address ?? '',
    serverPort: destination?.port ?? 0,
    routeProvider: destination?.route.provider,
    caller: options.callers?.now(request.headers, target, request.socket),
    labelInputs: options.labelInputs?.(request.headers, target),
    requestHeaders: pickHeaders(request.rawHeaders, options.observedHeaders),
  }
}

type Trace = Pick<Opening, 'traceId' | 'spanId' | 'parentSpanId' | 'traceFlags' | 'traceState' | 'link' | 'usageByCaller'>

/** Our place among the caller's spans: below the caller's, or in a trace of our own that points at it. */
function traceOf(headers: IncomingHttpHeaders, mode: TraceMode, ids: Ids): Trace {
  const usageByCaller = mode === 'no-usage' ? true : undefined
  const spanId = ids.spanId()
  const parent = parseTraceparent(headers['traceparent'] as string | undefined)
  if (parent === undefined) return { traceId: ids.traceId(), spanId, traceFlags: 1, usageByCaller }
  const { traceId, parentSpanId, flags } = parent
  const traceState = headers['tracestate'] as string | undefined
  if (mode !== 'link') return { traceId, spanId, parentSpanId, traceFlags: flags, traceState, usageByCaller }
  return { traceId: ids.traceId(), spanId, traceFlags: 1, link: { traceId, spanId: parentSpanId, traceFlags: flags, traceState } }
}

/** A longer name is none. */
const modelLengthMax = 256

/** OpenAI names the model of a Realtime connection in its query, Azure the deployment. */
function modelOf(query: string): string | undefined {
  const parameters = new URLSearchParams(query)
  const model = parameters.get('model') || parameters.get('deployment') || undefined
  return model !== undefined && model.length <= modelLengthMax ? model : undefined
}
