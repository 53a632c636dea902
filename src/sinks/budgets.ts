/**
 * What of each budget is spent: the ledger's own sum of the period at the start, and what is recorded from then on. Nothing is ever blocked by it.
 * Requests count where they began, as in `report`.
 */
import type { Budget } from '../config/config.ts'
import type { Condition, Field } from '../ledger/queries/queries.ts'
import { conditionsOf } from '../ledger/queries/where.ts'
import type { Exchange } from '../lib/exchange.ts'
import { periodAt } from '../lib/period.ts'
import type { Range } from '../lib/range.ts'
import type { Meter } from '../telemetry/meter.ts'
import type { Sink } from './sink.ts'

/** USD and tokens (input and output), as far as they are known. */
export interface Spent {
  readonly usd: number
  readonly tokens: number
}

export interface BudgetsOptions {
  readonly budgets: readonly Budget[]
  readonly meter: Meter
  /** What the rows of an earlier process spent in a range; those of this one are recorded here. */
  readonly spentBefore: (range: Range, where: readonly Condition[]) => Promise<Spent>
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** A forecast from less of the period than this says nothing. */
const forecastShareMin = 0.05

interface Account {
  readonly budget: Budget
  readonly where: readonly Condition[]
  readonly spentBefore: BudgetsOptions['spentBefore']
  period: Range
  usd: number
  tokens: number
  /** Until the ledger has told what was spent before, it is not known what is spent. */
  isKnown: boolean
}

export interface BudgetsSink extends Sink {
  /** The budgets from now on. One that is as before goes on; of the others, `spentBefore` is asked what the rows of now spent. */
  use(budgets: readonly Budget[], spentBefore: BudgetsOptions['spentBefore']): void
}

const units = ['usd', 'tokens'] as const
const seriesOf = ({ name, period }: Budget, unit: (typeof units)[number]) => ({ budget: name, period, budget_unit: unit })

export function createBudgets({ budgets: first, meter, spentBefore: asked, report, now }: BudgetsOptions): BudgetsSink {
  let accounts: readonly Account[] = []

  function use(budgets: readonly Budget[], spentBefore: BudgetsOptions['spentBefore']): void {
    const before = new Map(accounts.map((account) => [JSON.stringify(account.budget), account]))
    accounts = budgets.map((budget): Account => {
      const kept = before.get(JSON.stringify(budget))
      if (kept !== undefined) return kept
      const where = conditionsOf(Object.entries(budget.where).flatMap(([of, values]) => values.map((value) => `${of}=${value}`)))
      return { budget, where, spentBefore, period: periodAt(now(), budget.period, budget.timeZone), usd: 0, tokens: 0, isKnown: false }
    })
    const added = accounts.filter((account) => ![...before.values()].includes(account))
    for (const { budget } of before.values()) forget(budget)
    // One after the other: each is a pass over the rows of its period.
    void added.reduce((earlier, account) => earlier.then(() => load(account)), Promise.resolve())
  }

  /** Until it is shown again. */
  function forget(budget: Budget): void {
    for (const unit of units) {
      for (const what of ['limit', 'spent', 'forecast'] as const) meter.reading(`tokenweir.budget.${what}`, seriesOf(budget, unit)).forget()
    }
  }

  use(first, asked)
  meter.beforeCollect(() => {
    for (const account of accounts) show(account)
  })

  async function load(account: Account): Promise<void> {
    const { period } = account
    try {
      const before = await account.spentBefore(period, account.where)
      if (account.period !== period) return
      account.usd += before.usd
      account.tokens += before.tokens
      account.isKnown = true
    } catch (error) {
      report(`What was spent of the budget ${account.budget.name} is not known: ${(error as Error).message}`)
    }
  }

  /** Goes on to the period of now. */
  function turn(account: Account): void {
    const { budget, period } = account
    if (now() < period.untilMs && now() >= period.sinceMs) return
    const next = periodAt(now(), budget.period, budget.timeZone)
    Object.assign(account, { period: next, usd: 0, tokens: 0, isKnown: next.sinceMs >= period.untilMs })
    // A clock that went back: that period may hold rows.
    if (!account.isKnown) void load(account)
  }

  function show(account: Account): void {
    turn(account)
    const { budget, period, isKnown } = account
    const share = (now() - period.sinceMs) / (period.untilMs - period.sinceMs)
    for (const unit of units) {
      const limit = budget[unit]
      if (limit === undefined) continue
      const labels = seriesOf(budget, unit)
      meter.reading('tokenweir.budget.limit', labels).set(limit)
      const [spent, forecast] = [meter.reading('tokenweir.budget.spent', labels), meter.reading('tokenweir.budget.forecast', labels)]
      if (isKnown) spent.set(account[unit])
      else spent.forget()
      if (isKnown && share >= forecastShareMin) forecast.set(account[unit] / share)
      else forecast.forget()
    }
  }

  return {
    name: 'budgets',
    use,
    record({ ended }) {
      for (const account of accounts) turn(account)
      for (const exchange of ended) {
        const { startedAt } = exchange.opening
        for (const account of accounts) {
          const { sinceMs, untilMs } = account.period
          if (startedAt < sinceMs || startedAt >= untilMs || !account.where.every((one) => holds(one, exchange))) continue
          const { cost, response } = exchange
          if (cost !== undefined && cost.status !== 'unpriced') account.usd += cost.usd
          account.tokens += (response?.usage?.inputTokens ?? 0) + (response?.usage?.outputTokens ?? 0)
        }
      }
    },
    async close() {},
  }
}

function holds({ dimension, values }: Condition, exchange: Exchange): boolean {
  return values.includes(told(dimension, exchange) ?? null)
}

/** As the ledger's queries read it from the row. */
function told(dimension: Field, { provider, caller, opening, request, response, labels }: Exchange): string | undefined {
  switch (dimension) {
    case 'provider':
      return provider
    case 'model':
      return request?.model ?? response?.model
    case 'caller':
      return caller
    case 'route':
      return opening.route
    default:
      return labels?.[dimension.replace('label:', '')]
  }
}
