/**
 * What span and log record say of an exchange and no column holds, as one JSON text in the column `details`: so a span that is made of its row,
 * after an outage or a kill, equals the one that would have been made at once.
 */
import type { EndedResponse, Exchange, RequestFacts } from '../lib/exchange.ts'
import { object, parseJson } from '../lib/json.ts'

/** Settings that the request names: temperature, seed, stop sequences, tier, … */
type RequestSettings = Omit<RequestFacts, 'operation' | 'usageExpected' | 'usageRequested' | 'model'>

export interface Details {
  readonly request?: RequestSettings
  readonly response?: { readonly serviceTier?: string | undefined; readonly systemFingerprint?: string | undefined }
  /** An empty list, which the column cannot tell from none. */
  readonly finishReasons?: readonly string[]
  /** The last responses of a WebSocket, and when each ended in milliseconds after the start. */
  readonly responses?: readonly EndedResponse[]
  readonly responseEndMs?: readonly number[]
  /** Why an upstream could not be reached or broke off. */
  readonly message?: string
  /** The caller's tracestate, where the span links to the caller's. */
  readonly linkTraceState?: string
  /** When the sidecar was last known to have lived, of a request whose end nobody saw, in milliseconds after its start. */
  readonly endMs?: number
}

/** Undefined when there is nothing to tell. */
export function detailsOf(exchange: Exchange): string | undefined {
  const { opening, ending, request, response } = exchange
  const details: { -readonly [Key in keyof Details]: Details[Key] } = {}
  if (request !== undefined) {
    const { operation, usageExpected, usageRequested, model, ...settings } = request
    if (hasValue(settings)) details.request = settings
  }
  if (response?.serviceTier !== undefined || response?.systemFingerprint !== undefined) {
    details.response = { serviceTier: response.serviceTier, systemFingerprint: response.systemFingerprint }
  }
  if (response?.finishReasons?.length === 0) details.finishReasons = []
  const last = response?.responses?.last
  if (last !== undefined && last.length > 0) {
    details.responses = last
    if (ending.session !== undefined) details.responseEndMs = ending.session.responseEndMs
  }
  if ('message' in ending.outcome && ending.outcome.message !== undefined) details.message = ending.outcome.message
  if (opening.link?.traceState !== undefined) details.linkTraceState = opening.link.traceState
  if (exchange.endUnseen === true) details.endMs = ending.endMs
  return hasValue(details) ? JSON.stringify(details) : undefined
}

function hasValue(of: object): boolean {
  for (const value of Object.values(of)) if (value !== undefined) return true
  return false
}

/** Of the column; empty where it says nothing, or nothing that can be read. */
export function detailsIn(text: unknown): Details {
  return typeof text === 'string' ? ((object(parseJson(text)) as Details | undefined) ?? {}) : {}
}
