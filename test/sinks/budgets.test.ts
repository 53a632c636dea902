import { describe, expect, it } from 'vitest'
import type { Budget } from '../../src/config/config.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import { createBudgets, type Spent } from '../../src/sinks/budgets.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf } from './exchange-of.ts'
import { samples } from './scrape.ts'

const hour = 3_600_000
const base = { where: {}, period: 'day', timeZone: 'UTC' } as const
const at = (text: string) => Date.parse(text)

async function scene(budgets: readonly Budget[], start: string, before: Spent | Error = { usd: 0, tokens: 0 }) {
  const clock = { now: at(start) }
  const asked: unknown[] = []
  const reports: string[] = []
  const meter = createMeter(() => clock.now)
  const sink = createBudgets({
    ...{ budgets, meter, now: () => clock.now, report: (sentence: string) => reports.push(sentence) },
    spentBefore: async (range, where) => {
      asked.push({ range, where })
      if (before instanceof Error) throw before
      return before
    },
  })
  const spend = (usd: number, more: Parameters<typeof exchangeOf>[0] = {}) => {
    const cost: Exchange['cost'] = { status: 'priced', usd, source: 'table' }
    const exchange = exchangeOf({ cost, response: { usage: { inputTokens: 10, outputTokens: 5 } }, ...more })
    sink.record({ opened: [], ended: [{ ...exchange, opening: { ...exchange.opening, startedAt: clock.now } }] })
  }
  const told = () =>
    Object.fromEntries(
      Object.entries(samples(meter, 'tokenweir_budget')).map(([name, value]) => [
        name.replace(/tokenweir_budget_(\w+)\{budget="(\w+)",period="\w+",budget_unit="(\w+)"\}/, '$2 $1 $3'),
        value,
      ]),
    )
  await expect.poll(() => asked.length).toBe(budgets.length)
  await new Promise(setImmediate)
  return { clock, asked, reports, spend, told, sink }
}

describe('a budget', () => {
  it('counts what the ledger has from before and what comes, in USD and tokens, and says where it leads', async () => {
    const { clock, spend, told, asked } = await scene([{ ...base, name: 'all', usd: 100, tokens: 1000 }], '2026-11-28T06:00:00Z', {
      ...{ usd: 8, tokens: 85 },
    })
    spend(2)
    clock.now += 6 * hour
    expect(told()).toEqual({
      ...{ 'all limit usd': 100, 'all spent usd': 10, 'all forecast usd': 20 },
      ...{ 'all limit tokens': 1000, 'all spent tokens': 100, 'all forecast tokens': 200 },
    })
    expect(asked).toEqual([{ range: { sinceMs: at('2026-11-28'), untilMs: at('2026-11-29') }, where: [] }])
  })

  it('counts only whose it is', async () => {
    const where = { provider: ['openai', 'anthropic'], 'label:team': ['search'], caller: ['c'], route: ['default'], model: ['gpt-4o'] }
    const { spend, told, asked } = await scene([{ ...base, name: 'some', where, usd: 9 }], '2026-11-28T12:00:00Z')
    const mine = { caller: 'c', labels: { team: 'search' } }
    spend(1, mine)
    spend(2, { ...mine, provider: 'anthropic' })
    for (const other of [
      { caller: 'd' },
      { provider: 'x' },
      { labels: { team: 'ads' } },
      { labels: undefined },
      { opening: { route: 'r' } },
    ]) {
      spend(4, { ...mine, ...other })
    }
    spend(4, { ...mine, request: { operation: 'chat', usageExpected: true, model: 'other' } })
    expect(told()).toMatchObject({ 'some spent usd': 3 })
    expect(asked).toMatchObject([{ where: Object.entries(where).map(([dimension, values]) => ({ dimension, values })) }])
  })

  it('begins anew with its period, and what had begun before belongs to the one before', async () => {
    const { clock, spend, told } = await scene(
      [{ ...base, period: 'month', name: 'm', timeZone: 'Europe/Berlin', usd: 9 }],
      '2026-11-30T22:00:00Z',
    )
    spend(5)
    expect(told()).toMatchObject({ 'm spent usd': 5 })
    clock.now = at('2026-11-30T22:59:59.999Z')
    spend(1)
    clock.now = at('2026-11-30T23:00:00Z')
    expect(told()).toEqual({ 'm limit usd': 9, 'm spent usd': 0 })
    spend(2, {})
    expect(told()).toMatchObject({ 'm spent usd': 2 })
  })

  it('does not count a request that began in another period', async () => {
    const { clock, told, sink } = await scene([{ ...base, name: 'd', usd: 9 }], '2026-11-28T00:00:01Z')
    const exchange = exchangeOf({ cost: { status: 'priced', usd: 3, source: 'table' } })
    sink.record({ opened: [], ended: [{ ...exchange, opening: { ...exchange.opening, startedAt: clock.now - 2000 } }] })
    expect(told()).toMatchObject({ 'd spent usd': 0 })
  })

  it('counts no cost that is not known, and an unreported count as nothing', async () => {
    const { spend, told } = await scene([{ ...base, name: 'd', usd: 9, tokens: 9 }], '2026-11-28T12:00:00Z')
    spend(1, { cost: { status: 'unpriced' }, response: {} })
    expect(told()).toMatchObject({ 'd spent usd': 0, 'd spent tokens': 0 })
  })

  it('whose past cannot be read says so, and is not told as if nothing was spent', async () => {
    const { spend, told, reports } = await scene([{ ...base, name: 'd', usd: 9 }], '2026-11-28T12:00:00Z', new Error('no disk'))
    spend(1)
    expect([told(), reports]).toEqual([{ 'd limit usd': 9 }, ['What was spent of the budget d is not known: no disk']])
  })
})

describe('budgets that change while they are in use', () => {
  it('go on where they are as before, are read from the ledger where not, and are told no more when they are gone', async () => {
    const kept = { ...base, name: 'kept', usd: 100 } as const
    const { clock, spend, told, sink } = await scene([kept, { ...base, name: 'gone', usd: 5 }], '2026-11-28T00:30:00Z', {
      usd: 8,
      tokens: 0,
    })
    spend(2)
    expect(told()).toMatchObject({ 'kept spent usd': 10, 'gone spent usd': 10 })
    const asked: unknown[] = []
    const answer = Promise.withResolvers<Spent>()
    sink.use([kept, { ...base, name: 'added', usd: 7 }], (range) => {
      asked.push(range)
      return answer.promise
    })
    expect(told()).toEqual({ 'kept limit usd': 100, 'kept spent usd': 10, 'added limit usd': 7 })
    spend(1)
    answer.resolve({ usd: 20, tokens: 0 })
    await expect.poll(told).toEqual({ 'kept limit usd': 100, 'kept spent usd': 11, 'added limit usd': 7, 'added spent usd': 21 })
    expect([asked.length, clock.now]).toEqual([1, at('2026-11-28T00:30:00Z')])
  })
})
