/** Whom tokens and cost are charged to: the caller, and the labels that are marked for metrics. */
import type { Exchange, Usage } from '../../lib/exchange.ts'
import { type LabelAttribute, labelAttribute } from '../../telemetry/catalog.ts'
import type { Counter, Labels, Meter } from '../../telemetry/meter.ts'
import { type LabelCap, otherValue } from '../label-cap.ts'
import { answeredOf } from './by-route.ts'
import type { Cells } from './cells.ts'

/** The counters of one operation, route and payer. */
interface Charges {
  readonly payer: Labels
  readonly route: string
  cost: Counter | undefined
  cacheSaved: Counter | undefined
  cacheLost: Counter | undefined
  /** In the order of `tokenTypes`. */
  readonly tokens: (Counter | undefined)[]
}

/** Of one operation, by route and payer. */
export type ChargesByPayer = Cells<Charges>

/** Of `tokenweir.tokens`, which is the same in both generations. */
const tokenTypes = [
  ['inputTokens', 'input'],
  ['outputTokens', 'output'],
  ['cacheReadTokens', 'cache_read'],
  ['cacheWriteTokens', 'cache_write'],
  ['reasoningTokens', 'reasoning'],
] as const satisfies readonly (readonly [keyof Usage, string])[]

const noCost: { readonly usd?: number; readonly cacheSavedUsd?: number } = {}

export interface ChargesOptions {
  readonly meter: Meter
  readonly cap: LabelCap
  /** Names of the labels that are marked for metrics. */
  readonly marked: () => readonly string[]
  /** Payers over all operations; those beyond are `other`, together. */
  readonly payersMax: number
}

export type Charge = (exchange: Exchange, caller: string | undefined, operation: Labels, charges: ChargesByPayer) => void

export function createCharges({ meter, cap, marked, payersMax }: ChargesOptions): Charge {
  let payers = 0

  function find(exchange: Exchange, caller: string | undefined, charges: ChargesByPayer): Charges {
    const { route } = exchange.opening
    const answered = answeredOf(exchange)
    const labels = marked().map((name): readonly [LabelAttribute, string | undefined] => {
      const attribute = labelAttribute(name)
      return [attribute, cap.value(attribute, exchange.labels?.[name], answered)]
    })
    const key = [route, caller, labels.length === 0 ? undefined : labels.flat().join('\n')]
    const found = charges.get(key)
    if (found !== undefined) return found
    const isOverflow = payers >= payersMax
    const other = (value: string | undefined) => (isOverflow && value !== undefined ? otherValue : value)
    const overflowKey = [route, '', '']
    const made: Charges = charges.get(isOverflow ? overflowKey : key) ?? {
      payer: Object.fromEntries([['caller', caller] as const, ...labels].map(([name, value]) => [name, other(value)])),
      route,
      cost: undefined,
      cacheSaved: undefined,
      cacheLost: undefined,
      tokens: [],
    }
    if (isOverflow) meter.counter('tokenweir.label_overflow', { label: 'caller' }).add(1)
    else payers++
    charges.set(isOverflow ? overflowKey : key, made)
    return made
  }

  return (exchange, caller, operation, byPayer) => {
    const { cost, response } = exchange
    const { usd, cacheSavedUsd } = cost === undefined || cost.status === 'unpriced' ? noCost : cost
    const usage = response?.usage
    if (usd === undefined && usage === undefined) return
    const charges = find(exchange, caller, byPayer)
    if (usd !== undefined) (charges.cost ??= meter.counter('tokenweir.cost', { ...operation, ...charges.payer })).add(usd)
    const paid = () => ({
      'gen_ai.provider.name': operation['gen_ai.provider.name'],
      'gen_ai.request.model': operation['gen_ai.request.model'],
      'http.route': charges.route,
      ...charges.payer,
    })
    if (cacheSavedUsd !== undefined) {
      ;(charges.cacheSaved ??= meter.counter('tokenweir.cache.saved', paid())).add(Math.max(0, cacheSavedUsd))
      ;(charges.cacheLost ??= meter.counter('tokenweir.cache.lost', paid())).add(Math.max(0, -cacheSavedUsd))
    }
    if (usage === undefined) return
    tokenTypes.forEach(([count, type], index) => {
      const reported = usage[count]
      if (reported === undefined) return
      charges.tokens[index] ??= meter.counter('tokenweir.tokens', { ...paid(), token_type: type })
      charges.tokens[index].add(reported)
    })
  }
}
