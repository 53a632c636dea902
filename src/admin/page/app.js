/** Puts the page together: what is asked of the sidecar and when, and who gets each tick. */
import { every, read, say } from './ask.js'
import { showBudgets } from './budgets.js'
import { createControls, rangeWords } from './controls.js'
import { createDetails } from './details.js'
import { createDistributions } from './distributions.js'
import { followEvents } from './events.js'
import { showFirst, toggleFirst } from './first.js'
import { createHeatmap } from './heatmap.js'
import { createNow } from './now.js'
import { createPlots } from './plots.js'
import { createRequests } from './requests.js'
import { saveButtons } from './save.js'
import { showState } from './state.js'
import { followTheme } from './theme.js'
import { createTotals } from './totals.js'
import { showUpstreams } from './upstreams.js'
import { change, current, fixedRange, isFixed, isLive, onView, parametersBefore, parametersOf } from './view.js'
import { showZero } from './zero.js'

/** Between two looks at the totals, by range; the sidecar answers no sooner than it can afford. */
const totalsMs = { '5m': 2000, '15m': 3000, '1h': 5000, '6h': 15_000, '24h': 30_000, '7d': 60_000, '30d': 120_000 }
/** Ticks move the plots on; now and then they are read afresh. What is over changes little. */
const slowMs = 60_000
const stateMs = 5000

let traceUrl = null
const now = createNow(document.querySelector('#tiles'), () => isLive(current()))
const plots = createPlots((sinceMs, untilMs) => change(fixedRange(sinceMs, untilMs)))
const totals = createTotals()
const heatmap = createHeatmap()
const distributions = createDistributions()
const details = createDetails({ read, traceUrl: () => traceUrl })
const requests = createRequests({ read, onOpen: details.open })
const controls = createControls()
document.querySelector('#plots-saves').append(saveButtons('tokenweir-plots', 'the plots', plots.rows))

const usualMs = () => (isFixed(current()) ? slowMs : totalsMs[current().since])

const askTotals = every(usualMs, async (isWanted) => {
  const page = await read(`/api/groups?${new URLSearchParams([...parametersOf(current()), ...totals.parameters()])}`)
  if (!isWanted()) return
  now.total(page)
  totals.show(page)
  showZero(page)
  toggleFirst(page.total.requests === 0 && isLive(current()))
})

const askDistributions = every(usualMs, async (isWanted) => {
  const answer = await read(`/api/distribution?${parametersOf(current())}`)
  if (!isWanted()) return
  distributions.show(answer)
  now.first(answer.firstChunkMs)
  totals.first(answer.firstChunkMs)
})

const askSeries = every(
  () => (isLive(current()) ? slowMs : usualMs()),
  async (isWanted) => {
    const [series, before] = await Promise.all([
      read(`/api/series?${parametersOf(current())}`),
      current().compare === '' ? undefined : read(`/api/series?${parametersBefore(current())}`),
    ])
    // Both reach from one whole interval to another.
    if (isWanted()) plots.show(series, before, before === undefined ? 0 : series.untilMs - before.untilMs)
  },
)

const askHours = every(
  () => Math.max(slowMs, usualMs()),
  async (isWanted) => {
    const parameters = parametersOf(current())
    parameters.set('zone', Intl.DateTimeFormat().resolvedOptions().timeZone)
    const answer = await read(`/api/heatmap?${parameters}`)
    if (isWanted()) heatmap.show(answer)
  },
)

/** A list that follows the ticks is read once; the others afresh, but not while somebody reads them. */
const askRequests = every(
  () => (requests.follows() || requests.isRead() || isFixed(current()) ? Number.POSITIVE_INFINITY : usualMs()),
  () => requests.load(),
)

const askState = every(
  () => stateMs,
  async () => {
    const state = await read('/api/state')
    showState(state)
    showBudgets(state)
    showFirst(state)
    await showUpstreams()
  },
)

function showControls() {
  controls.show()
  totals.choose()
  requests.choose()
  heatmap.draw()
  for (const id of ['totals-range', 'zero-range', 'distributions-range']) document.querySelector(`#${id}`).textContent = rangeWords()
}

function askAll() {
  askSeries()
  askTotals()
  askDistributions()
  askHours()
  askRequests()
}

onView((view, before) => {
  const differs = (...names) => names.some((name) => JSON.stringify(view[name]) !== JSON.stringify(before[name]))
  // An error of a view that was left.
  say('')
  showControls()
  if (differs('since', 'until', 'where')) askAll()
  else {
    if (differs('compare')) askSeries()
    if (differs('compare', 'by', 'sort', 'order', 'search', 'offset', 'limit')) askTotals()
    if (differs('text', 'outcome', 'list', 'listOrder')) askRequests()
  }
  if (differs('id')) details.choose(before.id)
})

showControls()
followTheme(plots.draw)
askAll()
askState()
details.choose('')
followEvents({
  onHello(hello) {
    traceUrl = hello.traceUrl
    totals.labels(hello.labels)
    controls.labels(hello.labels)
  },
  onTick(tick) {
    now.tick(tick)
    if (!isLive(current())) return
    plots.tick(tick)
    requests.tick(tick)
  },
  onBack() {
    askAll()
    askState()
  },
})
