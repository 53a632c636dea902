/** The stream of events: comes back by itself, and says when what is shown is no longer now. */
import { clock } from './text.js'

/** A tick comes each second; after so long without one, the page is stale. */
const staleMs = 4000
/** The browser comes back by itself after a break, but not after a refusal. */
const againMs = 5000

export function followEvents({ onHello, onTick, onBack }) {
  const pill = /** @type {HTMLElement} */ (document.querySelector('#connection'))
  const text = document.querySelector('#connection-text')
  const said = document.querySelector('#said')
  let lastAt = 0
  let wasStale = false
  let source

  function show(state, sentence) {
    if (text.textContent === sentence) return
    text.textContent = sentence
    pill.dataset.state = state
    document.body.dataset.connection = state
  }

  function connect() {
    source?.close()
    source = new EventSource('/api/events')
    source.addEventListener('hello', (event) => {
      lastAt = Date.now()
      onHello(JSON.parse(event.data))
      show('live', 'Live')
      if (wasStale) {
        said.textContent = 'Live again.'
        onBack()
      }
      wasStale = false
    })
    source.addEventListener('tick', (event) => {
      lastAt = Date.now()
      if (pill.dataset.state !== 'live') show('live', 'Live')
      onTick(JSON.parse(event.data))
    })
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, againMs)
    })
  }

  setInterval(() => {
    if (Date.now() - lastAt < staleMs) return
    const sentence = lastAt === 0 ? 'Not connected, trying again' : `Stale since ${clock(lastAt)}, trying again`
    if (!wasStale) said.textContent = lastAt === 0 ? 'Not connected.' : 'The connection is lost: what is shown is no longer live.'
    wasStale = true
    show('stale', sentence)
  }, 500)
  setTimeout(connect)
}
