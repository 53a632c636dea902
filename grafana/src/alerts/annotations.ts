/** What a notification says, for either evaluator. */
import { type Alert, anchorOf } from './alert.ts'

/** `origin` is a Go template that yields the address of Grafana, without a slash at its end. */
export function annotationsOf(alert: Alert, origin: string): Record<string, string> {
  return {
    summary: alert.summary,
    impact: alert.impact,
    first_steps: alert.firstSteps,
    runbook_url: `docs/alerts.md#${anchorOf(alert.name)}`,
    dashboard_url: `${origin}/d/tokenweir-${alert.dashboard}`,
    ...(alert.traceQl === undefined ? {} : { traces_url: `${origin}${explore(alert.traceQl)}` }),
  }
}

/** Explore with the search; the templates in it are left as they are, but write their labels for a URL. */
function explore(traceQl: string): string {
  const query = { refId: 'A', queryType: 'traceql', query: traceQl, limit: 50, tableType: 'spans' }
  const panes = {
    a: { datasource: 'tempo', queries: [{ ...query, datasource: { type: 'tempo', uid: 'tempo' } }], range: { from: 'now-1h', to: 'now' } },
  }
  const written = JSON.stringify(panes)
    .split(/(\{\{.*?\}\})/)
    .map((part) => (/^\{\{ \$labels\.\w+ \}\}$/.test(part) ? part.replace(' }}', ' | urlquery }}') : encodeURIComponent(part)))
  return `/explore?schemaVersion=1&panes=${written.join('')}`
}
