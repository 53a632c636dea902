/**
 * `npm run sbom`: writes sbom.cdx.json, a CycloneDX list of what an installed tokenweir consists of, with hashes and licences, out of the lock file. It is
 * npm's own; `npm sbom --omit dev` also leaves out what is needed in production and development alike (undici, yaml), so the lock file decides.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(import.meta.dirname, '..')

interface Bom {
  readonly metadata: { readonly component: { name: string; readonly 'bom-ref': string } }
  components: readonly { readonly 'bom-ref': string; readonly hashes?: readonly { readonly alg: string; readonly content: string }[] }[]
  dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

/** CycloneDX 1.5 as JSON. */
export function billOfMaterials(): Bom {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only']
  const bom = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })) as Bom
  const { name, packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock
  const kept = new Set([bom.metadata.component['bom-ref'], ...installed(packages)])
  bom.metadata.component.name = name // npm takes the folder's
  bom.components = bom.components.filter((component) => kept.has(component['bom-ref']))
  bom.dependencies = bom.dependencies
    .filter(({ ref }) => kept.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) }))
  return bom
}

interface Lock {
  readonly name: string
  readonly packages: Readonly<Record<string, LockedPackage>>
}

interface LockedPackage {
  readonly version: string
  readonly dev?: true
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** The workspace that brings a Node to a checkout: neither it nor a Node is in the published package. */
const checkoutOnly = 'tools/node'

/** `name@version` of every package that is not for development alone. */
function installed(packages: Lock['packages']): string[] {
  const nodes = Object.keys(packages[checkoutOnly]?.optionalDependencies ?? {}).map((name) => `node_modules/${name}`)
  const left = new Set(['', checkoutOnly, 'node_modules/@tokenweir/node', ...nodes])
  return Object.entries(packages).flatMap(([path, { version, dev }]) =>
    left.has(path) || dev === true ? [] : [`${path.replace(/^.*node_modules\//, '')}@${version}`],
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(root, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(), undefined, 2)}\n`)
}
