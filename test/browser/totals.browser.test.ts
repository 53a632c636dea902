/** The page, `tokenweir report`, `/api/summary` and the ledger itself say the same of the same range, with the real product. */
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { demoRequests } from '../../examples/sample-gateway/traffic.ts'
import type { Group, Summary } from '../../src/ledger/queries/queries.ts'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'
import { hasChromium, launch, openTab, shoot, violations } from './chromium.ts'

const root = resolve(import.meta.dirname, '../..')
const number = (value: number) => value.toLocaleString('en-US')

it.skipIf(!hasChromium)('the page, report and the ledger agree', async () => {
  const gateway = await startSampleGateway({ eventMs: 1 })
  onTestFinished(() => gateway.close())
  const product = await startProduct({ upstream: gateway.url })
  onTestFinished(async () => void (await product.stop()))
  const since = new Date(Date.now() - 60_000).toISOString()
  for (const { method, path, body } of demoRequests) {
    const headers = { 'content-type': 'application/json', authorization: 'Bearer demo' }
    await fetch(`${product.url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
      .then((response) => response.arrayBuffer())
      .catch(() => undefined) // cut answers are part of it
  }
  const rows = await product.closedRows(demoRequests.length)
  const until = new Date(Date.now() + 60_000).toISOString()

  const args = ['report', '--ledger', product.ledger, '--since', since, '--until', until, '--by', 'provider', '--json']
  const report = JSON.parse(
    execFileSync(process.execPath, [resolve(root, 'src/tokenweir.ts'), ...args], { env: cleanEnvironment(), encoding: 'utf8' }),
  )
  const answer = await fetch(`${product.adminUrl}/api/summary?since=${since}&until=${until}&by=provider`)
  const { total, breakdowns, zeroUsage } = (await answer.json()) as Summary
  expect({ total: report.total, groups: report.groups, zeroUsage: report.zeroUsage }).toEqual({
    total,
    groups: breakdowns[0]?.groups,
    zeroUsage,
  })

  const sum = (column: string) => rows.reduce((all, row) => all + Number(row[column] ?? 0), 0)
  expect([total.requests, total.errors, total.tokens.input.sum, total.tokens.output.sum, total.cost.usd]).toEqual([
    rows.length,
    rows.filter((row) => row['error_type'] !== null).length,
    sum('input_tokens'),
    sum('output_tokens'),
    Math.round(sum('cost') * 1e9) / 1e9,
  ])

  const browser = await launch()
  onTestFinished(() => browser.close())
  const { page, problems } = await openTab(browser)
  await page.goto(product.adminUrl)
  const cells = async (row: string) => (await page.locator(row).locator('td').allTextContents()).slice(0, 6)
  const shown = ({ requests, streams, errors, zeroUsage: zero, tokens: { input, output } }: Omit<Group, 'key'>) => [
    ...[requests, streams, errors, zero].map(number),
    ...[input, output].map(({ sum: count, unreported }) =>
      count === null ? '–not reported' : `${number(count)}${unreported > 0 ? '+' : ''}`,
    ),
  ]
  await expect.poll(() => cells('#totals tfoot tr'), { timeout: 120_000 }).toEqual(shown(total))
  const groups = breakdowns[0]?.groups ?? []
  expect(groups.length).toBeGreaterThan(2)
  for (const [index, group] of groups.entries()) expect(await cells(`#totals tbody tr:nth-child(${index + 1})`)).toEqual(shown(group))
  await shoot(page, 'product')
  expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
})
