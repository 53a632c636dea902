/**
 * What an answer cost. The operator's own prices stand over everything; then what the provider or gateway itself reports, which is the truth of its
 * bill; then the table of public prices. What none of them knows for certain is unpriced, which is not zero.
 */
import type { ModelPrice } from '../../config/config.ts'
import type { Cost, Exchange, Usage } from '../../lib/exchange.ts'
import { type Bill, billedUsage, billOf, isSameBill, queryOf } from './biller.ts'
import { createCustomPrices } from './custom.ts'
import { cacheSavedBy, costBy, lacksPrice, type Plan } from './plan.ts'
import { type Found, loadPriceTable, type PriceTable } from './table.ts'

export interface Pricer {
  /**
   * Loads the tables. Until then, and when it rejects, only custom and reported costs are known. Called again, it reads the operator's table again; where
   * that cannot be used any more, it rejects with the reason and keeps the one before.
   */
  load(): Promise<void>
  /** The operator's own prices from now on. */
  use(prices: readonly ModelPrice[]): void
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

/** Models and tiers are whatever clients type. So many models, and bills of one, are remembered before all are forgotten. */
const modelsMax = 4096
const billsMax = 16

interface Remembered {
  readonly bill: Bill
  readonly found: Found | 'free' | undefined
  /** Minute since the epoch for which it was found; undefined when it does not change. */
  readonly minute: number | undefined
}

export function createPricer({ prices, loadTable = () => loadPriceTable() }: PricerOptions): Pricer {
  let findCustom = createCustomPrices(prices)
  /** By the model, of which few are billed in more than one way. */
  const remembered = new Map<string, Remembered[]>()
  let table: PriceTable | undefined

  function find(bill: Bill, at: number): Found | 'free' | undefined {
    const minute = Math.floor(at / 60_000)
    const list = rememberedOf(bill.answered ?? bill.requested ?? '')
    const index = list.findIndex((one) => isSameBill(one.bill, bill))
    const before = list[index]
    if (before !== undefined && (before.minute === undefined || before.minute === minute)) return before.found
    const query = queryOf(bill, at)
    const found = query === undefined || query === 'free' ? query : table?.find(query)
    const changes = found === undefined || (found !== 'free' && found.changes)
    if (index < 0 && list.length >= billsMax) list.length = 0
    list[index < 0 ? list.length : index] = { bill, found, minute: changes ? minute : undefined }
    return found
  }

  function rememberedOf(model: string): Remembered[] {
    const known = remembered.get(model)
    if (known !== undefined) return known
    if (remembered.size >= modelsMax) remembered.clear()
    const list: Remembered[] = []
    remembered.set(model, list)
    return list
  }

  function byTable(exchange: Exchange): Cost {
    const found = find(billOf(exchange), exchange.opening.startedAt)
    if (found === undefined) return unpriced
    if (found === 'free' || found.plan.isFree) return { status: 'free', usd: 0, source: 'table' }
    const usage = billedUsage(exchange)
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
    if (reported === 0) return { status: 'free', usd: 0, source: 'reported' }
    const table = byTable(exchange)
    return reported === undefined ? table : { status: 'priced', usd: reported, source: 'reported', cacheSavedUsd: savedOf(table, reported) }
  }

  return {
    async load() {
      table = await loadTable()
      remembered.clear()
    },
    use(next) {
      findCustom = createCustomPrices(next)
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
  if (usage === undefined || usd === undefined) return unpriced
  return { status: 'priced', usd, source, cacheSavedUsd: cacheSavedBy(plan, usage, factor) }
}

/** Gateways round, and add up in another order. */
const shareOffMax = 0.01

/** A cost that was reported does not say what plain input would have cost. Where the table comes to the same cost, its prices are the billed ones. */
function savedOf(table: Cost, reportedUsd: number): number | undefined {
  if (table.status !== 'priced') return undefined
  return Math.abs(table.usd - reportedUsd) <= reportedUsd * shareOffMax ? table.cacheSavedUsd : undefined
}
