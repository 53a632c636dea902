/**
 * What an answer cost. The operator's own prices stand over everything; then what the provider itself reports, which is the truth of its
 * bill; then the table of public prices. What none of them knows is unpriced, which is not zero.
 */
import type { ModelPrice } from '../../config/config.ts'
import type { Cost, Exchange } from '../../lib/exchange.ts'
import { createCustomPrices } from './custom.ts'
import { costBy, type Plan } from './plan.ts'
import { loadPriceTable, type PriceTable } from './table.ts'

export interface Pricer {
  /** Loads the table. Until then, and when it rejects, only custom and reported costs are known. */
  load(): Promise<void>
  /** Undefined where no cost is due: no inference, refused, an answer that never carries usage. Never throws. */
  costOf(exchange: Exchange): Cost | undefined
}

export interface PricerOptions {
  readonly prices: readonly ModelPrice[]
  readonly loadTable?: () => Promise<PriceTable>
}

const unpriced: Cost = { status: 'unpriced' }

/** Models are whatever clients type. So many are remembered before all are forgotten, and longer names are not looked up. */
const modelsMax = 4096
const modelCharsMax = 256

/** Tiers of service that are billed otherwise than the table says: half, double, or by the hour. */
const otherwiseBilled = /^(batch|fast|flex|performance|priority|provisioned|reserved|scale)/i

interface Resolved {
  readonly custom: Plan | undefined
  readonly table: Plan | undefined
  /** Minute since the epoch for which it was found; undefined when it does not change. */
  readonly minute: number | undefined
}

export function createPricer({ prices, loadTable = loadPriceTable }: PricerOptions): Pricer {
  const findCustom = createCustomPrices(prices)
  const known = new Map<string, Resolved>()
  let table: PriceTable | undefined

  function resolve({ opening, provider, request, response }: Exchange): Resolved {
    const key = `${provider}\n${response?.model}\n${request?.model}`
    const minute = Math.floor(opening.startedAt / 60_000)
    const before = known.get(key)
    if (before !== undefined && (before.minute === undefined || before.minute === minute)) return before
    const models = [response?.model, request?.model].filter((model) => model !== undefined && model.length <= modelCharsMax)
    const custom = findCustom(provider, models)
    const found = custom !== undefined || provider === undefined ? undefined : table?.find(provider, models, opening.startedAt)
    const resolved = { custom, table: found?.plan, minute: found?.changes === true ? minute : undefined }
    if (known.size >= modelsMax) known.clear()
    known.set(key, resolved)
    return resolved
  }

  function costOf(exchange: Exchange): Cost | undefined {
    const reported = exchange.response?.reportedCostUsd
    if (!exchange.inference || (exchange.usageOutcome === undefined && reported === undefined)) return undefined
    const plans = resolve(exchange)
    if (plans.custom !== undefined) return byPlan(plans.custom, exchange, 'custom')
    if (reported !== undefined) return { status: reported === 0 ? 'free' : 'priced', usd: reported, source: 'reported' }
    if (plans.table === undefined || isOtherwiseBilled(exchange)) return unpriced
    return byPlan(plans.table, exchange, 'table')
  }

  return {
    async load() {
      table = await loadTable()
      known.clear()
    },
    costOf(exchange) {
      try {
        return costOf(exchange)
      } catch {
        return unpriced
      }
    },
  }
}

function byPlan(plan: Plan, { response }: Exchange, source: 'custom' | 'table'): Cost {
  if (plan.isFree) return { status: 'free', usd: 0, source }
  const usd = response?.usage === undefined ? undefined : costBy(plan, response.usage)
  return usd === undefined ? unpriced : { status: 'priced', usd, source }
}

function isOtherwiseBilled({ request, response }: Exchange): boolean {
  return otherwiseBilled.test(response?.serviceTier ?? request?.serviceTier ?? '')
}
