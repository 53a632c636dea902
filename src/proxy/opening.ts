/** What is known of a request when its head has arrived. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'
import type { Opening } from '../exchange.ts'
import type { Ids } from '../ids.ts'
import { parseTraceparent, pickHeaders } from './headers.ts'
import type { Destination } from './routes.ts'

export interface OpeningOptions {
  readonly clock: Clock
  readonly ids: Ids
  /** Request headers copied into the opening, lower-case. */
  readonly observedHeaders: ReadonlySet<string>
}

/** A request target in absolute form (RFC 9112 §3.2.2) is turned into origin form; the route decides the upstream, not the client. */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/i.exec(target)
  const rest = absolute?.[1]
  if (rest === undefined) return target
  return rest.startsWith('/') ? rest : `/${rest}`
}

export function openingOf(
  request: IncomingMessage,
  target: string,
  destination: Destination | undefined,
  options: OpeningOptions,
): Opening {
  const { clock, ids } = options
  const parent = parseTraceparent(request.headers['traceparent'] as string | undefined)
  const startedAt = clock.epochAt(clock.now())
  const query = target.indexOf('?')
  return {
    id: ids.exchangeId(startedAt),
    traceId: parent?.traceId ?? ids.traceId(),
    spanId: ids.spanId(),
    parentSpanId: parent?.parentSpanId,
    traceFlags: parent?.flags ?? 1,
    traceState: parent === undefined ? undefined : (request.headers['tracestate'] as string | undefined),
    startedAt,
    method: request.method ?? 'GET',
    path: query < 0 ? target : target.slice(0, query),
    ...(request.headers.upgrade === undefined || query < 0 ? {} : { queryModel: modelOf(target.slice(query + 1)) }),
    route: destination?.route.name ?? 'none',
    serverAddress: destination?.address ?? '',
    serverPort: destination?.port ?? 0,
    routeProvider: destination?.route.provider,
    requestHeaders: pickHeaders(request.rawHeaders, options.observedHeaders),
  }
}

/** A longer name is none. */
const modelLengthMax = 256

/** OpenAI names the model of a Realtime connection in its query, Azure the deployment. */
function modelOf(query: string): string | undefined {
  const parameters = new URLSearchParams(query)
  const model = parameters.get('model') || parameters.get('deployment') || undefined
  return model !== undefined && model.length <= modelLengthMax ? model : undefined
}
