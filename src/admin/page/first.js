/** Where there is nothing yet: where to point clients, and one line to try it with. */
import { docLink } from './docs.js'
import { copyButton } from './save.js'
import { el } from './text.js'

const root = /** @type {HTMLElement} */ (document.querySelector('#first'))
let shown = ''

/** The answer of `/api/state`. */
export function showFirst({ listen, routes }) {
  const address = listen.port === 0 ? undefined : addressOf(listen)
  const key = JSON.stringify([address, routes])
  if (key === shown) return
  shown = key
  const prefix = routes[0]?.prefix ?? '/'
  const url = `${address ?? 'http://127.0.0.1:4141'}${prefix === '/' ? '' : prefix}/v1/chat/completions`
  const line = `curl ${url} -H 'content-type: application/json' -H "authorization: Bearer $API_KEY" -d '{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Say hello."}]}'`
  const pairs = routes.flatMap(({ name, prefix: begin, upstream }) => [
    el('dt', {}, routes.length === 1 ? 'Upstream' : `Upstream of ${name} (${begin})`),
    el('dd', {}, el('code', {}, upstream)),
  ])
  root.replaceChildren(
    el('h2', { id: 'first-title' }, 'Send a first request'),
    el(
      'p',
      { class: 'soft' },
      'Nothing was recorded in this range. Point a client at this address instead of the gateway’s; nothing else changes.',
    ),
    el(
      'dl',
      { class: 'pairs' },
      el('dt', {}, 'Address for clients'),
      address === undefined
        ? el('dd', {}, 'the one that tokenweir printed when it started')
        : el(
            'dd',
            {},
            el('code', {}, address),
            ' ',
            copyButton('the address', () => address),
          ),
      ...pairs,
    ),
    el(
      'p',
      { class: 'line' },
      el('code', {}, line),
      ' ',
      copyButton('the command', () => line),
    ),
    el('p', { class: 'soft' }, 'For other APIs, keep the path that the client has. ', docLink('recipes', undefined, 'Recipes for clients')),
  )
}

/** An address that means every interface is reached under the name of this page. */
function addressOf({ scheme, host, port }) {
  const name = host === '0.0.0.0' || host === '::' ? location.hostname : host.includes(':') ? `[${host}]` : host
  return `${scheme}://${name}:${port}`
}

/** @param {boolean} isEmpty */
export function toggleFirst(isEmpty) {
  root.hidden = !isEmpty || shown === ''
}
