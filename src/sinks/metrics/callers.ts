/** Who calls how much. */
import type { Exchange } from '../../lib/exchange.ts'
import type { Counter, Meter } from '../../telemetry/meter.ts'
import type { LabelCap } from '../label-cap.ts'
import { answeredOf } from './by-route.ts'
import { cellOf } from './cells.ts'

/** The cells of one caller. */
interface CallerCells {
  readonly requests: Map<string, Counter>
  readonly tokens: Map<string, Counter>
}

/** Also of requests that are no inference, and of usage that the caller reports itself: these counters are ours alone. */
export function createCallers(meter: Meter, cap: LabelCap): (exchange: Exchange) => void {
  const known = new Map<string, CallerCells>()
  return (exchange) => {
    const { endReason, response } = exchange
    const caller = cap.value('caller', exchange.caller, answeredOf(exchange))
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
