/** Alerts → provisioning of Grafana's own alerting, for those who run no Alertmanager. */
import { duration } from '../promql.ts'
import { type Alert, kebab } from './alert.ts'
import { annotationsOf, type Places } from './annotations.ts'
import { inlineCounts } from './counts.ts'
import { alertGroups } from './index.ts'

/** Grafana's `$value` is a text of all values; the number of query A is `$values.A.Value`. */
const forGrafana = (text: string) => text.replaceAll('$value ', '$values.A.Value ')
const places: Places = {
  grafana: '{{ externalURL | reReplaceAll "/$" "" }}',
  runbook: (_anchor, otherwise) => otherwise,
}
/** Grafana fills in variables of its environment here, unlike in a query. */
const datasourceUid = '$TOKENWEIR_PROMETHEUS_UID'

/** The condition: any series of A. PromQL has compared already, so a row that is there is a row that fires. */
const condition = {
  refId: 'B',
  datasourceUid: '__expr__',
  relativeTimeRange: { from: 0, to: 0 },
  model: {
    refId: 'B',
    type: 'math',
    expression: '$A == $A',
    datasource: { type: '__expr__', uid: '__expr__' },
  },
}

function ruleOf(alert: Alert) {
  const query = { refId: 'A', expr: alert.expr, instant: true, range: false }
  return {
    uid: `tokenweir-${kebab(alert.name)}`,
    title: `Tokenweir${alert.name}`,
    condition: 'B',
    data: [{ refId: 'A', datasourceUid, relativeTimeRange: { from: 600, to: 0 }, model: query }, condition],
    // No row is no trouble; that nothing reports at all is an alert of its own.
    noDataState: 'OK',
    execErrState: 'Error',
    for: duration(alert.forSeconds),
    keepFiringFor: duration(alert.keepSeconds),
    missing_series_evals_to_resolve: 1,
    annotations: Object.fromEntries(Object.entries(annotationsOf(alert, places)).map(([name, text]) => [name, forGrafana(text)])),
    labels: { severity: alert.severity, service: 'tokenweir' },
  }
}

export function grafanaRules() {
  const groups = alertGroups(inlineCounts()).map(({ name, alerts }) => ({
    orgId: 1,
    name: `tokenweir-${name}`,
    folder: 'tokenweir',
    interval: '30s',
    rules: alerts.map(ruleOf),
  }))
  return { apiVersion: 1, groups }
}
