/** What a notification says, for either evaluator. */
import { runbookPath } from '../runbook.ts'
import { type Alert, anchorOf } from './alert.ts'

/** How an evaluator's templates find what notifications lead to. */
export interface Places {
  /** Template of the address of Grafana, without a slash at its end. */
  readonly grafana: string
  /** The whole link to the runbook. `anchor` is of docs/alerts.md, `otherwise` is the dashboard that shows it. */
  readonly runbook: (anchor: string, otherwise: string) => string
}

export function annotationsOf(alert: Alert, { grafana, runbook }: Places): Record<string, string> {
  return {
    summary: alert.summary,
    impact: alert.impact,
    first_steps: alert.firstSteps,
    runbook_url: runbook(anchorOf(alert.name), `${grafana}${runbookPath(`Tokenweir${alert.name}`)}`),
    dashboard_url: `${grafana}/d/tokenweir-${alert.dashboard}`,
    ...(alert.traceQl === undefined ? {} : { traces_url: `${grafana}${explore(alert.traceQl)}` }),
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
