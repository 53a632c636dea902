/** Elements, and values as people read them. What is not known is –, which is never 0. */

export const notKnown = '–'

/**
 * An element with properties and children. Text goes in as text only.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] `class`, `data-…`, `aria-…` and other attributes, `on…` listeners
 * @param {...(Node | string | number | null | undefined)} children
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue
    if (name.startsWith('on')) made.addEventListener(name.slice(2), /** @type {EventListener} */ (value))
    else made.setAttribute(name, value === true ? '' : String(value))
  }
  for (const child of children) if (child !== null && child !== undefined) made.append(typeof child === 'number' ? String(child) : child)
  return made
}

/** A name out of a request: its direction stays its own. */
export function name(text, properties = {}) {
  return text === null || text === undefined || text === '' ? unknown() : el('bdi', { title: text, ...properties }, text)
}

export function unknown(why = 'not reported') {
  const mark = el('span', { class: 'unknown' }, el('span', { 'aria-hidden': 'true' }, notKnown))
  mark.append(el('span', { class: 'unseen' }, why))
  return mark
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

export function number(value) {
  return value === null || value === undefined ? notKnown : whole.format(value)
}

/** 12.3K; below 100 with one decimal. */
export function rate(value) {
  if (value === null || value === undefined) return notKnown
  if (value === 0) return '0'
  if (value < 0.005) return '< 0.01'
  return value < 100 ? value.toFixed(value < 10 ? 2 : 1) : short.format(value)
}

/** Of a share, 0 to 1. */
export function percent(value) {
  return `${(value * 100).toFixed(1)}%`
}

/** For the ticks of an axis. */
export function tick(value) {
  return short.format(value)
}

export function usd(value) {
  if (value === null || value === undefined) return notKnown
  const size = Math.abs(value)
  const digits = size === 0 ? 0 : size < 0.01 ? 6 : size < 100 ? 4 : 2
  return `${value < 0 ? '-' : ''}$${size.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`
}

/** Of a column: with the same number of digits in each line. */
export function usdTotal(value) {
  if (value > 0 && value < 0.000_05) return '< $0.0001'
  return `${value < 0 ? '-' : ''}$${Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: 4, maximumFractionDigits: 4 })}`
}

export function milliseconds(value) {
  if (value === null || value === undefined) return notKnown
  if (value < 1) return value === 0 ? '0 ms' : `${value.toFixed(2)} ms`
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
  if (value < 60_000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`
  return seconds(value / 1000)
}

export function seconds(value) {
  /** @type {[number, string][]} */
  const parts = [
    [Math.floor(value / 86_400), 'd'],
    [Math.floor((value % 86_400) / 3600), 'h'],
    [Math.floor((value % 3600) / 60), 'min'],
    [Math.floor(value % 60), 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return '0 s'
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

export function bytes(value) {
  if (value === null || value === undefined) return notKnown
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10))
  const scaled = value / 1024 ** step
  return `${step === 0 ? scaled : scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[step]}`
}

const clockOf = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dayOf = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' })

/** The time; of another day with the day. */
export function clock(epochMs) {
  const date = new Date(epochMs)
  const time = clockOf.format(date)
  return new Date().toDateString() === date.toDateString() ? time : `${dayOf.format(date)} ${time}`
}

/** A count with a mark where it is only a part of the truth. */
export function atLeast(text, why) {
  return el('span', { class: 'marked' }, text, el('abbr', { class: 'mark', title: why }, '+'))
}

/** Input and output tokens together; null where neither was reported. */
export function sumOf({ tokens: { input, output } }) {
  return input.sum === null && output.sum === null ? null : (input.sum ?? 0) + (output.sum ?? 0)
}

/** How much more or less than before: `+12 %`. Undefined where either is not known. */
export function change(value, before) {
  if (value === null || value === undefined || before === null || before === undefined) return undefined
  if (value === before) return '±0 %'
  if (before === 0) return 'new'
  const share = value / before - 1
  if (share >= 9) return `× ${short.format(value / before)}`
  const digits = Math.abs(share) < 0.0995 ? 1 : 0
  return `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(digits)} %`
}
