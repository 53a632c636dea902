/** The page as a place to explore: each interaction by mouse, with the keyboard and by touch. */
import { readFileSync } from 'node:fs'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { hasChromium, shoot, violations } from './chromium.ts'
import { nextId, trafficOver } from './stage.ts'
import { choose, live, overflow, poll, rows, setStage, text, tile, useBrowser, visit } from './visit.ts'

useBrowser()

const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
const ways = [
  ['mouse', {}],
  ['keyboard', {}],
  ['touch', phone],
] as const
type Way = (typeof ways)[number][0]

/** As somebody does it who uses nothing else. */
async function press(way: Way, target: Locator): Promise<void> {
  if (way === 'mouse') return target.click()
  if (way === 'touch') return target.tap()
  await target.focus()
  await target.press('Enter')
}

const requestsOf = (page: Page) => text(page.locator('#totals tfoot td').first())
const query = (page: Page) => new URL(page.url()).searchParams
const chips = (page: Page) =>
  poll(async () => (await page.locator('#chips li').allTextContents()).map((each) => each.replace(/^Remove the filter | ×$/g, '')))
const firstColumn = (page: Page) => poll(() => page.locator('#totals tbody th').allTextContents())

/** From one share of the plot's width to another. */
async function chooseOnPlot(way: Way, page: Page, from: number, to: number): Promise<void> {
  const over = page.locator('#plot-rate .u-over')
  await over.scrollIntoViewIfNeeded()
  const { x, y, width, height } = (await over.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
  const at = (share: number) => ({ x: x + width * share, y: y + height / 2 })
  if (way === 'mouse') {
    await page.mouse.move(at(from).x, at(from).y)
    await page.mouse.down()
    await page.mouse.move(at(to).x, at(to).y, { steps: 4 })
    await page.mouse.up()
  } else if (way === 'touch') {
    const debug = await page.context().newCDPSession(page)
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', share?: number) =>
      debug.send('Input.dispatchTouchEvent', { type, touchPoints: share === undefined ? [] : [at(share)] })
    await touch('touchStart', from)
    for (const step of [0.25, 0.5, 0.75, 1]) await touch('touchMove', from + (to - from) * step)
    await touch('touchEnd')
  } else {
    await page.locator('#plot-rate').focus()
    await page.keyboard.press('Home')
    for (let n = 0; n < 60; n++) await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Shift+End')
    await text(page.locator('#said')).toMatch(/Enter shows this range\.$/)
    await page.keyboard.press('Enter')
  }
}

describe.skipIf(!hasChromium)('the page explores', () => {
  it.each(ways)('a part of a plot, and comes back: %s', async (way, options) => {
    const stage = await setStage()
    stage.record([...trafficOver(3_500_000, 60, Date.now() - 7_200_000), ...trafficOver(600_000, 40)])
    const { page, problems } = await visit(stage, options, '/?since=6h')
    await requestsOf(page).toBe('100')
    await live(page)
    await poll(() => page.locator('#legend-tokens li').count()).toBe(5)
    await poll(() => page.locator('#state .part').count()).toBe(3)
    await chooseOnPlot(way, page, 0.85, 1)
    await requestsOf(page).toBe('40')
    expect([...query(page).keys()]).toEqual(['since', 'until'])
    await text(page.locator('#totals-range')).toMatch(/^\d+ \w+ \d{4}, \d\d:\d\d:\d\d.+\d\d:\d\d:\d\d$/)
    await poll(() => rows(page).count()).toBe(40)
    // What is over is not live.
    stage.record(trafficOver(1000, 3, Date.now() + 2000))
    await press(way, page.locator('#zoomed button', { hasText: 'Zoom out' }))
    await poll(() => page.locator('#zoomed').isVisible()).toBe(true)
    await page.goBack()
    await requestsOf(page).toBe('40')
    await page.goBack()
    await requestsOf(page).toBe('103')
    expect([page.url(), await page.locator('#zoomed').isVisible()]).toEqual([`${stage.url}/?since=6h`, false])
    await page.goForward()
    await requestsOf(page).toBe('40')
    await press(way, page.locator('#zoomed button', { hasText: 'Back to the last 6 hours' }))
    await requestsOf(page).toBe('103')
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it.each(ways)('a range from one moment to another, and refuses one that is empty: %s', async (way, options) => {
    const stage = await setStage()
    const from = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 3 * 86_400_000
    stage.record([...trafficOver(3_600_000, 20, from + 3_600_000), ...trafficOver(60_000, 5)])
    const { page, problems } = await visit(stage, { ...options, timezoneId: 'America/New_York' })
    await requestsOf(page).toBe('5')
    await press(way, page.locator('#custom summary'))
    const local = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
    const inNewYork = (ms: number) => page.evaluate(`(${local.toString()})(${ms})`) as Promise<string>
    await page.locator('#custom-to').fill(await inNewYork(from - 1000))
    await page.locator('#custom-from').fill(await inNewYork(from))
    await press(way, page.locator('#custom button'))
    await text(page.locator('#custom-problem')).toBe('From must be before To.')
    expect(await violations(page)).toEqual([])
    await page.locator('#custom-to').fill(await inNewYork(from + 3_700_000))
    await press(way, page.locator('#custom button'))
    await requestsOf(page).toBe('20')
    const iso = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')
    expect([query(page).get('since'), query(page).get('until')]).toEqual([iso(from), iso(from + 3_700_000)])
    await press(way, page.locator('#custom summary'))
    await page.keyboard.press('Escape')
    expect(await page.locator('#custom form').isVisible()).toBe(false)
    expect(problems).toEqual([])
  })

  it.each(ways)('rows and reasons as filters, which a link shares: %s', async (way, options) => {
    const stage = await setStage()
    stage.record(trafficOver(240_000, 300))
    const { page, problems } = await visit(stage, options)
    await requestsOf(page).toBe('300')
    await press(way, page.locator('#totals a.name', { hasText: 'anthropic' }))
    await chips(page).toEqual(['Provider: anthropic'])
    await firstColumn(page).toEqual(['claude-sonnet-4-5'])
    await requestsOf(page).toBe('60')
    await poll(async () => new Set(await page.locator('#requests-table td.provider').allTextContents())).toEqual(new Set(['anthropic']))
    const reason = page.locator('#zero li').first()
    const streams = await reason.locator('.count').textContent()
    await press(way, reason.locator('a').first())
    await chips(page).toEqual(['Provider: anthropic', `Reason: ${query(page).getAll('where')[1]?.replace('reason=', '')}`, 'Remove all'])
    await poll(() => rows(page).count()).toBe(Number(streams))
    await poll(() => page.locator('#filter-outcome').inputValue()).toBe('zero')
    const other = await visit(stage, options, new URL(page.url()).search)
    await poll(() => rows(other.page).count()).toBe(Number(streams))
    await firstColumn(other.page).toEqual(['claude-sonnet-4-5'])
    await other.page.close()
    await press(way, page.locator('#chips button').first())
    await poll(() => query(page).getAll('where').length).toBe(1)
    await page.goBack()
    await page.goBack()
    await chips(page).toEqual(['Provider: anthropic'])
    await page.goBack()
    await requestsOf(page).toBe('300')
    await press(way, page.locator('#filter summary'))
    await page.locator('#filter-field').selectOption('status')
    await page.locator('#filter-value').fill('429')
    await press(way, page.locator('#filter button'))
    await chips(page).toEqual(['Status: 429'])
    await poll(async () => new Set(await page.locator('#requests-table .tag').allTextContents())).toEqual(new Set(['error 429']))
    await shoot(page, `filtered-${way}`)
    expect(await page.evaluate(overflow)).toBe(0)
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it.each(ways)('columns as an order, and the range before beside each number: %s', async (way, options) => {
    const stage = await setStage()
    const one = (model: string, inputTokens: number, startedAt: number) =>
      exchangeOf({
        opening: { id: nextId(), startedAt },
        request: { operation: 'chat', usageExpected: true, model },
        response: { usage: { inputTokens, outputTokens: 1 } },
        cost: { status: 'priced', usd: 1 / inputTokens, source: 'table' },
      })
    const [now, before] = [Date.now() - 120_000, Date.now() - 420_000]
    stage.record([one('a', 100, now), one('b', 200, now), one('c', 50, now), one('a', 80, before)])
    const { page, problems } = await visit(stage, options, '/?since=5m&by=model')
    await firstColumn(page).toEqual(['b', 'a', 'c'])
    for (const [column, names] of [
      ['cost', ['c', 'a', 'b']],
      ['cost', ['b', 'a', 'c']],
      ['name', ['a', 'b', 'c']],
    ] as const) {
      await press(way, page.locator(`#sort-totals-${column}`))
      await firstColumn(page).toEqual(names)
    }
    await poll(() => page.locator('#totals th[aria-sort]').getAttribute('aria-sort')).toBe('ascending')
    if (way === 'keyboard') expect(await page.evaluate('document.activeElement.id')).toBe('sort-totals-name')
    await press(way, page.locator('#sort-requests-input'))
    const inputs = () => page.locator('#requests-table tbody td:nth-child(6)').allTextContents()
    await poll(inputs).toEqual(['200', '100', '50'])
    await press(way, page.locator('#sort-requests-input'))
    await poll(inputs).toEqual(['50', '100', '200'])
    await press(way, page.locator('#compare'))
    await poll(() => page.locator('#totals tbody tr').first().locator('.change').allTextContents()).toEqual([
      '±0 %',
      '±0 %',
      '±0 %',
      '±0 %',
      '+25 %',
      '±0 %',
      '−20 %',
    ])
    await poll(() => page.locator('#totals tbody tr').nth(1).locator('.change').first().textContent()).toBe('new')
    await text(page.locator('[data-tile="cost"] + .than')).toBe('+180 %')
    expect(query(page).get('compare')).toBe('1')
    await page.goBack()
    await poll(() => page.locator('#totals .change').count()).toBe(0)
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('the range before as faint lines behind the plots', async () => {
    const stage = await setStage()
    stage.record(trafficOver(200_000, 100, Date.now() - 360_000))
    const until = new Date().toISOString()
    const since = new Date(Date.now() - 300_000).toISOString()
    const { page } = await visit(stage, {}, `/?since=${since}&until=${until}`)
    await poll(() => page.locator('#plot-rate canvas').count()).toBe(1)
    const plot = () => page.evaluate("document.querySelector('#plot-rate canvas').toDataURL()")
    const without = await plot()
    await page.locator('#compare').click()
    await poll(plot).not.toBe(without)
    await page.locator('#compare').click()
    await poll(plot).toBe(without)
  })

  it('what is shown as a file, whose cells no spreadsheet runs', async () => {
    const stage = await setStage()
    const bad = '=cmd|"calc"!A1'
    stage.record([
      ...trafficOver(60_000, 3),
      exchangeOf({ opening: { id: nextId(), startedAt: Date.now() - 1000 }, provider: 'openai', caller: bad }),
    ])
    const { page, problems } = await visit(stage, {}, '/?since=5m&by=caller')
    await poll(() => rows(page).count()).toBe(4)
    await requestsOf(page).toBe('4')
    await poll(() => page.locator('#plot-tokens canvas').count()).toBe(1)
    const save = async (where: string, kind: string) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.locator(`${where} [data-save="${kind}"]`).click()])
      return { name: download.suggestedFilename(), text: readFileSync((await download.path()) as string, 'utf8') }
    }
    const totals = await save('#totals-saves', 'csv')
    expect([totals.name, totals.text.split('\n')[0]]).toEqual([
      'tokenweir-totals.csv',
      'caller,requests,streams,errors,zeroUsage,input,output,cacheRead,reasoning,firstP50,firstP95,cost,cached,saved,speed',
    ])
    expect(totals.text).toContain(`"'=cmd|""calc""!A1",1,`)
    const requests = JSON.parse((await save('#requests-saves', 'json')).text)
    expect([requests.length, requests[0].caller]).toEqual([4, bad])
    for (const where of ['#plots-saves', '#heat-saves']) expect((await save(where, 'csv')).text.split('\n').length).toBeGreaterThan(50)
    expect(problems.filter((problem) => !problem.includes('blob:'))).toEqual([])
  })

  it('one request by its link, with copy buttons, filters and documents', async () => {
    const stage = await setStage()
    const id = nextId()
    stage.record([
      ...trafficOver(60_000, 5),
      exchangeOf({
        opening: { id, startedAt: Date.now() - 1000 },
        caller: 'ann',
        response: {},
        usageOutcome: 'missing',
        usageReason: 'not_requested',
      }),
    ])
    const { page, problems } = await visit(stage, { permissions: ['clipboard-read', 'clipboard-write'] }, `/?id=${id}`)
    const details = page.locator('#details')
    await text(details.locator('dt', { hasText: 'Caller' }).locator('+ dd')).toBe('ann')
    const clipboard = () => page.evaluate('navigator.clipboard.readText()')
    await details.getByRole('button', { name: 'Copy the request id' }).click()
    await poll(clipboard).toBe(id)
    await details.getByRole('button', { name: 'Copy the trace id' }).press('Enter')
    await poll(clipboard).toBe('0af7651916cd43dd8448eb211c80319c')
    await text(page.locator('#said')).toBe('Copied the trace id.')
    const [document] = await Promise.all([page.waitForEvent('popup'), details.locator('a.docs', { hasText: 'What to do' }).click()])
    await text(document.locator(':target')).toBe('`not_requested`')
    expect(await violations(document)).toEqual([])
    await document.close()
    await details.locator('a.filter', { hasText: 'ann' }).click()
    await poll(() => details.isVisible()).toBe(false)
    await chips(page).toEqual(['Caller: ann'])
    await poll(() => rows(page).count()).toBe(1)
    await rows(page).first().click()
    await poll(() => query(page).get('id')).toBe(id)
    await page.keyboard.press('Escape')
    await poll(() => query(page).get('id')).toBe(null)
    await chips(page).toEqual(['Caller: ann'])
    await page.getByRole('button', { name: 'Copy link' }).click()
    await poll(clipboard).toBe(page.url())
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it.each(ways)('hours of the week and distributions, each number by itself: %s', async (way, options) => {
    const stage = await setStage()
    // A Wednesday, 12:00 UTC.
    const noon = Date.UTC(2026, 10, 25, 12)
    stage.record(trafficOver(600_000, 50, noon + 600_000))
    const { page, problems } = await visit(
      stage,
      { ...options, timezoneId: 'Asia/Tokyo' },
      '/?since=2026-11-20T00:00:00Z&until=2026-11-27T00:00:00Z',
    )
    const some = page.locator('#heat td.some')
    await poll(() => some.count()).toBe(1)
    const bars = page.locator('#distributions figure').first().locator('li')
    await poll(() => bars.count()).toBeGreaterThan(3)
    if (way === 'keyboard') {
      await page.locator('#heat td[tabindex="0"]').focus()
      for (const key of ['ArrowDown', 'ArrowDown', ...Array(21).fill('ArrowRight')]) await page.keyboard.press(key)
    } else if (way === 'mouse') await some.hover()
    else await some.tap()
    await text(page.locator('#heat-said')).toMatch(/^Wednesday 21:00 to 22:00: 50 requests, [\d,]+ tokens, \$[\d.]+$/)
    await choose(page, 'heat', 'cost')
    await text(some.first()).toMatch(/^\$/)
    const said = page.locator('#distributions figure').first().locator('[role="status"]')
    if (way === 'keyboard') {
      await bars.first().focus()
      await page.keyboard.press('ArrowRight')
    } else if (way === 'mouse') await bars.nth(1).hover()
    else await bars.nth(1).tap()
    await text(said).toBe((await bars.nth(1).textContent()) ?? '')
    expect(await page.evaluate(overflow)).toBe(0)
    await shoot(page, `hours-${way}`)
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('200 providers, 5,000 models and 50,000 callers', async () => {
    const now = Date.now()
    const names = { providers: 200, models: 5000, callers: 50_000 }
    const stage = await setStage({ crowd: { rows: 50_000, ...names, sinceMs: now - 3_000_000, untilMs: now - 60_000 } })
    const { page, problems } = await visit(stage, {}, '/?since=1h&by=caller')
    await text(page.locator('#totals-place')).toBe('1 to 25 of 50,000')
    await poll(async () => (await page.locator('#totals tbody th').allTextContents()).slice(0, 2)).toEqual(['caller-49999', 'caller-49998'])
    await page.locator('#totals-on').click()
    await text(page.locator('#totals-place')).toBe('26 to 50 of 50,000')
    await poll(async () => (await page.locator('#totals tbody th').allTextContents())[0]).toBe('caller-49974')
    await page.locator('#totals-search').fill('caller-1234')
    await text(page.locator('#totals-place')).toBe('1 to 10 of 10, 50,000 in all')
    await choose(page, 'dimension', 'model')
    await text(page.locator('#totals-place')).toBe('1 to 25 of 5,000')
    await choose(page, 'dimension', 'provider')
    await text(page.locator('#totals-place')).toBe('1 to 25 of 200')
    await page.locator('#filter summary').click()
    await page.locator('#filter-field').selectOption('caller')
    await page.locator('#filter-value').fill('caller-4321')
    await poll(() => page.locator('#filter-values option').count()).toBe(10)
    await page.locator('#filter-value').press('Enter')
    await chips(page).toEqual(['Caller: caller-4321'])
    await text(page.locator('#totals-note')).toContain('No requests match the filters.')
    await page.locator('#chips button').click()
    await poll(() => page.locator('#totals tbody tr').count()).toBe(25)
    await poll(() => page.locator('#legend-tokens li').count()).toBe(9)
    await shoot(page, 'crowd')
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('where to point clients, where nothing was recorded', async () => {
    const stage = await setStage()
    const { page, problems } = await visit(stage, { permissions: ['clipboard-read', 'clipboard-write'] })
    await text(page.locator('#first dl')).toBe(
      'Address for clientshttp://127.0.0.1:4141 Copy the addressUpstreamhttp://gateway.example:8000/',
    )
    await page.getByRole('button', { name: 'Copy the command' }).click()
    await poll(() => page.evaluate('navigator.clipboard.readText()')).toMatch(
      /^curl http:\/\/127\.0\.0\.1:4141\/v1\/chat\/completions -H .+ -d '\{"model":.+\}'$/,
    )
    expect(await violations(page)).toEqual([])
    await live(page)
    stage.record(trafficOver(1000, 1))
    await poll(() => page.locator('#first').isVisible()).toBe(false)
    expect(problems).toEqual([])
  })

  it.each(['light', 'dark'] as const)(
    'everything at once without a fault, and on a phone what counts without scrolling: %s',
    async (colorScheme) => {
      const stage = await setStage()
      stage.record([...trafficOver(280_000, 200), ...trafficOver(280_000, 150, Date.now() - 300_000)])
      for (const [name, options] of [
        ['wide', {}],
        ['phone', phone],
      ] as const) {
        const { page, problems } = await visit(stage, { ...options, colorScheme }, '/?since=5m&compare=1&by=model&sort=cost')
        await live(page)
        await poll(() => page.locator('#totals .change').count()).toBeGreaterThan(20)
        for (const id of ['tokens', 'requests', 'errors', 'zero', 'cost']) {
          const { y, height } = (await tile(page, id).boundingBox()) ?? { y: Number.NaN, height: 0 }
          expect([name, id, y + height < (options.viewport?.height ?? 1000)]).toEqual([name, id, true])
        }
        await shoot(page, `compared-${name}-${colorScheme}`)
        await page.locator('#filter summary').click()
        expect({ name, problems, violations: await violations(page) }).toEqual({ name, problems: [], violations: [] })
        expect(await page.evaluate(overflow)).toBe(0)
        await shoot(page, `menu-${name}-${colorScheme}`, false)
      }
    },
  )
})
