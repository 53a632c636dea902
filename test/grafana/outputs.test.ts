import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorOf } from '../../grafana/src/alerts/alert.ts'
import { inlineCounts, recordedCounts } from '../../grafana/src/alerts/counts.ts'
import { alertGroups } from '../../grafana/src/alerts/index.ts'
import { prometheusRules } from '../../grafana/src/alerts/prometheus.ts'
import { scenarios } from '../../grafana/src/alerts/scenarios.ts'
import { pages } from '../../grafana/src/dashboards/index.ts'
import { buildPage } from '../../grafana/src/layout.ts'
import { outputs } from '../../grafana/src/outputs.ts'
import { recordingRules } from '../../grafana/src/recordings.ts'
import { expressionsIn, labelsIn, namesIn, unknownIn } from './queries.ts'

const root = resolve(import.meta.dirname, '../..')
const committed = (path: string) => readFileSync(join(root, path), 'utf8')

describe('what is committed', () => {
  it.each([...outputs()])('%s is what the code makes: run `npm run grafana`', (path, text) => {
    expect(committed(path)).toBe(text)
  })

  it('has no dashboard that the code does not make', () => {
    const files = ['grafana/dashboards', 'grafana/import'].flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
    )
    expect(files.filter((name) => !outputs().has(name))).toEqual([])
  })
})

describe('every query', () => {
  const ofAlerts = [recordedCounts(), inlineCounts()].flatMap((counts) =>
    alertGroups(counts).flatMap(({ alerts, recordings }) => [...alerts, ...recordings].map(({ expr }) => expr)),
  )
  const shown = pages.flatMap((page) => expressionsIn(buildPage(page)))
  const ofRecordings = recordingRules().groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))
  const all = [...shown, ...ofAlerts, ...ofRecordings]

  it('of a dashboard can be read: it has 300 characters or fewer', () => {
    expect(shown.length).toBeGreaterThan(100)
    expect(shown.filter((expr) => expr.length > 300)).toEqual([])
  })

  it('asks for metrics and labels of the catalog, or of the collector', () => {
    expect(all.length).toBeGreaterThan(150)
    expect([...new Set(all.flatMap(unknownIn))]).toEqual([])
  })

  it('of a dashboard selects by each variable whose label its metric has', () => {
    const loose = pages
      .flatMap((page) => expressionsIn(buildPage(page)))
      .flatMap((expr) => [...expr.matchAll(/tokenweir_(?:tokens|requests|streams_[a-z_]+?)(?:_total|:increase)(\{[^}]*\})?/g)])
      .filter(([, selector = '']) => !/http_route=~"\$route"/.test(selector) || !/instance=~"\$instance"/.test(selector))
      .map(([whole]) => whole)
    // The values of the variables themselves are asked for without a selection.
    expect([...new Set(loose)]).toEqual([])
  })
})

describe('the reader of this guard', () => {
  it('finds names and labels', () => {
    expect(
      namesIn('sum by (le, http_route) (rate(a_b_total{x="sum(c)", y!~"z"}[5m])) / on (job) group_left () le:tokenweir_x:increase1h'),
    ).toEqual(['a_b_total', 'le:tokenweir_x:increase1h'])
    expect(labelsIn('sum by (le, http_route) (rate(a_b_total{x="p", y!~"z"}[5m])) / on (job) group_left () b')).toEqual([
      'x',
      'y',
      'le',
      'http_route',
      'job',
    ])
  })

  it('knows a stranger', () => {
    expect(unknownIn('sum by (colour) (rate(tokenweir_request_total{hue="x"}[5m]))')).toEqual(['tokenweir_request_total', 'hue', 'colour'])
    expect(unknownIn('tokenweir_requests_total{caller="x"}')).toEqual(['caller'])
    expect(unknownIn('instance:tokenweir_requests:increase{caller="x"} + instance:tokenweir_request:increase')).toEqual([
      'instance:tokenweir_request:increase',
      'caller',
    ])
  })
})

describe('the alerts', () => {
  const alerts = alertGroups(inlineCounts()).flatMap((group) => group.alerts)

  it('have names of their own', () => {
    expect(new Set(alerts.map(({ name }) => name)).size).toBe(alerts.length)
  })

  it('are each fired, and each seen not to fire, by a scenario', () => {
    const fired = new Set(scenarios.flatMap(({ firing }) => Object.values(firing).flat()).map((written) => written.split('*')[0]))
    expect(alerts.map(({ name }) => name).filter((name) => !fired.has(name))).toEqual([])
    const ends = scenarios.filter(({ firing }) => Object.values(firing).some((names) => names.length === 0))
    const ended = new Set(ends.flatMap(({ firing }) => Object.values(firing).flat()).map((written) => written.split('*')[0]))
    expect(alerts.map(({ name }) => name).filter((name) => !ended.has(name))).toEqual([])
  })

  it('have a section in the runbook, which names what to do and how to silence', () => {
    const runbook = readFileSync(join(root, 'docs/alerts.md'), 'utf8')
    const sections = new Map(
      runbook
        .split(/^## /m)
        .slice(1)
        .map((text) => [text.slice(0, text.indexOf('\n')).toLowerCase(), text]),
    )
    const missing = alerts.filter(({ name }) => !/\*\*First steps[\s\S]*\*\*Silence/.test(sections.get(anchorOf(name)) ?? ''))
    expect(missing.map(({ name }) => name)).toEqual([])
    expect(
      [...sections.keys()].filter((name) => name.startsWith('tokenweir') && !alerts.some((alert) => anchorOf(alert.name) === name)),
    ).toEqual([])
  })

  it('lead to a dashboard that exists', () => {
    expect(alerts.filter(({ dashboard }) => !pages.some(({ name }) => name === dashboard)).map(({ name }) => name)).toEqual([])
  })

  it('keep every duration in proportion when they are scaled', () => {
    const rules = prometheusRules({ scale: 1 / 60 }).groups.flatMap((group) => group.rules)
    const burst = rules.find((rule) => 'alert' in rule && rule.alert === 'TokenweirZeroUsageBurst')
    expect(burst).toMatchObject({ expr: expect.stringMatching(/increase1m.*increase10s/s), keep_firing_for: '30s' })
    expect(rules.filter((rule) => /\[\d+[hd]\]|(?<!\d)0s/.test(rule.expr)).map((rule) => rule.expr)).toEqual([])
  })

  it('have links whose labels are written for a URL', () => {
    const [rule] = prometheusRules()
      .groups.flatMap((group) => group.rules)
      .filter((one) => 'alert' in one)
    const link = rule !== undefined && 'annotations' in rule ? (rule.annotations['traces_url'] ?? '') : ''
    const [, panes = ''] = /&panes=(.*)$/.exec(link) ?? []
    const read = JSON.parse(decodeURIComponent(panes.replaceAll('{{ $labels.gen_ai_provider_name | urlquery }}', 'openai')))
    expect(read.a.queries[0].query).toBe(
      '{ span.tokenweir.usage.outcome =~ "missing|undecodable|zero" && span.gen_ai.provider.name = "openai" }',
    )
  })
})

it('every dashboard has a section in docs/dashboards.md', () => {
  const text = readFileSync(join(root, 'docs/dashboards.md'), 'utf8')
  expect(
    pages.filter(({ title, name }) => !text.includes(`## ${title}\n`) || !existsSync(join(root, `grafana/dashboards/${name}.json`))),
  ).toEqual([])
})
