/** The Helm chart by the real helm: linted, rendered in its modes, and what comes out taken by the API server's own checks. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { deployPrograms, missingDeployTools } from '../../scripts/deploy-tools.ts'

const root = resolve(import.meta.dirname, '../..')
/** helm renders for an old Kubernetes unless it is told. */
const kube = '1.34.0'
const chart = join(root, 'deploy/helm/tokenweir')
const missing = missingDeployTools(['validate', 'go'])
if (missing.length > 0) process.stderr.write('\n*** HELM IS NOT INSTALLED: the chart is not checked. Run: npm run deploy:install ***\n\n')

interface Resource {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: {
    readonly groups?: readonly { readonly rules: readonly { readonly alert?: string; readonly record?: string }[] }[]
    readonly template?: { readonly spec: { readonly initContainers?: readonly object[]; readonly containers: readonly object[] } }
  }
}

const everything = [
  ...['upstream=http://gateway:8000', 'otlp.endpoint=http://collector:4318', 'persistence.enabled=true', 'monitor.enabled=true'],
  ...['prometheusRule.enabled=true', 'dashboards.enabled=true', 'networkPolicy.enabled=true', 'networkPolicy.telemetryNamespace=telemetry'],
  ...['config.retention.days=7'],
]

describe.skipIf(missing.length > 0)('the chart', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-helm-'))
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder }
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const helm = (...args: readonly string[]) => spawnSync(deployPrograms.helm, args, { cwd: folder, encoding: 'utf8', env })
  const sets = (values: readonly string[]) => values.flatMap((value) => ['--set', value])
  function render(values: readonly string[], from = chart): readonly Resource[] {
    const { status, stdout, stderr } = helm('template', 'tokenweir', from, '--namespace', 'llm', '--kube-version', kube, ...sets(values))
    expect({ status, stderr: stderr.replace(/^.*(symbolic link|level=INFO).*\n/gm, '') }).toEqual({ status: 0, stderr: '' })
    return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Resource | null) ?? [])
  }

  /** What the API server says of them in a namespace with the strictest level of pod security. */
  function judge(resources: readonly Resource[]): { status: number | null; stdout: string; stderr: string } {
    const into = mkdtempSync(join(folder, 'k-'))
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'llm', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    }
    const all = [namespace, ...resources]
    for (const [index, resource] of all.entries()) writeFileSync(join(into, `${index}.yaml`), JSON.stringify(resource))
    const list = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'llm',
      resources: all.map((_, index) => `${index}.yaml`),
    }
    writeFileSync(join(into, 'kustomization.yaml'), JSON.stringify(list))
    return spawnSync(deployPrograms.validate, ['kubernetes', into], { encoding: 'utf8', env })
  }

  it.each([
    ['with an upstream alone', ['upstream=http://gateway:8000']],
    ['with everything', everything],
  ])('passes helm lint --strict %s', (_, values) => {
    const { status, stdout, stderr } = helm('lint', '--strict', '--kube-version', kube, chart, ...sets(values))
    expect({ status, output: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, output: '' })
  })

  it('is taken by the API server and the admission of pods, small and with everything', () => {
    for (const values of [['upstream=http://gateway:8000'], everything]) {
      const { status, stderr } = judge(render(values))
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    }
    const kinds = [...new Set(render(everything).map(({ kind }) => kind))].sort()
    expect(kinds).toEqual([
      'ConfigMap',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'PrometheusRule',
      'Service',
      'ServiceMonitor',
      'StatefulSet',
    ])
  })

  it('has every dashboard and every rule that the project has', () => {
    const rendered = render(everything)
    const dashboards = readdirSync(join(root, 'grafana/dashboards')).filter((name) => name.endsWith('.json'))
    const maps = rendered.filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1')
    expect(maps.flatMap(({ data = {} }) => Object.keys(data)).sort()).toEqual(dashboards.sort())
    for (const { data = {} } of maps)
      for (const [name, text] of Object.entries(data))
        expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(join(root, 'grafana/dashboards', name), 'utf8')))
    const files = readdirSync(join(root, 'grafana/alerting')).filter((name) => /^prometheus-[\w-]+\.yaml$/.test(name))
    const wanted = files.flatMap(
      (name) => (parse(readFileSync(join(root, 'grafana/alerting', name), 'utf8')) as { groups: object[] }).groups,
    )
    const groups = rendered.flatMap(({ kind, spec }) => (kind === 'PrometheusRule' ? (spec?.groups ?? []) : []))
    expect(groups).toEqual(wanted)
    expect(groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined).length).toBeGreaterThan(10)
  })

  it.each([
    ['no upstream', [], 'upstream is empty'],
    ['a value that there is not', ['upstream=http://a', 'upstreams=b'], 'upstreams'],
    ['an upstream that is no URL', ['upstream=gateway:8000'], 'upstream'],
    ['a capture that there is not', ['upstream=http://a', 'capture=all'], 'capture'],
  ])('refuses %s by name', (_, values, says) => {
    const { status, stderr } = helm('template', 'tokenweir', chart, '--kube-version', kube, ...sets(values))
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(says) })
  })

  it('would be refused with a container that may become root', () => {
    const changed = join(folder, 'changed')
    cpSync(chart, changed, { recursive: true, dereference: true })
    const helpers = join(changed, 'templates/_helpers.tpl')
    writeFileSync(helpers, readFileSync(helpers, 'utf8').replace('allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true'))
    expect(judge(render(['upstream=http://gateway:8000'], changed))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('pod security restricted'),
    })
  })

  it('stands in a chart of one’s own as a native sidecar', () => {
    const own = join(folder, 'own/a/b/my-gateway')
    cpSync(join(root, 'test/stack/helm-consumer'), own, { recursive: true })
    mkdirSync(join(folder, 'own/deploy/helm'), { recursive: true })
    cpSync(chart, join(folder, 'own/deploy/helm/tokenweir'), { recursive: true, dereference: true })
    expect(helm('dependency', 'build', own)).toMatchObject({ status: 0 })
    const rendered = render([], own)
    const gateway = rendered.find(({ kind }) => kind === 'Deployment')
    expect(rendered.map(({ kind }) => kind).sort()).toEqual(['ConfigMap', 'Deployment', 'PodMonitor'])
    expect(gateway?.spec?.template?.spec.initContainers).toMatchObject([{ name: 'tokenweir', restartPolicy: 'Always' }])
    const { status, stderr } = judge(rendered)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it('has the version of the project', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    expect(
      parse(execFileSync(deployPrograms.helm, ['show', 'chart', chart], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] })),
    ).toMatchObject({ version, appVersion: version })
  })
})
