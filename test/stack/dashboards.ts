/** The queries of the dashboards, with Grafana's variables filled in as Grafana does. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chosenGeneration } from '../../grafana/src/variables.ts'

export interface PanelQuery {
  /** `tokens.json: Tokens by provider: A`. */
  readonly name: string
  readonly expr: string
  readonly instant: boolean
  /** A number that is shown large: nobody may take a NaN for good news. */
  readonly stat: boolean
}

interface Target {
  readonly refId: string
  readonly expr?: string
  readonly query?: string
  readonly instant?: boolean
}
interface Panel {
  readonly title?: string
  readonly type?: string
  readonly targets?: readonly Target[]
  readonly panels?: readonly Panel[]
}
interface Variable {
  readonly name: string
  readonly type: string
  readonly query: string | { readonly query: string }
}
export interface Dashboard {
  readonly file: string
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list?: readonly { readonly expr?: string }[] }
  readonly templating: { readonly list: readonly Variable[] }
}

export function readDashboards(folder: string): readonly Dashboard[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return files.map((file) => ({ ...(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Omit<Dashboard, 'file'>), file }))
}

/** What the time picker and the width of a panel would say. Durations in seconds. */
const filled = {
  $__rate_interval: '15s',
  $__range_s: '600',
  $__range: '600s',
  $__interval_ms: '10000',
  $__interval: '10s',
  $datasource: 'prometheus',
  [chosenGeneration]: 'operation',
} as const

/** Longer names first, or `$__range_s` would become `600s_s`. Every other variable is "All". */
export function fill(expr: string): string {
  const known = Object.entries(filled).reduce((text, [name, value]) => text.replaceAll(name, value), expr)
  return known
    .replaceAll('{{$by}}', '')
    .replaceAll('$by', 'caller')
    .replaceAll(/\$\{?(provider|model|route|caller|instance)(:\w+)?\}?/g, '.*')
}

export function panelQueries({ file, panels }: Dashboard): readonly PanelQuery[] {
  const all = panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
  return all.flatMap(({ title = '', type, targets = [] }) =>
    targets
      .filter((target) => target.expr !== undefined)
      .map(({ refId, expr = '', instant = false }) => ({
        name: `${file}: ${title}: ${refId}`,
        expr: fill(expr),
        instant,
        stat: type === 'stat',
      })),
  )
}

/** What the variables ask for: `label_values(selector, label)`. */
export function variableQueries({
  templating,
}: Dashboard): readonly { readonly name: string; readonly selector: string; readonly label: string }[] {
  return templating.list
    .filter(({ type, name }) => type === 'query' && name !== 'by')
    .map(({ name, query }) => {
      const text = fill(typeof query === 'string' ? query : query.query)
      const [, selector = '', label = ''] = /^label_values\((.*), *(\w+)\)$/s.exec(text) ?? []
      return { name, selector, label }
    })
}

export const annotationQueries = ({ annotations }: Dashboard): readonly string[] =>
  (annotations.list ?? []).flatMap(({ expr }) => (expr === undefined ? [] : fill(expr)))

/** What a tile asks where the recording rules are not loaded: nothing is asked of it where they are. */
const fallback = / unless on \(\) \S+$/
export const isFallback = ({ expr }: PanelQuery): boolean => fallback.test(expr)
export const withoutRules = (expr: string): string => expr.replace(fallback, '')
