/** The live page in a real browser: every view, with data and without, and what it must bear. */
import type { Page } from 'playwright-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { hasChromium, shoot, violations } from './chromium.ts'
import { nextId, startStage, trafficOf, trafficOver } from './stage.ts'
import { choose, live, overflow, poll, rows, setStage, text, tile, useBrowser, visit } from './visit.ts'

useBrowser()

/** Where everything stands that must not move. */
const standing = `[...document.querySelectorAll('.tile, .card, .plot, h2')].map((each) => {
  const { x, y, width, height } = each.getBoundingClientRect()
  return [each.id, x, y, width, height].join(' ')
})`

/** CPU time of the page's own thread so far, in seconds: other work on this machine does not count. */
async function threadSeconds(page: Page): Promise<() => Promise<number>> {
  const debug = await page.context().newCDPSession(page)
  await debug.send('Performance.enable', { timeDomain: 'threadTicks' })
  return async () => (await debug.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN
}

/** Whether a plot has a pixel of exactly that colour: `rgb(1, 2, 3)`. */
const isDrawnIn = (page: Page, plot: string, colour: string) =>
  page.evaluate(`(() => {
    const plot = document.querySelector('#plot-${plot} canvas')
    const copy = new OffscreenCanvas(plot.width, plot.height).getContext('2d', { willReadFrequently: true })
    copy.drawImage(plot, 0, 0)
    const pixels = new Uint32Array(copy.getImageData(0, 0, plot.width, plot.height).data.buffer)
    const [red, green, blue] = '${colour}'.match(/\\d+/g)
    return pixels.includes(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0)
  })()`)

/** Two minutes ago, so that nothing leaves the range of five minutes while a test runs. */
const lately = 120_000
const recently = () => Date.now() - lately

describe.skipIf(!hasChromium)('the live page', () => {
  it.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
  ] as const)('shows every view with data without a fault: %s', async (name, options) => {
    const stage = await setStage()
    stage.record(trafficOver(lately, 600))
    const { page, problems } = await visit(stage, options)
    await live(page)
    await poll(() => rows(page).count()).toBe(200)
    await text(page.locator('#totals tfoot th')).toBe('Total')
    await text(page.locator('#totals tfoot td').first()).toBe('600')
    await poll(() => page.locator('#plot-tokens canvas').count()).toBe(1)
    await poll(() => page.locator('#state .part').count()).toBe(3)
    await text(page.locator('#state dt', { hasText: 'Table of prices' }).locator('+ dd')).toBe('2026-11-28')
    expect(await page.evaluate(overflow)).toBe(0)
    await shoot(page, name)
    expect({ violations: await violations(page), problems }).toEqual({ violations: [], problems: [] })
  })

  it('shows each dimension and each range', async () => {
    const stage = await setStage()
    stage.record([...trafficOver(lately, 90), ...trafficOver(lately, 60, Date.now() - 5 * 86_400_000)])
    const { page, problems } = await visit(stage)
    for (const dimension of ['model', 'caller', 'route', 'outcome', 'reason', 'provider']) {
      await choose(page, 'dimension', dimension)
      await text(page.locator('#totals thead th').first()).toContain(dimension[0]?.toUpperCase() + dimension.slice(1))
      await text(page.locator('#totals tfoot td').first()).toBe('90')
    }
    for (const [range, requests] of [
      ['15m', '90'],
      ['1h', '90'],
      ['6h', '90'],
      ['24h', '90'],
      ['7d', '150'],
      ['30d', '150'],
    ] as const) {
      await choose(page, 'range', range)
      await text(page.locator('#totals tfoot td').first()).toBe(requests)
      await poll(() => rows(page).count()).toBe(Number(requests))
    }
    expect(problems).toEqual([])
  })

  it('says what to do where there is nothing, and shows what is unknown as such', async () => {
    const stage = await setStage()
    const { page, problems } = await visit(stage)
    await live(page)
    await text(page.locator('#requests-table .nothing')).toContain('No requests in this range yet. Send one through tokenweir')
    await text(page.locator('#totals-note')).toContain('No requests in this range. Choose a longer one')
    await text(page.locator('#zero')).toBe('No streams in this range.')
    await text(tile(page, 'cost')).toBe('–')
    await text(tile(page, 'first')).toBe('–')
    await text(tile(page, 'zero')).toBe('–')
    await shoot(page, 'empty')
    stage.record([
      exchangeOf({
        opening: { id: nextId(), startedAt: recently() },
        response: { model: 'm' },
        usageOutcome: 'missing',
        usageReason: 'not_requested',
        cost: { status: 'unpriced' },
      }),
    ])
    await poll(() => rows(page).count()).toBe(1)
    const cells = await rows(page).first().locator('td').allTextContents()
    expect(cells.slice(3)).toEqual([
      '–nobody could tell',
      'missing: not_requested',
      '–not reported',
      '–not reported',
      '–not known',
      '50 ms',
      '261 ms',
    ])
    await text(page.locator('#totals tfoot tr')).toBe(
      'Total1101–not reported–not reported–not reported–not reported50 ms50 ms–not known–not reported–not known–not measured',
    )
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('shows requests as they end, and stands still while somebody reads', async () => {
    const stage = await setStage()
    stage.record(trafficOver(lately, 5))
    const { page } = await visit(stage)
    await live(page)
    await poll(() => rows(page).count()).toBe(5)
    stage.record([trafficOf(2, recently())])
    await poll(() => rows(page).count()).toBe(6)
    await page.locator('#hold').click()
    stage.record([trafficOf(4, recently())])
    await text(page.locator('#requests-count')).toContain('1 new ones wait')
    expect(await rows(page).count()).toBe(6)
    await page.locator('#hold').click()
    await page.mouse.move(5, 5)
    await poll(() => rows(page).count()).toBe(7)
  })

  it('says that it is stale, and comes back by itself', async () => {
    const stage = await setStage()
    stage.record(trafficOver(lately, 20))
    const { page } = await visit(stage)
    await live(page)
    await text(page.locator('#totals tfoot td').first()).toBe('20')
    await poll(() => rows(page).count()).toBe(20)
    await poll(() => page.locator('#state .part').count()).toBe(3)
    await stage.leave()
    await text(page.locator('#connection-text')).toMatch(/^Stale since \d\d:\d\d:\d\d, trying again$/)
    await text(page.locator('#said')).toBe('The connection is lost: what is shown is no longer live.')
    await shoot(page, 'stale')
    expect(await violations(page)).toEqual([])
    const again = await startStage({ port: stage.port })
    onTestFinished(() => again.close())
    again.record(trafficOver(lately, 3))
    await poll(() => page.locator('#connection-text').textContent()).toBe('Live')
    await text(page.locator('#said')).toBe('Live again.')
    await poll(() => rows(page).count()).toBe(3)
  })

  it('bears 50 providers, long names and names that run from right to left', async () => {
    const stage = await setStage()
    const rtl = 'نموذج-لغوي-كبير/gpt'
    const long = `an-organisation-with-a-long-name/${'model-'.repeat(30)}v1`
    const many = Array.from({ length: 50 }, (_, n) =>
      exchangeOf({
        opening: { id: nextId(), startedAt: recently() + n },
        provider: `provider-${String(n).padStart(2, '0')}`,
        request: {
          operation: 'chat',
          usageExpected: true,
          model: n === 49 ? rtl : n === 48 ? long : n === 47 ? '<img src=x onerror=alert(1)>' : `m${n}`,
        },
        caller: n === 48 ? long : `team-${n}`,
      }),
    )
    stage.record(many)
    const { page, problems } = await visit(stage)
    await text(page.locator('#totals-place')).toBe('1 to 25 of 50')
    await page.locator('#totals-size').selectOption('100')
    await poll(() => page.locator('#totals tbody tr').count()).toBe(50)
    const looks = await page.locator('#totals .swatch').evaluateAll((all) => all.map((swatch) => swatch.getAttribute('style')))
    expect([looks.length, new Set(looks).size]).toEqual([50, 32])
    await poll(() => page.locator('#legend-tokens li').count()).toBe(9)
    const inLegend = await page.locator('#legend-tokens .swatch').evaluateAll((all) => all.map((swatch) => swatch.getAttribute('style')))
    expect([new Set(inLegend).size, looks]).toEqual([9, expect.arrayContaining(inLegend.slice(0, 8))])
    await text(page.locator('#legend-tokens li').last()).toMatch(/^all others/)
    await poll(() => rows(page).count()).toBe(50)
    expect(await page.locator('#requests-table bdi', { hasText: rtl }).count()).toBe(1)
    expect(await page.locator('img').count()).toBe(0)
    await choose(page, 'dimension', 'model')
    await poll(() => page.locator('#totals tbody tr').count()).toBe(50)
    await shoot(page, 'many')
    expect(await page.evaluate(overflow)).toBe(0)
    await rows(page).nth(1).click()
    await text(page.locator('#details-title')).toContain(long)
    expect(await page.locator('#details').evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth)).toBe(0)
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('draws providers beyond the eighth in dashes, in the legend too, also those that an earlier visit gave the colour of another', async () => {
    const stage = await setStage()
    stage.record(trafficOver(240_000, 300))
    const stored = Object.fromEntries([...'abcdefgh', 'openai', 'anthropic'].map((name, look) => [name, look % 8]))
    const localStorage = [{ name: 'tokenweir.colours', value: JSON.stringify(stored) }]
    const { page, problems } = await visit(stage, { storageState: { cookies: [], origins: [{ origin: stage.url, localStorage }] } })
    await poll(() => page.locator('#legend-tokens .swatch.dashed').count()).toBe(5)
    const looks = await page.locator('#legend-tokens .swatch').evaluateAll((all) => all.map((swatch) => swatch.getAttribute('style')))
    expect(new Set(looks).size).toBe(5)
    await live(page)
    await poll(() => rows(page).count()).toBe(200)
    await poll(() => isDrawnIn(page, 'tokens', 'rgb(0, 114, 178)')).toBe(true)
    await shoot(page, 'dashes')
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('finds one of 10,000 requests, filters them, and pages through', async () => {
    const stage = await setStage()
    stage.record(trafficOver(3_000_000, 10_000))
    stage.record([exchangeOf({ opening: { id: nextId(), startedAt: recently(), path: '/v1/the-needle_100%' } })])
    const { page, problems } = await visit(stage)
    await choose(page, 'range', '1h')
    await text(page.locator('#totals tfoot td').first()).toBe('10,001')
    await poll(() => rows(page).count()).toBe(200)
    for (const count of [400, 600]) {
      await page.locator('#older').click()
      await poll(() => rows(page).count()).toBe(count)
    }
    const ids = await rows(page).evaluateAll((all) => all.map((row) => row.getAttribute('data-id')))
    expect(new Set(ids).size).toBe(600)
    await page.locator('#filter-text').fill('needle_100%')
    await poll(() => rows(page).count()).toBe(1)
    await page.locator('#filter-text').fill('nothing like it')
    await text(page.locator('#requests-table .nothing')).toBe('No requests match. Remove a filter, or choose a longer range.')
    await page.locator('#filter-text').fill('')
    await page.locator('#filter-outcome').selectOption('errors')
    await poll(async () => new Set(await page.locator('#requests-table .tag').allTextContents())).toEqual(new Set(['error 429']))
    await page.locator('#totals tbody a.name', { hasText: 'openai' }).click()
    await poll(async () => new Set(await page.locator('#requests-table td.provider').allTextContents())).toEqual(new Set(['openai']))
    expect(problems).toEqual([])
  })

  it('shows one request whole, with its trace behind a link', async () => {
    const stage = await setStage({ traceUrl: 'http://127.0.0.1:16686/trace/{traceId}' })
    stage.record([exchangeOf({ opening: { id: nextId(), startedAt: recently(), traceId: '0af7651916cd43dd8448eb211c80319c' } })])
    const { page, problems } = await visit(stage)
    await live(page)
    await rows(page).first().click()
    const details = page.locator('#details')
    await text(details).toContain('Request sent1.0 msResponse headers40 ms 39 ms laterFirst chunk50 ms 10 ms laterEnd261 ms 211 ms later')
    await text(details).toContain('Input20Output7Cache read–not reported')
    expect(await details.locator('a[target="_blank"]:not(.docs)').getAttribute('href')).toBe(
      'http://127.0.0.1:16686/trace/0af7651916cd43dd8448eb211c80319c',
    )
    expect(await page.locator('#details .times .stretch').evaluateAll((all) => all.map((each) => each.className))).toEqual(
      ['send', 'wait', 'begin', 'flow'].map((kind) => `stretch ${kind}`),
    )
    await shoot(page, 'details', false)
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('opens the request that the address names, with how fast it came and what caching saved', async () => {
    const stage = await setStage()
    const id = nextId()
    const cost = { status: 'priced', usd: 0.5, source: 'table', cacheSavedUsd: -0.25 } as const
    stage.record([exchangeOf({ opening: { id, startedAt: Date.now() - 86_400_000 }, timePerOutputTokenMs: 12.5, cost })])
    const { page, problems } = await visit(stage, {}, `/?id=${id}`)
    await text(page.locator('#details')).toMatch(/Saved by caching-\$0\.2500Output tokens per second80\.0 \(13 ms each\)/)
    await text(page.locator('#details')).toContain(id)
    expect(problems).toEqual([])
  })

  it('shows the times that are known of a request without an answer, and of one answered before it was sent on whole', async () => {
    const stage = await setStage()
    const unreached = { requestSentMs: undefined, responseHeadMs: undefined, firstChunkMs: undefined, endMs: 30 }
    const early = { requestSentMs: 900, responseHeadMs: 20, firstChunkMs: 25, endMs: 1000 }
    for (const [n, ending] of [early, unreached].entries())
      stage.record([exchangeOf({ opening: { id: nextId(), startedAt: recently() + n }, ending })])
    const { page } = await visit(stage)
    await poll(() => rows(page).count()).toBe(2)
    const shown = async (n: number) => {
      await rows(page).nth(n).click()
      await text(page.locator('#details h3').first()).toBe('Times')
      const bar = await page.locator('#details .times .stretch').evaluateAll((all) => all.map((each) => each.className.split(' ')[1]))
      const words = await page.locator('#details .pairs').first().textContent()
      await page.keyboard.press('Escape')
      return [bar, words]
    }
    expect(await shown(0)).toEqual([['wait'], 'Request sent–not recordedResponse headers–not recordedFirst chunk–no chunk cameEnd30 ms'])
    expect(await shown(1)).toEqual([
      ['send', 'begin', 'flow'],
      'Request sent900 msResponse headers20 msFirst chunk25 ms 5.0 ms laterEnd1.00 s 975 ms later',
    ])
  })

  it('can be used with the keyboard alone', async () => {
    const stage = await setStage()
    stage.record(trafficOver(lately, 30))
    const { page } = await visit(stage)
    await live(page)
    await poll(() => rows(page).count()).toBe(30)
    const focused = () => page.evaluate("document.activeElement.getAttribute('name')")
    const key = async (...keys: string[]) => {
      for (const each of keys) await page.keyboard.press(each)
    }
    await key('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the requests')
    await key('Tab')
    expect(await focused()).toBe('range')
    await key('ArrowRight')
    await text(page.locator('#totals-range')).toBe('in the last 15 minutes')
    await key('Tab', 'Tab', 'Tab', 'Tab', 'Tab')
    expect(await focused()).toBe('theme')
    await key('ArrowRight', 'ArrowRight')
    await poll(() => page.evaluate('getComputedStyle(document.documentElement).backgroundColor')).toBe('rgb(15, 18, 22)')
    await page.locator('#requests-scroll').focus()
    await page.locator('#requests-table .open').first().focus()
    await key('ArrowDown', 'ArrowDown', 'End', 'Home', 'ArrowDown')
    await poll(() =>
      rows(page)
        .nth(1)
        .locator('button')
        .evaluate((button) => button.matches(':focus')),
    ).toBe(true)
    await key('Enter')
    await text(page.locator('#details .close')).toBe('Close')
    await poll(() => page.locator('#details .close').evaluate((button) => button.matches(':focus'))).toBe(true)
    await key('Escape')
    await poll(() => page.locator('#details').evaluate((dialog) => dialog.hasAttribute('open'))).toBe(false)
    await poll(() =>
      rows(page)
        .nth(1)
        .locator('button')
        .evaluate((button) => button.matches(':focus')),
    ).toBe(true)
  })

  it.each(['light', 'dark'] as const)('has the colours of the theme, in the plots too, where the system is %s', async (colorScheme) => {
    const stage = await setStage()
    stage.record(trafficOver(240_000, 300))
    const { page, problems } = await visit(stage, { colorScheme })
    await poll(() => page.locator('#legend-tokens li').count()).toBe(5)
    const colours = { light: ['rgb(245, 246, 248)', 'rgb(11, 98, 196)'], dark: ['rgb(15, 18, 22)', 'rgb(108, 178, 255)'] } as const
    for (const theme of ['auto', 'light', 'dark', 'auto'] as const) {
      await choose(page, 'theme', theme)
      const [ground, accent] = colours[theme === 'auto' ? colorScheme : theme]
      await poll(() => page.evaluate('getComputedStyle(document.documentElement).backgroundColor')).toBe(ground)
      await poll(() => isDrawnIn(page, 'rate', accent)).toBe(true)
      expect(await page.evaluate("getComputedStyle(document.querySelector('#legend-rate .swatch')).backgroundColor")).toBe(accent)
    }
    await choose(page, 'theme', 'auto')
    await page.emulateMedia({ colorScheme: colorScheme === 'light' ? 'dark' : 'light' })
    await poll(() => isDrawnIn(page, 'rate', colours[colorScheme === 'light' ? 'dark' : 'light'][1])).toBe(true)
    expect(problems).toEqual([])
  })

  it('does not move anything while numbers change', async () => {
    const stage = await setStage()
    stage.record(trafficOver(lately, 200))
    const { page } = await visit(stage)
    await live(page)
    await poll(() => page.locator('#legend-tokens li').count()).toBe(5)
    await poll(() => page.locator('#state .part').count()).toBe(3)
    await poll(() => rows(page).count()).toBe(200)
    await poll(() => page.locator('#plot-tokens canvas').count()).toBe(1)
    const places = () => page.evaluate(standing)
    const before = await places()
    for (let second = 0; second < 4; second++) {
      const value = await tile(page, 'requests').textContent()
      stage.cells[0] = 10 ** second
      stage.record(Array.from({ length: 3 ** (second + 2) }, (_, n) => trafficOf(n * 13, recently())))
      await poll(() => tile(page, 'requests').textContent()).not.toBe(value)
    }
    expect(await places()).toEqual(before)
  })

  it('goes on at 1,000 requests a second', async () => {
    const stage = await setStage()
    const { page, problems } = await visit(stage)
    await live(page)
    const busySeconds = await threadSeconds(page)
    const before = await busySeconds()
    let sent = 0
    const began = performance.now()
    const feeding = setInterval(() => {
      const due = Math.floor(((performance.now() - began) / 1000) * 1000) - sent
      const count = Math.min(due, 1000)
      stage.record(Array.from({ length: count }, () => trafficOf(sent++, Date.now() - 1500)))
    }, 50)
    onTestFinished(() => clearInterval(feeding))
    await poll(() => sent).toBeGreaterThan(8000)
    await poll(async () => Number((await tile(page, 'requests').textContent())?.replace('K', 'e3'))).toBeGreaterThan(600)
    await poll(() => rows(page).count()).toBe(200)
    expect((await busySeconds()) - before).toBeLessThan(((performance.now() - began) / 1000) * 0.4)
    clearInterval(feeding)
    await text(page.locator('#totals tfoot td').first()).toBe(sent.toLocaleString('en-US'))
    expect({ problems, violations: await violations(page) }).toEqual({ problems: [], violations: [] })
  })

  it('lets nobody in without the token, and keeps it out of the address', async () => {
    const token = 'a-token-of-32-characters-0123456'
    const stage = await setStage({ token })
    const { page, problems } = await visit(stage)
    await page.locator('#token').fill('wrong')
    await page.locator('#login button').click()
    await text(page.locator('#token-problem')).toBe('This is not the token. Look it up where tokenweir was started.')
    await shoot(page, 'login', false)
    expect(await violations(page)).toEqual([])
    await page.locator('#token').fill(token)
    await page.locator('#login button').click()
    await live(page)
    expect(await page.evaluate('document.cookie')).toBe('')
    expect(problems.filter((problem) => !problem.includes('401'))).toEqual([])
    const link = await visit(stage, {}, `/?token=${token}`)
    await live(link.page)
    expect([link.page.url(), link.problems]).toEqual([`${stage.url}/`, []])
    expect(stage.lines.join('\n')).not.toContain(token)
  })
})
