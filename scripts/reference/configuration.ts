/** The settings, from their schema. */
import { type Setting, settings } from '../../src/config/schema.ts'
import { code, generated, table } from './table.ts'

/** Keys that stand together under one heading: the first part of a dotted key, or the file's own level. */
const sections: readonly { readonly title: string; readonly prefix: string; readonly about: string }[] = [
  {
    title: 'Routes',
    prefix: 'routes[].',
    about:
      'A list. The route with the longest matching prefix is used, unless another has a condition on host or header ([network.md](network.md)). Requests without a route go to the `upstream` of the top level.',
  },
  { title: 'TLS', prefix: 'tls.', about: 'Of `listen`, see [network.md](network.md).' },
  { title: 'Other addresses', prefix: 'listeners[].', about: 'A list, see [network.md](network.md).' },
  { title: 'Rules of attribution', prefix: 'providers[].', about: 'A list, see [providers.md](providers.md).' },
  {
    title: 'Time limits',
    prefix: 'timeouts.',
    about: 'Durations are written `500ms`, `30s`, `15m` or `2h`; a bare number is milliseconds.',
  },
  { title: 'Other limits', prefix: 'limits.', about: 'Sizes are written `64KiB`, `16MiB` or `1GiB`; a bare number is bytes.' },
  { title: 'Prices', prefix: 'prices[].', about: 'A list, see [costs.md](costs.md).' },
  { title: 'Estimates', prefix: 'estimates.', about: 'See [costs.md](costs.md).' },
]

function rows(list: readonly Setting[], prefix: string): string[][] {
  return list.map(({ key, type, default: fallback, env, flag, description }) => [
    code(key.slice(prefix.length)),
    type,
    fallback === undefined ? '' : code(fallback),
    [flag, env].flatMap((name) => (name === undefined ? [] : [code(name)])).join(' '),
    description,
  ])
}

const head = ['key', 'takes', 'default', 'flag, variable', '']

export function configurationPage(): string {
  const own = new Set(sections.flatMap(({ prefix }) => settings.filter(({ key }) => key.startsWith(prefix))))
  const others = [
    ...new Set(settings.filter((one) => !own.has(one) && /[.[]/.test(one.key)).map(({ key }) => key.split(/[.[]/, 1)[0] as string)),
  ]
  const all = [
    ...sections,
    ...others.map((name) => {
      const isList = settings.some(({ key }) => key.startsWith(`${name}[].`))
      return { title: name, prefix: isList ? `${name}[].` : `${name}.`, about: '' }
    }),
  ]
  const top = settings.filter(({ key }) => !/[.[]/.test(key))
  const parts = all.flatMap(({ title, prefix, about }) => {
    const list = settings.filter(({ key }) => key.startsWith(prefix))
    return list.length === 0 ? [] : [`## ${title}\n\n${about === '' ? '' : `${about}\n\n`}${table(head, rows(list, prefix))}\n`]
  })
  return `${generated('src/config/schema.ts')}

# Configuration

A flag has priority over a variable, a variable over the file, and the file over the default. \`tokenweir check FILE\` shows the values in effect, where each
comes from, and what is wrong. The sidecar does not start with an invalid configuration. Most settings can be changed while it runs: [reload.md](reload.md).

\`\`\`yaml
# tokenweir.yaml; start with: tokenweir --config tokenweir.yaml
upstream: http://127.0.0.1:4000
listen: 127.0.0.1:4141
routes:
  - { name: openai, prefix: /openai, stripPrefix: true, upstream: "https://api.openai.com" }
timeouts: { idleMs: 15m, graceMs: 20s }
\`\`\`

## At the top

${table(head, rows(top, ''))}

${parts.join('\n')}
## OpenTelemetry

Export is configured by the variables of the OpenTelemetry specification. It begins when an endpoint is configured
(\`OTEL_EXPORTER_OTLP_ENDPOINT\`, or one per signal) or an exporter is chosen (\`OTEL_TRACES_EXPORTER\`, \`OTEL_METRICS_EXPORTER\`,
\`OTEL_LOGS_EXPORTER\`: \`otlp\`, \`console\`, \`none\`). Headers, compression, protocol, certificates, time-outs, samplers, resource attributes and
span limits are used. If a variable has a value that is not understood, stderr names it at the start. The sampler is \`always_on\`, unless
\`OTEL_TRACES_SAMPLER\` says otherwise, so that every request has a span. An endpoint without a scheme (\`localhost:4318\`) is used with http, and stderr says so.

\`OTEL_CONFIG_FILE\` names a file of OpenTelemetry's declarative configuration. This file then defines everything: resource, sampler, limits, processors, readers
and exporters of all three signals. Of the variables, only \`OTEL_BSP_MAX_QUEUE_SIZE\` and those that the file refers to are used. Set a \`service.name\` and a
sampler in it: without a sampler, the SDK drops requests whose caller did not sample its trace. A batch processor's \`schedule_delay\` and
\`max_export_batch_size\` are used; the queue is the ledger. An example:

\`\`\`yaml
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: tokenweir
tracer_provider:
  sampler:
    always_on:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: http://localhost:4318/v1/traces
meter_provider:
  readers:
    - periodic:
        exporter:
          otlp_http:
            endpoint: http://localhost:4318/v1/metrics
\`\`\`

The SDK is loaded shortly after the start, so that requests need not wait for it. What was recorded before is exported from the ledger.
`
}
