/** Chromium for the tests, Debian's or the one that TOKENWEIR_CHROMIUM names; and what a page must never do, whatever the test is about. */
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const executablePath = process.env['TOKENWEIR_CHROMIUM'] ?? '/usr/bin/chromium'

export const hasChromium = existsSync(executablePath)
if (!hasChromium) {
  process.stderr.write(
    `\nTHE BROWSER TESTS ARE SKIPPED: there is no ${executablePath}. Install Debian's chromium, or name one with TOKENWEIR_CHROMIUM.\n\n`,
  )
}

const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A bound for a busy machine. */
const stepMsMax = 120_000

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath, args, timeout: stepMsMax })
}

export interface Tab {
  readonly page: Page
  /** Console errors, exceptions, requests that failed or left this machine. */
  readonly problems: string[]
}

export async function openTab(browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options })
  context.setDefaultTimeout(stepMsMax)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => problems.push(`exception: ${error.message}`))
  page.on('request', (request) => {
    if (!/^(http:\/\/127\.0\.0\.1:|data:)/.test(request.url())) problems.push(`left this machine: ${request.url()}`)
  })
  return { page, problems }
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

interface AxeWindow {
  readonly axe: {
    run(): Promise<{ violations: { id: string; impact: string | null; nodes: { target: string[]; failureSummary?: string }[] }[] }>
  }
}

/** What axe-core finds serious or critical, one line each. By way of the debugger, which no content policy holds up. */
export async function violations(page: Page): Promise<string[]> {
  const { readFileSync } = await import('node:fs')
  await page.evaluate(readFileSync(axe, 'utf8'))
  const found = await page.evaluate(() => (globalThis as unknown as AxeWindow).axe.run())
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary ?? ''}`))
}

const shots = join(process.env['TOKENWEIR_SCREENSHOTS'] ?? join(tmpdir(), 'tokenweir-screenshots'))

/** For people to look at. */
export async function shoot(page: Page, name: string, fullPage = true): Promise<void> {
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage })
}
