/** What the manifests name, against each other and the collectors' configurations. That Kubernetes takes them is test/stack/validate.stack.test.ts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'

const root = resolve(import.meta.dirname, '../..')
const folder = join(root, 'deploy/kubernetes')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Container {
  readonly name: string
  readonly image: string
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
}
interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly spec: {
    readonly selector?: Readonly<Record<string, unknown>>
    readonly ports?: readonly { readonly name: string; readonly port: number; readonly targetPort: number | string }[]
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
      readonly spec: {
        readonly initContainers?: readonly Container[]
        readonly containers: readonly Container[]
        readonly volumes: readonly { readonly configMap?: { readonly name: string } }[]
      }
    }
  }
}

const manifests = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml') && !name.endsWith('kustomization.yaml'))
  .flatMap((name) =>
    parseAllDocuments(readFileSync(join(folder, name), 'utf8'), { merge: true }).map((document) => document.toJS() as Manifest),
  )
const workloads = manifests.filter(({ spec }) => spec?.template !== undefined)
const containersOf = ({ spec }: Manifest) => [...(spec.template?.spec.initContainers ?? []), ...(spec.template?.spec.containers ?? [])]
const services = manifests.filter(({ kind }) => kind === 'Service')
const compose = parse(read('docker-compose.yml'), { merge: true }) as { services: Record<string, { image: string }> }

/** Tier → variables that its configuration reads, and those of them that have no default. */
function variablesOf(tier: string) {
  const found = [...read(`deploy/tiers/${tier}.yaml`).matchAll(/\$\{env:(\w+)(:-)?/g)]
  return { all: found.map(([, name]) => name), needed: found.filter(([, , fallback]) => fallback === undefined).map(([, name]) => name) }
}

describe('the manifests', () => {
  it('run the images of docker-compose.yml', () => {
    const images = new Set(Object.values(compose.services).map(({ image }) => image))
    expect(workloads.flatMap(containersOf).filter(({ image }) => !images.has(image))).toEqual([])
  })

  it('have services that select a workload and name a port of it', () => {
    const wrong = services.filter(({ spec }) => {
      const labels = Object.entries(spec.selector ?? {})
      const workload = workloads.find((it) => labels.every(([name, value]) => it.spec.template?.metadata.labels[name] === value))
      const ports = workload === undefined ? [] : containersOf(workload).flatMap(({ ports = [] }) => ports)
      return spec.ports?.some(
        ({ targetPort }) => !ports.some(({ name, containerPort }) => targetPort === name || targetPort === containerPort),
      )
    })
    expect(services.length).toBeGreaterThan(3)
    expect(wrong.map(({ metadata }) => metadata.name)).toEqual([])
  })

  it('name by address only services that exist, on a port that they have', () => {
    const own = services.map(({ metadata: { name, namespace }, spec }) => ({ name, namespace, ports: spec.ports?.map(({ port }) => port) }))
    const urls = workloads
      .flatMap(containersOf)
      .flatMap(({ env = [] }) => env.flatMap(({ value }) => value ?? []))
      .flatMap((value) => [...value.matchAll(/\b(tokenweir-\w+)\.([\w-]+)(?:\.svc\.cluster\.local)?(?::(\d+))?/g)])
      .map(([, name, namespace, port]) => ({ name, namespace, port: Number(port ?? 4317) }))
    expect(urls.length).toBe(2)
    expect(
      urls.filter(
        ({ name, namespace, port }) => !own.some((it) => it.name === name && it.namespace === namespace && it.ports?.includes(port)),
      ),
    ).toEqual([])
  })

  it.each(['node', 'gateway', 'reader'])('give the %s collector every variable it needs, and none it does not read', (tier) => {
    const workload = workloads.find(({ metadata }) => metadata.name === `tokenweir-${tier}`) as Manifest
    const stores = tier === 'node' ? '' : read('deploy/kubernetes/collectors/kustomization.yaml')
    const literals = [...stores.matchAll(/^ {6}- (\w+)=/gm)].map(([, name]) => name as string)
    const env = containersOf(workload).flatMap(({ env = [] }) => env.map(({ name }) => name))
    const { all, needed } = variablesOf(tier)
    expect(needed.filter((name) => ![...literals, ...env].includes(name as string))).toEqual([])
    expect(env.filter((name) => name !== 'GOMEMLIMIT' && !all.includes(name))).toEqual([])
    const everyTier = ['gateway', 'reader'].flatMap((name) => variablesOf(name).all)
    expect(literals.filter((name) => !everyTier.includes(name))).toEqual([])
  })

  it('mount the configurations that kustomize makes of the tiers', () => {
    const generated = parse(read('deploy/tiers/kustomization.yaml')) as { configMapGenerator: { name: string; files: string[] }[] }
    const mounted = workloads.flatMap(({ spec }) => spec.template?.spec.volumes.flatMap(({ configMap }) => configMap?.name ?? []) ?? [])
    expect(mounted.sort()).toEqual(generated.configMapGenerator.map(({ name }) => name).sort())
    const files = generated.configMapGenerator.flatMap(({ files }) =>
      files.map((file) => join('deploy/tiers', file.split('=')[1] as string)),
    )
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
  })
})
