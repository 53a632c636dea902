/** What Prometheus reads. It needs no token, like `/livez` and `/readyz`, which the proxying thread answers (`front.ts`). */
import { prometheusContentType } from '../telemetry/prometheus.ts'
import type { AdminRoute } from './server.ts'

/** `scrape` gives Prometheus text. */
export function metricsRoute(scrape: () => string): AdminRoute {
  return { path: '/metrics', answer: () => ({ status: 200, contentType: prometheusContentType, body: scrape() }) }
}
