/** Rows of panels → a dashboard, with places, ids, variables and links. */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import type { PanelBuilder } from './panels.ts'
import { firing, max, series } from './promql.ts'
import { datasourceVariables, prometheus, variables } from './variables.ts'

export interface Row {
  readonly title: string
  readonly panels: readonly PanelBuilder[]
}

export interface Page {
  /** Of the file, and in the dashboard's uid behind `tokenweir-`. */
  readonly name: string
  readonly title: string
  readonly description: string
  /** Its own, beside those of every dashboard. */
  readonly variables?: readonly dashboard.QueryVariableBuilder[]
  /** Start of the time that is shown first; six hours ago if not given. */
  readonly from?: string
  /** Shows no data: no variables, no annotations. */
  readonly textOnly?: true
  readonly rows: readonly Row[]
}

const columns = 24

const annotation = (name: string, color: string, expr: string, title: string, text: string, tags: string) =>
  new dashboard.AnnotationQueryBuilder()
    .name(name)
    .datasource(prometheus)
    .enable(true)
    .iconColor(color)
    .expr(expr)
    .step('1m')
    .titleFormat(title)
    .textFormat(text)
    .tagKeys(tags)

const restarted = `${max(series('process.uptime', { instance: '=~"$instance"' }), 'instance')} < 120`
const annotations = [
  annotation('Restarts', 'blue', restarted, 'Restarted', '{{instance}}', 'instance'),
  annotation('Alerts', 'red', firing, '{{alertname}}', '{{gen_ai_provider_name}} {{http_route}} {{instance}}', 'severity'),
]

const tag = 'tokenweir'

export function buildPage({ name, title, description, variables: own = [], from = 'now-6h', textOnly, rows }: Page): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(`tokenweir: ${title}`)
    .uid(`tokenweir-${name}`)
    .description(description)
    .tags([tag])
    .editable()
    .time({ from, to: 'now' })
    .refresh('1m')
    .timezone('browser')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .variables(textOnly ? [] : [...datasourceVariables(), ...own, ...variables()])
    .link(
      new dashboard.DashboardLinkBuilder('tokenweir')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags([tag])
        .asDropdown(false)
        .includeVars(true)
        .keepTime(true)
        .tooltip('The other dashboards, for the same time and selection'),
    )
  for (const one of textOnly ? [] : annotations) builder.annotation(one)
  const built = builder.build()
  built.panels = place(rows)
  return built
}

/** From left to right, in lines as high as their highest panel; ids in the order of reading. */
function place(rows: readonly Row[]): (dashboard.Panel | dashboard.RowPanel)[] {
  const placed: (dashboard.Panel | dashboard.RowPanel)[] = []
  let y = 0
  for (const row of rows) {
    const heading = new dashboard.RowBuilder(row.title).id(placed.length + 1).gridPos({ x: 0, y, w: columns, h: 1 })
    placed.push(heading.build())
    y++
    let x = 0
    let lineHeight = 0
    for (const builder of row.panels) {
      const panel = builder.build()
      const { w = 12, h = 8 } = panel.gridPos ?? {}
      if (x + w > columns) {
        x = 0
        y += lineHeight
        lineHeight = 0
      }
      placed.push({ ...panel, id: placed.length + 1, gridPos: { x, y, w, h } })
      x += w
      lineHeight = Math.max(lineHeight, h)
    }
    y += lineHeight
  }
  return placed
}
