import type { Page } from '../layout.ts'
import { heatmapPanel, type PanelBuilder, type Query, statPanel, timeSeriesPanel } from '../panels.ts'
import { type Label, labelName, rate, sum, topk } from '../promql.ts'
import { spanDuration } from '../span-metrics.ts'
import { generationVariable, quantile, selected, selectedGeneration } from '../variables.ts'

const duration = selectedGeneration('duration', 'bucket')
const firstChunk = selectedGeneration('time_to_first_chunk', 'bucket')
const perChunk = selectedGeneration('time_per_output_chunk', 'bucket')
const perToken = () => selected('gen_ai.server.time_per_output_token', {}, 'bucket')

const shares = [0.5, 0.95, 0.99] as const
const percent = (share: number) => `p${share * 100}`

const current = (title: string, description: string, buckets: string): PanelBuilder =>
  statPanel({
    title,
    description,
    unit: 's',
    width: 8,
    // Without traffic a quantile is NaN, which a large number would show.
    queries: shares.map((share) => ({ expr: `${quantile(share, buckets)} > 0`, legend: percent(share) })),
  })

const quantiles = (title: string, description: string, buckets: string): PanelBuilder =>
  timeSeriesPanel({
    title,
    description,
    unit: 's',
    width: 12,
    queries: shares.map((share) => ({ expr: quantile(share, buckets), legend: percent(share) })),
  })

/** Fifteen slowest at each moment: quantiles cannot be ranked over the whole range without another query of its size. */
const slowest = (title: string, description: string, buckets: string, label: Label): PanelBuilder =>
  timeSeriesPanel({
    title,
    description,
    unit: 's',
    width: 12,
    queries: [{ expr: topk(15, `(${quantile(0.95, buckets, label)}) > 0`), legend: `{{${labelName(label)}}}` }],
  })

const spread = (title: string, description: string, buckets: string): PanelBuilder =>
  heatmapPanel({
    title,
    description: `${description} Darker: more requests.`,
    unit: 's',
    width: 12,
    queries: [{ expr: sum(`increase(${buckets}[$__rate_interval])`, 'le'), legend: '{{le}}' }],
  })

/** Of so many streams at least; the time of a token is the one over it. Both generations have the same metric. */
const perSecond = (share: number, ...by: readonly Label[]) => `1 / histogram_quantile(${share}, ${sum(rate(perToken()), 'le', ...by)})`

const tokenSpeed = (title: string, description: string, queries: readonly Query[]): PanelBuilder =>
  timeSeriesPanel({ title, description, unit: 'short', width: 12, queries })

export const latencyPage: Page = {
  name: 'latency',
  title: 'Latency',
  description: 'How long answers take, until they begin, between their chunks and as a whole, as clients see it in front of the sidecar.',
  variables: [generationVariable()],
  rows: [
    {
      title: 'Now',
      panels: [
        current('Time to first chunk', 'From the request to the first chunk of a stream. What a person waits for.', firstChunk),
        current('Time between chunks', 'Mean time between the chunks of one stream: one record per stream.', perChunk),
        current('Duration', 'From the request to the end of the answer.', duration),
      ],
    },
    {
      title: 'Time to first chunk',
      panels: [
        quantiles('Time to first chunk', 'Half, 95 and 99 of 100 streams began within this time.', firstChunk),
        spread('Time to first chunk, spread', 'How many streams began after how long.', firstChunk),
        slowest('Slowest providers (p95 to first chunk)', 'The 15 slowest providers.', firstChunk, 'gen_ai.provider.name'),
        slowest(
          'Slowest models (p95 to first chunk)',
          'The 15 slowest models, by the name that was asked for.',
          firstChunk,
          'gen_ai.request.model',
        ),
      ],
    },
    {
      title: 'Between chunks',
      panels: [
        quantiles('Time between chunks', 'Half, 95 and 99 of 100 streams had this mean time between chunks.', perChunk),
        slowest('Slowest models between chunks (p95)', 'The 15 models whose streams trickle.', perChunk, 'gen_ai.request.model'),
      ],
    },
    {
      title: 'Between tokens',
      panels: [
        tokenSpeed(
          'Output tokens per second of one stream',
          'Half, 95 and 99 of 100 streams wrote at least so many: output tokens after the first, over the time from the first to the last. Streams of which that cannot be known are left out.',
          shares.map((share) => ({ expr: perSecond(share), legend: percent(share) })),
        ),
        tokenSpeed('Slowest models (output tokens per second)', 'The 15 models whose median stream writes slowest.', [
          { expr: `bottomk(15, ${perSecond(0.5, 'gen_ai.request.model')})`, legend: '{{gen_ai_request_model}}' },
        ]),
      ],
    },
    {
      title: 'Whole answers',
      panels: [
        quantiles('Duration', 'Half, 95 and 99 of 100 answers were whole within this time.', duration),
        spread('Duration, spread', 'How many answers took how long.', duration),
        slowest('Slowest models (p95 duration)', 'The 15 models with the longest answers.', duration, 'gen_ai.request.model'),
        timeSeriesPanel({
          title: 'Duration of every request, by route (p95)',
          description: 'Also of requests that are no inference. The largest bucket ends at 10 s.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: quantile(0.95, selected('http.server.request.duration', {}, 'bucket'), 'http.route'),
              legend: '{{http_route}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'To the traces',
      panels: [
        timeSeriesPanel({
          title: 'Duration of spans, with traces (p95)',
          description:
            'From the spans, by the collector. Each diamond is one request: a click opens its trace. Only the instance selects here; without the collector there is no data.',
          unit: 's',
          width: 24,
          queries: [{ expr: spanDuration.quantile(0.95), legend: '{{span_name}}', exemplar: true }],
          noData: 'No data: the collector makes these from spans (its spanmetrics connector).',
        }),
      ],
    },
  ],
}
