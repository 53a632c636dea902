/** Tokens, cost or requests by hour of day and weekday, in the browser's time zone. */
import { followCells } from './cells.js'
import { saveButtons } from './save.js'
import { el, number, usd } from './text.js'
import { change, current } from './view.js'

const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
const measures = { tokens: ({ tokens }) => tokens, cost: (cell) => cell.usd, requests: ({ requests }) => requests }
const two = (hour) => String(hour).padStart(2, '0')

export function createHeatmap() {
  const table = /** @type {HTMLTableElement} */ (document.querySelector('#heat'))
  const said = document.querySelector('#heat-said')
  const choice = document.querySelector('#heat-measures')
  let answer
  /** Of the hour that is read below. */
  let pointed
  const cells = days.map((_, day) =>
    Array.from({ length: 24 }, (_, hour) => el('td', { tabindex: day + hour === 0 ? '0' : '-1', 'data-cell': `${day}.${hour}` })),
  )
  table.append(
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        el('td', {}),
        ...Array.from({ length: 24 }, (_, hour) =>
          el(
            'th',
            { scope: 'col' },
            el('span', { class: 'unseen' }, `${two(hour)}:00`),
            el('span', { 'aria-hidden': 'true' }, hour % 6 === 0 ? two(hour) : ''),
          ),
        ),
      ),
    ),
    el(
      'tbody',
      {},
      ...days.map((day, at) =>
        el(
          'tr',
          {},
          el('th', { scope: 'row' }, el('span', { 'aria-hidden': 'true' }, day.slice(0, 2)), el('span', { class: 'unseen' }, day)),
          ...cells[at],
        ),
      ),
    ),
  )
  followCells(
    table,
    'td[data-cell]',
    () => 24,
    (cell) => {
      pointed = cell.dataset.cell
      tell()
    },
  )
  choice.addEventListener('change', (event) => change({ heat: /** @type {HTMLInputElement} */ (event.target).value }))
  document
    .querySelector('#heat-saves')
    .append(
      saveButtons('tokenweir-hours', 'the hours of the week', () =>
        (answer?.days ?? []).flatMap((hours, day) =>
          hours.map((cell, hour) => ({ weekday: days[day], hour, requests: cell.requests, tokens: cell.tokens, cost_usd: cell.usd })),
        ),
      ),
    )

  function tell() {
    if (answer === undefined) return
    if (pointed === undefined) {
      said.textContent = `Point at an hour to read its numbers. Time zone: ${answer.timeZone}.`
      return
    }
    const [day, hour] = pointed.split('.').map(Number)
    const { requests, tokens, usd: cost } = answer.days[day][hour]
    const text =
      requests === 0
        ? 'no requests'
        : `${number(requests)} requests, ${tokens === null ? 'tokens not reported' : `${number(tokens)} tokens`}, ${cost === null ? 'cost not known' : usd(cost)}`
    said.textContent = `${days[day]} ${two(hour)}:00 to ${two((hour + 1) % 24)}:00: ${text}`
  }

  function draw() {
    const { heat } = current()
    for (const input of choice.querySelectorAll('input')) input.checked = input.value === heat
    if (answer === undefined) return
    const of = measures[heat] ?? measures.tokens
    const text = heat === 'cost' ? usd : number
    const most = Math.max(...answer.days.flat().map((cell) => of(cell) ?? 0))
    for (const [day, hours] of answer.days.entries()) {
      for (const [hour, cell] of hours.entries()) {
        const value = of(cell)
        const field = cells[day][hour]
        field.style.setProperty('--share', String(most > 0 ? (value ?? 0) / most : 0))
        field.classList.toggle('some', (value ?? 0) > 0)
        field.replaceChildren(el('span', { class: 'unseen' }, cell.requests === 0 ? 'none' : text(value)))
      }
    }
    tell()
  }

  return {
    draw,
    /** The answer of `/api/heatmap`. */
    show(given) {
      answer = given
      draw()
    },
  }
}
