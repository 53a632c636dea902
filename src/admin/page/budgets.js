/** How much of each budget is spent, as a bar. */
import { el, number, usd } from './text.js'

/** What the alerts ask for. */
const nearShare = 0.8

export function showBudgets({ metrics }) {
  const of = (what) => metrics[`tokenweir.budget.${what}`] ?? []
  const limits = of('limit')
  const card = /** @type {HTMLElement} */ (document.querySelector('#budgets'))
  card.hidden = limits.length === 0
  document.querySelector('#budgets-list').replaceChildren(
    ...limits.flatMap(({ labels, value }) => {
      const same = (series) =>
        series.find((one) => one.labels.budget === labels.budget && one.labels.budget_unit === labels.budget_unit)?.value
      return budget(labels, value, same(of('spent')), same(of('forecast')))
    }),
  )
}

function budget({ budget: title, period, budget_unit: unit }, limit, spent, forecast) {
  const amount = unit === 'usd' ? usd : number
  const name = `${title}, a ${period}`
  if (spent === undefined)
    return [el('dt', {}, name), el('dd', { class: 'soft' }, `of ${amount(limit)}; what is spent is being read from the ledger`)]
  const share = spent / limit
  const leads = forecast === undefined ? '' : `, leads to ${amount(forecast)}`
  const kind = share >= 1 ? 'bad' : share >= nearShare || (forecast ?? 0) > limit ? 'warn' : ''
  return [
    el('dt', {}, name),
    el(
      'dd',
      {},
      el('meter', { min: '0', max: '1', value: String(Math.min(1, share)), low: '0.8', high: '0.999', optimum: '0', 'aria-label': name }),
      el('span', { class: kind }, ` ${Math.round(100 * share)} %: ${amount(spent)} of ${amount(limit)}${leads}`),
    ),
  ]
}
