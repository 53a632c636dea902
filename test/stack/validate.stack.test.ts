/** The deployment files before the code of the programs that will read them: Compose's loader, BuildKit, the API server's validation, kustomize. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { deployPrograms, missingDeployTools } from '../../scripts/deploy-tools.ts'

const root = resolve(import.meta.dirname, '../..')
const missing = missingDeployTools(['validate'])

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...more }
}

const validate = (args: readonly string[], more?: Readonly<Record<string, string>>) =>
  execFileSync(deployPrograms.validate, args, { cwd: root, encoding: 'utf8', env: environment(more), stdio: 'pipe' })
const refusal = (args: readonly string[], more?: Readonly<Record<string, string>>, cwd = root) =>
  spawnSync(deployPrograms.validate, args, { cwd, encoding: 'utf8', env: environment(more) })

if (missing.length > 0) {
  process.stderr.write('\n*** THE VALIDATORS ARE NOT INSTALLED: deploy/ is not validated. Run: npm run deploy:install ***\n\n')
}

describe.skipIf(missing.length > 0)('docker-compose.yml', () => {
  const servicesOf = (text: string) => Object.keys((JSON.parse(text) as { services: object }).services).sort()
  const usual = ['alertmanager', 'grafana', 'loki', 'otel-collector', 'prometheus', 'tempo', 'tokenweir']

  const needed = { TOKENWEIR_UPSTREAM: 'http://host.docker.internal:8000', GRAFANA_ADMIN_PASSWORD: 'x' }

  it.each([
    ['the upstream', { GRAFANA_ADMIN_PASSWORD: 'x' }, 'TOKENWEIR_UPSTREAM=http://host.docker.internal:8000'],
    ["Grafana's password", { TOKENWEIR_UPSTREAM: 'http://x' }, 'as GRAFANA_ADMIN_PASSWORD'],
  ])('asks for %s, and says how to give it', (_what, given: Readonly<Record<string, string>>, how) => {
    const { status, stderr } = refusal(['compose', 'docker-compose.yml'], given)
    expect({ status, asks: stderr.includes(how) }).toEqual({ status: 1, asks: true })
  })

  it('is taken by Compose in front of a gateway', () => {
    const text = validate(['compose', 'docker-compose.yml'], needed)
    expect(servicesOf(text)).toEqual(usual)
  })

  it('is taken by Compose as a demo, which needs nothing', () => {
    const text = validate(['compose', 'docker-compose.yml', 'deploy/demo.env'])
    expect(servicesOf(text)).toEqual([...usual, 'sample-gateway', 'traffic'].sort())
  })

  it('is taken by Compose as tokenweir init writes it, with its own .env', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-compose-'))
    try {
      execFileSync(process.execPath, [join(root, 'bin/tokenweir.js'), 'init', folder], { stdio: 'ignore' })
      const { status, stdout, stderr } = refusal(['compose', 'docker-compose.yml', '.env'], {}, folder)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(servicesOf(stdout)).toEqual(usual)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('would be refused with a key that Compose does not know', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-compose-'))
    try {
      const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8')
        .replace('    restart: ', '    restarts: ')
        .replace('  restart: ', '  restarts: ')
      writeFileSync(join(folder, 'docker-compose.yml'), text)
      const { status, stderr } = refusal(['compose', 'docker-compose.yml'], needed, folder)
      expect({ status, names: stderr.includes('restarts') }).toEqual({ status: 1, names: true })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe.skipIf(missing.length > 0)('the Dockerfile', () => {
  it('passes the checks of BuildKit', () => {
    expect(refusal(['dockerfile', 'Dockerfile'])).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  it.each([
    ['an entry point through a shell', /^ENTRYPOINT .*$/gm, 'ENTRYPOINT node x', 'JSONArgsRecommended'],
    ['an instruction that does not exist', 'VOLUME ', 'VOLUMES ', 'unknown instruction: VOLUMES'],
    ['a secret in the image', 'ENV NODE_ENV=production', 'ENV API_TOKEN=x NODE_ENV=production', 'SecretsUsedInArgOrEnv'],
  ])('would be refused with %s', (_, from, to, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-dockerfile-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, 'Dockerfile'), readFileSync(join(root, 'Dockerfile'), 'utf8').replace(from, to))
    const { status, stdout, stderr } = refusal(['dockerfile', 'Dockerfile'], {}, folder)
    expect({ status, said: stdout + stderr }).toEqual({ status: 1, said: expect.stringContaining(message) })
  })
})

describe.skipIf(missing.length > 0)('the manifests', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-manifests-'))
  const changed = (file: string, from: string, to: string, build = 'sidecar') => {
    cpSync(join(root, 'deploy'), join(folder, 'deploy'), { recursive: true })
    const text = readFileSync(join(folder, file), 'utf8')
    expect(text).toContain(from)
    writeFileSync(join(folder, file), text.replace(from, to))
    const { status, stderr } = refusal(['kubernetes', `deploy/kubernetes/${build}`], {}, folder)
    return { status, stderr }
  }

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('are built by kustomize and taken by the API server and the admission of pods', () => {
    const taken = validate([
      'kubernetes',
      ...['sidecar', 'servicemonitor', 'collectors', 'monitoring'].map((name) => `deploy/kubernetes/${name}`),
    ])
      .trim()
      .split('\n')
    const kinds = [...new Set(taken.map((line) => line.split(' ')[1]?.split('/')[0]))].sort()
    expect(kinds).toEqual([
      'ConfigMap',
      'DaemonSet',
      'Deployment',
      'Namespace',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'PrometheusRule',
      'Service',
      'ServiceMonitor',
      'StatefulSet',
    ])
  })

  it.each([
    ['an unknown field', 'readinessProbe:', 'readyProbe:', 'unknown field'],
    [
      'a probe of a port that is none',
      '/readyz, port: admin }, periodSeconds: 1,',
      '/readyz, port: 0 }, periodSeconds: 1,',
      'must be between 1 and 65535',
    ],
    ['a volume that is not there', 'name: ledger, mountPath', 'name: books, mountPath', 'Not found: "books"'],
    ['rights that the namespace forbids', 'allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true', 'pod security restricted'],
  ])('would be refused with %s', (_, from, to, message) => {
    const { status, stderr } = changed('deploy/kubernetes/sidecar/gateway.yaml', from, to)
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(message) })
  })

  it('would be refused with a field of a rule that the operator does not know', () => {
    const { status, stderr } = changed('deploy/kubernetes/monitoring/alerts.yaml', 'keep_firing_for:', 'keep_firing:', 'monitoring')
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('unknown field "keep_firing"') })
  })
})
