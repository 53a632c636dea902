/** Dashboards and rules for a cluster: the sidecar of Grafana's Helm chart loads the first, the Prometheus operator the second. */
import type * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import type { RuleFile } from './alerts/prometheus.ts'
import type { Page } from './layout.ts'

const labels = { 'app.kubernetes.io/name': 'tokenweir', 'app.kubernetes.io/component': 'monitoring' }

/** A map for each dashboard: the annotation that kubectl apply writes has a limit of 256 KiB. */
export const dashboardMaps = (built: readonly (readonly [Page, dashboard.Dashboard])[]): readonly object[] =>
  built.map(([{ name }, board]) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `tokenweir-dashboard-${name}`,
      labels: { ...labels, grafana_dashboard: '1' },
      annotations: { grafana_folder: 'tokenweir' },
    },
    data: { [`tokenweir-${name}.json`]: JSON.stringify(board) },
  }))

export const prometheusRule = (name: string, { groups }: RuleFile): object => ({
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: { name, labels },
  spec: { groups },
})
