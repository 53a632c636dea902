import type { Page } from '../layout.ts'
import { barsPanel, calm, type PanelBuilder, type Stat, statPanel, tablePanel, timeSeriesPanel } from '../panels.ts'
import { alertsFiring, firing, max, min, orZero, quantileOf, rate, sum, topk } from '../promql.ts'
import { seen } from '../recordings.ts'
import { generationVariable, inHour, orNothing, quantile, selected, selectedGeneration } from '../variables.ts'
import { headroom, limited, requestsByEnd } from './reliability.ts'
import { costByProvider } from './tokens.ts'
import { budgetName, spentShare } from './who.ts'

/** Without the rules an estimate that misses the first event of a series; no data with them. */
const estimated = (name: 'tokenweir.streams.zero_usage' | 'tokenweir.cost', range: string) =>
  `sum(increase(${selected(name)}[${range}])) unless on () ${seen}`

/** Neutral or orange without a value: what is not known is not green. */
const unjudged = [
  [null, 'text'],
  [0, 'green'],
] as const
const unknown = [
  [null, 'orange'],
  [0, 'green'],
] as const

const tile = (panel: Omit<Stat, 'width' | 'filled'> & { readonly width?: number }): PanelBuilder =>
  statPanel({ width: 4, filled: true, ...panel })

const responses = (matchers = {}) => sum(`rate(${selected('http.server.request.duration', matchers, 'count')}[5m])`)
const failing = `(${responses({ 'http.response.status_code': '=~"5.."' })} or vector(0)) / (${responses()} > 0)`

const health: readonly PanelBuilder[] = [
  tile({
    title: 'Health',
    description:
      'How many alerts of tokenweir fire; they are listed below. Without the rules in this Prometheus it is not known: see docs/dashboards.md.',
    unit: 'short',
    width: 8,
    steps: [...unknown, [1, 'red']],
    words: { 0: 'Healthy' },
    queries: [{ expr: alertsFiring, legend: 'Alerts that fire' }],
    noData: 'Not known: no sidecar reports, or the alert rules are not loaded.',
  }),
  tile({
    title: 'Sidecars reporting',
    description: 'Instances whose metrics arrive.',
    unit: 'short',
    leadsTo: 'sidecar',
    steps: [
      [null, 'red'],
      [1, 'green'],
    ],
    queries: [{ expr: `count(${selected('tokenweir.counters.start_time')})`, legend: 'Instances' }],
    noData: 'None: no sidecar reports.',
  }),
  tile({
    title: 'Answered with 5xx now',
    description: 'Share of the requests of five minutes that were answered with 5xx. Provider, model and caller do not select here.',
    unit: 'percentunit',
    decimals: 1,
    leadsTo: 'reliability',
    steps: [...unjudged, [0.01, 'yellow'], [0.05, 'red']],
    queries: [{ expr: failing, legend: '5xx' }],
    noData: 'No request in five minutes.',
  }),
  tile({
    title: 'First chunk now (p95)',
    description: 'Of five minutes: 95 of 100 streams began within this time.',
    unit: 's',
    leadsTo: 'latency',
    steps: [...unjudged, [5, 'yellow'], [10, 'red']],
    queries: [
      {
        expr: `${quantileOf(0.95, sum(`rate(${selectedGeneration('time_to_first_chunk', 'bucket')}[5m])`, 'le'))} > 0`,
        legend: 'p95',
      },
    ],
    noData: 'No stream in five minutes.',
  }),
  tile({
    title: 'Streams without usage',
    description: 'Of the last hour. Without the recording rules an estimate, which misses the first stream of its kind.',
    unit: 'short',
    decimals: 0,
    leadsTo: 'zero-usage',
    steps: [...unjudged, [1, 'yellow'], [3, 'red']],
    queries: [
      { expr: orNothing(inHour('tokenweir.streams.zero_usage')), legend: 'Without usage' },
      { expr: estimated('tokenweir.streams.zero_usage', '1h'), legend: 'Without usage, estimated' },
    ],
    noData: 'None was seen.',
  }),
  tile({
    title: 'Records lost',
    description: 'Of the last hour: requests, ledger rows, spans, log records and log lines given up at a limit.',
    unit: 'short',
    leadsTo: 'sidecar',
    steps: [...unknown, [1, 'red']],
    queries: [{ expr: orNothing(inHour('tokenweir.lost')), legend: 'Lost' }],
    noData: 'Not known: no sidecar reports.',
  }),
  tile({
    title: 'Ledgers not writable',
    description: 'Instances whose ledger cannot be written. Requests go on; rows wait, then are dropped and counted.',
    unit: 'short',
    leadsTo: 'sidecar',
    steps: [...unknown, [1, 'red']],
    queries: [{ expr: orZero(`count(${selected('tokenweir.ledger.writable')} == 0)`), legend: 'Not writable' }],
    noData: 'Not known: no sidecar reports.',
  }),
  tile({
    title: 'Oldest waiting for the collector',
    description: 'Age of the oldest span or log record in a spool. Grows while the collector is away.',
    unit: 's',
    leadsTo: 'sidecar',
    steps: [...unjudged, [60, 'yellow'], [600, 'red']],
    queries: [{ expr: max(selected('tokenweir.spool.oldest_age')), legend: 'Age' }],
    noData: 'Nothing is exported over OTLP.',
  }),
  tile({
    title: 'Budget nearest to its end',
    description: 'Share that is spent of the budget of which most is, over all sidecars.',
    unit: 'percentunit',
    decimals: 0,
    leadsTo: 'who',
    steps: [...unjudged, [0.8, 'yellow'], [1, 'red']],
    queries: [{ expr: topk(1, spentShare), legend: budgetName }],
    noData: 'No budget is configured.',
  }),
  tile({
    title: 'Least headroom of a limit on rate',
    description: 'Share that is left of the limit of which least is, as the last answers told it. The route does not select here.',
    unit: 'percentunit',
    decimals: 0,
    leadsTo: 'reliability',
    steps: [
      [null, 'text'],
      [0, 'red'],
      [0.1, 'yellow'],
      [0.2, 'green'],
    ],
    queries: [{ expr: min(headroom), legend: 'Left' }],
    noData: 'No answer of the last minute told a limit.',
  }),
  tile({
    title: 'Requests open',
    description: 'Requests under way now.',
    unit: 'short',
    leadsTo: 'sidecar',
    queries: [{ expr: sum(selected('tokenweir.exchanges.open')), legend: 'Open' }],
    steps: [[null, 'blue']],
  }),
]

export const overviewPage: Page = {
  name: 'overview',
  title: 'Overview',
  description: 'Is it healthy? If not, what is wrong, and which dashboard tells more.',
  from: 'now-3h',
  variables: [generationVariable()],
  rows: [
    { title: 'Is it healthy?', panels: health },
    {
      title: 'What is wrong',
      panels: [
        tablePanel({
          title: 'Alerts that fire',
          description: 'Those that this Prometheus evaluates. docs/alerts.md says what to do for each.',
          unit: 'short',
          width: 24,
          height: 6,
          labels: {
            alertname: 'Alert',
            severity: 'Severity',
            gen_ai_provider_name: 'Provider',
            http_route: 'Route',
            reason: 'Reason',
            instance: 'Instance',
          },
          queries: [
            {
              expr: `count by (alertname, severity, gen_ai_provider_name, http_route, reason, instance) (${firing})`,
              legend: 'Firing',
            },
          ],
          noData: 'None fires, if the tile Health is green.',
        }),
      ],
    },
    {
      title: 'Rate and errors',
      panels: [
        timeSeriesPanel({ ...requestsByEnd, leadsTo: 'reliability' }),
        timeSeriesPanel({
          title: 'Errors per second, by type',
          description: 'Inference requests. A status of 400 or more, why the upstream was not reached, or the error told inside a stream.',
          unit: 'reqps',
          width: 12,
          leadsTo: 'reliability',
          queries: [
            {
              expr: topk(15, sum(rate(selectedGeneration('duration', 'count', { 'error.type': '!=""' })), 'error.type')),
              legend: '{{error_type}}',
            },
          ],
          noData: 'None: no inference request failed.',
        }),
      ],
    },
    {
      title: 'Latency',
      panels: [
        timeSeriesPanel({
          title: 'Time to first chunk, by provider (p95)',
          description: 'The 15 slowest providers.',
          unit: 's',
          width: 12,
          leadsTo: 'latency',
          queries: [
            {
              expr: topk(15, `${quantile(0.95, selectedGeneration('time_to_first_chunk', 'bucket'), 'gen_ai.provider.name')} > 0`),
              legend: '{{gen_ai_provider_name}}',
            },
          ],
        }),
        timeSeriesPanel({
          title: 'Added before the first byte (p99)',
          description: 'By the sidecar itself. The target is half a millisecond, the dashed line.',
          unit: 's',
          width: 12,
          lines: true,
          leadsTo: 'sidecar',
          steps: [...calm, [0.0005, 'red']],
          queries: [{ expr: `${quantile(0.99, selected('tokenweir.overhead.first_byte', {}, 'bucket'))} > 0`, legend: 'p99' }],
        }),
      ],
    },
    {
      title: 'Spend',
      panels: [
        timeSeriesPanel({ ...costByProvider, leadsTo: 'tokens', noData: 'No request whose cost is known.' }),
        timeSeriesPanel({
          title: 'Tokens per second, by provider',
          description: 'Input and output, as reported.',
          unit: 'short',
          width: 12,
          stacked: true,
          leadsTo: 'tokens',
          queries: [
            {
              expr: sum(rate(selected('tokenweir.tokens', { token_type: '=~"input|output"' })), 'gen_ai.provider.name'),
              legend: '{{gen_ai_provider_name}}',
            },
          ],
        }),
        statPanel({
          title: 'Cost of the last hour',
          description: 'USD, of the requests whose cost is known. Without the recording rules an estimate.',
          unit: 'currencyUSD',
          width: 6,
          height: 8,
          leadsTo: 'tokens',
          queries: [
            { expr: inHour('tokenweir.cost'), legend: 'Cost' },
            { expr: estimated('tokenweir.cost', '1h'), legend: 'Cost, estimated' },
          ],
        }),
        barsPanel({
          title: 'Budgets',
          description: 'Share of each budget that is spent in its period, over all sidecars.',
          unit: 'percentunit',
          width: 9,
          leadsTo: 'who',
          steps: [...calm, [0.8, 'yellow'], [1, 'red']],
          queries: [{ expr: spentShare, legend: budgetName }],
          noData: 'No budget is configured. See docs/budgets.md.',
        }),
        barsPanel({
          title: 'Headroom of limits on rate',
          description: 'Share that is left, as the last answers told it, of the ten nearest to their end. The route does not select here.',
          unit: 'percentunit',
          width: 9,
          leadsTo: 'reliability',
          steps: [
            [null, 'red'],
            [0.1, 'yellow'],
            [0.2, 'green'],
          ],
          queries: [
            {
              expr: `bottomk(10, ${min(headroom, ...limited)})`,
              legend: '{{gen_ai_provider_name}} {{gen_ai_request_model}} {{rate_limit}} {{caller}}',
            },
          ],
          noData: 'No answer of the last minute told a limit.',
        }),
      ],
    },
    {
      title: 'Sidecars',
      panels: [
        timeSeriesPanel({
          title: 'Sidecars reporting',
          description: 'Instances whose metrics arrive.',
          unit: 'short',
          width: 12,
          decimals: 0,
          leadsTo: 'sidecar',
          queries: [{ expr: `count(${selected('tokenweir.counters.start_time')})`, legend: 'Instances' }],
        }),
        tablePanel({
          title: 'Since when they run',
          description: 'The time since the start of each process, the youngest last.',
          unit: 's',
          width: 12,
          height: 8,
          labels: { instance: 'Instance' },
          queries: [{ expr: max(selected('process.uptime'), 'instance'), legend: 'Uptime' }],
        }),
      ],
    },
  ],
}
