import { describe, expect, it } from 'vitest'
import { pages } from '../../grafana/src/dashboards/index.ts'
import { buildPage } from '../../grafana/src/layout.ts'

interface BuiltPanel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly {
    readonly refId: string
    readonly expr?: string
    readonly datasource?: { readonly uid: string }
    readonly legendFormat?: string
  }[]
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string
      readonly noValue?: string
      readonly thresholds?: { readonly steps: readonly { readonly value: number | null }[] }
    }
  }
}
const panelsOf = (page: (typeof pages)[number]) => buildPage(page).panels as unknown as readonly BuiltPanel[]

describe.each(pages)('the dashboard $name', (page) => {
  const panels = panelsOf(page)
  const drawn = panels.filter(({ type }) => type !== 'row' && type !== 'text')

  it('numbers its panels', () => {
    expect(panels.map(({ id }) => id)).toEqual(panels.map((_, index) => index + 1))
  })

  it('places them side by side and below each other, never over each other', () => {
    const over = panels.flatMap((one, index) =>
      panels.slice(index + 1).filter(({ gridPos: b }) => {
        const a = one.gridPos
        return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
      }),
    )
    expect(over.map(({ title }) => title)).toEqual([])
    expect(panels.filter(({ gridPos: { x, w } }) => x < 0 || x + w > 24).map(({ title }) => title)).toEqual([])
  })

  it('gives each a title, a description in a sentence, a unit, thresholds, and words for when there is no data', () => {
    const bare = drawn.filter(({ title, description = '', fieldConfig }) => {
      const { unit, noValue = '', thresholds } = fieldConfig?.defaults ?? {}
      return (
        title === '' || !description.endsWith('.') || unit === undefined || !noValue.endsWith('.') || thresholds?.steps[0]?.value !== null
      )
    })
    expect(bare.map(({ title }) => title)).toEqual([])
  })

  it('says where its panels need the recording rules, so that an empty one is no good news', () => {
    const exprs = (panel: BuiltPanel) => (panel.targets ?? []).map(({ expr = '' }) => expr)
    const asking = drawn.filter((panel) => exprs(panel).some((expr) => expr.includes(':increase')))
    const silent = asking.filter(
      (panel) =>
        !/recording rules/.test(panel.fieldConfig?.defaults.noValue ?? '') && !exprs(panel).some((expr) => expr.includes(' unless on () ')),
    )
    expect(silent.map(({ title }) => title)).toEqual([])
  })

  it('has a legend for each query, and reads data sources from variables', () => {
    const targets = drawn.flatMap((panel) => (panel.targets ?? []).map((target) => ({ panel, target })))
    const nameless = targets.filter(
      ({ panel, target }) => panel.type !== 'table' && target.datasource?.uid !== '__expr__' && (target.legendFormat ?? '') === '',
    )
    expect(nameless.map(({ panel }) => panel.title)).toEqual([])
    const sources = [...drawn.map(({ datasource }) => datasource?.uid), ...targets.map(({ target }) => target.datasource?.uid)]
    expect(sources.filter((uid) => uid !== '$datasource' && uid !== '$tempo' && uid !== '__expr__')).toEqual([])
    const doubled = drawn.filter(({ targets: own = [] }) => new Set(own.map(({ refId }) => refId)).size !== own.length)
    expect(doubled.map(({ title }) => title)).toEqual([])
  })

  it('has the links that all of them have', () => {
    const built = buildPage(page)
    expect(built.links).toMatchObject([{ type: 'dashboards', tags: ['tokenweir'], keepTime: true, includeVars: true }])
    expect(built.uid).toBe(`tokenweir-${page.name}`)
  })

  it('leads from its panels only to dashboards that exist', () => {
    const urls = [...JSON.stringify(panels).matchAll(/\/d\/tokenweir-([\w-]+)/g)].map(([, name]) => name)
    expect(urls.filter((name) => !pages.some((other) => other.name === name))).toEqual([])
  })
})

describe.each(pages.filter(({ textOnly }) => textOnly !== true))('the dashboard $name, of data', (page) => {
  const built = buildPage(page)

  it('has the variables that all of them have', () => {
    const own = page.variables?.map((variable) => variable.build().name) ?? []
    expect(built.templating?.list?.map(({ name }) => name)).toEqual([
      'datasource',
      'tempo',
      ...own,
      'provider',
      'model',
      'route',
      'caller',
      'instance',
    ])
    const selections = built.templating?.list?.filter(({ type, name = '' }) => type === 'query' && !own.includes(name)) ?? []
    expect(selections.every(({ multi, includeAll, allValue }) => multi === true && includeAll === true && allValue === '.*')).toBe(true)
  })

  it('uses each variable of its own, and has each that it uses', () => {
    const text = JSON.stringify([built.panels, built.annotations])
    const used = new Set([...text.matchAll(/\$\{?([a-z]+)\b/g)].map(([, name]) => name))
    const names = built.templating.list?.map(({ name }) => name) ?? []
    expect([...used].filter((name) => !names.includes(name as string))).toEqual([])
    const own = page.variables?.map((variable) => variable.build().name as string) ?? []
    expect(own.filter((name) => !used.has(name))).toEqual([])
  })

  it('marks restarts and alerts', () => {
    expect(built.annotations.list?.map(({ name }) => name)).toEqual(['Restarts', 'Alerts'])
  })
})

it('dashboards have uids and titles of their own', () => {
  expect(new Set(pages.map(({ name }) => name)).size).toBe(pages.length)
  expect(new Set(pages.map(({ title }) => title)).size).toBe(pages.length)
})
