/** Budgets of the running product over restarts and kills, against a sum over the ledger that knows nothing of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startProduct } from './product.ts'
import { chat, startChatUpstream } from './upstream.ts'

const budgets = `
labels: {team: "header:x-team"}
prices: [{model: made-up-1, input: 1000, output: 10000}]
budgets:
  - {name: all, period: month, timeZone: UTC, usd: 100, tokens: 1000}
  - {name: search, period: week, timeZone: Asia/Tokyo, where: {"label:team": search}, usd: 0.2}
`

it('What is spent is what the ledger has, after a kill and a restart too; the page and the API tell the same.', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-budgets-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'tokenweir.yaml'), budgets)
  const upstream = await startChatUpstream()
  const start = async () => {
    const product = await startProduct({
      ...{
        upstream: upstream.url,
        capture: 'observe',
        ledger: join(folder, 'ledger.db'),
        args: ['--config', join(folder, 'tokenweir.yaml')],
      },
    })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    return product
  }
  let count = 0
  const send = async (product: Awaited<ReturnType<typeof start>>, team: string) => {
    const response = await fetch(`${product.url}/v1/chat/completions`, {
      ...chat(),
      headers: { 'content-type': 'application/json', 'x-team': team },
    })
    await response.text()
    await product.closedRows(++count)
  }
  const told = async (product: Awaited<ReturnType<typeof start>>) => {
    const text = await (await fetch(`${product.adminUrl}/metrics`)).text()
    const spent = (budget: string, unit: string) =>
      Number(new RegExp(`^tokenweir_budget_spent\\{budget="${budget}",period="\\w+",budget_unit="${unit}"\\} (.*)$`, 'm').exec(text)?.[1])
    return { usd: spent('all', 'usd'), tokens: spent('all', 'tokens'), search: spent('search', 'usd') }
  }
  const summed = (product: Awaited<ReturnType<typeof start>>) => {
    const rows = product.ledgerRows()
    const sum = (of: typeof rows, ...columns: string[]) =>
      of.reduce((total, row) => columns.reduce((all, one) => all + Number(row[one] ?? 0), total), 0)
    const search = rows.filter((row) => JSON.parse(String(row['labels'])).team === 'search')
    return { usd: sum(rows, 'cost'), tokens: sum(rows, 'input_tokens', 'output_tokens'), search: sum(search, 'cost') }
  }
  const agree = async (product: Awaited<ReturnType<typeof start>>) => {
    const wanted = summed(product)
    const near = Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, expect.closeTo(value, 9)]))
    await expect.poll(() => told(product), { timeout: 30_000 }).toEqual(near)
    return wanted
  }

  const first = await start()
  for (const team of ['search', 'ads', 'search']) await send(first, team)
  // 11 tokens in for 0.011 USD, 7 out for 0.07 USD.
  expect(await agree(first)).toEqual({ usd: expect.closeTo(0.243), tokens: 54, search: expect.closeTo(0.162) })
  await first.stop('SIGKILL')
  const second = await start()
  await agree(second)
  for (const team of ['search', 'ads']) await send(second, team)
  expect(await agree(second)).toMatchObject({ tokens: 90 })
  const { metrics } = (await (await fetch(`${second.adminUrl}/api/state`)).json()) as { metrics: Record<string, { value: number }[]> }
  expect(metrics['tokenweir.budget.spent']?.map(({ value }) => value)).toContain(90)
  expect(await second.stop()).toBe(0)
  const third = await start()
  expect(await agree(third)).toMatchObject({ tokens: 90 })
})
