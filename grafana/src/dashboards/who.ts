import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import type { Page } from '../layout.ts'
import { barsPanel, calm, tablePanel, timeSeriesPanel } from '../panels.ts'
import { max, rate, ratio, series, sum, topk } from '../promql.ts'
import { inRange, prometheus, selected } from '../variables.ts'

const cost = selected('tokenweir.cost')
const inAndOut = { token_type: '=~"input|output"' } as const
const tokens = selected('tokenweir.tokens', inAndOut)
const budgetLabels = ['budget', 'period', 'budget_unit'] as const
/** Over all sidecars: each knows its own ledger. */
export const spentShare = ratio(
  sum(series('tokenweir.budget.spent'), ...budgetLabels),
  max(series('tokenweir.budget.limit'), ...budgetLabels),
)
export const budgetName = '{{budget}} ({{period}}, {{budget_unit}})'
/** `$by` is a label that is chosen on the page: the caller, the model, or one of the operator's own. */
const by = (expression: string) => expression.replace(/^sum\(/, 'sum by ($by) (')
const legend = '{{$by}}'
const noData = 'No data: nothing of that was counted in the selected time. See docs/callers.md and docs/labels.md.'

const labelNames = 'caller|gen_ai_request_model|gen_ai_provider_name|http_route|tokenweir_label_.+'

export const whoPage: Page = {
  name: 'who',
  title: 'Who',
  description: 'Who spends it, on what: tokens and cost by caller, model or a label of your own, and what is left of budgets.',
  variables: [
    new dashboard.QueryVariableBuilder('by')
      .label('By')
      .description('Caller, model, provider, route, or a label that is marked metric.')
      .datasource(prometheus)
      .query({ query: `label_names(${series('tokenweir.tokens')})`, refId: 'StandardVariableQuery' })
      .definition(`label_names(${series('tokenweir.tokens')})`)
      .regex(`/^(?:${labelNames})$/`)
      .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
      .sort(dashboard.VariableSort.AlphabeticalAsc)
      .current({ selected: true, text: 'caller', value: 'caller' }),
  ],
  rows: [
    {
      title: 'In the selected time',
      panels: [
        barsPanel({
          title: 'Most cost',
          description: 'USD of the requests whose cost is known, the 20 with the most.',
          unit: 'currencyUSD',
          width: 12,
          steps: [[null, 'blue']],
          queries: [{ expr: topk(20, by(inRange('tokenweir.cost'))), legend }],
          noData,
        }),
        barsPanel({
          title: 'Most tokens',
          description: 'Input and output, the 20 with the most.',
          unit: 'short',
          width: 12,
          steps: [[null, 'blue']],
          queries: [{ expr: topk(20, by(inRange('tokenweir.tokens', inAndOut))), legend }],
          noData,
        }),
      ],
    },
    {
      title: 'Over time',
      panels: [
        timeSeriesPanel({
          title: 'Cost per hour',
          description: 'USD per hour at the present rate, the 15 with the most.',
          unit: 'currencyUSD',
          width: 12,
          stacked: true,
          queries: [{ expr: topk(15, `3600 * ${by(sum(rate(cost)))}`), legend }],
          noData,
        }),
        timeSeriesPanel({
          title: 'Share of the cost',
          description: 'Of what those with the most cost together at the present rate, the 15 with the most.',
          unit: 'currencyUSD',
          width: 12,
          stacked: 'percent',
          queries: [{ expr: topk(15, `3600 * ${by(sum(rate(cost)))}`), legend }],
          noData,
        }),
        timeSeriesPanel({
          title: 'Tokens per second',
          description: 'Input and output, the 15 with the most.',
          unit: 'short',
          width: 12,
          stacked: true,
          queries: [{ expr: topk(15, by(sum(rate(tokens)))), legend }],
          noData,
        }),
        timeSeriesPanel({
          title: 'Tokens, against a week before',
          description: 'How many times as many per second as at the same time a week before; 1 is the same.',
          unit: 'short',
          width: 12,
          queries: [
            { expr: topk(15, by(sum(rate(tokens)))), legend },
            { expr: `${by(sum(rate(tokens, ' offset 1w')))} > 0`, legend },
          ],
          math: '$A / $B',
          noData: 'No data: nothing was counted a week before.',
        }),
      ],
    },
    {
      title: 'Budgets',
      panels: [
        barsPanel({
          title: 'Spent',
          description: 'Share of each budget that is spent in its period, over all sidecars.',
          unit: 'percentunit',
          width: 12,
          steps: [...calm, [0.8, 'yellow'], [1, 'red']],
          queries: [{ expr: spentShare, legend: budgetName }],
          noData: 'No budget is configured. See docs/budgets.md.',
        }),
        tablePanel({
          title: 'Budgets',
          description: 'In USD or tokens; the forecast is where the pace of now leads at the end of the period.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { budget: 'Budget', period: 'Period', budget_unit: 'In' },
          queries: [
            { expr: max(series('tokenweir.budget.limit'), ...budgetLabels), legend: 'Limit' },
            { expr: sum(series('tokenweir.budget.spent'), ...budgetLabels), legend: 'Spent' },
            { expr: sum(series('tokenweir.budget.forecast'), ...budgetLabels), legend: 'Forecast' },
          ],
          noData: 'No budget is configured. See docs/budgets.md.',
        }),
      ],
    },
  ],
}
