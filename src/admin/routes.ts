/** Endpoints for machines: health for orchestrators, metrics for Prometheus. They need no token. */
import { Cell } from '../lib/shared-counters.ts'
import { prometheusContentType } from '../telemetry/prometheus.ts'
import { type AdminRoute, jsonAnswer } from './server.ts'

export interface AdminState {
  /** Cells as in `Cell`. */
  readonly cells: Int32Array
  readonly isLedgerWritable: () => boolean
  /** Prometheus text. */
  readonly scrape: () => string
  /** Seconds since the process started, on the clock of `Cell.heartbeat`. */
  readonly uptime: () => number
  /** YYYY-MM-DD of the table of prices; undefined until it is loaded. */
  readonly pricesDate: () => string | undefined
}

/** The proxying thread counts as hung after this long without a heartbeat. */
const heartbeatSecondsMax = 15

export function adminRoutes(state: AdminState): readonly AdminRoute[] {
  return [
    { path: '/livez', answer: () => live(state) },
    { path: '/readyz', answer: () => ready(state) },
    { path: '/metrics', answer: () => ({ status: 200, contentType: prometheusContentType, body: state.scrape() }) },
  ]
}

/** Before the first heartbeat, the time since the start counts. */
function live({ cells, uptime }: AdminState) {
  const silentSeconds = Math.max(0, Math.floor(uptime()) - Atomics.load(cells, Cell.heartbeat))
  if (silentSeconds <= heartbeatSecondsMax) return jsonAnswer(200, { live: true })
  return jsonAnswer(503, { live: false, reasons: [`The proxying thread has given no sign of life for ${silentSeconds} s.`] })
}

function ready({ cells, isLedgerWritable, pricesDate }: AdminState) {
  const reasons: string[] = []
  if (Atomics.load(cells, Cell.listening) !== 1) reasons.push('The proxy port does not listen.')
  if (!isLedgerWritable()) reasons.push('The ledger cannot be written.')
  return reasons.length === 0 ? jsonAnswer(200, { ready: true, pricesDate: pricesDate() }) : jsonAnswer(503, { ready: false, reasons })
}
