/** The tables of prices while they are in use. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createPricer } from '../../src/conclude/pricing/pricer.ts'
import { loadPriceTable } from '../../src/conclude/pricing/table.ts'
import { watchPrices } from '../../src/recorder/prices.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

const dayMs = 86_400_000

async function watch({ file, date, now }: { file?: string; date?: () => string; now: () => number }) {
  const lines: string[] = []
  const meter = createMeter(Date.now)
  const real = createPricer({ prices: [], loadTable: () => loadPriceTable(file) })
  const pricer = date === undefined ? real : { load: async () => undefined, date }
  const { stop } = await watchPrices({ pricer, file, meter, report: (line) => lines.push(line), now, lookMs: 5 })
  onTestFinished(stop)
  const ageSeconds = () => {
    const family = meter.collect().find((one) => one.name === 'tokenweir.prices.age')
    return family !== undefined && 'sums' in family ? family.sums[0]?.value : undefined
  }
  return { lines, pricer: real, ageSeconds }
}

it('a table of more than 45 days is complained of once, also when it becomes so while it is in use', async () => {
  let days = 45
  const { lines, ageSeconds } = await watch({ date: () => '2026-11-28', now: () => Date.parse('2026-11-28') + days * dayMs })
  expect([lines, ageSeconds()]).toEqual([[], (45 * dayMs) / 1000])
  days = 46
  await expect.poll(() => lines.length).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(lines).toEqual([
    'The table of prices is 46 days old: costs may be wrong. Install a newer tokenweir, or name a newer table with pricesFile.',
  ])
})

it('the operator’s table is read again when it changes, and one that cannot be used changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-prices-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'prices.json')
  const write = (date: string) => writeFileSync(file, JSON.stringify({ date, rows: [] }))
  write('2999-01-01')
  const { lines, pricer } = await watch({ file, now: () => 0 })
  expect([pricer.date(), lines]).toEqual(['2999-01-01', []])
  write('2999-01-02, more bytes')
  await expect.poll(() => lines.length).toBe(1)
  expect([lines[0], pricer.date()]).toEqual([
    expect.stringMatching(/ cannot be used \(at date: .*\)\. The one before stays in effect\.$/),
    '2999-01-01',
  ])
  write('2999-01-02')
  await expect.poll(() => pricer.date()).toBe('2999-01-02')
  expect(lines.at(-1)).toMatch(/ was read again\.$/)
})

it('another table takes the place of the operator’s at once, and so does the same one when it has changed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-prices-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const [one, two] = [join(folder, 'one.json'), join(folder, 'two.json')]
  const write = (file: string, date: string) => writeFileSync(file, JSON.stringify({ date, rows: [] }))
  write(one, '2999-01-01')
  write(two, '2999-01-02')
  let file: string | undefined = one
  const pricer = createPricer({ prices: [], loadTable: () => loadPriceTable(file) })
  const watched = await watchPrices({ pricer, file, meter: createMeter(Date.now), report: () => undefined, now: () => 0, lookMs: 1e9 })
  onTestFinished(watched.stop)
  const use = async (next: string | undefined) => {
    file = next
    return [await watched.use(next), pricer.date()]
  }
  expect(await use(one)).toEqual([[], '2999-01-01'])
  expect(await use(two)).toEqual([[two], '2999-01-02'])
  write(two, '2999-01-03 ')
  expect(await use(two)).toEqual([[], '2999-01-02'])
  write(two, '2999-12-03')
  expect(await use(two)).toEqual([[two], '2999-12-03'])
  expect((await use(undefined))[1]).toMatch(/^20/)
})
