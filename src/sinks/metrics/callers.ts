/** Who calls how much. */
import type { Exchange } from '../../lib/exchange.ts'
import type { Counter, Meter } from '../../telemetry/meter.ts'
import { cellOf, createCells } from './cells.ts'

/** Also of requests that are no inference, and of usage that the caller reports itself: these counters are ours alone. */
export function createCallers(meter: Meter): (exchange: Exchange, caller: string | undefined) => void {
  const requests = createCells<Counter>()
  const tokens = createCells<Counter>()

  function count(caller: string, type: string, reported: number | undefined): void {
    if (reported === undefined) return
    cellOf(tokens, [caller, type], () => meter.counter('tokenweir.caller.tokens', { caller, token_type: type })).add(reported)
  }

  return ({ endReason, response }, caller) => {
    if (caller === undefined) return
    cellOf(requests, [caller, endReason], () => meter.counter('tokenweir.caller.requests', { caller, end_reason: endReason })).add(1)
    count(caller, 'input', response?.usage?.inputTokens)
    count(caller, 'output', response?.usage?.outputTokens)
  }
}
