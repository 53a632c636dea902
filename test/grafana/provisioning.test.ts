import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { inlineCounts } from '../../grafana/src/alerts/counts.ts'
import { alertGroups } from '../../grafana/src/alerts/index.ts'
import { prometheusRules } from '../../grafana/src/alerts/prometheus.ts'

const folder = resolve(import.meta.dirname, '../../grafana')
const read = (path: string) => parse(readFileSync(join(folder, path), 'utf8'))

interface Source {
  readonly uid: string
  readonly url: string
  readonly jsonData: unknown
}
interface Rule {
  readonly uid: string
  readonly title: string
  readonly condition: string
  readonly data: readonly { readonly refId: string; readonly datasourceUid: string; readonly model: object }[]
  readonly noDataState: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

describe('the data sources', () => {
  const sources = read('provisioning/datasources/tokenweir.yaml').datasources as readonly Source[]

  it('are reached by variables, and name each other by uids that exist', () => {
    expect(sources.map(({ uid, url }) => [uid, url])).toEqual([
      ['prometheus', '$TOKENWEIR_PROMETHEUS_URL'],
      ['tempo', '$TOKENWEIR_TEMPO_URL'],
      ['loki', '$TOKENWEIR_LOKI_URL'],
      ['alertmanager', '$TOKENWEIR_ALERTMANAGER_URL'],
    ])
    const named = [...JSON.stringify(sources.map(({ jsonData }) => jsonData)).matchAll(/"(?:datasourceUid|alertmanagerUid)":"(\w+)"/g)]
    expect(named.map(([, uid]) => uid).filter((uid) => !sources.some((source) => source.uid === uid))).toEqual([])
    expect(named.length).toBeGreaterThan(4)
  })

  it('lead from an exemplar to its trace', () => {
    expect(sources[0]?.jsonData).toMatchObject({ exemplarTraceIdDestinations: [{ name: 'trace_id', datasourceUid: 'tempo' }] })
  })
})

describe('the rules for Grafana', () => {
  const groups = read('alerting/grafana-rules.yaml').groups as readonly {
    readonly orgId: number
    readonly folder: string
    readonly rules: readonly Rule[]
  }[]
  const rules = groups.flatMap((group) => group.rules)

  it('are the alerts that Prometheus gets', () => {
    const names = alertGroups(inlineCounts()).flatMap(({ alerts }) => alerts.map(({ name }) => `Tokenweir${name}`))
    expect(rules.map(({ title }) => title)).toEqual(names)
    expect(new Set(rules.map(({ uid }) => uid)).size).toBe(rules.length)
    expect(rules.filter(({ uid }) => uid.length > 40)).toEqual([])
  })

  it('ask the data source that a variable of Grafana names, and no other', () => {
    const uids = new Set(rules.flatMap(({ data }) => data.map(({ datasourceUid }) => datasourceUid)))
    expect([...uids]).toEqual(['$TOKENWEIR_PROMETHEUS_UID', '__expr__'])
    expect(rules.filter(({ data }) => 'datasource' in (data[0]?.model ?? {})).map(({ title }) => title)).toEqual([])
  })

  it('have a condition among their queries, no rows for no trouble, and no variable that Grafana would expand', () => {
    const wrong = rules.filter(
      ({ condition, data, noDataState, labels }) =>
        !data.some(({ refId, datasourceUid }) => refId === condition && datasourceUid === '__expr__') ||
        noDataState !== 'OK' ||
        JSON.stringify(labels).includes('$'),
    )
    expect(wrong.map(({ title }) => title)).toEqual([])
    expect(
      rules.flatMap(({ annotations }) => Object.values(annotations)).filter((text) => /\$\{|\$value\b|externalLabels/.test(text)),
    ).toEqual([])
  })
})

describe('what a notification leads to', () => {
  const panels = JSON.parse(readFileSync(join(folder, 'dashboards/runbook.json'), 'utf8')).panels as readonly {
    readonly id: number
    readonly title: string
  }[]
  const shown = (url: string) => panels.find(({ id }) => id === Number(/\?viewPanel=panel-(\d+)/.exec(url)?.[1]))?.title
  const ofGrafana: readonly (readonly [string, string])[] = read('alerting/grafana-rules.yaml').groups.flatMap(
    ({ rules }: { readonly rules: readonly Rule[] }) => rules.map(({ title, annotations }) => [title, annotations['runbook_url'] ?? '']),
  )
  const ofPrometheus: readonly (readonly [string, string])[] = prometheusRules()
    .groups.flatMap(({ rules }) => rules)
    .flatMap((rule) => ('alert' in rule ? [[rule.alert, rule.annotations['runbook_url'] ?? ''] as const] : []))

  it("is the alert's own section of the runbook, at the address of Grafana", () => {
    for (const rules of [ofGrafana, ofPrometheus]) expect(rules.map(([, url]) => shown(url))).toEqual(rules.map(([name]) => name))
    expect(ofGrafana.filter(([, url]) => !url.startsWith('{{ externalURL | reReplaceAll "/$" "" }}/d/tokenweir-runbook'))).toEqual([])
  })

  it('is where the external label runbook_url says, if Prometheus has one', () => {
    const wanted = ofPrometheus.map(([name]) => `{{ with $externalLabels.runbook_url }}{{ . }}#${name.toLowerCase()}{{ else }}`)
    expect(ofPrometheus.map(([, url]) => url.slice(0, url.indexOf('{{ else }}') + '{{ else }}'.length))).toEqual(wanted)
  })
})

describe('the routes of Alertmanager', () => {
  const { route, receivers, inhibit_rules: inhibits } = read('alerting/alertmanager.yml')

  it('know both severities', () => {
    const severities = new Set(alertGroups(inlineCounts()).flatMap(({ alerts }) => alerts.map(({ severity }) => severity)))
    expect([...severities].sort()).toEqual(['page', 'ticket'])
    expect([route.receiver, ...route.routes.map((one: { readonly receiver: string }) => one.receiver)]).toEqual(['ticket', 'page'])
    expect(receivers.map(({ name }: { readonly name: string }) => name)).toEqual(['page', 'ticket'])
  })

  it('hold no URL: it may be a secret', () => {
    const hooks = receivers.flatMap((one: { readonly webhook_configs: readonly Record<string, unknown>[] }) => one.webhook_configs)
    expect(hooks.filter((hook: Record<string, unknown>) => 'url' in hook || typeof hook['url_file'] !== 'string')).toEqual([])
  })

  it('inhibit by names of alerts that exist', () => {
    const known = new Set(alertGroups(inlineCounts()).flatMap(({ alerts }) => alerts.map(({ name }) => `Tokenweir${name}`)))
    const named = [...JSON.stringify(inhibits).matchAll(/alertname=\\"(\w+)\\"/g)].map(([, name]) => name as string)
    expect(named.length).toBe(6)
    expect(named.filter((name) => !known.has(name))).toEqual([])
  })
})
