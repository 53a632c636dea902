/** What is shown: the range, what it is compared with, and the filters. */
import { read } from './ask.js'
import { copyButton } from './save.js'
import { el } from './text.js'
import { labelOf } from './totals.js'
import { change, current, edgesOf, fixedRange, isFixed, linkTo, rangeNames } from './view.js'

const fields = {
  provider: 'Provider',
  model: 'Model',
  caller: 'Caller',
  route: 'Route',
  outcome: 'Outcome',
  reason: 'Reason',
  status: 'Status',
  error: 'Error',
}
const typingMs = 200
const suggestedMax = 20

export function createControls() {
  const radios = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll('#ranges input')])
  const compare = document.querySelector('#compare')
  for (const radio of radios) radio.addEventListener('change', () => change({ since: radio.value, until: '' }))
  compare.addEventListener('click', () => change({ compare: current().compare === '' ? '1' : '' }))
  document.querySelector('#link').append(copyButton('to this view', () => new URL(linkTo({}), location.href).href, 'Copy link'))
  for (const menu of document.querySelectorAll('details.menu')) followMenu(/** @type {HTMLDetailsElement} */ (menu))
  const custom = followCustom()
  const filters = followFilters()
  const zoomed = followZoomed()

  return {
    show() {
      const { since, until, compare: isCompared } = current()
      for (const radio of radios) radio.checked = until === '' && radio.value === since
      compare.setAttribute('aria-pressed', String(isCompared !== ''))
      custom.show()
      filters.show()
      zoomed.show()
    },
    labels: filters.labels,
  }
}

/** Escape and a click elsewhere close it. */
function followMenu(menu) {
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return
    menu.open = false
    menu.querySelector('summary').focus()
  })
  document.addEventListener('pointerdown', (event) => {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.open = false
  })
}

function followCustom() {
  const menu = /** @type {HTMLDetailsElement} */ (document.querySelector('#custom'))
  const from = /** @type {HTMLInputElement} */ (document.querySelector('#custom-from'))
  const to = /** @type {HTMLInputElement} */ (document.querySelector('#custom-to'))
  const problem = document.querySelector('#custom-problem')
  menu.addEventListener('toggle', () => {
    if (!menu.open) return
    const { sinceMs, untilMs } = edgesOf(current())
    from.value = local(sinceMs)
    to.value = local(untilMs)
    problem.textContent = ''
  })
  menu.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault()
    const [sinceMs, untilMs] = [from.value, to.value].map((text) => Date.parse(text))
    if (!(sinceMs < untilMs)) {
      problem.textContent = 'From must be before To.'
      return
    }
    menu.open = false
    const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z')
    change({ since: iso(sinceMs), until: iso(untilMs) })
  })
  return { show: () => menu.classList.toggle('chosen', isFixed(current())) }
}

/** As a field for date and time has it. */
function local(epochMs) {
  const date = new Date(epochMs)
  return new Date(epochMs - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

const moment = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})

/** `in the last hour`, or from when to when. */
export function rangeWords() {
  const { since, until } = current()
  if (!isFixed({ since, until })) return `in the last ${rangeNames[since]}`
  const { sinceMs, untilMs } = edgesOf({ since, until })
  if (Number.isNaN(sinceMs) || Number.isNaN(untilMs)) return ''
  return moment.formatRange(sinceMs, untilMs)
}

/** Shown while the range is fixed: where it is, and ways around it. */
function followZoomed() {
  const root = /** @type {HTMLElement} */ (document.querySelector('#zoomed'))
  let last = isFixed(current()) ? '1h' : current().since
  const move = (by, times) => () => {
    const { sinceMs, untilMs } = edgesOf(current())
    const length = untilMs - sinceMs
    const middle = (sinceMs + untilMs) / 2 + by * length
    change(fixedRange(middle - (length * times) / 2, middle + (length * times) / 2))
  }
  const words = el('span', {})
  const back = el('button', { type: 'button', onclick: () => change({ since: last, until: '' }) })
  root.append(
    words,
    el('button', { type: 'button', onclick: move(-0.5, 1) }, 'Earlier'),
    el('button', { type: 'button', onclick: move(0.5, 1) }, 'Later'),
    el('button', { type: 'button', onclick: move(0, 2) }, 'Zoom out'),
    back,
  )
  return {
    show() {
      const isShown = isFixed(current())
      if (!isShown) last = current().since
      root.hidden = !isShown
      words.textContent = rangeWords()
      back.textContent = `Back to the last ${rangeNames[last]}`
    },
  }
}

function followFilters() {
  const menu = /** @type {HTMLDetailsElement} */ (document.querySelector('#filter'))
  const field = /** @type {HTMLSelectElement} */ (document.querySelector('#filter-field'))
  const value = /** @type {HTMLInputElement} */ (document.querySelector('#filter-value'))
  const list = document.querySelector('#filter-values')
  const chips = /** @type {HTMLElement} */ (document.querySelector('#chips'))
  let asked = 0
  let typing
  field.append(...Object.entries(fields).map(([id, title]) => el('option', { value: id }, title)))

  async function suggest() {
    const mine = ++asked
    const query = new URLSearchParams({ since: current().since, by: field.value, search: value.value, limit: String(suggestedMax) })
    if (current().until !== '') query.set('until', current().until)
    // What has too many values to be a group is typed in.
    const page =
      field.value === 'status' || field.value === 'error'
        ? { groups: [] }
        : await read(`/api/groups?${query}`).catch(() => ({ groups: [] }))
    if (mine !== asked) return
    const names = page.groups.map(({ key }) => key[field.value]).filter((name) => name !== null)
    list.replaceChildren(...names.map((name) => el('option', { value: name })))
  }
  const later = () => {
    clearTimeout(typing)
    typing = setTimeout(suggest, typingMs)
  }
  menu.addEventListener('toggle', () => menu.open && suggest())
  value.addEventListener('input', later)
  field.addEventListener('change', () => {
    value.value = ''
    suggest()
  })
  menu.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault()
    const text = `${field.value}=${value.value.trim()}`
    value.value = ''
    menu.open = false
    menu.querySelector('summary').focus()
    if (!current().where.includes(text)) change({ where: [...current().where, text] })
  })

  function chip(text) {
    const [, name, operator, wanted] = /^([^=!<>~]+)(!=|~=|>=|<=|=|>|<)?(.*)$/s.exec(text) ?? [text, text]
    const words = `${fields[name] ?? labelOf(name)}${operator === '=' ? ':' : ` ${operator}`} `
    const remove = () => {
      change({ where: current().where.filter((each) => each !== text) }) /** @type {HTMLElement} */
      ;(chips.querySelector('button') ?? menu.querySelector('summary')).focus()
    }
    return el(
      'li',
      {},
      el(
        'button',
        { type: 'button', onclick: remove },
        el('span', { class: 'unseen' }, 'Remove the filter '),
        words,
        wanted === '' ? el('span', { class: 'soft' }, 'not known') : el('bdi', {}, wanted),
        el('span', { 'aria-hidden': 'true' }, ' ×'),
      ),
    )
  }
  return {
    show() {
      const { where } = current()
      chips.hidden = where.length === 0
      const clear = el('li', {}, el('button', { type: 'button', onclick: () => change({ where: [] }) }, 'Remove all'))
      chips.replaceChildren(...where.map(chip), ...(where.length > 1 ? [clear] : []))
    },
    /** @param {string[]} names Of the operator's labels. */
    labels(names) {
      const known = [...field.options].map((option) => option.value)
      field.append(
        ...names
          .filter((name) => !known.includes(`label:${name}`))
          .map((name) => el('option', { value: `label:${name}` }, `Label ${name}`)),
      )
    },
  }
}
