/** How an exchange ended, in the words of the record. Without facts, what the proxy path alone knows. Pure. */
import type { Ending, EndReason, ResponseFacts } from '../lib/exchange.ts'

/** A client that closes after the terminal event has had its whole answer; one that did not read it has not. */
export function endReasonOf({ outcome, drained }: Ending, response: ResponseFacts | undefined): EndReason {
  if (outcome.kind === 'answered') return 'completed'
  const isWhole = outcome.kind === 'client-aborted' && outcome.reason === undefined && response?.finished === true && drained === undefined
  return isWhole ? 'completed' : outcome.kind
}

export function errorTypeOf(ending: Ending, response: ResponseFacts | undefined): string | undefined {
  if (ending.outcome.kind === 'unreachable') return ending.outcome.reason
  if (ending.outcome.kind === 'client-aborted' && ending.outcome.reason !== undefined) return ending.outcome.reason
  if (ending.status !== undefined && ending.status >= 400) return String(ending.status)
  if (response?.error !== undefined) return response.error.type
  const close = ending.session?.close
  if (close?.by === 'upstream' && isFailure(close.code)) return `websocket_${close.code}`
  return ending.outcome.kind === 'upstream-aborted' ? 'upstream_aborted' : undefined
}

/** 1000 and 1001 are normal, and so is none (RFC 6455 §7.4.1). */
function isFailure(closeCode: number | undefined): boolean {
  return closeCode !== undefined && closeCode !== 1000 && closeCode !== 1001
}
