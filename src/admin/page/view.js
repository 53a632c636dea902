/** What is shown, as the address says it: a link shows the same again, and each deliberate change is an entry in the history. */

export const rangeNames = {
  '5m': '5 minutes',
  '15m': '15 minutes',
  '1h': 'hour',
  '6h': '6 hours',
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
}
const rangeKey = 'tokenweir.range'
const rangeMsMax = 400 * 86_400_000
const msPer = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** What the address need not say. */
const usual = {
  since: '5m',
  until: '',
  where: /** @type {string[]} */ ([]),
  compare: '',
  by: 'provider',
  sort: 'tokens',
  order: 'desc',
  search: '',
  offset: '0',
  limit: '25',
  text: '',
  outcome: '',
  list: 'time',
  listOrder: 'desc',
  heat: 'tokens',
  id: '',
}

/** @typedef {typeof usual} View */

const listeners = []
let view = read()

export const current = () => view

/** @param {(view: View, before: View) => void} listener */
export function onView(listener) {
  listeners.push(listener)
}

/**
 * @param {Partial<View>} patch
 * @param {{ keep?: boolean, state?: unknown }} [options] `keep`: no entry of its own in the history, as while somebody types.
 */
export function change(patch, { keep = false, state = null } = {}) {
  const before = view
  view = patched(patch)
  const address = addressOf(view)
  if (address !== addressOf(before)) {
    if (keep) history.replaceState(history.state, '', address)
    else history.pushState(state, '', address)
  }
  if (view.until === '' && view.since in rangeNames) store(view.since)
  for (const listener of listeners) listener(view, before)
}

/** @param {Partial<View>} patch */
function patched(patch) {
  const isOther = ['since', 'until', 'where', 'by', 'sort', 'order', 'search', 'limit'].some((name) => name in patch)
  return { ...view, ...(isOther ? { offset: '0' } : {}), ...patch }
}

/** The address of what a change would show. */
export const linkTo = (patch) => addressOf(patched(patch))

addEventListener('popstate', () => {
  const before = view
  view = read()
  for (const listener of listeners) listener(view, before)
})

function read() {
  const given = new URLSearchParams(location.search)
  const found = { ...usual, since: stored() ?? usual.since }
  for (const name of Object.keys(usual)) {
    if (name === 'where') found.where = given.getAll('where')
    else if (given.has(name)) found[name] = given.get(name)
  }
  return found
}

function addressOf(shown) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(shown)) {
    if (name === 'where') for (const each of value) query.append('where', each)
    else if (value !== usual[name] || name === 'since') query.set(name, value)
  }
  return `?${query}`
}

function stored() {
  try {
    const since = localStorage.getItem(rangeKey)
    return since !== null && since in rangeNames ? since : undefined
  } catch {
    return undefined
  }
}

function store(since) {
  try {
    localStorage.setItem(rangeKey, since)
  } catch {
    // Without storage it begins with 5 minutes.
  }
}

/** Neither one of the ranges that end now, nor without an end. */
export const isFixed = ({ since, until }) => until !== '' || !(since in rangeNames)

/** What each second brings belongs to what is shown. */
export const isLive = (shown) => !isFixed(shown) && shown.where.length === 0

/** @param {string} text A moment as the API takes it. */
function momentOf(text, nowMs) {
  const [, count, unit] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text) ?? []
  if (count === undefined) return Date.parse(text)
  const ms = Number(count) * msPer[unit]
  return ms < msPer.w ? nowMs - ms : Math.floor((nowMs - ms) / msPer.h) * msPer.h // as `lib/range.ts` does
}

/** In milliseconds since the epoch. */
export function edgesOf({ since, until }) {
  const nowMs = Date.now()
  return { sinceMs: momentOf(since, nowMs), untilMs: until === '' ? nowMs : momentOf(until, nowMs) }
}

/** The view of these milliseconds: whole seconds, at least ten of them, and nothing of the future. */
export function fixedRange(sinceMs, untilMs) {
  const middle = (sinceMs + untilMs) / 2
  const half = Math.min(rangeMsMax, Math.max(10_000, untilMs - sinceMs)) / 2
  const end = Math.min(Date.now(), middle + half)
  const iso = (ms) => new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
  return { since: iso(end - 2 * half), until: iso(end) }
}

/** Parameters of the range and the filters, for the API. */
export function parametersOf(shown) {
  const query = new URLSearchParams({ since: shown.since })
  if (shown.until !== '') query.set('until', shown.until)
  for (const each of shown.where) query.append('where', each)
  return query
}

/** The same of the range before, which is as long. */
export function parametersBefore(shown) {
  const query = parametersOf(shown)
  const [, count, unit] = /^(\d+)([smhdw])$/.exec(shown.since) ?? []
  if (count !== undefined && shown.until === '') {
    query.set('since', `${2 * Number(count)}${unit}`)
    query.set('until', shown.since)
    return query
  }
  const { sinceMs, untilMs } = edgesOf(shown)
  query.set('since', new Date(2 * sinceMs - untilMs).toISOString())
  query.set('until', new Date(sinceMs).toISOString())
  return query
}
