/** The tiles: what happens now, and what the range holds. Their places never move; only their text changes. */
import { change, el, milliseconds, notKnown, number, rate, sumOf, usd } from './text.js'

/** Rates are means of so many ticks: single seconds jump. */
const ticksMax = 10

const tiles = [
  ['tokens', 'Tokens / s'],
  ['requests', 'Requests / s'],
  ['errors', 'Errors / s'],
  ['open', 'Open now'],
  ['first', 'Time to first chunk'],
  ['zero', 'Streams without usage'],
  ['cost', 'Cost'],
]

/** @param {HTMLElement} root @param {() => boolean} isLive */
export function createNow(root, isLive) {
  const fields = {}
  for (const [id, title] of tiles) {
    const value = el('dd', { class: 'value', 'data-tile': id }, notKnown)
    const note = el('dd', { class: 'soft' }, '\u00a0')
    const than = el('dd', { class: 'soft than' })
    fields[id] = { value, note, than, tile: el('div', { class: 'tile' }, el('dt', {}, title), value, than, note) }
    root.append(fields[id].tile)
  }
  const ticks = []
  const put = (id, value, note) => {
    if (value !== undefined) set(fields[id].value, value)
    if (note !== undefined) set(fields[id].note, note)
  }
  const mean = (of) => {
    const seconds = ticks.reduce((sum, tick) => sum + tick.seconds, 0)
    return seconds === 0 ? 0 : ticks.reduce((sum, tick) => sum + of(tick), 0) / seconds
  }
  function putFirst(first, none) {
    put(
      'first',
      first === null ? notKnown : milliseconds(first.p50),
      first === null ? none : `p95 ${milliseconds(first.p95)} · p99 ${milliseconds(first.p99)}`,
    )
  }
  return {
    tick(tick) {
      ticks.push(tick)
      if (ticks.length > ticksMax) ticks.shift()
      if (!isLive()) return
      put('tokens', rate(mean(({ providers }) => providers.reduce((sum, { tokens }) => sum + tokens, 0))))
      put('requests', rate(mean(({ requests }) => requests)))
      put('errors', rate(mean(({ errors }) => errors)))
      put('open', number(tick.open), 'requests and streams')
      putFirst(tick.firstChunkMs, 'none in the last minute')
      fields.errors.tile.classList.toggle('bad', mean(({ errors }) => errors) > 0)
    },
    /** The answer of `/api/groups`. */
    total({ total, before, sinceMs, untilMs }) {
      const { requests, errors, streams, zeroUsage, cost } = total
      const sum = sumOf(total)
      const putTotal = (id, of, note) => {
        put(id, undefined, note)
        set(fields[id].than, before === undefined ? '' : (change(of(total), of(before)) ?? notKnown))
      }
      putTotal('tokens', sumOf, requests === 0 ? 'none in this range' : sum === null ? 'not reported' : `${number(sum)} in this range`)
      putTotal('requests', (each) => each.requests, `${number(requests)} in this range`)
      putTotal(
        'errors',
        (each) => each.errors,
        requests === 0 ? '\u00a0' : `${number(errors)} in this range (${percent(errors, requests)})`,
      )
      putTotal('zero', (each) => each.zeroUsage, streams === 0 ? 'no streams in this range' : `of ${number(streams)} in this range`)
      put('zero', streams === 0 ? notKnown : number(zeroUsage))
      fields.zero.tile.classList.toggle('warn', zeroUsage > 0)
      const unpriced = cost.unpriced > 0 ? `${number(cost.unpriced)} without a price` : undefined
      putTotal('cost', (each) => each.cost.usd, unpriced ?? (cost.usd === null ? 'none known in this range' : 'in this range'))
      put('cost', cost.usd === null ? notKnown : usd(cost.usd))
      if (isLive()) return
      // Of what is over or filtered, means take the place of now.
      const seconds = (untilMs - sinceMs) / 1000
      put('tokens', sum === null ? notKnown : rate(sum / seconds))
      put('requests', rate(requests / seconds))
      put('errors', rate(errors / seconds))
      put('open', number(total.open), 'of this range')
      fields.errors.tile.classList.toggle('bad', errors > 0)
    },
    /** Quantiles of the first chunks of the range. */
    first(quantiles) {
      if (!isLive()) putFirst(quantiles, 'none in this range')
    },
  }
}

function percent(part, all) {
  const share = (part / all) * 100
  return share > 0 && share < 0.1 ? '< 0.1 %' : `${share.toFixed(1)} %`
}

function set(node, text) {
  if (node.textContent === text) return
  node.textContent = text
  node.title = text
}
