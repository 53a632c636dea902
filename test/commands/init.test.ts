/** `tokenweir init`, as a program. That Compose takes what it writes is test/stack/validate.stack.test.ts. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { cleanEnvironment } from '../e2e/product.ts'

const root = resolve(import.meta.dirname, '../..')
const launcher = join(root, 'bin/tokenweir.js')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

function init(args: readonly string[], cwd = mkdtempSync(join(tmpdir(), 'tokenweir-init-'))) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, 'init', ...args], {
    cwd,
    env: cleanEnvironment(),
    encoding: 'utf8',
  })
  const read = (path: string) => readFileSync(join(cwd, 'tokenweir-stack', path), 'utf8')
  return { status, stdout, stderr, cwd, read }
}

interface Compose {
  readonly services: Readonly<Record<string, { readonly build?: unknown; readonly image: string; readonly volumes?: readonly string[] }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

it('writes all that its compose file mounts and builds, as this version has it', () => {
  const { status, stdout, stderr, cwd, read } = init([])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('cd ')
  const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose
  expect(Object.keys(compose.services).sort()).toEqual([
    'alertmanager',
    'grafana',
    'loki',
    'otel-collector',
    'prometheus',
    'tempo',
    'tokenweir',
  ])
  expect(compose.services['tokenweir']).toMatchObject({
    image: `tokenweir:${version}`,
    build: { context: '.', args: { TOKENWEIR_VERSION: version } },
  })
  const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes)
  const paths = mounted.flatMap((volume) => /\.\/([^:}]+)/.exec(volume)?.[1] ?? [])
  expect(paths.length).toBeGreaterThan(6)
  for (const path of paths) expect([path, existsSync(join(cwd, 'tokenweir-stack', path))]).toEqual([path, true])
  for (const path of ['otel-collector.yaml', 'grafana/dashboards/tokens.json', 'grafana/alerting/prometheus-rules.yaml'])
    expect(read(path)).toBe(readFileSync(join(root, path), 'utf8'))
})

it('asks for nothing that its .env has not, and keeps what is secret there to the user', () => {
  const { cwd, read } = init(['--upstream', 'http://gateway:9000'])
  const given = Object.fromEntries(
    read('.env')
      .split('\n')
      .flatMap((line) => (/^\w+=/.test(line) ? [line.split('=', 2)] : [])),
  ) as Record<string, string>
  const required = [...read('docker-compose.yml').matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name as string)
  expect(required.length).toBeGreaterThan(1)
  for (const name of required) expect([name, given[name]]).toEqual([name, expect.stringMatching(/./)])
  expect(given['TOKENWEIR_UPSTREAM']).toBe('http://gateway:9000')
  expect(given['GRAFANA_ADMIN_PASSWORD']).toMatch(/^[\w-]{16,}$/)
  expect(statSync(join(cwd, 'tokenweir-stack/.env')).mode & 0o077).toBe(0)
  expect(read('.env')).not.toBe(init([]).read('.env'))
})

it('writes over nothing that differs, unless it is told to, and never over .env', () => {
  const first = init([])
  const env = first.read('.env')
  expect(init([], first.cwd).status).toBe(0)
  writeFileSync(join(first.cwd, 'tokenweir-stack/otel-collector.yaml'), 'mine: true\n')
  const { status, stderr } = init([], first.cwd)
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/otel-collector\.yaml\. Use --force/) })
  expect(first.read('otel-collector.yaml')).toBe('mine: true\n')
  expect(init(['--force'], first.cwd).status).toBe(0)
  expect(first.read('otel-collector.yaml')).toBe(readFileSync(join(root, 'otel-collector.yaml'), 'utf8'))
  expect(first.read('.env')).toBe(env)
})

it.each([
  [['--upstream', 'gateway:9000'], 2, 'is no URL'],
  [['a', 'b'], 2, 'one argument too many'],
  [['package.json'], 1, 'package.json cannot be written to'],
])('%j is refused', (args, code, says) => {
  const cwd = mkdtempSync(join(tmpdir(), 'tokenweir-init-'))
  writeFileSync(join(cwd, 'package.json'), '{}')
  const { status, stderr } = init(args, cwd)
  expect({ status, stderr }).toEqual({ status: code, stderr: expect.stringContaining(says) })
})

it('has in its image what the image of the project has', () => {
  const steps = (path: string) =>
    readFileSync(join(root, path), 'utf8')
      .replaceAll('\\\n', '')
      .split('\n')
      .filter((line) => /^(ENV|VOLUME|EXPOSE|USER|HEALTHCHECK)/.test(line))
  expect(steps('deploy/npm.Dockerfile')).toEqual(steps('Dockerfile').slice(-5))
})

it('is packed with all that init writes', () => {
  const packed = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' }),
  ) as readonly { files: readonly { path: string }[] }[]
  const paths = new Set(packed[0]?.files.map(({ path }) => path))
  for (const path of [
    'docker-compose.yml',
    'deploy/npm.Dockerfile',
    'otel-collector.yaml',
    'deploy/tempo/tempo.yaml',
    'deploy/alertmanager/receivers/page',
    'grafana/provisioning/datasources/tokenweir.yaml',
    'docs/zero-usage.md',
  ])
    expect([path, paths.has(path)]).toEqual([path, true])
})
