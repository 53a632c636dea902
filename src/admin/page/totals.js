/** Totals by one dimension: every group, by pages, searched and sorted by the sidecar. */
import { marked } from './colours.js'
import { viewLink, withFilter } from './link.js'
import { saveButtons } from './save.js'
import { atLeast, change as changeText, el, milliseconds, name, number, percent, unknown, usdTotal } from './text.js'
import { change, current } from './view.js'

const titles = { provider: 'Provider', model: 'Model', caller: 'Caller', route: 'Route', outcome: 'Outcome', reason: 'Reason' }
/** Where the name is not known, what that means. */
const nameless = {
  provider: 'no inference',
  model: 'no model named',
  caller: 'nobody could tell',
  route: 'no route',
  outcome: 'no usage is due',
  reason: 'nothing is missing',
}
/** What a group is looked at by next. */
const nextOf = { provider: 'model', model: 'caller', caller: 'model', route: 'provider', outcome: 'reason', reason: 'provider' }
const typingMs = 300

/** @typedef {{ id: string, title: string, cell: (group: any) => Node | string, value: (group: any) => number | null, kind?: (group: any) => string, outcome?: string }} Column */

/** @type {Column[]} */
const columns = [
  { id: 'requests', title: 'Requests', cell: (group) => number(group.requests), value: (group) => group.requests },
  { id: 'streams', title: 'Streams', cell: (group) => number(group.streams), value: (group) => group.streams, outcome: 'streams' },
  {
    id: 'errors',
    title: 'Errors',
    cell: (group) => number(group.errors),
    value: (group) => group.errors,
    kind: (group) => (group.errors > 0 ? 'bad' : ''),
    outcome: 'errors',
  },
  {
    id: 'zeroUsage',
    title: 'No usage',
    cell: (group) => number(group.zeroUsage),
    value: (group) => group.zeroUsage,
    kind: (group) => (group.zeroUsage > 0 ? 'warn' : ''),
    outcome: 'zero',
  },
  tokenColumn('input', 'Input'),
  tokenColumn('output', 'Output'),
  tokenColumn('cacheRead', 'Cache read'),
  tokenColumn('reasoning', 'Reasoning'),
  latencyColumn('firstP50', 'First chunk p50', 'p50'),
  latencyColumn('firstP95', 'p95', 'p95'),
  { id: 'cost', title: 'Cost', cell: (group) => costOf(group.cost), value: (group) => group.cost.usd },
  {
    id: 'cached',
    title: 'Cached',
    cell: ({ cache }) => (cache.hitShare === null ? unknown() : percent(cache.hitShare)),
    value: ({ cache }) => cache.hitShare,
  },
  {
    id: 'saved',
    title: 'Saved',
    cell: ({ cache }) => (cache.savedUsd === null ? unknown('not known') : usdTotal(cache.savedUsd)),
    value: ({ cache }) => cache.savedUsd,
  },
  {
    id: 'speed',
    title: 'Tokens/s',
    cell: ({ timePerOutputTokenMs: each }) => (each === null ? unknown('not measured') : (1000 / each).toFixed(1)),
    value: ({ timePerOutputTokenMs: each }) => (each === null ? null : 1000 / each),
  },
]

/** @returns {Column} */
function tokenColumn(kind, title) {
  return { id: kind, title, cell: ({ tokens }) => countOf(tokens[kind]), value: ({ tokens }) => tokens[kind].sum }
}

/** @returns {Column} */
function latencyColumn(id, title, quantile) {
  const value = ({ firstChunkMs }) => firstChunkMs?.[quantile] ?? null
  return { id, title, value, cell: (group) => (value(group) === null ? unknown('not measured') : milliseconds(value(group))) }
}

export function createTotals() {
  const table = document.querySelector('#totals')
  const note = document.querySelector('#totals-note')
  const choice = document.querySelector('#dimensions')
  const search = /** @type {HTMLInputElement} */ (document.querySelector('#totals-search'))
  const size = /** @type {HTMLSelectElement} */ (document.querySelector('#totals-size'))
  const turn = { back: document.querySelector('#totals-back'), on: document.querySelector('#totals-on') }
  let shown
  let first = null

  choice.addEventListener('change', (event) =>
    change({ by: /** @type {HTMLInputElement} */ (event.target).value, search: '', sort: 'tokens', order: 'desc' }),
  )
  let typing
  search.addEventListener('input', () => {
    clearTimeout(typing)
    typing = setTimeout(() => change({ search: search.value }, { keep: true }), typingMs)
  })
  size.addEventListener('change', () => change({ limit: size.value }))
  const page = (by) => () => change({ offset: String(Math.max(0, Number(current().offset) + by * Number(current().limit))) })
  turn.back.addEventListener('click', page(-1))
  turn.on.addEventListener('click', page(1))
  document.querySelector('#totals-saves').append(saveButtons('tokenweir-totals', 'the totals', rows))

  function rows() {
    const all = shown === undefined ? [] : [...shown.page.groups, { ...shown.total, name: 'Total' }]
    return all.map((group) => ({
      [shown.page.by]: group.name ?? group.key[shown.page.by],
      ...Object.fromEntries(columns.map(({ id, value }) => [id, value(group)])),
      ...(group.before == null ? {} : Object.fromEntries(columns.map(({ id, value }) => [`${id} before`, value(group.before)]))),
    }))
  }

  function head(by) {
    const { sort, order } = current()
    return el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...[{ id: 'name', title: titles[by] ?? labelOf(by) }, ...columns].map(({ id, title }) =>
          sortHead(title, id === sort ? order : undefined, id === 'name' ? '' : 'number', `totals-${id}`, () =>
            change({ sort: id, order: nextOrder(id === sort ? order : undefined, id === 'name' ? 'asc' : 'desc') }),
          ),
        ),
      ),
    )
  }

  function draw() {
    if (shown === undefined) return
    const { page: answer, total } = shown
    const { by, groups, found, all } = answer
    const isFocused = table.contains(document.activeElement) ? document.activeElement.id : ''
    const body = el('tbody', {}, ...groups.map((group) => row(titleOf(group, by), group, withFilter(by, group.key[by]))))
    table.replaceChildren(head(by), body, ...(groups.length === 0 ? [] : [el('tfoot', {}, row('Total', total, current().where))]))
    if (isFocused !== '') document.getElementById(isFocused)?.focus()
    const from = Number(current().offset)
    turn.back.toggleAttribute('disabled', from === 0)
    turn.on.toggleAttribute('disabled', from + groups.length >= found)
    const place = groups.length === 0 ? 'none' : `${number(from + 1)} to ${number(from + groups.length)}`
    document.querySelector('#totals-place').textContent = `${place} of ${number(found)}${found < all ? `, ${number(all)} in all` : ''}`
    note.textContent =
      all === 0
        ? current().where.length > 0
          ? 'No requests match the filters. Remove one, or choose a longer range.'
          : 'No requests in this range. Choose a longer one, or send one through tokenweir.'
        : '– is not reported, which is not zero. + is at least: some requests did not report it, or have no price that is known.'
  }

  function choose() {
    const { by } = current()
    const inputs = /** @type {HTMLInputElement[]} */ ([...choice.querySelectorAll('input')])
    if (!inputs.some(({ value }) => value === by) && by.startsWith('label:')) addLabel(by)
    for (const input of choice.querySelectorAll('input')) input.checked = input.value === by
    if (document.activeElement !== search) search.value = current().search
    size.value = current().limit
  }

  function addLabel(by) {
    if ([...choice.querySelectorAll('input')].some(({ value }) => value === by)) return
    choice.append(el('label', {}, el('input', { type: 'radio', name: 'dimension', value: by }), el('span', {}, labelOf(by))))
  }

  return {
    choose,
    /** @param {string[]} names Those that the configuration has. */
    labels(names) {
      for (const label of names) addLabel(`label:${label}`)
      choose()
    },
    parameters() {
      const { by, sort, order, search: text, offset, limit, compare } = current()
      const query = { by, sort, order, search: text, offset, limit, compare }
      return Object.entries(query).flatMap(([key, value]) => (value === '' ? [] : [[key, value]]))
    },
    /** The answer of `/api/groups`. */
    show(page) {
      const { total, before } = page
      shown = { page, total: { ...total, firstChunkMs: first, ...(before === undefined ? {} : { before }) } }
      draw()
    },
    /** Quantiles of all first chunks of the range. */
    first(quantiles) {
      first = quantiles
      if (shown === undefined) return
      shown.total.firstChunkMs = first
      draw()
    },
  }
}

/** A head of a column that sorts. */
export function sortHead(title, order, kind, id, onSort) {
  const sorted = order === undefined ? undefined : order === 'asc' ? 'ascending' : 'descending'
  const arrow = order === undefined ? '' : order === 'asc' ? ' ↑' : ' ↓'
  return el(
    'th',
    { scope: 'col', class: kind, 'aria-sort': sorted },
    el('button', { type: 'button', class: 'sort', id: `sort-${id}`, onclick: onSort }, title, el('span', { 'aria-hidden': 'true' }, arrow)),
  )
}

/** The order that one more click asks for. */
export function nextOrder(order, first) {
  return order === undefined ? first : order === 'asc' ? 'desc' : 'asc'
}

/** `label:team` → `Team`. */
export function labelOf(by) {
  const label = by.replace(/^label:/, '')
  return label.charAt(0).toUpperCase() + label.slice(1)
}

function titleOf(group, by) {
  const value = group.key[by]
  const text =
    value === null ? el('span', { class: 'soft' }, nameless[by] ?? 'no such label') : by === 'provider' ? marked(value) : name(value)
  return viewLink({ where: withFilter(by, value), by: nextOf[by] ?? 'model' }, { class: 'name' }, text)
}

function row(title, group, where) {
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, title),
    ...columns.map(({ cell, value, kind, outcome }) => {
      const content = cell(group)
      const isLink = outcome !== undefined && value(group) > 0
      return el(
        'td',
        { class: `number ${kind?.(group) ?? ''}` },
        isLink ? viewLink({ where, outcome }, { class: 'plain' }, content) : content,
        'before' in group ? changeOf(value(group), group.before, value) : null,
      )
    }),
  )
}

/** Nothing where it is not known; latency is not compared. */
function changeOf(value, before, read) {
  const text = before === null ? 'new' : changeText(value, read(before))
  return text === undefined
    ? null
    : el('span', { class: 'change soft', title: before === null ? 'none in the range before' : `before: ${number(read(before))}` }, text)
}

function countOf({ sum, unreported }) {
  if (sum === null) return unknown()
  return unreported > 0 ? atLeast(number(sum), `${number(unreported)} requests did not report it`) : number(sum)
}

function costOf({ usd: amount, unpriced }) {
  if (amount === null) return unknown('not known')
  return unpriced > 0 ? atLeast(usdTotal(amount), `${number(unpriced)} requests have no price that is known`) : usdTotal(amount)
}
