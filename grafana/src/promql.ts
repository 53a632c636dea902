/**
 * PromQL, with the names of the catalog by type: a metric that is not in it, or a label that the metric does not have, does not compile.
 */
import { type AttributeName, type MetricEntry, type MetricName, metrics, prometheusName } from '../../src/telemetry/catalog.ts'

export type Metric = MetricName

/** What Prometheus adds to each series: of which process it is, from the resource or the scrape, and the bounds of buckets. */
const ownLabels = ['job', 'instance', 'le'] as const
type OwnLabel = (typeof ownLabels)[number]
type LabelOf<Name extends Metric> = (typeof metrics)[Name]['labels'][number] | OwnLabel
export type Label = AttributeName | OwnLabel
type Part = 'bucket' | 'sum' | 'count'

/** A matcher is the operator with the quoted value: `=~"5.."`. */
export type Matchers<Name extends Metric> = { readonly [Key in LabelOf<Name>]?: string }

function nameOf(name: Metric, part?: Part): string {
  return part === undefined ? prometheusName(name) : `${prometheusName(name)}_${part}`
}

export const labelName = (label: Label): string => label.replaceAll('.', '_')

/** The label names of a metric as Prometheus shows them. */
export const labelsOf = (name: Metric): readonly string[] =>
  [...metrics[name].labels, ...ownLabels].map((label) => labelName(label as Label))

/** A selector: `tokenweir_requests_total{http_route="default"}`. */
export function series<Name extends Metric>(name: Name, matchers: Matchers<Name> = {}, part?: Part): string {
  const list = Object.entries(matchers).map(([label, matcher]) => `${labelName(label as Label)}${matcher}`)
  return `${nameOf(name, part)}${list.length === 0 ? '' : `{${list.join(', ')}}`}`
}

/** Every series name that a query may use, for the test that looks. */
export const seriesNames = (): ReadonlyMap<string, Metric> =>
  new Map(
    (Object.keys(metrics) as Metric[]).flatMap((name): [string, Metric][] =>
      (metrics[name] as MetricEntry).kind === 'histogram'
        ? (['bucket', 'sum', 'count'] as const).map((part) => [nameOf(name, part), name])
        : [[nameOf(name), name]],
    ),
  )

/** `sum by (a, b) (expression)`, without labels `sum(expression)`. */
export const sum = (expression: string, ...labels: readonly Label[]): string => aggregate('sum', expression, labels)
export const min = (expression: string, ...labels: readonly Label[]): string => aggregate('min', expression, labels)
export const max = (expression: string, ...labels: readonly Label[]): string => aggregate('max', expression, labels)

function aggregate(operator: 'sum' | 'min' | 'max', expression: string, labels: readonly Label[]): string {
  return labels.length === 0 ? `${operator}(${expression})` : `${operator} by (${list(labels)}) (${expression})`
}

export const list = (labels: readonly Label[]): string => labels.map(labelName).join(', ')

/** Per second, over a window that fits the panel. It misses what a new series begins with, which no eye can see in a rate. */
export const rate = (selector: string, modifier = ''): string => `rate(${selector}[$__rate_interval]${modifier})`

export const topk = (count: number, expression: string): string => `topk(${count}, ${expression})`

/** A window as a range and as a number of seconds. */
export interface Window {
  readonly range: string
  readonly seconds: string
}

/** 90 → `90s`, 3600 → `1h`. Whole seconds. */
export function duration(seconds: number): string {
  const unit = (
    [
      ['d', 86_400],
      ['h', 3600],
      ['m', 60],
    ] as const
  ).find(([, length]) => seconds % length === 0 && seconds >= length)
  return unit === undefined ? `${seconds}s` : `${seconds / unit[1]}${unit[0]}`
}
export const windowOf = (seconds: number): Window => ({ range: duration(seconds), seconds: `${seconds}` })

/**
 * How many events each series of a counter saw in a window, exactly. `increase()` does not do: it never sees what a series begins with,
 * and a series is made with its first event; and it scales what it sees to the window, so that 3 become 3.05. In order:
 * 1. The last value in the window less the one at its start, where there was one and no reset.
 * 2. The last value, where the series is new: its ledger began to count within the window, or the process was seen before the series was.
 * 3. `increase()` for the rest: a reset, or a process that comes back after a gap, whose old counts are no new events.
 * Works on a series that has ended, too.
 */
export function events(selector: string, { range, seconds }: Window): string {
  const start = `last_over_time(${series('tokenweir.counters.start_time')}[${range}])`
  const seen = `count_over_time(${series('tokenweir.counters.start_time')}[${range}])`
  const last = `last_over_time(${selector}[${range}])`
  const before = `${selector} offset ${range}`
  return [
    `((${last} - ${before}) unless resets(${selector}[${range}]) > 0) >= 0`,
    `((${last} unless ${before}) and on (job, instance) (${start} > time() - ${seconds}))`,
    `((${last} unless ${before}) and (count_over_time(${selector}[${range}]) < on (job, instance) group_left () ${seen}))`,
    `increase(${selector}[${range}])`,
  ].join('\nor ')
}

/** `sum by (labels)` of the events of a window. */
export const total = (selector: string, window: Window, ...labels: readonly Label[]): string => sum(events(selector, window), ...labels)

/** The expression, or 0 while any sidecar reports: then nothing counted means nothing happened. Without a sidecar there is no data. */
export const orZero = (expression: string): string => `(${expression}) or (0 * max(${series('tokenweir.counters.start_time')}))`

/** `left / right` where the right side is not 0: no traffic is no ratio. */
export const ratio = (left: string, right: string): string => `(${left}) / ((${right}) > 0)`

/** The same of both generations of the conventions: whichever the sidecars emit. */
export function either(query: (generation: 'operation' | 'inference') => string): string {
  return `${query('operation')} or ${query('inference')}`
}

export const quantileOf = (share: number, buckets: string): string => `histogram_quantile(${share}, ${buckets})`

/** Of the alerts that Prometheus evaluates itself. */
export const firing = 'ALERTS{alertstate="firing", service="tokenweir"}'
/** There while a sidecar reports and the alerts are evaluated: no alert is good news only then. */
export const evaluated = 'instance:tokenweir_alerts:evaluated'
/** How many alerts fire; no data where it is not known. */
export const alertsFiring = `count(${firing}) or 0 * max(${evaluated})`
