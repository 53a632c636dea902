/** Usage that should have been told, and prices that should be known. */
import { type Label, list, max, ratio, series, sum } from '../promql.ts'
import type { Alert, Making } from './alert.ts'

const where = ['gen_ai.provider.name', 'http.route'] as const satisfies readonly Label[]
const on = `and on (${list(where)})`
const place = '{{ $labels.gen_ai_provider_name }} on route {{ $labels.http_route }}'
const traceQl =
  '{ span.tokenweir.usage.outcome =~ "missing|undecodable|zero" && span.gen_ai.provider.name = "{{ $labels.gen_ai_provider_name }}" }'

export function usageAlerts({ counts, seconds }: Making): Alert[] {
  const zero = (window: number) => counts.of('zero_usage', series('tokenweir.streams.zero_usage'), seconds(window), ...where, 'reason')
  const all = (window: number) => sum(zero(window), ...where)
  const completed = (window: number) => counts.of('completed_streams', series('tokenweir.streams.completed'), seconds(window), ...where)
  /** By reason, so that the alert carries it as a label; the conditions are of all the reasons together. */
  const when = (window: number, ...conditions: readonly string[]) => [`(${zero(window)} > 0)`, ...conditions].join(`\n${on} `)
  const over = (window: number, share: number) => `(${ratio(all(window), completed(window))} > ${share})`
  const hour = 3600
  const day = 86_400
  return [
    {
      name: 'ZeroUsageBurst',
      severity: 'page',
      expr: when(hour, `(${all(hour)} >= 3)`, over(hour, 0.02), `(${all(600)} > 0)`),
      forSeconds: 0,
      keepSeconds: seconds(1800),
      summary: `{{ $value | printf "%.0f" }} streams of ${place} told no usage: {{ $labels.reason }}`,
      impact: 'Tokens and cost of these streams are missing from every total, budget and bill that is made of them.',
      firstSteps:
        'Open the dashboard, see which model and reason; open a trace. parse_error, unsupported_encoding, limit_hit, unknown_format: tokenweir cannot read the answer. upstream_omitted, zero: the provider or the gateway left it out. not_requested: nobody asked.',
      dashboard: 'zero-usage',
      traceQl,
    },
    {
      name: 'ZeroUsageTrickle',
      severity: 'ticket',
      expr: when(day, `(${all(day)} > 0.5)`, over(day, 0.01)),
      forSeconds: 0,
      keepSeconds: seconds(1800),
      summary: `{{ $value | printf "%.0f" }} streams of ${place} told no usage within a day: {{ $labels.reason }}`,
      impact: 'More than one stream in a hundred is missing from the totals.',
      firstSteps: 'Open the dashboard for the last day, see which model and reason, and open a trace.',
      dashboard: 'zero-usage',
      traceQl,
    },
  ]
}

export function priceAlerts({ counts, seconds }: Making): Alert[] {
  const provider = 'gen_ai.provider.name'
  const day = seconds(86_400)
  const unpriced = counts.of('unpriced_requests', series('tokenweir.cost.requests', { price_status: '="unpriced"' }), day, provider)
  const charged = counts.of('charged_requests', series('tokenweir.cost.requests'), day, provider)
  return [
    {
      name: 'UnpricedTraffic',
      severity: 'ticket',
      expr: `(${ratio(unpriced, charged)} > 0.05)\nand on (${list([provider])}) (${unpriced} >= 20)`,
      forSeconds: seconds(600),
      keepSeconds: seconds(3600),
      summary: '{{ $value | humanizePercentage }} of the requests of {{ $labels.gen_ai_provider_name }} have no price',
      impact: 'The cost shown is too low by what these requests cost.',
      firstSteps: 'See in the ledger which models have no cost, and give them a price (docs/costs.md).',
      dashboard: 'tokens',
    },
    ...budgetAlerts(seconds),
  ]
}

/** Each sidecar knows its own ledger: together they are what a budget has spent. */
function budgetAlerts(seconds: Making['seconds']): Alert[] {
  const by = ['budget', 'period', 'budget_unit'] as const satisfies readonly Label[]
  const share = (what: 'spent' | 'forecast') =>
    ratio(sum(series(`tokenweir.budget.${what}`), ...by), max(series('tokenweir.budget.limit'), ...by))
  const budget = (name: string, severity: Alert['severity'], expr: string, forSeconds: number, summary: string): Alert => ({
    name,
    severity,
    expr,
    forSeconds: seconds(forSeconds),
    keepSeconds: 0,
    summary,
    impact: 'tokenweir blocks nothing: requests go on, and cost goes on.',
    firstSteps: 'See on the dashboard which model, caller and label spends it. Talk to them, or raise the budget.',
    dashboard: 'who',
  })
  const of = 'of the budget {{ $labels.budget }} (a {{ $labels.period }}, in {{ $labels.budget_unit }})'
  return [
    budget('BudgetNear', 'ticket', `(${share('spent')}) >= 0.8 < 1`, 60, `{{ $value | humanizePercentage }} ${of} is spent`),
    budget('BudgetExceeded', 'page', `(${share('spent')}) >= 1`, 60, `{{ $value | humanizePercentage }} ${of} is spent`),
    budget(
      'BudgetForecast',
      'ticket',
      `(${share('forecast')}) > 1`,
      3600,
      `At this pace {{ $value | humanizePercentage }} ${of} will be spent`,
    ),
  ]
}
