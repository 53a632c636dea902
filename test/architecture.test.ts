import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const src = resolve(import.meta.dirname, '../src')

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(src, join(entry.parentPath, entry.name)))

interface Import {
  readonly from: string
  readonly target: string
  readonly typeOnly: boolean
}

/** Imports of a file: relative ones as paths below src/, others as they are written. */
function importsOf(file: string, text: string): Import[] {
  const found: Import[] = []
  const pattern = /^\s*(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm
  for (const match of text.matchAll(pattern)) {
    const written = match[2] ?? match[3] ?? ''
    const target = written.startsWith('.') ? relative(src, resolve(src, dirname(file), written)) : written
    found.push({ from: file, target, typeOnly: match[1] !== undefined })
  }
  return found
}

const imports = files.flatMap((file) => importsOf(file, readFileSync(join(src, file), 'utf8')))
const area = (path: string) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, ''))
const within = (path: string) => files.includes(path)

/** Area → areas below src/ that it may import. An area is a folder, or a file at the top. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  exchange: [],
  json: [],
  clock: [],
  roster: [],
  ids: [],
  range: [],
  batch: ['exchange', 'recorder'],
  frames: ['exchange'],
  formats: ['exchange', 'json'],
  providers: ['exchange', 'json', 'formats', 'provider-rules'],
  'provider-rules': ['exchange', 'json'],
  proxy: ['exchange', 'batch', 'clock', 'ids', 'config', 'roster'],
  inject: ['proxy'],
  caller: ['batch', 'config', 'proxy'],
  shutdown: [],
  decode: ['frames'],
  pricing: ['exchange', 'config'],
  estimates: ['exchange', 'json', 'decode'],
  fold: ['exchange', 'json', 'formats', 'providers', 'frames', 'estimates'],
  conclude: ['exchange', 'json', 'formats', 'providers', 'frames', 'decode', 'fold'],
  observe: ['exchange', 'batch', 'clock', 'decode', 'estimates', 'fold', 'frames', 'proxy'],
  telemetry: ['exchange', 'batch', 'config', 'json'],
  store: ['telemetry'],
  sinks: ['exchange', 'batch', 'config', 'telemetry', 'json', 'store'],
  reading: ['range', 'store'],
  admin: ['exchange', 'batch', 'config', 'telemetry', 'sinks', 'range', 'reading'],
  demo: ['exchange', 'json', 'reading'],
  replay: ['exchange', 'json', 'conclude', 'config', 'decode', 'fold', 'formats', 'frames', 'observe', 'pricing', 'providers', 'recorder'],
  tail: ['reading'],
  verify: ['exchange', 'json', 'ids', 'fold', 'frames', 'telemetry'],
  reconcile: ['ids', 'json', 'range', 'telemetry'],
}
const seesEverything = new Set(['main', 'cli', 'commands', 'tokenweir', 'recorder'])
const pure = (path: string) =>
  /^(exchange|json|providers|provider-rules)\.ts$|^(frames|formats)\/|^telemetry\/(catalog|names)\.ts$|^pricing\/plan\.ts$|^estimates\/text\.ts$/.test(
    path,
  )

describe('the layers', () => {
  it('finds the sources it guards', () => {
    expect(files).toContain('exchange.ts')
    expect(imports.length).toBeGreaterThan(30)
  })

  it('imports only what its layer may', () => {
    const wrong = imports
      .filter(({ from, target }) => within(target) && mayImport[area(from)] !== undefined && area(from) !== area(target))
      .filter(({ from, target }) => !mayImport[area(from)]?.includes(area(target)))
      .map(({ from, target }) => `${from} imports ${target}`)
    expect(wrong).toEqual([])
  })

  it('knows every area that imports others', () => {
    const known = new Set([...Object.keys(mayImport), ...seesEverything, 'config'])
    expect([...new Set(files.map(area))].filter((name) => !known.has(name))).toEqual([])
  })

  it('keeps the pure set free of node modules and packages', () => {
    const wrong = imports.filter(({ from, target }) => pure(from) && !within(target)).map(({ from, target }) => `${from} imports ${target}`)
    expect(wrong).toEqual([])
  })

  it('keeps the composition root small', () => {
    expect(readFileSync(join(src, 'main.ts'), 'utf8').split('\n').length).toBeLessThanOrEqual(100)
  })

  it('has no file that nobody imports', () => {
    const entries = new Set(['tokenweir.ts', 'recorder.ts', 'reading/worker.ts'])
    const imported = new Set(imports.map(({ target }) => target))
    expect(files.filter((file) => !entries.has(file) && !imported.has(file))).toEqual([])
  })
})

describe('the import reader of this guard', () => {
  it('reads every form of import', () => {
    const text = `import a from './a.ts'\nimport type { B } from '../b.ts'\nexport * from './c.ts'\nimport 'node:fs'\nconst d = await import('./d.ts')\nimport {\n  e,\n} from 'pkg'\n`
    expect(importsOf('x/y.ts', text).map(({ target }) => target)).toEqual(['x/a.ts', 'b.ts', 'x/c.ts', 'node:fs', 'x/d.ts', 'pkg'])
  })
})
