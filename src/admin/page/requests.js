/** The last requests: live as they end, or as a search finds and sorts them. While somebody reads, the list stands still. */
import { marked } from './colours.js'
import { saveButtons } from './save.js'
import { clock, el, milliseconds, name, number, unknown, usd } from './text.js'
import { nextOrder, sortHead } from './totals.js'
import { change, current, isLive, parametersOf } from './view.js'

const liveMax = 200
/** With more rows than this a browser becomes slow; a search finds the rest. */
const shownMax = 3000
const typingMs = 250

/** What a column sorts by, its title, its look, and the order of the first click. */
const heads = [
  ['time', 'Time', 'time', 'desc'],
  ['provider', 'Provider', 'provider', 'asc'],
  ['model', 'Model', 'model', 'asc'],
  ['caller', 'Caller', 'caller', 'asc'],
  ['outcome', 'Outcome', 'outcome', 'asc'],
  ['input', 'Input', 'number', 'desc'],
  ['output', 'Output', 'number', 'desc'],
  ['cost', 'Cost', 'number cost', 'desc'],
  ['first', 'First chunk', 'number', 'desc'],
  ['duration', 'Duration', 'number', 'desc'],
]

/** `read(path)` gives JSON; `onOpen(id)` shows one. */
export function createRequests({ read, onOpen }) {
  const table = document.querySelector('#requests-table')
  const scroll = document.querySelector('#requests-scroll')
  const count = document.querySelector('#requests-count')
  const hold = document.querySelector('#hold')
  const older = document.querySelector('#older')
  const filters = {
    text: /** @type {HTMLInputElement} */ (document.querySelector('#filter-text')),
    outcome: /** @type {HTMLSelectElement} */ (document.querySelector('#filter-outcome')),
  }
  const body = el('tbody')
  const head = el('thead')
  table.append(head, body)
  document.querySelector('#requests-saves').append(saveButtons('tokenweir-requests', 'these requests', () => [...shown.values()]))
  /** By id, newest first; the nodes are kept. */
  let rows = new Map()
  /** What they show. */
  const shown = new Map()
  let waiting = []
  let next = null
  /** The part of the range that was looked through, where it is not all of it. */
  let looked = null
  let asked = 0
  let isHeld = false
  let isLoaded = false

  const isFiltered = () => current().text !== '' || current().outcome !== '' || current().where.length > 0
  const isSorted = () => current().list !== 'time' || current().listOrder !== 'desc'
  /** Only then new ones belong on top. */
  const follows = () => isLive(current()) && !isFiltered() && !isSorted()
  const isRead = () => isHeld || scroll.matches(':focus-within') || scroll.scrollTop > 0 || scroll.matches(':hover')

  function rowOf(request) {
    shown.set(request.id, request)
    const row = el('tr', { 'data-id': request.id, 'data-cursor': `${request.started_at}_${request.id}` })
    const open = el(
      'button',
      { type: 'button', class: 'open', tabindex: '-1', 'aria-label': `${clock(request.started_at)}, show the request` },
      clock(request.started_at),
    )
    row.append(
      el('td', { class: 'time' }, open),
      el('td', { class: 'provider' }, providerOf(request.provider)),
      el('td', { class: 'model' }, name(request.request_model ?? request.response_model)),
      el('td', { class: 'caller' }, request.caller === null ? unknown('nobody could tell') : name(request.caller)),
      el('td', { class: 'outcome' }, outcomeOf(request)),
      el('td', { class: 'number' }, countOf(request.input_tokens)),
      el('td', { class: 'number' }, countOf(request.output_tokens)),
      el('td', { class: 'number' }, request.cost === null ? unknown('not known') : usd(request.cost)),
      el(
        'td',
        { class: 'number' },
        request.time_to_first_chunk_ms === null ? unknown('not measured') : milliseconds(request.time_to_first_chunk_ms),
      ),
      el('td', { class: 'number' }, request.duration_ms === null ? unknown('not known') : milliseconds(request.duration_ms)),
    )
    return row
  }

  function note() {
    const held = waiting.length > 0 ? `, ${number(waiting.length)}${waiting.length >= liveMax ? ' or more' : ''} new ones wait` : ''
    const text =
      rows.size === 0
        ? ''
        : `${isFiltered() ? 'found' : isSorted() ? 'the first' : 'the last'} ${number(rows.size)}${next === null && isFiltered() ? '' : ' of this range'}${lookedWords()}${held}`
    if (count.textContent !== text) count.textContent = text
    // Its place stays, so that nothing moves when it comes.
    older.classList.toggle('away', next === null || rows.size >= shownMax)
    table.classList.toggle('empty', rows.size === 0)
  }

  /** Of a long range not all requests are looked through at once. */
  function lookedWords() {
    if (looked === null) return ''
    const { list, listOrder } = current()
    return list === 'time' && listOrder === 'asc' ? `, up to ${clock(looked.untilMs)}` : `, back to ${clock(looked.sinceMs)}`
  }

  function empty() {
    if (rows.size > 0 || !isLoaded) return
    const fits =
      looked === null || next === null ? 'No requests match.' : `No requests match${lookedWords()}. “Older requests” looks further.`
    const text = isFiltered()
      ? `${fits} Remove a filter, or choose a ${looked === null ? 'longer' : 'shorter'} range.`
      : 'No requests in this range yet. Send one through tokenweir: point a client at its address instead of the gateway’s.'
    body.replaceChildren(el('tr', {}, el('td', { colspan: heads.length, class: 'nothing soft' }, text)))
  }

  function focusable() {
    const first = /** @type {HTMLElement} */ (body.querySelector('button.open'))
    if (first !== null && body.querySelector('button.open[tabindex="0"]') === null) first.tabIndex = 0
  }

  /** Newest first. */
  function prepend(requests) {
    const fresh = requests.filter(({ id }) => !rows.has(id))
    const made = fresh.map((request) => [request.id, rowOf(request)])
    if (rows.size === 0) body.replaceChildren()
    body.prepend(...made.map(([, row]) => row))
    rows = new Map([...made, ...rows])
    if (rows.size > liveMax) {
      for (const [id, row] of [...rows].slice(liveMax)) {
        row.remove()
        rows.delete(id)
        shown.delete(id)
      }
      // What was cut off is the beginning of what is older.
      next = [...rows.values()].at(-1)?.dataset.cursor ?? null
    }
    focusable()
  }

  function parameters(before) {
    const { text, outcome, list, listOrder } = current()
    const query = parametersOf(current())
    for (const [parameter, value] of Object.entries({ text, outcome })) if (value !== '') query.set(parameter, value)
    if (isSorted()) for (const [parameter, value] of Object.entries({ sort: list, order: listOrder })) query.set(parameter, value)
    if (before !== undefined) query.set('before', before)
    return query
  }

  async function load() {
    const number = ++asked
    const page = await read(`/api/requests?${parameters()}`)
    if (number !== asked) return
    isLoaded = true
    waiting = []
    shown.clear()
    rows = new Map(page.requests.map((request) => [request.id, rowOf(request)]))
    next = page.next
    looked = page.looked
    body.replaceChildren(...rows.values())
    focusable()
    empty()
    note()
  }

  async function loadOlder() {
    const number = asked
    const page = await read(`/api/requests?${parameters(next)}`)
    if (number !== asked) return
    const made = page.requests.filter(({ id }) => !rows.has(id)).map((request) => [request.id, rowOf(request)])
    for (const [id, row] of made) rows.set(id, row)
    body.append(...made.map(([, row]) => row))
    next = page.next
    looked = page.looked
    hold.setAttribute('aria-pressed', 'true')
    isHeld = true
    note()
    made[0]?.[1].querySelector('button').focus()
    if (made.length === 0) empty()
  }

  function release() {
    if (waiting.length === 0 || isRead() || !follows()) return
    prepend(waiting)
    waiting = []
    note()
  }

  function moveFocus(event) {
    const buttons = /** @type {HTMLElement[]} */ ([...body.querySelectorAll('button.open')])
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement))
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }
    const target = at === -1 ? undefined : buttons[steps[event.key]]
    if (target === undefined) return
    event.preventDefault()
    buttons[at].tabIndex = -1
    target.tabIndex = 0
    target.focus()
  }

  body.addEventListener('click', (event) => {
    const id = /** @type {Element} */ (event.target).closest('tr')?.dataset.id
    if (id !== undefined) onOpen(id)
  })
  body.addEventListener('keydown', moveFocus)
  hold.addEventListener('click', () => {
    isHeld = !isHeld
    hold.setAttribute('aria-pressed', String(isHeld))
    release()
  })
  older.addEventListener('click', loadOlder)
  let typing
  filters.text.addEventListener('input', () => {
    clearTimeout(typing)
    typing = setTimeout(() => change({ text: filters.text.value }, { keep: true }), typingMs)
  })
  filters.outcome.addEventListener('change', () => change({ outcome: filters.outcome.value }))
  document.querySelector('#filters').addEventListener('submit', (event) => event.preventDefault())
  scroll.addEventListener('mouseleave', release)
  scroll.addEventListener('focusout', () => setTimeout(release))

  function drawHead() {
    const { list, listOrder } = current()
    const isFocused = head.contains(document.activeElement) ? document.activeElement.id : ''
    head.replaceChildren(
      el(
        'tr',
        {},
        ...heads.map(([id, title, kind, first]) => {
          const order = id === list ? listOrder : undefined
          return sortHead(title, order, kind, `requests-${id}`, () => change({ list: id, listOrder: nextOrder(order, first) }))
        }),
      ),
    )
    if (isFocused !== '') document.getElementById(isFocused)?.focus()
  }

  return {
    load,
    follows,
    isRead,
    /** The controls, as the view has them. */
    choose() {
      if (document.activeElement !== filters.text) filters.text.value = current().text
      filters.outcome.value = current().outcome
      drawHead()
    },
    tick({ newest }) {
      if (!isLoaded || !follows() || newest.length === 0) return
      waiting = [...newest, ...waiting].slice(0, liveMax)
      if (document.hidden) return
      release()
      note()
    },
  }
}

function providerOf(provider) {
  return provider === null ? el('span', { class: 'soft' }, 'no inference') : marked(provider)
}

function countOf(count) {
  return count === null ? unknown() : number(count)
}

/** One word that says how it came out, and how that is to be taken. */
export function outcomeWords(request) {
  const { end_reason: end, error_type: error, usage_outcome: usage, usage_reason: reason, status } = request
  if (end === null) return ['open', 'soft']
  if (error !== null) return [`error ${error}`, 'bad']
  if (end !== 'completed') return [end, 'warn']
  if (usage === 'missing' || usage === 'undecodable' || usage === 'partial') return [`${usage}: ${reason ?? 'no reason'}`, 'warn']
  if (usage === 'zero') return ['zero usage', 'warn']
  return [usage ?? String(status ?? end), usage === 'reported' ? 'good' : 'soft']
}

function outcomeOf(request) {
  const [text, kind] = outcomeWords(request)
  return el('span', { class: `tag ${kind}`, title: text }, text)
}
