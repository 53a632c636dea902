/** Streams without usage, by reason. */
import { reasonLink } from './docs.js'
import { viewLink, withFilter } from './link.js'
import { el, number } from './text.js'

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

/** The answer of `/api/groups`. */
export function showZero({ zeroUsage, total }) {
  const root = document.querySelector('#zero')
  if (zeroUsage.length === 0) {
    const text =
      total.streams === 0 ? 'No streams in this range.' : `None: all ${number(total.streams)} streams of this range reported their usage.`
    root.replaceChildren(el('p', { class: total.streams === 0 ? 'soft' : 'good' }, text))
    return
  }
  const most = Math.max(...zeroUsage.map(({ streams }) => streams))
  const isFocused = root.contains(document.activeElement) ? document.activeElement.id : ''
  root.replaceChildren(
    el(
      'ul',
      { class: 'reasons' },
      ...zeroUsage.map(({ reason, streams }) => {
        const bar = el('span', { class: 'meter', 'aria-hidden': 'true' })
        bar.style.setProperty('--share', String(streams / most))
        const link = viewLink({ where: withFilter('reason', reason), outcome: 'zero' }, { id: `reason-${reason}` }, el('code', {}, reason))
        return el(
          'li',
          {},
          el('span', { class: 'count' }, number(streams)),
          link,
          bar,
          el('p', { class: 'soft' }, mends[reason] ?? '', ' ', reasonLink(reason)),
        )
      }),
    ),
  )
  if (isFocused !== '') document.getElementById(isFocused)?.focus()
}
