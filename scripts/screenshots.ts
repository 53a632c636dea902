/** `npm run screenshots`: the README's pictures of the live page, of the demo in Chromium, in light and in dark. */
import { spawn } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { launch, openTab } from '../test/browser/chromium.ts'

const root = resolve(import.meta.dirname, '..')
const folder = join(root, 'docs/images')
const bytesMax = 200_000
/** For plots that show more than the first round of requests. */
const trafficMs = 25_000

mkdirSync(folder, { recursive: true })
const demo = spawn(process.execPath, [join(root, 'bin/tokenweir.js'), 'demo', '--seconds', '600'], { stdio: ['ignore', 'pipe', 'inherit'] })
try {
  let said = ''
  for await (const part of demo.stdout.iterator({ destroyOnReturn: false })) {
    said += part
    if (/live page +http:\S+\n/.test(said)) break
  }
  const url = /live page +(http:\S+)/.exec(said)?.[1]
  if (url === undefined) throw new Error(`The demo did not start:\n${said}`)
  demo.stdout.resume()
  await setTimeout(trafficMs)
  const browser = await launch()
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await openTab(browser, { colorScheme, viewport: { width: 1280, height: 800 } })
    await page.goto(url)
    await page.locator('#requests-table tr[data-id]').first().waitFor({ state: 'attached' })
    await setTimeout(2000) // plots are drawn with the next second of traffic
    const path = join(folder, `live-page-${colorScheme}.png`)
    await page.screenshot({ path })
    const { size } = statSync(path)
    if (size > bytesMax) throw new Error(`${path} has ${size} bytes, more than ${bytesMax}: make the window smaller.`)
  }
  await browser.close()
} finally {
  demo.kill('SIGTERM')
}
