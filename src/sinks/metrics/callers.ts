/** Who calls how much. */
import type { Exchange } from '../../lib/exchange.ts'
import type { Counter, Meter } from '../../telemetry/meter.ts'
import { cellOf } from './cells.ts'

/** The cells of one caller. */
interface CallerCells {
  readonly requests: Map<string, Counter>
  readonly tokens: Map<string, Counter>
}

/** Also of requests that are no inference, and of usage that the caller reports itself: these counters are ours alone. */
export function createCallers(meter: Meter): (exchange: Exchange, caller: string | undefined) => void {
  const known = new Map<string, CallerCells>()
  return ({ endReason, response }, caller) => {
    if (caller === undefined) return
    let cells = known.get(caller)
    if (cells === undefined) known.set(caller, (cells = { requests: new Map(), tokens: new Map() }))
    cellOf(cells.requests, endReason, () => meter.counter('tokenweir.caller.requests', { caller, end_reason: endReason })).add(1)
    for (const [type, tokens] of [['input', response?.usage?.inputTokens] as const, ['output', response?.usage?.outputTokens] as const]) {
      if (tokens === undefined) continue
      cellOf(cells.tokens, type, () => meter.counter('tokenweir.caller.tokens', { caller, token_type: type })).add(tokens)
    }
  }
}
