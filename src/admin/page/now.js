/** The tiles: what happens now, and what the range holds. Their places never move; only their text changes. */
import { el, milliseconds, notKnown, number, rate, usd } from './text.js'

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

export function createNow(root) {
  const fields = {}
  for (const [id, title] of tiles) {
    const value = el('dd', { class: 'value', 'data-tile': id }, notKnown)
    const note = el('dd', { class: 'soft' }, '\u00a0')
    fields[id] = { value, note, tile: el('div', { class: 'tile' }, el('dt', {}, title), value, note) }
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
  return {
    tick(tick) {
      ticks.push(tick)
      if (ticks.length > ticksMax) ticks.shift()
      put('tokens', rate(mean(({ providers }) => providers.reduce((sum, { tokens }) => sum + tokens, 0))))
      put('requests', rate(mean(({ requests }) => requests)))
      put('errors', rate(mean(({ errors }) => errors)))
      put('open', number(tick.open), 'requests and streams')
      const first = tick.firstChunkMs
      put(
        'first',
        first === null ? notKnown : milliseconds(first.p50),
        first === null ? 'none in the last minute' : `p95 ${milliseconds(first.p95)} · p99 ${milliseconds(first.p99)}`,
      )
      fields.errors.tile.classList.toggle('bad', mean(({ errors }) => errors) > 0)
    },
    total({ total }) {
      const { tokens, requests, errors, streams, zeroUsage, cost } = total
      const sum = tokens.input.sum === null && tokens.output.sum === null ? null : (tokens.input.sum ?? 0) + (tokens.output.sum ?? 0)
      put('tokens', undefined, requests === 0 ? 'none in this range' : sum === null ? 'not reported' : `${number(sum)} in this range`)
      put('requests', undefined, `${number(requests)} in this range`)
      put('errors', undefined, requests === 0 ? '\u00a0' : `${number(errors)} in this range (${percent(errors, requests)})`)
      put(
        'zero',
        streams === 0 ? notKnown : number(zeroUsage),
        streams === 0 ? 'no streams in this range' : `of ${number(streams)} in this range`,
      )
      fields.zero.tile.classList.toggle('warn', zeroUsage > 0)
      put(
        'cost',
        cost.usd === null ? notKnown : usd(cost.usd),
        cost.unpriced > 0 ? `${number(cost.unpriced)} without a price` : cost.usd === null ? 'none known in this range' : 'in this range',
      )
    },
  }
}

function percent(part, all) {
  const share = (part / all) * 100
  return share > 0 && share < 0.1 ? '< 0.1 %' : `${share.toFixed(1)} %`
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text
}
