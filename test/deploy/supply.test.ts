/** What is fetched is pinned: npm's packages, Python's, Node itself, and images where `npm run images:pin` could ask. */
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesWithImages, pinned } from '../../scripts/pin-images.ts'
import { billOfMaterials } from '../../scripts/sbom.ts'

interface Package {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
  readonly link?: true
  readonly dev?: true
  readonly hasInstallScript?: true
  readonly os?: string
  readonly cpu?: string
  readonly bin?: Readonly<Record<string, string>>
}

const root = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json')) as {
  readonly version: string
  readonly allowScripts: Readonly<Record<string, boolean>>
}
const { optionalDependencies: nodes } = JSON.parse(read('tools/node/package.json')) as {
  readonly optionalDependencies: Readonly<Record<string, string>>
}
const lockOf = (path: string) => (JSON.parse(read(path)) as { packages: Record<string, Package> }).packages
const isOwn = (path: string) => ['', 'tools/node', 'node_modules/@tokenweir/node'].includes(path)
const packages = Object.entries(lockOf('package-lock.json')).filter(([path]) => !isOwn(path))

describe.each(['package-lock.json', 'test/gateways/portkey/package-lock.json'])('%s', (path) => {
  it('has a hash of every package, and no address', () => {
    const locked = Object.entries(lockOf(path)).filter(([name]) => !isOwn(name))
    expect(locked.length).toBeGreaterThan(50)
    expect(locked.filter(([, { integrity = '' }]) => !/^sha512-/.test(integrity)).map(([name]) => name)).toEqual([])
    expect(locked.filter(([, { resolved }]) => resolved !== undefined).map(([name]) => name)).toEqual([])
  })
})

it('no install script may run, so a package cannot fetch what the lock file does not name', () => {
  const scripted = packages
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
  expect(manifest.allowScripts).toEqual(Object.fromEntries(scripted.map((name) => [name, false])))
})

describe('the Node that comes along', () => {
  const launcher = read('bin/on-node.js')
  const programs = [...launcher.matchAll(/^ {2}'(\w+)-(\w+)': '([\w-]+)\/(bin\/[\w.]+)',$/gm)].map(([, os, cpu, name, node]) => ({
    os,
    cpu,
    name,
    node,
  }))

  it('is in the lock file for each platform, exactly as the launcher looks for it', () => {
    const locked = Object.keys(nodes).map((name) => {
      const { os, cpu, bin } = lockOf('package-lock.json')[`node_modules/${name}`] as Package
      return { os, cpu, name, node: bin?.['node'] }
    })
    expect(locked.length).toBeGreaterThan(0)
    expect(programs).toEqual(locked)
  })

  it('is one that runs the sources', () => {
    const old = Object.values(nodes).filter((version) => !/^(2[4-9]|[3-9]\d)\.\d+\.\d+$/.test(version))
    expect(old).toEqual([])
    expect(execFileSync('npx', ['--no-install', 'node', '--version'], { cwd: root, encoding: 'utf8' })).toBe(`${process.version}\n`)
  })
})

it('every Python package has its version and its hashes', () => {
  const lists = globSync('{test,examples}/**/*requirements.txt', { cwd: root, exclude: ['**/node_modules/**'] })
  expect(lists.length).toBeGreaterThan(3)
  const bare = lists.flatMap((path) =>
    read(path)
      .replaceAll('\\\n', '')
      .split('\n')
      .filter((line) => line !== '' && !/^[\w.-]+(\[[\w,]+\])?==[\w.]+( ; [^;]+)?(\s+--hash=sha256:[0-9a-f]{64})+$/.test(line))
      .map((line) => `${path}: ${line}`),
  )
  expect(bare).toEqual([])
})

describe('the bill of materials', () => {
  const bom = billOfMaterials()

  it('lists each package that is not for development alone, once, with its hash', () => {
    const wanted = packages.flatMap(([path, { version, dev }]) =>
      dev === true || path.replace('node_modules/', '') in nodes ? [] : [`${path.replace(/^.*node_modules\//, '')}@${version}`],
    )
    expect(bom.components.map((component) => component['bom-ref']).sort()).toEqual([...new Set(wanted)].sort())
    expect(bom.components.filter(({ hashes = [] }) => hashes[0]?.alg !== 'SHA-512')).toEqual([])
  })

  it('is of tokenweir, and refers to nothing that it does not list', () => {
    const known = [`tokenweir@${manifest.version}`, ...bom.components.map((component) => component['bom-ref'])]
    expect([bom.metadata.component.name, bom.metadata.component['bom-ref']]).toEqual(['tokenweir', known[0]])
    expect(bom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !known.includes(ref))).toEqual([])
  })
})

describe('images:pin', () => {
  const texts = filesWithImages.map(read)
  const digest = (letter: string) => `sha256:${letter.repeat(64)}`
  const imagesIn = (all: readonly string[]) =>
    all.flatMap((text) => [...text.matchAll(/^(?:# syntax=|\s*FROM |\s*image: )(\S+)/gm)].map(([, image]) => image))

  it('pins the images of others in every file, keeps those built here, and replaces an older digest', () => {
    const asked = new Set<string>()
    const digestOf = (image: string) => {
      asked.add(image)
      return digest('a')
    }
    const once = texts.map((text) => pinned(text, digestOf))
    const [others, own] = [imagesIn(once).filter((image) => image?.includes('@')), imagesIn(once).filter((image) => !image?.includes('@'))]
    expect([...new Set(own)].sort()).toEqual(['build', `tokenweir-demo:${manifest.version}`, `tokenweir:${manifest.version}`])
    expect([...new Set(others)].sort()).toEqual([...asked].map((image) => `${image}@${digest('a')}`).sort())
    expect(asked.size).toBeGreaterThan(6)
    const again = once.map((text) => pinned(text, () => digest('b')))
    expect(again).toEqual(once.map((text) => text.replaceAll(digest('a'), digest('b'))))
    expect(once.map((text) => text.replaceAll(`@${digest('a')}`, ''))).toEqual(
      texts.map((text) => text.replaceAll(/@sha256:[0-9a-f]{64}/g, '')),
    )
  })

  it('writes nothing when one image cannot be asked for', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/pin-images.ts')], {
      env: { PATH: '/nowhere' },
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^Nothing was written: .*\ndocker with buildx must be there/s)])
    expect(filesWithImages.map(read)).toEqual(texts)
  })
})
