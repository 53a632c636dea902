/** The documentation site as `npm run site` builds it: its links, and whether its search answers what people ask. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasChromium, launch, openTab, shoot, type Tab } from './chromium.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-site-'))
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2' }

let server: Server
let browser: Browser
let tab: Tab
let url: string

beforeAll(async () => {
  execFileSync(process.execPath, [join(root, 'node_modules/vitepress/bin/vitepress.js'), 'build', 'site', '--outDir', folder], {
    cwd: root,
    stdio: 'pipe',
  })
  server = createServer(({ url: path = '/' }, response) => {
    const file = join(folder, new URL(path.endsWith('/') ? `${path}index.html` : path, 'http://site').pathname)
    if (!existsSync(file)) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  if (!hasChromium) return
  browser = await launch()
  tab = await openTab(browser)
  await tab.page.goto(`${url}/`)
})
afterAll(async () => {
  await browser?.close()
  server?.close()
  rmSync(folder, { recursive: true })
})

const files = () => readdirSync(folder, { recursive: true }).map(String)

it('has a page for each document', () => {
  const pages = files().filter((name) => name.endsWith('.html') && name !== '404.html')
  const documents = readdirSync(join(root, 'docs'), { recursive: true }).map(String)
  const expected = documents.filter((name) => name.endsWith('.md')).map((name) => name.replace('README', 'index').replace(/md$/, 'html'))
  expect(pages.sort()).toEqual(expected.sort())
})

it('has no dead link, and no dead anchor', () => {
  const pages = new Map(
    files()
      .filter((name) => name.endsWith('.html'))
      .map((name) => [`/${name}`, readFileSync(join(folder, name), 'utf8')]),
  )
  const dead = [...pages].flatMap(([page, html]) =>
    [...html.matchAll(/<a [^>]*href="([^"]+)"/g)]
      .map(([, href]) => new URL(href as string, `http://site${page}`))
      .filter(({ host, pathname, hash }) => {
        if (host !== 'site') return false
        const target = pages.get(pathname.endsWith('/') ? `${pathname}index.html` : pathname)
        return target === undefined || (hash !== '' && !target.includes(`id="${decodeURIComponent(hash.slice(1))}"`))
      })
      .map(({ href }) => `${page}: ${href}`),
  )
  expect(dead).toEqual([])
})

describe.skipIf(!hasChromium)('the search answers', () => {
  it.each([
    ['my usage is zero', 'zero-usage'],
    ['two sidecars', 'recipes'],
    ['I have Datadog', 'destinations'],
    ['send traces to Langfuse', 'destinations'],
    ['I use Open WebUI', 'recipes/clients'],
    ['behind Kong', 'recipes'],
    ['where is my data stored', 'ledger'],
    ['how do I turn it off', 'recipes'],
    ['does it change my request', 'recipes'],
    ['cost is wrong', 'costs'],
    ['does it work with vLLM', 'recipes'],
    ['Kubernetes sidecar', 'recipes'],
    ['what is lost when it crashes', 'ledger'],
  ])('%s: %s', async (question, answer) => {
    const { page, problems } = tab
    await page.goto(`${url}/`)
    await page.locator('.VPNavBarSearch button').click()
    await page.locator('.VPLocalSearchBox input').fill(question)
    // The list is empty until the words are found in the index, which is fetched first.
    await page.locator('.VPLocalSearchBox .result').first().waitFor()
    const found = () => page.locator('.VPLocalSearchBox .result').evaluateAll((all) => all.map((each) => each.getAttribute('href')))
    await expect.poll(async () => (await found()).slice(0, 3).join(' '), { timeout: 20_000 }).toContain(`/${answer}.html`)
    if (question === 'two sidecars') await shoot(page, 'site-search', false)
    expect(problems).toEqual([])
  })
})
