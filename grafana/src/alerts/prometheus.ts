/** Alerts → a rule file of Prometheus. */

import { duration, evaluated, series } from '../promql.ts'
import type { Recording } from '../recordings.ts'
import { type Alert, type AlertOptions, shipped } from './alert.ts'
import { annotationsOf, type Places } from './annotations.ts'
import { recordedCounts } from './counts.ts'
import { alertGroups, type Group } from './index.ts'

/** Grafana is where an external label of Prometheus says, else where docker-compose.yml publishes it; so is the runbook. */
const places: Places = {
  grafana: '{{ with $externalLabels.grafana_url }}{{ . }}{{ else }}http://localhost:3000{{ end }}',
  runbook: (anchor, otherwise) => `{{ with $externalLabels.runbook_url }}{{ . }}#${anchor}{{ else }}${otherwise}{{ end }}`,
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly keep_firing_for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly interval: string; readonly rules: readonly (Recording | Rule)[] }[]
}

/** `scale` as in `alertGroups`; the groups are evaluated every 30 s times `scale`. */
export function prometheusRules(options: Partial<AlertOptions> = {}): RuleFile {
  const { scale } = { ...shipped, ...options }
  const interval = duration(Math.max(1, Math.round(30 * scale)))
  const groupOf = ({ name, alerts, recordings }: Group) => ({
    name: `tokenweir-${name}`,
    interval,
    rules: [...recordings, ...alerts.map(ruleOf)],
  })
  const groups = alertGroups(recordedCounts(), options).map(groupOf)
  const mark = { record: evaluated, expr: series('tokenweir.counters.start_time') }
  return { groups: scale === 1 ? [...groups, { name: 'tokenweir-evaluated', interval, rules: [mark] }] : groups }
}

function ruleOf(alert: Alert): Rule {
  return {
    alert: `Tokenweir${alert.name}`,
    expr: alert.expr,
    ...(alert.forSeconds === 0 ? {} : { for: duration(alert.forSeconds) }),
    ...(alert.keepSeconds === 0 ? {} : { keep_firing_for: duration(alert.keepSeconds) }),
    labels: { severity: alert.severity, service: 'tokenweir' },
    annotations: annotationsOf(alert, places),
  }
}
