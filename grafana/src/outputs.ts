/** Every generated file, as it is committed. */
import { stringify } from 'yaml'
import { grafanaRules } from './alerts/grafana.ts'
import { prometheusRules } from './alerts/prometheus.ts'
import { ruleTests } from './alerts/scenarios.ts'
import { pages } from './dashboards/index.ts'
import { buildPage } from './layout.ts'

const note = '# Made by `npm run grafana` from grafana/src/alerts: change it there.\n'

/** Path below grafana/ → text. */
export function outputs(): ReadonlyMap<string, string> {
  const dashboards = pages.map((page): [string, string] => [
    `dashboards/${page.name}.json`,
    `${JSON.stringify(buildPage(page), null, 2)}\n`,
  ])
  return new Map([
    ...dashboards,
    ['alerting/prometheus-rules.yaml', ruleFile(prometheusRules())],
    ['alerting/prometheus-rules.test.yaml', ruleFile(ruleTests('prometheus-rules.yaml'))],
    ['alerting/prometheus-rules.long.test.yaml', ruleFile(ruleTests('prometheus-rules.yaml', true))],
    ['alerting/grafana-rules.yaml', ruleFile(grafanaRules())],
  ])
}

/** The rules as YAML; also for a set with other durations. */
export const ruleFile = (rules: unknown): string => note + stringify(rules, { lineWidth: 0, aliasDuplicateObjects: false })
