/** What is known of the health of an upstream: told, and never acted upon. */
import type { UnreachableReason } from './exchange.ts'

/** Why an upstream failed a request: it gave no response, broke off in one, or answered with a status of 5xx. */
export type FailureReason = Exclude<UnreachableReason, 'connect' | 'closed'> | 'refused' | 'reset' | '5xx'

/** Of one upstream since the start, for `/readyz`. Times are ISO 8601, durations milliseconds. */
export interface UpstreamState {
  readonly upstream: string
  /** When it last began a response with a status below 500. */
  readonly lastSuccess: string | undefined
  readonly lastFailure: { readonly at: string; readonly reason: FailureReason } | undefined
  readonly failures: Readonly<Partial<Record<FailureReason, number>>>
  /** Connections made; absent while there is none. */
  readonly connect: { readonly count: number; readonly meanMs: number; readonly maxMs: number } | undefined
  /** The last probe; absent where there is none. */
  readonly probe: { readonly at: string; readonly result: ProbeResult; readonly ms: number } | undefined
}

export type ProbeResult = 'success' | FailureReason

/** What has happened since it was last told, for the metrics. */
export interface UpstreamChange {
  /** Host and port: a metric label. */
  readonly upstream: string
  /** Milliseconds since the epoch. */
  readonly lastSuccessAt: number | undefined
  readonly failures: UpstreamState['failures']
  /** Connections by the time to make them: one count for each bucket. */
  readonly connects: readonly number[]
  readonly probes: Readonly<Partial<Record<ProbeResult, number>>>
}

/** As metrics name an upstream: address and port. */
export function upstreamLabel({ protocol, hostname, port }: URL): string {
  return `${hostname.replace(/^\[|\]$/g, '')}:${port || (protocol === 'https:' ? 443 : 80)}`
}
