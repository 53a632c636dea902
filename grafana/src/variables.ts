/** The variables of every dashboard, and the matchers that they make. */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import { type Label, labelName, labelsOf, type Matchers, type Metric, series } from './promql.ts'

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
  const labels = labelsOf(name)
  const chosen = labelVariables.filter(({ of }) => labels.includes(labelName(of))).map(({ of, name: variable }) => [of, `=~"$${variable}"`])
  return series(name, { ...(Object.fromEntries(chosen) as Matchers<Name>), ...matchers }, part)
}

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
