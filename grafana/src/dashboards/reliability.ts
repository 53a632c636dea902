import type { Page } from '../layout.ts'
import { calm, statPanel, type TimeSeries, tablePanel, timeSeriesPanel } from '../panels.ts'
import { type Label, max, min, rate, series, sum, topk } from '../promql.ts'
import { generationVariable, inRange, inStep, orNothing, quantile, selected, selectedGeneration } from '../variables.ts'

const cut = { end_reason: '="upstream-aborted"' } as const
const left = { end_reason: '="client-aborted"' } as const
const failed = { 'error.type': '!=""' } as const

/** Of the answers, or of the requests. */
const share = (
  title: string,
  description: string,
  events: (matchers?: { readonly [Key in Label]?: string }) => string,
  matchers: { readonly [Key in Label]?: string },
  steps: readonly [number, number],
) =>
  statPanel({
    title,
    description,
    unit: 'percentunit',
    width: 6,
    decimals: 2,
    steps: [...calm, [steps[0], 'yellow'], [steps[1], 'red']],
    queries: [
      { expr: orNothing(events(matchers)), legend: title },
      { expr: `${events()} > 0`, legend: 'All' },
    ],
    math: '$A / $B',
    noData: 'No request in the selected time.',
  })
const requests = (matchers = {}) => inRange('tokenweir.requests', matchers)
const responses = (matchers = {}) => inRange('http.server.request.duration', matchers)

/** Both have the same labels, so that the selection of one is that of both. */
export const headroom = `${selected('tokenweir.ratelimit.remaining')} / (${series('tokenweir.ratelimit.limit')} > 0)`
export const limited = ['gen_ai.provider.name', 'gen_ai.request.model', 'rate_limit', 'caller'] as const satisfies readonly Label[]

export const requestsByEnd: TimeSeries = {
  title: 'Requests per second, by end',
  description: 'completed, client-aborted, upstream-aborted, unreachable, refused, sidecar-stopped.',
  unit: 'reqps',
  width: 12,
  stacked: true,
  queries: [{ expr: sum(rate(selected('tokenweir.requests')), 'end_reason'), legend: '{{end_reason}}' }],
}

export const reliabilityPage: Page = {
  name: 'reliability',
  title: 'Reliability',
  description: 'How requests end: errors, streams that were cut, clients that left, upstreams that could not be reached.',
  variables: [generationVariable()],
  rows: [
    {
      title: 'In the selected time',
      panels: [
        share(
          'Answered with 5xx',
          'Share of all requests; 502 and 504 of the sidecar itself are among them. Provider and model do not select here.',
          responses,
          { 'http.response.status_code': '=~"5.."' },
          [0.01, 0.05],
        ),
        share('Cut streams', 'Answers that the upstream broke off after they had begun.', requests, cut, [0.01, 0.05]),
        share(
          'Upstream not reached',
          'No connection, no answer in time, or none that is HTTP.',
          requests,
          { end_reason: '="unreachable"' },
          [0.01, 0.05],
        ),
        share(
          'Clients that left',
          'The client closed before its answer was whole. No error, but answers nobody waited for.',
          requests,
          left,
          [0.1, 0.3],
        ),
      ],
    },
    {
      title: 'How requests end',
      panels: [
        timeSeriesPanel(requestsByEnd),
        timeSeriesPanel({
          title: 'Requests per second, by status',
          description: 'Status sent to the client; the empty one is of requests that got none. Provider and model do not select here.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            {
              expr: sum(rate(selected('http.server.request.duration', {}, 'count')), 'http.response.status_code'),
              legend: '{{http_response_status_code}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Errors',
      panels: [
        timeSeriesPanel({
          title: 'Errors per second, by type',
          description:
            'HTTP status of 400 or more, why the upstream was not reached, or the error told inside a stream: inference requests.',
          unit: 'reqps',
          width: 12,
          queries: [{ expr: topk(15, sum(rate(selectedGeneration('duration', 'count', failed)), 'error.type')), legend: '{{error_type}}' }],
          noData: 'None: no inference request failed.',
        }),
        timeSeriesPanel({
          title: 'Errors per second, by provider',
          description: 'The 15 providers with the most at each moment.',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: topk(15, sum(rate(selectedGeneration('duration', 'count', failed)), 'gen_ai.provider.name')),
              legend: '{{gen_ai_provider_name}}',
            },
          ],
          noData: 'None: no inference request failed.',
        }),
        tablePanel({
          title: 'Errors by provider, model and type',
          description: 'Totals of the selected time, the hundred largest. The route does not select here.',
          unit: 'short',
          width: 24,
          labels: { gen_ai_provider_name: 'Provider', gen_ai_request_model: 'Model', error_type: 'Type' },
          queries: [
            {
              expr: topk(
                100,
                `${inRange('gen_ai.client.duration', failed, 'gen_ai.provider.name', 'gen_ai.request.model', 'error.type')} > 0`,
              ),
              legend: 'Requests',
            },
          ],
          noData: 'None in the selected time.',
        }),
      ],
    },
    {
      title: 'Upstreams',
      panels: [
        timeSeriesPanel({
          title: 'Failures of upstreams, by reason',
          description: 'Requests that an upstream did not answer, or answered with 5xx. Only the instance selects here.',
          unit: 'short',
          width: 8,
          bars: true,
          queries: [
            {
              expr: orNothing(topk(15, `${inStep('tokenweir.upstream.failures', {}, 'upstream', 'reason')} > 0`), 'reason'),
              legend: '{{upstream}} {{reason}}',
            },
          ],
        }),
        tablePanel({
          title: 'Time since the last success',
          description: 'Since an upstream last began a response with a status below 500. Without requests it grows as well.',
          unit: 's',
          width: 8,
          height: 8,
          labels: { upstream: 'Upstream', instance: 'Instance' },
          queries: [
            { expr: `time() - ${max(selected('tokenweir.upstream.last_success'), 'upstream', 'instance')}`, legend: 'Last success' },
          ],
          noData: 'No upstream has succeeded yet.',
        }),
        timeSeriesPanel({
          title: 'Time to connect (p99)',
          description: 'Of new connections to an upstream, with TLS and forward proxy. Most requests use one that is there.',
          unit: 's',
          width: 8,
          queries: [
            {
              expr: topk(15, quantile(0.99, selected('tokenweir.upstream.connect.duration', {}, 'bucket'), 'upstream')),
              legend: '{{upstream}}',
            },
          ],
          noData: 'No connection was made.',
        }),
      ],
    },
    {
      title: 'Limits on rate',
      panels: [
        timeSeriesPanel({
          title: 'What is left of the limits',
          description: 'As the last answers told it, the 15 nearest to their end. The route does not select here.',
          unit: 'percentunit',
          width: 12,
          queries: [
            {
              expr: `bottomk(15, ${min(headroom, ...limited)})`,
              legend: '{{gen_ai_provider_name}} {{gen_ai_request_model}} {{rate_limit}} {{caller}}',
            },
          ],
          noData: 'No answer of the last minute told a limit.',
        }),
        timeSeriesPanel({
          title: 'Answered 429, by provider and caller',
          description: 'Per second, the 15 with the most.',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: topk(15, sum(rate(selected('tokenweir.ratelimit.refusals')), 'gen_ai.provider.name', 'caller')),
              legend: '{{gen_ai_provider_name}} {{caller}}',
            },
          ],
          noData: 'None: no request was answered 429.',
        }),
      ],
    },
    {
      title: 'Cut and left',
      panels: [
        timeSeriesPanel({
          title: 'Cut streams, by provider',
          description: 'How many answers the upstream broke off.',
          unit: 'short',
          width: 12,
          bars: true,
          queries: [
            {
              expr: topk(15, `${inStep('tokenweir.requests', cut, 'gen_ai.provider.name')} > 0`),
              legend: '{{gen_ai_provider_name}}',
            },
          ],
          noData: 'None in the selected time.',
        }),
        timeSeriesPanel({
          title: 'Clients that left, by caller',
          description: 'Per second, the 15 callers with the most at each moment. Provider, model and route do not select here.',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: topk(15, sum(rate(selected('tokenweir.caller.requests', left)), 'caller')),
              legend: '{{caller}}',
            },
          ],
          noData: 'None: no known caller left early.',
        }),
        timeSeriesPanel({
          title: 'No HTTP',
          description: 'Connections that sent no HTTP and were refused before they became a request.',
          unit: 'short',
          width: 12,
          bars: true,
          queries: [{ expr: inStep('tokenweir.requests.malformed', {}, 'instance'), legend: '{{instance}}' }],
        }),
        tablePanel({
          title: 'What upstreams make of stream_options',
          description: 'Whether an upstream takes the question for usage, or refused it: 1 for the state it is in.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { upstream: 'Upstream', feature: 'Feature', state: 'State' },
          queries: [{ expr: `${max(selected('tokenweir.capability'), 'upstream', 'feature', 'state')} == 1`, legend: 'Instances agree' }],
          noData: 'No data: nothing was injected yet.',
        }),
      ],
    },
  ],
}
