/** Puts the page together: what is asked of the ledger and when, and who gets each tick. */
import { showBudgets } from './budgets.js'
import { createDetails } from './details.js'
import { followEvents } from './events.js'
import { createNow } from './now.js'
import { createPlots } from './plots.js'
import { createRequests } from './requests.js'
import { showState } from './state.js'
import { followTheme } from './theme.js'
import { createTotals } from './totals.js'

const rangeKey = 'tokenweir.range'
const names = { '5m': '5 minutes', '15m': '15 minutes', '1h': 'hour', '6h': '6 hours', '24h': '24 hours', '7d': '7 days', '30d': '30 days' }
/** Between two looks at the totals, by range; the sidecar answers no sooner than it can afford. */
const totalsMs = { '5m': 2000, '15m': 3000, '1h': 5000, '6h': 15_000, '24h': 30_000, '7d': 60_000, '30d': 120_000 }
/** Ticks move the plots on; now and then they are read afresh. */
const seriesMs = 60_000
const stateMs = 5000

const notice = /** @type {HTMLElement} */ (document.querySelector('#notice'))
const inputs = [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('#ranges input'))]
let traceUrl = null

const range = () => inputs.find(({ checked }) => checked)?.value ?? '5m'

async function read(path) {
  const response = await fetch(path)
  if (response.status === 401) location.reload()
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error ?? `The sidecar answered ${response.status}.`)
  return answer
}

const now = createNow(document.querySelector('#tiles'))
const plots = createPlots()
const totals = createTotals(() => askTotals())
const details = createDetails({ read, traceUrl: () => traceUrl })
const requests = createRequests({ read, range: () => ({ since: range() }), onOpen: details.open })

/** Asks again and again: not before the last answer is there, not while nobody looks, and not for a range that was left. */
function every(ms, look) {
  let turn = 0
  let isUnderWay = false
  let askedAt = 0
  async function ask() {
    const mine = ++turn
    isUnderWay = true
    askedAt = Date.now()
    try {
      await look(() => mine === turn)
      if (mine === turn) say('')
    } catch (error) {
      if (mine === turn) say(error instanceof TypeError ? '' : error.message)
    }
    if (mine === turn) isUnderWay = false
  }
  setInterval(() => {
    if (!isUnderWay && !document.hidden && Date.now() - askedAt >= ms()) ask()
  }, 500)
  return ask
}

function say(text) {
  notice.hidden = text === ''
  if (notice.textContent !== text) notice.textContent = text
}

const askTotals = every(
  () => totalsMs[range()],
  async (isWanted) => {
    const since = range()
    const by = ['provider', 'model', 'caller', 'route'].map((each) => `&by=${each}`).join('')
    const label = totals.label()
    const [summary, latency, byLabel] = await Promise.all([
      read(`/api/summary?since=${since}${by}`),
      read(`/api/latency?since=${since}`),
      // By itself: together with the others, each combination would be a group.
      label === undefined ? undefined : read(`/api/summary?since=${since}&by=${label}`),
    ])
    if (!isWanted()) return
    now.total(summary)
    totals.show(summary, latency, byLabel)
    requests.providers(summary.breakdowns[0].groups.map(({ key }) => key.provider))
  },
)

const askSeries = every(
  () => seriesMs,
  async (isWanted) => {
    const series = await read(`/api/series?since=${range()}`)
    if (isWanted()) plots.show(series)
  },
)

const askState = every(
  () => stateMs,
  async () => {
    const state = await read('/api/state')
    showState(state)
    showBudgets(state)
  },
)

function choose() {
  const words = `in the last ${names[range()]}`
  for (const id of ['totals-range', 'zero-range']) document.querySelector(`#${id}`).textContent = words
  return Promise.all([askSeries(), askTotals(), requests.load().catch((error) => say(error.message))])
}

function rememberRange() {
  try {
    const stored = localStorage.getItem(rangeKey)
    const found = inputs.find(({ value }) => value === stored)
    if (found !== undefined) found.checked = true
  } catch {
    // Without storage it begins with 5 minutes.
  }
  for (const input of inputs) {
    input.addEventListener('change', () => {
      try {
        localStorage.setItem(rangeKey, input.value)
      } catch {
        // as above
      }
      choose()
    })
  }
}

/** `/?id=ID`, as `x-tokenweir-id` tells it, opens that request. */
function openNamed() {
  const id = new URLSearchParams(location.search).get('id')
  if (id !== null) details.open(id)
}

rememberRange()
openNamed()
followTheme(plots.draw)
choose()
askState()
followEvents({
  onHello(hello) {
    traceUrl = hello.traceUrl
    totals.labels(hello.labels)
  },
  onTick(tick) {
    now.tick(tick)
    plots.tick(tick)
    requests.tick(tick)
  },
  onBack() {
    choose()
    askState()
  },
})
