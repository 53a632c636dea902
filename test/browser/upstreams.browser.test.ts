/** Upstreams and the settings in effect, as the page shows what `/readyz` tells. */
import { expect, it, onTestFinished } from 'vitest'
import { hasChromium, launch, openTab, violations } from './chromium.ts'
import { startStage } from './stage.ts'

it.skipIf(!hasChromium)('shows which upstream fails and why, and settings that could not be read again', async () => {
  const connect = { count: 2, meanMs: 3.25, maxMs: 4 }
  const ready = {
    upstreams: [
      { upstream: 'http://a.example', lastSuccess: '2026-11-28T12:00:02.000Z', failures: {}, connect },
      {
        ...{ upstream: 'http://b.example', lastSuccess: '2026-11-28T12:00:00.000Z', failures: { refused: 3, '5xx': 1 } },
        ...{ lastFailure: { at: '2026-11-28T12:00:01.000Z', reason: 'refused' } },
        probe: { at: '2026-11-28T12:00:01.000Z', result: 'timeout', ms: 1000 },
      },
      { upstream: 'http://c.example', failures: {} },
    ],
    configuration: { ok: false, problems: ['tokenweir.yaml:1:1: <b>wrong</b>.'], needsRestart: ['listen'] },
  }
  const stage = await startStage({ ready })
  onTestFinished(() => stage.close())
  const browser = await launch()
  onTestFinished(() => browser.close())
  const { page, problems } = await openTab(browser, {})
  await page.goto(stage.url)
  const texts = async () =>
    (await page.locator('#upstreams-list > *').allTextContents()).map((text) => text.replace(/(\d\d \w+ )?\d\d:\d\d:\d\d/g, 'then'))
  await expect
    .poll(texts, { timeout: 120_000 })
    .toEqual([
      ...['http://a.example', 'answers last success then · connects in 3.3 ms'],
      ...['http://b.example', 'fails last success then · failures: 3 refused, 1 5xx, the last then (refused) · probe then: timeout'],
      ...['http://c.example', 'not asked yet '],
    ])
  expect(await page.locator('#settings').textContent()).toBe(
    'The settings could not be read again; the old ones stay in effect. tokenweir.yaml:1:1: <b>wrong</b>. Needs a restart: listen.',
  )
  expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
})
