import type { Page } from '../layout.ts'
import { barsPanel, calm, type PanelBuilder, type Query, statPanel, type TimeSeries, tablePanel, timeSeriesPanel } from '../panels.ts'
import { type Label, labelName, rate, sum, topk } from '../promql.ts'
import { inRange, orNothing, selected } from '../variables.ts'

type TokenType = 'input' | 'output' | 'cache_read' | 'cache_write' | 'reasoning'

const of = (type: TokenType) => ({ token_type: `="${type}"` }) as const

const meaning: Readonly<Record<TokenType, readonly [title: string, description: string]>> = {
  input: ['Input', 'Input tokens as reported in the selected time, cached ones included.'],
  output: ['Output', 'Output tokens as reported in the selected time, reasoning included.'],
  cache_read: ['Cached input', 'Part of the input that was read from a cache. Already in the input: do not add it.'],
  cache_write: ['Cache writes', 'Part of the input that was written to a cache. Already in the input: do not add it.'],
  reasoning: ['Reasoning', 'Part of the output that was reasoning. Already in the output: do not add it.'],
}
const types = Object.keys(meaning) as TokenType[]

const totals: readonly PanelBuilder[] = types.map((type) => {
  const [title, description] = meaning[type]
  return statPanel({
    title,
    description,
    unit: 'short',
    width: 4,
    decimals: 2,
    queries: [{ expr: inRange('tokenweir.tokens', of(type)), legend: title }],
  })
})

const costPanel = statPanel({
  title: 'Cost',
  description: 'USD, of the requests whose cost is known: what the provider says, else the configured or the public prices.',
  unit: 'currencyUSD',
  width: 4,
  queries: [{ expr: inRange('tokenweir.cost'), legend: 'Cost' }],
})

/** Each has a graph of what goes in and one of what comes out. */
function ratesBy(label: Label, what: string): PanelBuilder[] {
  return (['input', 'output'] as const).map((type) =>
    timeSeriesPanel({
      title: `${meaning[type][0]} tokens per second, by ${what}`,
      description: `Rate of ${type} tokens as reported, of the 15 largest at each moment.`,
      unit: 'short',
      width: 12,
      stacked: true,
      queries: [{ expr: topk(15, sum(rate(selected('tokenweir.tokens', of(type))), label)), legend: `{{${labelName(label)}}}` }],
    }),
  )
}

function columns(...labels: readonly Label[]): Query[] {
  return types.map((type) => ({ expr: inRange('tokenweir.tokens', of(type), ...labels), legend: meaning[type][0] }))
}

const unpriced = { price_status: '="unpriced"' } as const

const byModel = ['gen_ai.provider.name', 'gen_ai.request.model'] as const
const rateByModel = (type: TokenType): Query => ({
  expr: sum(rate(selected('tokenweir.tokens', of(type))), ...byModel),
  legend: '{{gen_ai_provider_name}} {{gen_ai_request_model}}',
})
const usdPerHour = (name: 'tokenweir.cache.saved' | 'tokenweir.cache.lost'): Query => ({
  expr: `3600 * ${sum(rate(selected(name)), 'gen_ai.request.model')}`,
  legend: '{{gen_ai_request_model}}',
})

export const costByProvider: TimeSeries = {
  title: 'Cost per hour, by provider',
  description: 'USD per hour at the present rate, of the requests whose cost is known.',
  unit: 'currencyUSD',
  width: 12,
  stacked: true,
  queries: [{ expr: `3600 * ${sum(rate(selected('tokenweir.cost')), 'gen_ai.provider.name')}`, legend: '{{gen_ai_provider_name}}' }],
}

export const tokensPage: Page = {
  name: 'tokens',
  title: 'Tokens per provider',
  description:
    'What the providers reported: tokens by provider, model and caller, and what they cost. A count that was not reported is in none of them.',
  rows: [
    { title: 'In the selected time', panels: [...totals, costPanel] },
    {
      title: 'By provider',
      panels: [
        ...ratesBy('gen_ai.provider.name', 'provider'),
        tablePanel({
          title: 'Tokens by provider',
          description: 'Totals of the selected time. They equal the sums of the ledger for the same time.',
          unit: 'short',
          width: 24,
          height: 8,
          labels: { gen_ai_provider_name: 'Provider' },
          units: { Cost: 'currencyUSD' },
          queries: [...columns('gen_ai.provider.name'), { expr: inRange('tokenweir.cost', {}, 'gen_ai.provider.name'), legend: 'Cost' }],
        }),
      ],
    },
    {
      title: 'By model',
      panels: [
        ...ratesBy('gen_ai.request.model', 'model'),
        tablePanel({
          title: 'Tokens by model',
          description:
            'Totals of the selected time, by the model that the request asked for. "other" is what was beyond the cap on labels.',
          unit: 'short',
          width: 24,
          labels: { gen_ai_provider_name: 'Provider', gen_ai_request_model: 'Model' },
          units: { Cost: 'currencyUSD' },
          queries: [
            ...columns('gen_ai.provider.name', 'gen_ai.request.model'),
            { expr: inRange('tokenweir.cost', {}, 'gen_ai.provider.name', 'gen_ai.request.model'), legend: 'Cost' },
          ],
        }),
      ],
    },
    {
      title: 'By caller',
      panels: [
        barsPanel({
          title: 'Callers with the most tokens',
          description:
            'Input and output tokens of the ten callers with the most, in the selected time. Provider, model and route do not select here.',
          unit: 'short',
          width: 10,
          steps: [[null, 'blue']],
          queries: [{ expr: topk(10, inRange('tokenweir.caller.tokens', {}, 'caller')), legend: '{{caller}}' }],
          noData: 'No data: no caller is known. See docs/callers.md.',
        }),
        tablePanel({
          title: 'Tokens and requests by caller',
          description: 'Totals of the selected time. Provider, model and route do not select here.',
          unit: 'short',
          width: 14,
          height: 8,
          labels: { caller: 'Caller' },
          queries: [
            { expr: inRange('tokenweir.caller.tokens', of('input'), 'caller'), legend: 'Input' },
            { expr: inRange('tokenweir.caller.tokens', of('output'), 'caller'), legend: 'Output' },
            { expr: inRange('tokenweir.caller.requests', {}, 'caller'), legend: 'Requests' },
          ],
          noData: 'No data: no caller is known. See docs/callers.md.',
        }),
      ],
    },
    {
      title: 'Prompt caching',
      panels: [
        timeSeriesPanel({
          title: 'Input read from a cache, by model',
          description:
            'Share of the input tokens that was read from a cache, of the models that report it. Low: prompts change at their beginning.',
          unit: 'percentunit',
          width: 12,
          queries: [rateByModel('cache_read'), rateByModel('input')],
          math: '$A / $B',
          noData: 'No data: no answer told whether its input was cached.',
        }),
        timeSeriesPanel({
          title: 'Saved by caching per hour, by model',
          description:
            'USD per hour at the present rate: what the input would have cost uncached, less what it cost. Below 0, writing to caches costs more than reading from them saves. Only where the prices are certain.',
          unit: 'currencyUSD',
          width: 12,
          queries: [usdPerHour('tokenweir.cache.saved'), usdPerHour('tokenweir.cache.lost')],
          math: '$A - $B',
          noData: 'No data: no answer told whether its input was cached, or no price is certain.',
        }),
      ],
    },
    {
      title: 'Cost',
      panels: [
        timeSeriesPanel(costByProvider),
        statPanel({
          title: 'Requests without a price',
          description:
            'Share of the requests that cost something and whose cost is not known. Above 5 % the cost here is too low: add prices.',
          unit: 'percentunit',
          width: 6,
          height: 8,
          steps: [...calm, [0.01, 'yellow'], [0.05, 'red']],
          queries: [
            { expr: orNothing(inRange('tokenweir.cost.requests', unpriced)), legend: 'Without a price' },
            { expr: `${inRange('tokenweir.cost.requests')} > 0`, legend: 'All' },
          ],
          math: '$A / $B',
        }),
        barsPanel({
          title: 'Without a price, by provider',
          description: 'Requests of the selected time whose cost is not known.',
          unit: 'short',
          width: 6,
          steps: [[null, 'orange']],
          queries: [{ expr: inRange('tokenweir.cost.requests', unpriced, 'gen_ai.provider.name'), legend: '{{gen_ai_provider_name}}' }],
          noData: 'None: every request that cost something was priced.',
        }),
      ],
    },
  ],
}
