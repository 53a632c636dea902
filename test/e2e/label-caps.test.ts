/** Made-up models and keys by the thousand leave the running product's metrics bounded (PAINS 30, T9). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startProduct } from './product.ts'
import { chat, startChatUpstream } from './upstream.ts'

const requests = 1500
const labelValues = 20

it('series stay bounded, the rest is `other`, and how often that was is counted', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'c.yaml'), `limits: { labelValues: ${labelValues} }\n`)
  const upstream = await startChatUpstream()
  const product = await startProduct({ upstream: upstream.url, capture: 'observe', env: { TOKENWEIR_CONFIG: join(folder, 'c.yaml') } })
  onTestFinished(async () => void (await product.stop('SIGKILL')))

  async function ask(from: number, to: number): Promise<void> {
    const one = async (index: number) => {
      const headers = { authorization: `Bearer sk-${index}` }
      await (await fetch(`${product.url}/v1/chat/completions`, { ...chat(`model-${index}`), headers })).text()
    }
    for (let index = from; index < to; index += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => one(index + k)))
    await product.closedRows(to)
  }
  const scrape = async () =>
    (await (await fetch(`${product.adminUrl}/metrics`)).text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const values = (lines: readonly string[], label: string) => new Set(lines.flatMap((line) => line.match(`${label}="([^"]*)"`)?.[1] ?? []))
  const valueAt = (lines: readonly string[], start: string) =>
    Number(
      lines
        .find((line) => line.startsWith(start))
        ?.split(' ')
        .at(-1),
    )

  await ask(0, 100)
  // The health of upstreams is told once a second, and has its series from then on.
  await expect.poll(async () => (await scrape()).some((line) => line.startsWith('tokenweir_upstream_last_success'))).toBe(true)
  const early = await scrape()
  await ask(100, requests)
  const late = await scrape()

  expect(late.length).toBe(early.length)
  for (const label of ['gen_ai_request_model', 'caller']) {
    expect(values(late, label).size).toBe(labelValues + 1)
    expect(values(late, label)).toContain('other')
  }
  expect(valueAt(late, 'tokenweir_label_overflow_total{label="caller"}')).toBe(requests - labelValues)
  expect(valueAt(late, 'tokenweir_label_overflow_total{label="gen_ai.request.model"}')).toBe(requests - labelValues)
  expect(valueAt(late, 'tokenweir_caller_requests_total{caller="other",end_reason="completed"}')).toBe(requests - labelValues)
  expect(valueAt(late, 'tokenweir_caller_tokens_total{caller="other",token_type="input"}')).toBe((requests - labelValues) * 11)
  const rows = product.ledgerRows()
  expect([new Set(rows.map((row) => row['caller'])).size, new Set(rows.map((row) => row['request_model'])).size]).toEqual([
    requests,
    requests,
  ])
})
