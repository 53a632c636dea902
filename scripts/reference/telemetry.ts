/** Metrics and attributes, from the catalog. */
import { type AttributeEntry, attributes, type MetricEntry, type MetricName, metrics, prometheusName } from '../../src/telemetry/catalog.ts'
import { code, generated, table } from './table.ts'

const entries = Object.entries(metrics) as [MetricName, MetricEntry][]

function metricRows(list: readonly [MetricName, MetricEntry][]): string[][] {
  return list.map(([name, { kind, unit, description, labels, buckets }]) => [
    code(name),
    code(kind === 'histogram' ? `${prometheusName(name)}_{bucket,sum,count}` : prometheusName(name)),
    buckets === undefined ? kind : `${kind}, ${buckets[0]} … ${buckets.at(-1)}`,
    unit,
    labels.map(code).join(' '),
    description,
  ])
}

const metricHead = ['metric', 'in Prometheus', 'kind', 'unit', 'labels', '']

const groups: readonly { readonly title: string; readonly has: (name: MetricName, entry: MetricEntry) => boolean }[] = [
  {
    title: 'GenAI conventions, generation 1.41 (the default)',
    has: (name, { generation }) => name.startsWith('gen_ai.') && generation === '1.41',
  },
  { title: 'GenAI conventions, generation `genai`', has: (name, { generation }) => name.startsWith('gen_ai.') && generation === 'genai' },
  { title: 'HTTP', has: (name) => name.startsWith('http.') },
  { title: 'Of tokenweir', has: (name) => name.startsWith('tokenweir.') },
  { title: 'The process', has: (name) => /^(process|nodejs)\./.test(name) },
]

export function telemetryPage(): string {
  const parts = groups.map(
    ({ title, has }) => `### ${title}\n\n${table(metricHead, metricRows(entries.filter(([name, entry]) => has(name, entry))))}\n`,
  )
  const attributeRows = (Object.entries(attributes) as [string, AttributeEntry][]).map(([name, { type, description, generation }]) => [
    code(name),
    type,
    generation ?? 'both',
    description,
  ])
  return `${generated('src/telemetry/catalog.ts')}

# Metrics and attributes

The same series are exported over OTLP (names with dots) and served at \`/metrics\` of the admin port (Prometheus names). \`TOKENWEIR_SEMCONV\` selects one of two
generations of the GenAI conventions: \`1.41\`, which backends and their dashboards read today, or \`genai\`, the later names. A count that the provider did not
report is in no metric and no attribute: unknown is not zero.

## Metrics

Labels have a limited number of values (\`limits.labelValues\`). Further values become \`other\` and are counted in \`tokenweir.label_overflow\`. Absent labels are left out.

${parts.join('\n')}
## Attributes and labels

Each proxied request has one span of kind CLIENT. Its name is \`{operation} {model}\` for inference and \`{METHOD} {route}\` otherwise. The span has an error status
if the response has a status of 400 or more, if the upstream could not be reached, or if the body broke off after a 200. A client that leaves is not an error.

${table(['name', 'type', 'generation', ''], attributeRows)}
`
}
