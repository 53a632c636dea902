/** A dashboard as the import dialog of a Grafana that is already there takes it: it asks for the data source. */
import type * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import { prometheus } from './variables.ts'

const input = 'DS_PROMETHEUS'
/** What the dialog replaces by the data source that is chosen. */
export const chosenUid = `\${${input}}`

/** Traces stay a variable: the dialog would not import without a data source for each input, and not every Grafana has Tempo. */
export function importable(board: dashboard.Dashboard): object {
  const variables = board.templating.list ?? []
  if (variables.length === 0) return board
  const list = variables.filter(({ name }) => `$${name}` !== prometheus.uid)
  const text = JSON.stringify({ ...board, templating: { ...board.templating, list } })
  const inputs = [
    {
      name: input,
      label: 'Prometheus',
      description: 'Where the metrics of tokenweir are, and its recording rules.',
      type: 'datasource',
      pluginId: 'prometheus',
      pluginName: 'Prometheus',
    },
  ]
  const requires = [{ type: 'datasource', id: 'prometheus', name: 'Prometheus', version: '1.0.0' }]
  return { __inputs: inputs, __requires: requires, ...JSON.parse(text.replaceAll(`"${prometheus.uid}"`, `"${chosenUid}"`)) }
}
