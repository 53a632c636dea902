/** The variables of every dashboard, and the matchers that they make. */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import { type Label, labelName, labelsOf, type Matchers, type Metric, quantileOf, rate, series, sum } from './promql.ts'
import { type Recorded, recordedLabels, recordName, seen } from './recordings.ts'

/** Data sources are variables too, so that the dashboards work whatever the sources are called. */
export const prometheus = { type: 'prometheus', uid: '$datasource' } as const
export const tempo = { type: 'tempo', uid: '$tempo' } as const

interface LabelVariable {
  readonly name: string
  readonly label: string
  readonly of: Label
  readonly description: string
  /** Where its values are read. */
  readonly values: string
}

const labelVariables: readonly LabelVariable[] = [
  { name: 'provider', label: 'Provider', of: 'gen_ai.provider.name', description: 'Who answered.', values: series('tokenweir.requests') },
  {
    name: 'model',
    label: 'Model',
    of: 'gen_ai.request.model',
    description: 'Model asked for.',
    values: `{__name__=~"${series('tokenweir.tokens')}|${series('tokenweir.streams.completed')}", gen_ai_provider_name=~"$provider"}`,
  },
  { name: 'route', label: 'Route', of: 'http.route', description: 'Configured route.', values: series('tokenweir.requests') },
  {
    name: 'caller',
    label: 'Caller',
    of: 'caller',
    description: 'Who called; only in the panels by caller.',
    values: series('tokenweir.caller.requests'),
  },
  { name: 'instance', label: 'Instance', of: 'instance', description: 'Which sidecar.', values: series('tokenweir.counters.start_time') },
]

/**
 * A series of the dashboard's selection: each variable whose label the metric has. Grafana escapes the values for a regular expression;
 * "All" is `.*`, which matches series without the label as well.
 */
export function selected<Name extends Metric>(name: Name, matchers: Matchers<Name> = {}, part?: 'bucket' | 'sum' | 'count'): string {
  return series(name, { ...(selection(labelsOf(name)) as Matchers<Name>), ...matchers }, part)
}

const selection = (labels: readonly string[]) =>
  Object.fromEntries(labelVariables.filter(({ of }) => labels.includes(labelName(of))).map(({ of, name }) => [of, `=~"$${name}"`]))

/** The same for what Prometheus records of a counter. */
function selectedEvents(name: Recorded, matchers: Matchers<Metric>): string {
  const list = Object.entries({ ...selection(recordedLabels(name)), ...matchers })
  return `${recordName(name)}{${list.map(([label, matcher]) => `${labelName(label as Label)}${matcher}`).join(', ')}}`
}

type Matching = { readonly [Key in Label]?: string }

/** How many events a counter saw, by labels; the sum of them for `tokenweir.cost` and `tokenweir.tokens`. */
const eventsOf =
  (range: string) =>
  (name: Recorded, matchers: Matching = {}, ...labels: readonly (Label | 'what')[]): string =>
    sum(`sum_over_time(${selectedEvents(name, matchers as Matchers<Metric>)}[${range}])`, ...(labels as readonly Label[]))

/** In the selected time. */
export const inRange = eventsOf('$__range')
/** In windows that lie side by side in a graph: each event stands in one bar. */
export const inStep = eventsOf('$__interval')
export const inHour = eventsOf('1h')

/**
 * The events, or 0 while a sidecar reports and the rules are evaluated: then nothing counted means that nothing happened. Where the events are by
 * a label, it says `none` then: a graph of what should not happen is not empty.
 */
export function orNothing(events: string, label?: Label | 'what'): string {
  const nothing = `0 * max(${seen})`
  return `${events} or on () ${label === undefined ? nothing : `label_replace(${nothing}, "${labelName(label as Label)}", "none", "", "")`}`
}

/** In braces, since the name of a metric goes on behind it. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in
export const chosenGeneration = '${generation}'

/** A histogram of inference requests, of the generation of the conventions that is chosen at the top. */
export function selectedGeneration<Rest extends 'duration' | 'time_to_first_chunk' | 'time_per_output_chunk'>(
  rest: Rest,
  part: 'bucket' | 'count',
  matchers: Matchers<`gen_ai.client.operation.${Rest}`> = {},
): string {
  return selected(`gen_ai.client.operation.${rest}`, matchers, part).replace('_operation_', `_${chosenGeneration}_`)
}

const generations = '(operation|inference)'
const generationNames = `{__name__=~"gen_ai_client_${generations}_duration_seconds_count"}`

/** Which of the two there are; a fleet in between has both. */
export const generationVariable = (): dashboard.QueryVariableBuilder =>
  new dashboard.QueryVariableBuilder('generation')
    .label('Conventions')
    .description('Generation of the semantic conventions: operation, or inference (OTEL_SEMCONV_STABILITY_OPT_IN).')
    .datasource(prometheus)
    .query({ query: `label_values(${generationNames}, __name__)`, refId: 'StandardVariableQuery' })
    .definition(`label_values(${generationNames}, __name__)`)
    .regex(`/gen_ai_client_${generations}_/`)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalDesc)
    .current({ selected: true, text: 'operation', value: 'operation' })

/** In seconds. `buckets` is a selector of `_bucket`. */
export const quantile = (share: number, buckets: string, ...labels: readonly Label[]): string =>
  quantileOf(share, sum(rate(buckets), 'le', ...labels))

export function variables(): dashboard.QueryVariableBuilder[] {
  return labelVariables.map(({ name, label, of, description, values }) =>
    new dashboard.QueryVariableBuilder(name)
      .label(label)
      .description(description)
      .datasource(prometheus)
      .query({ query: `label_values(${values}, ${labelName(of)})`, refId: 'StandardVariableQuery' })
      .definition(`label_values(${values}, ${labelName(of)})`)
      .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
      .sort(dashboard.VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .allValue('.*')
      .current({ selected: true, text: ['All'], value: ['$__all'] }),
  )
}

export function datasourceVariables(): dashboard.DatasourceVariableBuilder[] {
  return [
    new dashboard.DatasourceVariableBuilder('datasource')
      .label('Metrics')
      .description('Prometheus, or what speaks its language.')
      .type('prometheus'),
    new dashboard.DatasourceVariableBuilder('tempo').label('Traces').description('Tempo.').type('tempo'),
  ]
}
