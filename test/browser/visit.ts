/** A stage, a tab on it, and how a test waits for what it shows. */
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import { hasChromium, launch, openTab, type Tab } from './chromium.ts'
import { type Stage, type StageOptions, startStage } from './stage.ts'

let browser: Browser
/** One browser for the tests of a file. */
export function useBrowser(): void {
  beforeAll(async () => {
    if (hasChromium) browser = await launch()
  })
  afterAll(() => browser?.close())
}

export async function setStage(options: StageOptions = {}): Promise<Stage> {
  const stage = await startStage(options)
  onTestFinished(() => stage.close())
  return stage
}

export async function visit(stage: Stage, options: Parameters<typeof openTab>[1] = {}, path = '/'): Promise<Tab> {
  const tab = await openTab(browser, options)
  onTestFinished(() => tab.page.context().close())
  await tab.page.goto(`${stage.url}${path}`)
  return tab
}

export const tile = (page: Page, id: string) => page.locator(`[data-tile="${id}"]`)
export const rows = (page: Page) => page.locator('#requests-table tr[data-id]')
export const live = (page: Page) => poll(() => page.locator('#connection-text').textContent()).toBe('Live')
export const text = (locator: Locator) => poll(async () => (await locator.textContent())?.replace(/\s+/g, ' ').trim())
export const choose = (page: Page, name: string, value: string) => page.locator(`input[name="${name}"][value="${value}"]`).check()

/** A bound for a busy machine, no measure of the page. */
export const poll = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 120_000, interval: 100 })

/** How much wider the page is than the window. */
export const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
