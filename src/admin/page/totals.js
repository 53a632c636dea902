/** Totals by one dimension, and the streams without usage by reason. */
import { marked } from './colours.js'
import { atLeast, el, milliseconds, name, number, percent, unknown, usdTotal } from './text.js'

const rowsMax = 12
const titles = { provider: 'Provider', model: 'Model', caller: 'Caller', route: 'Route' }
/** Where the name is not known, what that means. */
const nameless = { provider: 'no inference', model: 'no model named', caller: 'nobody could tell', route: 'no route' }

/** @param {() => void} onLabel Called when a label is chosen whose totals are not here yet. */
export function createTotals(onLabel) {
  const table = document.querySelector('#totals')
  const note = document.querySelector('#totals-note')
  const choice = document.querySelector('#dimensions')
  const inputs = [.../** @type {NodeListOf<HTMLInputElement>} */ (choice.querySelectorAll('input'))]
  let summary
  let latency = new Map()
  let showsAll = false

  const dimension = () => inputs.find(({ checked }) => checked)?.value ?? 'provider'
  const breakdown = () => summary?.breakdowns.find((each) => each.by[0] === dimension())

  function follow(input) {
    input.addEventListener('change', () => {
      showsAll = false
      if (breakdown() === undefined) onLabel()
      else draw()
    })
  }
  for (const input of inputs) follow(input)

  function draw() {
    const by = dimension()
    const chosen = breakdown()
    if (chosen === undefined) return
    const { groups, leftOut } = chosen
    const shown = showsAll ? groups : groups.slice(0, rowsMax)
    const withLatency = by === 'provider'
    const heads = [
      'Requests',
      'Streams',
      'Errors',
      'No usage',
      'Input',
      'Output',
      'Cache read',
      'Reasoning',
      ...(withLatency ? ['First chunk p50', 'p95'] : []),
      'Cost',
      'Cached',
      'Saved',
      'Tokens/s',
    ]
    const head = el(
      'thead',
      {},
      el(
        'tr',
        {},
        el('th', { scope: 'col' }, titles[by] ?? labelOf(by)),
        ...heads.map((title) => el('th', { scope: 'col', class: 'number' }, title)),
      ),
    )
    const body = el(
      'tbody',
      {},
      ...shown.map((group) => row(titleOf(group, by), group, withLatency ? (latency.get(group.key.provider) ?? null) : undefined)),
    )
    const foot = el('tfoot', {}, row('Total', summary.total, withLatency ? (latency.get('total') ?? null) : undefined))
    table.replaceChildren(head, body, ...(groups.length === 0 ? [] : [foot]))
    note.replaceChildren(...noteOf(groups, shown, leftOut))
  }

  function noteOf(groups, shown, leftOut) {
    if (groups.length === 0) return ['No requests in this range. Choose a longer one, or send one through tokenweir.']
    const parts = []
    if (shown.length < groups.length || showsAll) {
      const text = showsAll ? `Show the first ${rowsMax}` : `Show all ${number(groups.length)}`
      parts.push(
        el(
          'button',
          {
            type: 'button',
            onclick: () => {
              showsAll = !showsAll
              draw()
              note.querySelector('button')?.focus()
            },
          },
          text,
        ),
        ' ',
      )
    }
    if (leftOut > 0) parts.push(`${number(leftOut)} more are only in the total. `)
    parts.push('– is not reported, which is not zero. + is at least: some requests did not report it, or have no price that is known.')
    return parts
  }

  return {
    /** The dimension, when it is a label. */
    label: () => (dimension().startsWith('label:') ? dimension() : undefined),
    /** @param {string[]} names Those that the configuration has. */
    labels(names) {
      for (const label of names) {
        if (inputs.some(({ value }) => value === `label:${label}`)) continue
        const input = /** @type {HTMLInputElement} */ (el('input', { type: 'radio', name: 'dimension', value: `label:${label}` }))
        choice.append(el('label', {}, input, el('span', {}, labelOf(label))))
        inputs.push(input)
        follow(input)
      }
    },
    show(given, times, byLabel) {
      summary = byLabel === undefined ? given : { ...given, breakdowns: [...given.breakdowns, ...byLabel.breakdowns] }
      latency = new Map([
        ['total', times.total.firstChunkMs],
        ...times.providers.map(({ provider, firstChunkMs }) => [provider, firstChunkMs]),
      ])
      draw()
      drawZero(given)
    },
  }
}

/** `label:team` → `Team`. */
function labelOf(by) {
  const label = by.replace(/^label:/, '')
  return label.charAt(0).toUpperCase() + label.slice(1)
}

function titleOf(group, by) {
  const value = group.key[by]
  if (value === null) return el('span', { class: 'soft' }, nameless[by] ?? 'no such label')
  return by === 'provider' ? marked(value) : name(value)
}

function row(title, totals, times) {
  const { requests, streams, errors, zeroUsage, tokens, cost, cache, timePerOutputTokenMs: perToken } = totals
  const cell = (content, kind = '') => el('td', { class: `number ${kind}` }, content)
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, title),
    cell(number(requests)),
    cell(number(streams)),
    cell(number(errors), errors > 0 ? 'bad' : ''),
    cell(number(zeroUsage), zeroUsage > 0 ? 'warn' : ''),
    ...['input', 'output', 'cacheRead', 'reasoning'].map((kind) => cell(countOf(tokens[kind]))),
    ...(times === undefined
      ? []
      : [
          cell(times === null ? unknown('not measured') : milliseconds(times.p50)),
          cell(times === null ? unknown('not measured') : milliseconds(times.p95)),
        ]),
    cell(costOf(cost)),
    cell(cache.hitShare === null ? unknown() : percent(cache.hitShare)),
    cell(cache.savedUsd === null ? unknown('not known') : usdTotal(cache.savedUsd)),
    cell(perToken === null ? unknown('not measured') : (1000 / perToken).toFixed(1)),
  )
}

function countOf({ sum, unreported }) {
  if (sum === null) return unknown()
  return unreported > 0 ? atLeast(number(sum), `${number(unreported)} requests did not report it`) : number(sum)
}

function costOf({ usd: amount, unpriced }) {
  if (amount === null) return unknown('not known')
  return unpriced > 0 ? atLeast(usdTotal(amount), `${number(unpriced)} requests have no price that is known`) : usdTotal(amount)
}

/** What each reason means, and what mends it. */
const mends = {
  zero: 'The provider itself reported 0 tokens. Ask it, or the gateway between, why.',
  not_requested: 'The client did not ask for usage. Start with --capture inject, or let clients set stream_options.include_usage.',
  upstream_omitted: 'Asked for, and left out. See whether the gateway passes the last chunk of a stream on.',
  parse_error: 'There was usage that could not be read. The notes of the request say more.',
  unsupported_encoding: 'The answer was compressed in a way that cannot be read here.',
  limit_hit: 'A message was longer than limits.messageBytes or limits.bodyBytes. Raise them.',
  unknown_format: 'The wire format is not known here.',
}

function drawZero({ zeroUsage, total }) {
  const root = document.querySelector('#zero')
  if (zeroUsage.length === 0) {
    const text =
      total.streams === 0 ? 'No streams in this range.' : `None: all ${number(total.streams)} streams of this range reported their usage.`
    root.replaceChildren(el('p', { class: total.streams === 0 ? 'soft' : 'good' }, text))
    return
  }
  const most = Math.max(...zeroUsage.map(({ streams }) => streams))
  root.replaceChildren(
    el(
      'ul',
      { class: 'reasons' },
      ...zeroUsage.map(({ reason, streams }) => {
        const bar = el('span', { class: 'meter', 'aria-hidden': 'true' })
        bar.style.setProperty('--share', String(streams / most))
        return el(
          'li',
          {},
          el('span', { class: 'count' }, number(streams)),
          el('code', {}, reason),
          bar,
          el('p', { class: 'soft' }, mends[reason] ?? ''),
        )
      }),
    ),
  )
}
