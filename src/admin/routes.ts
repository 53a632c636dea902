/** What the admin port answers: health for orchestrators, metrics for Prometheus, a page for people. */
import { Gauge } from '../batch.ts'
import { type CounterName, prometheusName } from '../telemetry/catalog.ts'
import { prometheusContentType } from '../telemetry/prometheus.ts'
import { type AdminRoute, jsonAnswer } from './server.ts'

export interface AdminState {
  /** Cells as in `Gauge`. */
  readonly gauges: Int32Array
  readonly isLedgerWritable: () => boolean
  /** Prometheus text. */
  readonly scrape: () => string
  readonly total: (name: CounterName) => number
  readonly version: string
  /** Seconds since the process started, on the clock of `Gauge.heartbeat`. */
  readonly uptime: () => number
}

/** Without a sign of life for longer, the proxying thread counts as hung. */
const heartbeatSecondsMax = 15

export function adminRoutes(state: AdminState): readonly AdminRoute[] {
  return [
    { path: '/livez', answer: () => live(state) },
    { path: '/readyz', answer: () => ready(state) },
    { path: '/metrics', answer: () => ({ status: 200, contentType: prometheusContentType, body: state.scrape() }) },
    { path: '/', answer: () => ({ status: 200, contentType: 'text/html; charset=utf-8', body: page(state) }) },
  ]
}

/** Before the proxying thread has shown itself for the first time, the time since the start counts. */
function live({ gauges, uptime }: AdminState) {
  const silentSeconds = Math.max(0, Math.floor(uptime()) - Atomics.load(gauges, Gauge.heartbeat))
  if (silentSeconds <= heartbeatSecondsMax) return jsonAnswer(200, { live: true })
  return jsonAnswer(503, { live: false, reasons: [`The proxying thread has given no sign of life for ${silentSeconds} s.`] })
}

function ready({ gauges, isLedgerWritable }: AdminState) {
  const reasons: string[] = []
  if (Atomics.load(gauges, Gauge.listening) !== 1) reasons.push('The proxy port does not listen.')
  if (!isLedgerWritable()) reasons.push('The ledger cannot be written.')
  return reasons.length === 0 ? jsonAnswer(200, { ready: true }) : jsonAnswer(503, { ready: false, reasons })
}

const totals: readonly CounterName[] = [
  'tokenweir.requests',
  'tokenweir.streams.completed',
  'tokenweir.streams.zero_usage',
  'tokenweir.exchanges.dropped',
  'tokenweir.sink.failures',
  'tokenweir.label_overflow',
]

const endpoints: readonly (readonly [path: string, what: string])[] = [
  ['/livez', 'whether the process is alive'],
  ['/readyz', 'whether it listens and can record'],
  ['/metrics', 'Prometheus text'],
]

/** Nothing of it comes from outside, so nothing needs escaping. */
function page({ gauges, total, version }: AdminState): string {
  const rows = totals.map((name) => `<tr><td>${prometheusName(name)}</td><td>${total(name)}</td></tr>`)
  const links = endpoints.map(([path, what]) => `<li><a href="${path}">${path}</a>: ${what}</li>`)
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>tokenweir</title></head>
<body>
<h1>tokenweir ${version}</h1>
<p>${Atomics.load(gauges, Gauge.open)} requests open.</p>
<table>
<caption>Since the start</caption>
<tbody>
${rows.join('\n')}
</tbody>
</table>
<ul>
${links.join('\n')}
</ul>
</body>
</html>
`
}
