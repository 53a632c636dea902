/** Every generated file, as it is committed. */
import type * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import { stringify } from 'yaml'
import { grafanaRules } from './alerts/grafana.ts'
import { prometheusRules } from './alerts/prometheus.ts'
import { ruleTests } from './alerts/scenarios.ts'
import { pages } from './dashboards/index.ts'
import { importable } from './importable.ts'
import { dashboardMaps, prometheusRule } from './kubernetes.ts'
import { buildPage, type Page } from './layout.ts'
import { recordingTests } from './recording-scenarios.ts'
import { recordingRules } from './recordings.ts'

const note = '# Made by `npm run grafana` from grafana/src: change it there.\n'

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
const asYaml = (value: unknown) => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })

/** Path below the root of the project → text. */
export function outputs(): ReadonlyMap<string, string> {
  const built = pages.map((page): readonly [Page, dashboard.Dashboard] => [page, buildPage(page)])
  const alerting = 'grafana/alerting'
  const monitoring = 'deploy/kubernetes/monitoring'
  const [recordings, alerts] = [recordingRules(), prometheusRules()]
  return new Map([
    ...built.map(([{ name }, board]): [string, string] => [`grafana/dashboards/${name}.json`, json(board)]),
    ...built.map(([{ name }, board]): [string, string] => [`grafana/import/${name}.json`, json(importable(board))]),
    [`${alerting}/prometheus-recording-rules.yaml`, ruleFile(recordings)],
    [
      `${alerting}/prometheus-recording-rules.test.yaml`,
      ruleFile(recordingTests('prometheus-recording-rules.yaml', 'prometheus-rules.yaml')),
    ],
    [`${alerting}/prometheus-rules.yaml`, ruleFile(alerts)],
    [`${alerting}/prometheus-rules.test.yaml`, ruleFile(ruleTests('prometheus-rules.yaml'))],
    [`${alerting}/prometheus-rules.long.test.yaml`, ruleFile(ruleTests('prometheus-rules.yaml', true))],
    [`${alerting}/grafana-rules.yaml`, ruleFile(grafanaRules())],
    [`${monitoring}/dashboards.yaml`, note + dashboardMaps(built).map(asYaml).join('---\n')],
    [`${monitoring}/recording-rules.yaml`, ruleFile(prometheusRule('tokenweir-recording-rules', recordings))],
    [`${monitoring}/alerts.yaml`, ruleFile(prometheusRule('tokenweir-alerts', alerts))],
  ])
}

/** The rules as YAML; also for a set with other durations. */
export const ruleFile = (rules: unknown): string => note + asYaml(rules)
