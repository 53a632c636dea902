/**
 * What an answer cost. The operator's own prices stand over everything; then what the provider or gateway itself reports, which is the truth of its
 * bill; then the table of public prices. What none of them knows for certain is unpriced, which is not zero.
 */
import type { ModelPrice } from '../../config/config.ts'
import type { Cost, Exchange, Usage } from '../../lib/exchange.ts'
import { billedUsage, isFreeVariant, queryOf } from './biller.ts'
import { createCustomPrices } from './custom.ts'
import { costBy, lacksPrice, type Plan } from './plan.ts'
import { type Found, loadPriceTable, type PriceTable, type Query } from './table.ts'

export interface Pricer {
  /**
   * Loads the tables. Until then, and when it rejects, only custom and reported costs are known. Called again, it reads the operator's table again; where
   * that cannot be used any more, it rejects with the reason and keeps the one before.
   */
  load(): Promise<void>
  /** YYYY-MM-DD: the day of the newest table; undefined until one is loaded. */
  date(): string | undefined
  /** Undefined where no cost is due: no inference, refused, an answer that never carries usage. Never throws. */
  costOf(exchange: Exchange): Cost | undefined
}

export interface PricerOptions {
  readonly prices: readonly ModelPrice[]
  readonly loadTable?: (() => Promise<PriceTable>) | undefined
}

const unpriced: Cost = { status: 'unpriced' }

/** Models are whatever clients type. So many combinations are remembered before all are forgotten. */
const rememberedMax = 4096

interface Remembered {
  readonly found: Found | undefined
  /** Minute since the epoch for which it was found; undefined when it does not change. */
  readonly minute: number | undefined
}

export function createPricer({ prices, loadTable = () => loadPriceTable() }: PricerOptions): Pricer {
  const findCustom = createCustomPrices(prices)
  const remembered = new Map<string, Remembered>()
  let table: PriceTable | undefined

  function find(query: Query): Found | undefined {
    const key = `${query.provider}\n${query.models.join('\n')}\n${query.tier}\n${query.place}\n${query.searchContext}\n${query.previewSearch}`
    const minute = Math.floor(query.at / 60_000)
    const before = remembered.get(key)
    if (before !== undefined && (before.minute === undefined || before.minute === minute)) return before.found
    const found = table?.find(query)
    if (remembered.size >= rememberedMax) remembered.clear()
    remembered.set(key, { found, minute: found === undefined || found.changes ? minute : undefined })
    return found
  }

  function byTable(exchange: Exchange): Cost {
    if (isFreeVariant(exchange)) return { status: 'free', usd: 0, source: 'table' }
    const query = queryOf(exchange)
    const found = query === undefined ? undefined : find(query)
    if (found === undefined) return unpriced
    const usage = billedUsage(exchange)
    if (found.plan.isFree) return { status: 'free', usd: 0, source: 'table' }
    if (usage === undefined || lacksPrice(found.plan, usage)) return unpriced
    return priced(found.plan, usage, found.factor, 'table')
  }

  function costOf(exchange: Exchange): Cost | undefined {
    const reported = exchange.response?.reportedCostUsd
    if (!exchange.inference || (exchange.usageOutcome === undefined && reported === undefined)) return undefined
    const custom = findCustom(exchange)
    if (custom !== undefined) {
      if (custom.isFree) return { status: 'free', usd: 0, source: 'custom' }
      return priced(custom, billedUsage(exchange), 1, 'custom')
    }
    if (reported !== undefined) return { status: reported === 0 ? 'free' : 'priced', usd: reported, source: 'reported' }
    return byTable(exchange)
  }

  return {
    async load() {
      table = await loadTable()
      remembered.clear()
    },
    date: () => table?.date,
    costOf(exchange) {
      try {
        return costOf(exchange)
      } catch {
        return unpriced
      }
    },
  }
}

function priced(plan: Plan, usage: Usage | undefined, factor: number, source: 'custom' | 'table'): Cost {
  const usd = usage === undefined ? undefined : costBy(plan, usage, factor)
  return usd === undefined ? unpriced : { status: 'priced', usd, source }
}
