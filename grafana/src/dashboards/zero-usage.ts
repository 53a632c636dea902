import type { Page } from '../layout.ts'
import { barsPanel, calm, type PanelBuilder, statPanel, tablePanel, timeSeriesPanel, tracesPanel } from '../panels.ts'
import { type Label, labelName, rate, sum, topk } from '../promql.ts'
import { inRange, inStep, orNothing, selected } from '../variables.ts'

const zero = 'tokenweir.streams.zero_usage'
const completed = 'tokenweir.streams.completed'
/** parse_error, unsupported_encoding, limit_hit, unknown_format. */
const ours = { reason: '!~"not_requested|upstream_omitted|zero"' }
const outcomes = selected('tokenweir.requests', { usage_outcome: '!=""' })

const perStep = (title: string, description: string, label: Label): PanelBuilder =>
  timeSeriesPanel({
    title,
    description,
    unit: 'short',
    width: 12,
    bars: true,
    queries: [{ expr: topk(15, `${inStep(zero, {}, label)} > 0`), legend: `{{${labelName(label)}}}` }],
    noData: 'None: every completed stream told its usage, or no stream was completed.',
  })

export const zeroUsagePage: Page = {
  name: 'zero-usage',
  title: 'Zero usage',
  description: 'Completed streams that told no usage, with the reason, and the traces of each. A client that left early is not among them.',
  rows: [
    {
      title: 'In the selected time',
      panels: [
        statPanel({
          title: 'Streams without usage',
          description: 'Completed streams, status 2xx, whose usage was missing, 0 or could not be read.',
          unit: 'short',
          width: 6,
          steps: [...calm, [1, 'yellow'], [3, 'red']],
          queries: [{ expr: orNothing(inRange(zero)), legend: 'Without usage' }],
        }),
        statPanel({
          title: 'Share of completed streams',
          description: 'Of the completed streams whose answers carry usage. The burst alert watches for 2 %.',
          unit: 'percentunit',
          width: 6,
          decimals: 2,
          steps: [...calm, [0.01, 'yellow'], [0.02, 'red']],
          queries: [
            { expr: orNothing(inRange(zero)), legend: 'Without usage' },
            { expr: `${inRange(completed)} > 0`, legend: 'Completed' },
          ],
          math: '$A / $B',
          noData: 'No completed stream in the selected time.',
        }),
        statPanel({
          title: 'Our own doing',
          description:
            'Of those without usage: tokenweir could not read the answer (parse_error, unsupported_encoding, limit_hit, unknown_format).',
          unit: 'short',
          width: 6,
          steps: [...calm, [1, 'red']],
          queries: [{ expr: orNothing(inRange(zero, ours)), legend: 'Not understood' }],
        }),
        statPanel({
          title: 'Completed streams',
          description: 'Streamed answers that came whole, with a status of 2xx, to requests whose answers carry usage.',
          unit: 'short',
          width: 6,
          queries: [{ expr: orNothing(inRange(completed)), legend: 'Completed' }],
        }),
      ],
    },
    {
      title: 'When',
      panels: [
        perStep(
          'Without usage, by reason',
          'not_requested: nobody asked for it; upstream_omitted: asked, not told; zero: the provider said 0.',
          'reason',
        ),
        perStep('Without usage, by provider', 'The 15 providers with the most at each moment.', 'gen_ai.provider.name'),
        perStep('Without usage, by model', 'The 15 models with the most at each moment.', 'gen_ai.request.model'),
        perStep('Without usage, by route', 'The configured routes.', 'http.route'),
      ],
    },
    {
      title: 'Outcomes of every answered inference request, streamed or not',
      panels: [
        timeSeriesPanel({
          title: 'Requests per second, by usage outcome',
          description: 'reported, zero (the provider said 0), partial (cut before the last usage), missing, undecodable.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [{ expr: sum(rate(outcomes), 'usage_outcome'), legend: '{{usage_outcome}}' }],
        }),
        barsPanel({
          title: 'Requests by reason',
          description: 'Why the outcome is not "reported", streamed or not, clients that left included.',
          unit: 'short',
          width: 12,
          steps: [[null, 'orange']],
          queries: [{ expr: inRange('tokenweir.requests', { reason: '!=""' }, 'reason'), legend: '{{reason}}' }],
          noData: 'None: every usage was reported.',
        }),
      ],
    },
    {
      title: 'Which',
      panels: [
        tablePanel({
          title: 'Streams without usage, by provider, model, route and reason',
          description: 'Totals of the selected time, the hundred largest.',
          unit: 'short',
          width: 24,
          labels: { gen_ai_provider_name: 'Provider', gen_ai_request_model: 'Model', http_route: 'Route', reason: 'Reason' },
          queries: [
            {
              expr: topk(100, `${inRange(zero, {}, 'gen_ai.provider.name', 'gen_ai.request.model', 'http.route', 'reason')} > 0`),
              legend: 'Streams',
            },
          ],
          noData: 'None in the selected time.',
        }),
        tracesPanel({
          title: 'Their traces',
          description: 'Spans whose usage is missing, 0 or could not be read; a click opens the trace. Provider and model select here.',
          width: 24,
          traceQl:
            '{ span.tokenweir.usage.outcome =~ "missing|undecodable|zero" && span.gen_ai.provider.name =~ "$provider" && span.gen_ai.request.model =~ "$model" }',
          noData: 'No trace in the selected time has such an outcome.',
        }),
      ],
    },
  ],
}
