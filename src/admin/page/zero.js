/** Streams without usage, by reason. */
import { reasonLink } from './docs.js'
import { viewLink, withFilter } from './link.js'
import { el, number } from './text.js'

/** What each reason means, and what mends it. */
const mends = {
  zero: 'The provider itself reported 0 tokens. Ask the provider, or the gateway in between, why.',
  not_requested: 'The client did not ask for usage. Start with --capture inject, or let clients set stream_options.include_usage.',
  upstream_omitted: 'It was asked for, but not sent. Check that the gateway forwards the last chunk of streams.',
  parse_error: 'The usage could not be read. The notes of the request say more.',
  unsupported_encoding: 'The response has a compression that tokenweir cannot read.',
  limit_hit: 'A message was longer than limits.messageBytes or limits.bodyBytes. Raise them.',
  unknown_format: 'The wire format is unknown.',
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
