/** What docker-compose.yml says, against the files it mounts. That Compose itself takes it is test/stack/validate.stack.test.ts. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

interface Service {
  readonly image: string
  readonly build?: { readonly target: string }
  readonly environment?: Readonly<Record<string, string>>
  readonly command?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>
  readonly read_only?: boolean
  readonly security_opt?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly restart?: string
  readonly deploy?: { readonly resources: { readonly limits: { readonly memory?: string; readonly cpus?: string } } }
}

const root = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
/** With the defaults of its variables. */
const text = read('docker-compose.yml').replace(/\$\{\w+:-([^}]*)\}/g, '$1')
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, unknown> }
const services = Object.entries(compose.services)
const mounts = services.flatMap(([name, { volumes = [] }]) => volumes.map((volume) => ({ name, volume, parts: volume.split(':') })))
const files = mounts.filter(({ volume }) => volume.startsWith('.'))
/** Configurations; dashboards have no addresses. */
const mountedTexts = files.flatMap(({ parts }) => textsBelow(join(root, parts[0] as string))).filter((path) => !path.endsWith('.json'))

function textsBelow(path: string): string[] {
  if (!existsSync(path)) return []
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Service → ports on which something listens there, by the configuration that makes it listen. */
function listening(): Record<string, number[]> {
  const tempo = parse(read('deploy/tempo/tempo.yaml')) as {
    server: { http_listen_port: number }
    distributor: { receivers: { otlp: { protocols: { grpc: { endpoint: string } } } } }
  }
  const loki = parse(read('deploy/loki/loki.yaml')) as { server: { http_listen_port: number } }
  const collector = compose.services['otel-collector']?.environment ?? {}
  const portOf = (address: string | undefined) => Number(address?.split(':').at(-1))
  return {
    tokenweir: [...read('Dockerfile').matchAll(/^EXPOSE (.*)$/gm)].flatMap(([, ports]) => (ports ?? '').split(' ').map(Number)),
    'otel-collector': [portOf(collector['OTLP_GRPC']), portOf(collector['OTLP_HTTP']), 8888],
    tempo: [tempo.server.http_listen_port, portOf(tempo.distributor.receivers.otlp.protocols.grpc.endpoint)],
    loki: [loki.server.http_listen_port],
    prometheus: [9090],
    alertmanager: [9093],
    grafana: [3000],
    'sample-gateway': [8000],
    traffic: [],
  }
}

describe('docker-compose.yml', () => {
  it('mounts files that exist', () => {
    expect(files.map(({ parts }) => parts[0] as string).filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  it('mounts every configuration read-only', () => {
    expect(files.filter(({ parts }) => parts[2] !== 'ro').map(({ volume }) => volume)).toEqual([])
  })

  it('declares the volumes it uses, and no other', () => {
    const used = mounts.filter(({ volume }) => !volume.startsWith('.')).map(({ parts }) => parts[0] as string)
    expect(Object.keys(compose.volumes).sort()).toEqual([...new Set(used)].sort())
  })

  it('gives Prometheus both files of rules', () => {
    const rules = readdirSync(join(root, 'grafana/alerting')).filter((name) => /^prometheus-.*rules\.yaml$/.test(name))
    expect(rules.length).toBe(2)
    const given = files.filter(({ parts }) => parts[1]?.startsWith('/etc/prometheus/rules/')).map(({ parts }) => parts[0])
    expect(given.sort()).toEqual(rules.map((name) => `./grafana/alerting/${name}`).sort())
  })

  it('pins each image to a full version', () => {
    expect(services.map(([, { image }]) => image).filter((image) => !/:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$/.test(image))).toEqual([])
  })

  it('builds only stages of the Dockerfile, tagged with the version of the package', () => {
    const version = (JSON.parse(read('package.json')) as { version: string }).version
    const stages = [...read('Dockerfile').matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name)
    const built = services.filter(([, { build }]) => build !== undefined)
    expect(built.filter(([, { build }]) => !stages.includes(build?.target)).map(([name]) => name)).toEqual([])
    expect([...new Set(built.map(([, { image }]) => image.split(':')[1]))]).toEqual([version])
  })

  it('publishes ports on loopback only', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports)
    expect(published.length).toBeGreaterThan(3)
    expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
  })

  it('publishes the very ports on which something listens', () => {
    const known = listening()
    const wrong = services.flatMap(([name, { ports = [] }]) =>
      ports.filter((port) => !known[name]?.includes(Number(port.split(':').at(-1)))).map((port) => `${name} ${port}`),
    )
    expect(wrong).toEqual([])
  })

  it('lets every service write to its volumes only, without rights and within limits', () => {
    const wrong = services.filter(
      ([, it]) =>
        it.read_only !== true ||
        it.cap_drop?.[0] !== 'ALL' ||
        it.security_opt?.[0] !== 'no-new-privileges:true' ||
        it.restart !== 'unless-stopped' ||
        it.deploy?.resources.limits.memory === undefined ||
        it.deploy.resources.limits.cpus === undefined,
    )
    expect(wrong.map(([name]) => name)).toEqual([])
  })

  it('waits for the health of what can tell it', () => {
    const tells = (name: string) => compose.services[name]?.healthcheck !== undefined || name === 'tokenweir' // by its image
    const wrong = services.flatMap(([name, { depends_on = {} }]) =>
      Object.entries(depends_on)
        .filter(([other, { condition }]) => condition !== (tells(other) ? 'service_healthy' : 'service_started'))
        .map(([other]) => `${name} → ${other}`),
    )
    expect(wrong).toEqual([])
  })

  it('asks images without a shell by their own program', () => {
    const shellLess = services.filter(([, { image }]) => /\/(tempo|loki):/.test(image))
    expect(shellLess.map(([, { healthcheck }]) => healthcheck?.test)).toEqual([
      ['CMD', '/tempo', '-health'],
      ['CMD', '/usr/bin/loki', '-health'],
    ])
  })

  it('gives the collector variables that its configuration reads, and each address of another service', () => {
    const config = read('otel-collector.yaml')
    const read_ = new Set([...config.matchAll(/\$\{env:(\w+)/g)].map(([, name]) => name as string))
    const given = Object.keys(compose.services['otel-collector']?.environment ?? {})
    expect(given.filter((name) => !read_.has(name))).toEqual([])
    expect([...read_].filter((name) => name.endsWith('_ENDPOINT') && !given.includes(name))).toEqual([])
  })

  it('lets nobody into Grafana without a password, and knows none itself', () => {
    const given = compose.services['grafana']?.environment ?? {}
    expect([given['GF_AUTH_ANONYMOUS_ENABLED'], given['GF_SECURITY_ADMIN_PASSWORD']]).toEqual([
      'false',
      expect.stringMatching(/^\$\{GRAFANA_ADMIN_PASSWORD:\?[^}]+\}$/),
    ])
  })

  it('gives Grafana the addresses that its data sources read', () => {
    const wanted = [...read('grafana/provisioning/datasources/tokenweir.yaml').matchAll(/^\s*url: \$(\w+)$/gm)].map(
      ([, name]) => name as string,
    )
    const given = Object.keys(compose.services['grafana']?.environment ?? {})
    expect(wanted.length).toBeGreaterThan(2)
    expect(given.filter((name) => name.startsWith('TOKENWEIR_')).sort()).toEqual(wanted.sort())
  })

  it('runs the collector that test:stack builds', () => {
    const version = /^ {2}version: (\S+)$/m.exec(read('deploy/collector/builder.yaml'))?.[1]
    expect(compose.services['otel-collector']?.image.replace(/@.*/, '')).toBe(`otel/opentelemetry-collector-contrib:${version}`)
  })

  it('names no host and port, in itself or in a file it mounts, on which nothing listens', () => {
    const known = listening()
    const names = Object.keys(known).join('|')
    const references = [text, read('deploy/demo.env'), ...mountedTexts.map((path) => readFileSync(path, 'utf8'))]
      .flatMap((it) => [...it.replace(/^\s*#.*$/gm, '').matchAll(new RegExp(`(?<![\\w/.-])(?:https?://)?(${names}):(\\d{4,5})\\b`, 'g'))])
      .map(([, name, port]) => ({ name: name as string, port: Number(port) }))
    expect(references.length).toBeGreaterThan(6)
    expect(references.filter(({ name, port }) => !known[name]?.includes(port))).toEqual([])
  })
})
