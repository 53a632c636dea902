/** How long first chunks and requests took, and how fast tokens came: how many of each, in bins of equal ratio. */
import { followCells } from './cells.js'
import { el, milliseconds, notKnown, number, rate } from './text.js'

/** @type {[string, string, (value: number) => string][]} */
const kinds = [
  ['firstChunkMs', 'Time to first chunk', milliseconds],
  ['durationMs', 'Duration', milliseconds],
  ['tokensPerSecond', 'Output tokens per second', rate],
]

export function createDistributions() {
  const figures = new Map(kinds.map(([id, title, text]) => [id, figureOf(title, text)]))
  document.querySelector('#distributions').append(...[...figures.values()].map(({ root }) => root))
  return {
    /** The answer of `/api/distribution`. */
    show(answer) {
      for (const [id, { show }] of figures) show(answer[id])
    },
  }
}

function figureOf(title, text) {
  const bars = el('ol', { class: 'bars' })
  const said = el('p', { class: 'soft', role: 'status' }, '\u00a0')
  const quantiles = el('p', { class: 'soft' })
  const root = el('figure', {}, el('figcaption', {}, el('h3', {}, title), quantiles), bars, said)
  let bins = []
  /** Of the bar that is read below; none is the whole. */
  let pointed
  const words = ({ from, to, count }) => `${text(from)} to ${text(to)}: ${number(count)}`
  function tell() {
    if (bins.length === 0) said.textContent = '\u00a0'
    else said.textContent = bins[pointed] === undefined ? `${text(bins[0].from)} to ${text(bins.at(-1).to)}` : words(bins[pointed])
  }
  followCells(
    bars,
    'li',
    () => 1,
    (bar) => {
      pointed = Number(bar.dataset.bin)
      tell()
    },
  )

  function show(given) {
    bins = given?.bins ?? []
    quantiles.textContent =
      given === null ? `${notKnown} none was measured` : `p50 ${text(given.p50)} · p95 ${text(given.p95)} · p99 ${text(given.p99)}`
    const most = Math.max(...bins.map(({ count }) => count))
    const isFocused = bars.contains(document.activeElement)
    bars.replaceChildren(
      ...bins.map((bin, at) => {
        const bar = el(
          'li',
          { tabindex: at === (bins[pointed] === undefined ? 0 : pointed) ? '0' : '-1', 'data-bin': at },
          el('span', { class: 'unseen' }, words(bin)),
        )
        bar.style.setProperty('--share', String(bin.count / most))
        return bar
      }),
    )
    if (isFocused) /** @type {HTMLElement} */ (bars.querySelector('[tabindex="0"]'))?.focus()
    tell()
  }
  return { root, show }
}
