/** Reads PromQL as far as names go: which series and which labels a query asks for. */
import { prometheusRules } from '../../grafana/src/alerts/prometheus.ts'
import { labelName, labelsOf, seriesNames } from '../../grafana/src/promql.ts'
import { recordedLabels, recordedNames, recordingRules, recordName } from '../../grafana/src/recordings.ts'
import { spanDuration } from '../../grafana/src/span-metrics.ts'
import { chosenGeneration } from '../../grafana/src/variables.ts'
import { attributes } from '../../src/telemetry/catalog.ts'

/** Series → the labels that they have. */
const known = new Map<string, readonly string[]>([
  ...[...seriesNames()].map(([name, metric]): [string, readonly string[]] => [name, labelsOf(metric)]),
  ...recordedNames.map((name): [string, readonly string[]] => [recordName(name), recordedLabels(name)]),
])
const recorded = new Set(
  [...recordingRules().groups, ...prometheusRules().groups].flatMap(({ rules }) =>
    rules.flatMap((rule) => ('record' in rule ? rule.record : [])),
  ),
)
const others = new Set([spanDuration.name, 'ALERTS'])
const attributeNames = new Set([...Object.keys(attributes), 'job', 'instance', 'le'].map((name) => labelName(name as 'job')))
/** Labels that our own queries make, and those of the collector's spanmetrics. */
const otherLabels = new Set(['what', 'span_name', 'service_name', '__name__', 'alertname', 'alertstate', 'severity', 'service'])

const keywords = /^(by|on|and|or|unless|offset|group_left|group_right|ignoring|without|bool)$/

/** Every expression of a dashboard, those of its variables included. */
export function expressionsIn(built: object): string[] {
  const found: string[] = []
  JSON.stringify(built, (key, value) => {
    if (key === 'expr' && typeof value === 'string') found.push(value)
    return value
  })
  return found
}

/** With one of the generations that the dashboard offers. */
const chosen = (expr: string) => expr.replaceAll(chosenGeneration, 'operation')

/** A name in front of what is not a bracket: brackets follow functions. Strings, labels and ranges are taken out first. */
export function namesIn(expr: string): string[] {
  const bare = chosen(expr)
    .replace(/"[^"]*"/g, '""')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/offset \S+/g, '')
    .replace(/@ end\(\)/g, '')
    .replace(/\b(by|on) \([^)]*\)/g, '')
    .replace(/\$\w+/g, '')
  return [...bare.matchAll(/[a-zA-Z_][\w:]*(?!\w|:)(?!\s*\()/g)].map(([name]) => name).filter((name) => !keywords.test(name))
}

export function labelsIn(expr: string): string[] {
  const matchers = [...chosen(expr).matchAll(/\{([^}]*)\}/g)].flatMap(([, inside = '']) =>
    [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, name]) => name as string),
  )
  const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, inside = '']) => inside.split(',').map((name) => name.trim()))
  return [...matchers, ...grouped].filter((name) => name !== '' && name !== '$by')
}

/** Series and labels that the catalog does not have, and labels in a selector whose metric does not carry them. */
export function unknownIn(expr: string): string[] {
  const names = namesIn(expr).filter((name) => !known.has(name) && !recorded.has(name) && !others.has(name))
  const labels = labelsIn(expr).filter((name) => !attributeNames.has(name) && !otherLabels.has(name))
  const misplaced = [...chosen(expr).matchAll(/([a-zA-Z_][\w:]*)\{([^}]*)\}/g)].flatMap(([, name = '', inside = '']) => {
    const own = known.get(name)
    return own === undefined ? [] : labelsIn(`{${inside}}`).filter((label) => attributeNames.has(label) && !own.includes(label))
  })
  return [...names, ...labels, ...misplaced]
}
