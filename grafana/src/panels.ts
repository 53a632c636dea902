/** The kinds of panels, each with what all of its kind have in common. */
import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as expression from '@grafana/grafana-foundation-sdk/expr'
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import * as prom from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as tempoQuery from '@grafana/grafana-foundation-sdk/tempo'
import * as text from '@grafana/grafana-foundation-sdk/text'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { prometheus, tempo } from './variables.ts'

export interface Query {
  readonly expr: string
  /** As in `{{gen_ai_provider_name}}`; in a table, the heading of the column. */
  readonly legend: string
  readonly exemplar?: boolean
}

/** Of what Grafana computes from the queries: `$A / $B`. */
const server = { type: '__expr__', uid: '__expr__' } as const

/** Value from which on the colour holds; the first has none. */
type Step = readonly [value: number | null, color: 'green' | 'yellow' | 'orange' | 'red' | 'text' | 'blue']

export interface Panel {
  readonly title: string
  readonly description: string
  readonly unit: string
  readonly queries: readonly Query[]
  /** Of 24. */
  readonly width: number
  readonly height?: number
  readonly steps?: readonly Step[]
  readonly decimals?: number
  /** Shown in place of an empty panel. */
  readonly noData?: string
  /** Shown in place of the queries, and made of them: `$A / $B`. */
  readonly math?: string
  /** Name of the page to which its title leads. */
  readonly leadsTo?: string
}

export type PanelBuilder = Builder<dashboard.Panel>

const noDataText = 'No data: no sidecar has reported this in the selected time, or the selection matches none.'
/** A panel that has nothing because nothing is recorded must not say that nothing happened. */
function emptyText({ noData = noDataText, queries }: Panel): string {
  const asksRules = queries.some(({ expr }) => expr.includes(':increase')) && !queries.some(({ expr }) => expr.includes(' unless on () '))
  return asksRules ? `${noData} Needs the recording rules: see docs/dashboards.md.` : noData
}
const plain: readonly Step[] = [[null, 'text']]

export const calm: readonly Step[] = [[null, 'green']]

function thresholds(steps: readonly Step[]): dashboard.ThresholdsConfigBuilder {
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(steps.map(([value, color]) => ({ value, color })))
}

/** What every builder of a panel has. */
interface Common<Self> {
  title(text: string): Self
  description(text: string): Self
  unit(unit: string): Self
  span(width: number): Self
  height(height: number): Self
  datasource(reference: { type: string; uid: string }): Self
  noValue(text: string): Self
  thresholds(builder: Builder<dashboard.ThresholdsConfig>): Self
  targets(targets: Builder<Dataquery>[]): Self
  decimals(decimals: number): Self
  links(links: Builder<dashboard.DashboardLink>[]): Self
}

function dress<Self extends Common<Self>>(builder: Self, panel: Panel, height: number, targets: Builder<Dataquery>[]): Self {
  const dressed = builder
    .title(panel.title)
    .description(panel.description)
    .unit(panel.unit)
    .span(panel.width)
    .height(panel.height ?? height)
    .datasource(prometheus)
    .noValue(emptyText(panel))
    .thresholds(thresholds(panel.steps ?? plain))
    .targets(panel.math === undefined ? targets : [...targets, mathOf(panel.math, targets.length)])
  if (panel.leadsTo !== undefined) dressed.links([linkTo(panel.leadsTo)])
  return panel.decimals === undefined ? dressed : dressed.decimals(panel.decimals)
}

const mathOf = (math: string, index: number) =>
  new expression.TypeMathBuilder().datasource(server).expression(math).refId(refIds.charAt(index))

const linkTo = (page: string) =>
  new dashboard.DashboardLinkBuilder('More')
    .type(dashboard.DashboardLinkType.Link)
    .url(`/d/tokenweir-${page}?\${__url_time_range}&\${__all_variables}`)

const refIds = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const target = ({ expr, legend, exemplar }: Query, index: number) => {
  const query = new prom.DataqueryBuilder().datasource(prometheus).expr(expr).legendFormat(legend).refId(refIds.charAt(index))
  return exemplar ? query.exemplar(true) : query
}
const targetsOf = ({ queries, math }: Panel) =>
  queries.map((query, index) => (math === undefined ? target(query, index) : target(query, index).hide(true)))

export interface Stat extends Panel {
  /** Its whole area has the colour: for what is looked at from afar. */
  readonly filled?: boolean
  /** Value → the words shown for it. */
  readonly words?: Readonly<Record<string, string>>
}

export function statPanel(panel: Stat): PanelBuilder {
  const targets = targetsOf(panel).map((query) => query.instant())
  return dress(new stat.PanelBuilder(), panel, 4, targets)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .graphMode(common.BigValueGraphMode.None)
    .colorMode(panel.filled ? common.BigValueColorMode.BackgroundSolid : common.BigValueColorMode.Value)
    .textMode(common.BigValueTextMode.Auto)
    .mappings(panel.words === undefined ? [] : [wordsFor(panel.words)])
}

const wordsFor = (words: Readonly<Record<string, string>>): dashboard.ValueMap => ({
  type: dashboard.MappingType.ValueToText,
  options: Object.fromEntries(Object.entries(words).map(([value, text], index) => [value, { text, index }])),
})

export interface TimeSeries extends Panel {
  readonly stacked?: boolean | 'percent'
  /** Counts of windows that lie side by side; `interval` is the shortest. */
  readonly bars?: boolean
  readonly max?: number
  readonly lines?: boolean
}

/** Legends are tables with the mean and the last value: readable with one series, sortable with fifty. */
export function timeSeriesPanel(panel: TimeSeries): PanelBuilder {
  const builder = dress(
    new timeseries.PanelBuilder(),
    panel,
    8,
    targetsOf(panel).map((query) => query.range()),
  )
    .min(0)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(panel.bars ? ['sum', 'max'] : ['mean', 'max', 'lastNotNull'])
        .sortBy(panel.bars ? 'Total' : 'Mean')
        .sortDesc(true),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending))
    .lineWidth(1)
    .fillOpacity(panel.bars ? 80 : panel.stacked ? 40 : 10)
    .showPoints(common.VisibilityMode.Auto)
  if (panel.max !== undefined) builder.max(panel.max)
  if (panel.bars) builder.drawStyle(common.GraphDrawStyle.Bars).interval('2m')
  if (panel.lines) builder.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed))
  if (panel.stacked || panel.bars) {
    const mode = panel.stacked === 'percent' ? common.StackingMode.Percent : common.StackingMode.Normal
    builder.stacking(new common.StackingConfigBuilder().mode(mode))
  }
  return builder
}

export function barsPanel(panel: Panel): PanelBuilder {
  const targets = targetsOf(panel).map((query) => query.instant())
  return dress(new bargauge.PanelBuilder(), panel, 8, targets)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .orientation(common.VizOrientation.Horizontal)
    .displayMode(common.BarGaugeDisplayMode.Basic)
    .min(0)
}

/** Rows are label sets, columns the queries, joined by their labels. */
export function tablePanel(
  panel: Panel & { readonly labels: Readonly<Record<string, string>>; readonly units?: Readonly<Record<string, string>> },
): PanelBuilder {
  const targets = targetsOf(panel).map((query) => query.instant().format(prom.PromQueryFormat.Table))
  const columns = panel.queries.map(({ legend }, index) => [
    panel.queries.length === 1 ? 'Value' : `Value #${refIds.charAt(index)}`,
    legend,
  ])
  const first = panel.queries[0]?.legend ?? ''
  const builder = dress(new table.PanelBuilder(), panel, 10, targets)
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: { excludeByName: { Time: true }, renameByName: { ...panel.labels, ...Object.fromEntries(columns) } },
    })
    .sortBy([new common.TableSortByFieldStateBuilder().displayName(first).desc(true)])
    .filterable(true)
  for (const label of Object.values(panel.labels)) builder.overrideByName(label, [{ id: 'unit', value: 'string' }])
  for (const [column, unit] of Object.entries(panel.units ?? {})) builder.overrideByName(column, [{ id: 'unit', value: unit }])
  return builder
}

/** Of a classic histogram: the query sums `rate` or `increase` by `le`. */
export function heatmapPanel(panel: Panel): PanelBuilder {
  const targets = targetsOf(panel).map((query) => query.range().format(prom.PromQueryFormat.Heatmap))
  return dress(new heatmap.PanelBuilder(), panel, 9, targets)
    .calculate(false)
    .yAxis(new heatmap.YAxisConfigBuilder().unit(panel.unit))
    .color(
      new heatmap.HeatmapColorOptionsBuilder()
        .mode(heatmap.HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .fill('dark-orange')
        .exponent(0.5)
        .steps(64)
        .reverse(false),
    )
    .cellGap(1)
    .filterValues(new heatmap.FilterValueRangeBuilder().le(1e-9))
    .tooltip(new heatmap.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(true))
    .exemplarsColor('rgba(255,0,255,0.7)')
}

/** Spans found by TraceQL; a click opens the trace. */
export function tracesPanel(panel: Omit<Panel, 'queries' | 'unit'> & { readonly traceQl: string }): PanelBuilder {
  const query = new tempoQuery.DataqueryBuilder().datasource(tempo).queryType('traceql').query(panel.traceQl).refId('A').limit(50)
  const found = query.tableType(tempoQuery.SearchTableType.Spans)
  return dress(new table.PanelBuilder(), { ...panel, queries: [], unit: 'short' }, 10, [found]).datasource(tempo)
}

export const textPanel = (title: string, markdown: string, height: number): PanelBuilder =>
  new text.PanelBuilder().title(title).span(24).height(height).mode(text.TextMode.Markdown).content(markdown)
