/** The shipped configurations with what a test has to change in them, and nothing else. */
import { parse, stringify } from 'yaml'
import { prometheusRules } from '../../grafana/src/alerts/prometheus.ts'
import { ruleFile } from '../../grafana/src/outputs.ts'

/** Replaces names that have to be there once: a configuration that no longer has one would be tested with another address than meant. */
export function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((before, [name, value]) => {
    if (before.split(name).length !== 2) throw new Error(`"${name}" is not there exactly once:\n${before}`)
    return before.replace(name, value)
  }, text)
}

interface Route {
  group_wait?: string
  group_interval?: string
  routes?: Route[]
}
interface AlertmanagerConfig {
  route: Route
}

/** Notifications go out within a second, also those of the end of an alert. */
export function withoutPatience(text: string): string {
  const config = parse(text) as AlertmanagerConfig
  const hurry = (route: Route): void => {
    Object.assign(route, { group_wait: '1s', group_interval: '1s' })
    for (const child of route.routes ?? []) hurry(child)
  }
  hurry(config.route)
  return stringify(config)
}

/** The rules that are shipped, with a sixtieth of every duration, as alerts of their own: each has the label `pace`. */
export function quickRules(): string {
  const { groups } = prometheusRules({ scale: 1 / 60 })
  const labelled = groups.map(({ name, rules, ...group }) => ({
    ...{ name: `quick-${name}`, ...group },
    rules: rules.map((rule) => ('alert' in rule ? { ...rule, labels: { ...rule.labels, pace: 'quick' } } : rule)),
  }))
  return ruleFile({ groups: labelled })
}
