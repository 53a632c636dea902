import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseAst } from 'vitest/node'

const src = resolve(import.meta.dirname, '../src')

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
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

/**
 * Room → rooms that it may import. A room is a folder of src/; the two files beside them start the program. No room is imported by one that it
 * imports: the order of the list is the order of the layers.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  config: ['lib'],
  proxy: ['lib', 'config'],
  observe: ['lib', 'proxy'],
  conclude: ['lib', 'config', 'observe'],
  telemetry: ['lib', 'config'],
  ledger: ['lib', 'telemetry'],
  sinks: ['lib', 'config', 'telemetry', 'ledger'],
  admin: ['lib', 'config', 'telemetry', 'ledger', 'sinks'],
  recorder: ['lib', 'config', 'observe', 'conclude', 'telemetry', 'ledger', 'sinks', 'admin'],
  forwarding: ['lib', 'config', 'proxy', 'observe', 'conclude', 'telemetry', 'recorder'],
  sidecar: ['lib', 'config', 'proxy', 'admin', 'recorder', 'forwarding'],
  cli: ['lib', 'config', 'observe', 'conclude', 'telemetry', 'ledger', 'recorder', 'sidecar'],
  tokenweir: ['cli', 'sidecar'],
}

/**
 * The door of each room: its files that other rooms import. A file that exports a whole room would load SQLite and the SDK on the proxying thread.
 * The list stands in doors.txt; `npx vitest run test/architecture.test.ts -u` writes it again, and its difference shows each door that was added.
 */
const doorsFile = join(import.meta.dirname, 'doors.txt')
const crossings = imports.filter(({ from, target }) => within(target) && area(from) !== area(target) && target.includes('/'))
const doors = [...new Set(crossings.map(({ target }) => target))].sort()

/** Sentences for what `listed` and the sources do not agree on. */
function doorErrors(listed: ReadonlySet<string>): string {
  const added = crossings
    .filter(({ target }) => !listed.has(target))
    .map(({ from, target }) => `${from} imports ${target}, which is not a door of ${area(target)}: import one of its doors.`)
  const unused = [...listed]
    .filter((door) => !doors.includes(door))
    .map((door) => `${door} is listed as a door, but no other room imports it.`)
  return [...added, ...unused, 'If this is intended: npx vitest run test/architecture.test.ts -u'].join('\n')
}

const pure = (path: string) =>
  /^lib\/(exchange|json)\.ts$|^observe\/(frames|formats)\/|^observe\/(texts|choice|sketch|beside|payload)\.ts$|^conclude\/providers\/|^conclude\/pricing\/plan\.ts$|^telemetry\/(catalog|names)\.ts$/.test(
    path,
  )

interface LongFunction {
  readonly name: string
  readonly line: number
  readonly lines: number
}

interface SyntaxNode {
  readonly type?: unknown
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** Tells each node of the syntax tree, with the name of the nearest one that has any. */
function eachNode(code: string, told: (node: SyntaxNode, name: string) => void): void {
  function visit(of: unknown, name: string): void {
    if (Array.isArray(of)) for (const part of of) visit(part, name)
    if (typeof of !== 'object' || of === null || Array.isArray(of)) return
    const node = of as SyntaxNode
    const named = ((node['id'] ?? node['key']) as { name?: string } | null | undefined)?.name ?? name
    told(node, named)
    for (const part of Object.values(node)) visit(part, named)
  }
  visit(parseAst(code).body, '')
}

const lineAt = (code: string, offset: number) => code.slice(0, offset).split('\n').length

/** Functions and methods of more than `linesMax` lines, those within others too. */
function longFunctions(text: string, linesMax: number): LongFunction[] {
  const code = stripTypeScriptTypes(text) // types become spaces: lines stay where they are
  const found: LongFunction[] = []
  eachNode(code, ({ type, start, end }, name) => {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(String(type))) return
    const line = lineAt(code, start)
    const lines = lineAt(code, end) - line + 1
    if (lines > linesMax) found.push({ name, line, lines })
  })
  return found
}

interface Assigned {
  readonly line: number
  readonly to: string
}

/** Functions that are assigned to a property where they are written. */
function assignedFunctions(text: string): Assigned[] {
  const code = stripTypeScriptTypes(text)
  const found: Assigned[] = []
  eachNode(code, ({ type, operator, left, right }) => {
    if (type !== 'AssignmentExpression' || !/^(\?\?|\|\||&&)?=$/.test(String(operator))) return
    const [to, what] = [left, right] as [SyntaxNode, SyntaxNode]
    const isFunction = what.type === 'ArrowFunctionExpression' || what.type === 'FunctionExpression'
    if (to.type === 'MemberExpression' && isFunction) found.push({ line: lineAt(code, to.start), to: code.slice(to.start, to.end) })
  })
  return found
}

/** The files of every circle of imports, types included: Tarjan's strongly connected components of more than one file. */
function circles(): string[][] {
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const found: string[][] = []
  const lowOf = (file: string) => low.get(file) ?? 0
  function visit(file: string): void {
    order.set(file, order.size)
    low.set(file, order.size - 1)
    stack.push(file)
    for (const { target } of imports.filter(({ from, target }) => from === file && within(target))) {
      if (!order.has(target)) visit(target)
      if (stack.includes(target)) low.set(file, Math.min(lowOf(file), lowOf(target)))
    }
    if (low.get(file) !== order.get(file)) return
    const circle = stack.splice(stack.indexOf(file))
    if (circle.length > 1) found.push(circle.sort())
  }
  for (const file of files) if (!order.has(file)) visit(file)
  return found
}

describe('the layers', () => {
  it('finds the sources it guards', () => {
    expect(files).toContain('lib/exchange.ts')
    expect(imports.length).toBeGreaterThan(30)
  })

  it('imports only what its room may', () => {
    const wrong = imports
      .filter(({ from, target }) => within(target) && mayImport[area(from)] !== undefined && area(from) !== area(target))
      .filter(({ from, target }) => !mayImport[area(from)]?.includes(area(target)))
      .map(({ from, target }) => `${from} imports ${target}`)
    expect(wrong).toEqual([])
  })

  it('knows every room, each below those that import it', () => {
    const rooms = Object.keys(mayImport)
    expect([...new Set(files.map(area))].sort()).toEqual([...rooms].sort())
    expect(rooms.filter((room, place) => mayImport[room]?.some((other) => rooms.indexOf(other) >= place))).toEqual([])
    expect(readdirSync(src).length).toBeLessThanOrEqual(14)
  })

  it('imports of another room only what is a door of it', async () => {
    const listed = new Set(existsSync(doorsFile) ? readFileSync(doorsFile, 'utf8').split('\n').filter(Boolean) : [])
    await expect(`${doors.join('\n')}\n`, doorErrors(listed)).toMatchFileSnapshot(doorsFile)
  })

  it('has no circle of imports', () => {
    expect(circles()).toEqual([])
  })

  it('keeps the pure set free of node modules and packages', () => {
    // Pure functions, which need nothing of the system: a parser, and a checksum.
    const alike = new Set(['observe/frames/sse.ts imports eventsource-parser', 'observe/frames/eventstream.ts imports node:zlib'])
    const wrong = imports.filter(({ from, target }) => pure(from) && !within(target)).map(({ from, target }) => `${from} imports ${target}`)
    expect(wrong.filter((one) => !alike.has(one))).toEqual([])
  })

  it('keeps the composition root small', () => {
    expect(readFileSync(join(src, 'sidecar.ts'), 'utf8').split('\n').length).toBeLessThanOrEqual(100)
  })

  it('has no function of more than 120 lines', () => {
    const long = files.flatMap((file) =>
      longFunctions(readFileSync(join(src, file), 'utf8'), 120).map(({ name, line, lines }) => `${file}:${line} ${name}: ${lines} lines`),
    )
    expect(long).toEqual([])
  })

  // V8 puts it among the old objects, where all that it uses outlives its time: docs/decisions/functions-on-properties.md.
  it('assigns no function to a property where it is written', () => {
    const assigned = files.flatMap((file) =>
      assignedFunctions(readFileSync(join(src, file), 'utf8')).map(({ line, to }) => `${file}:${line} ${to}: give it a name first (const)`),
    )
    expect(assigned).toEqual([])
  })

  it('has no file that nobody imports', () => {
    const entries = new Set(['tokenweir.ts', 'recorder/recorder.ts', 'ledger/queries/worker.ts', 'config/load-thread.ts'])
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

describe('the line counter of this guard', () => {
  it('finds functions of every form, with names, types and nesting', () => {
    const text = `export function outer(a: { b: string }): void {
  const inner = <T,>(x: T): T => {
    return x
  }
  return void inner(a)
}
class C {
  readonly #x: number = 1
  get size(): number {

    return this.#x
  }
}
const one = { short: () => 1, method() {

  } }
`
    expect(longFunctions(text, 2)).toEqual([
      { name: 'outer', line: 1, lines: 6 },
      { name: 'inner', line: 2, lines: 3 },
      { name: 'size', line: 9, lines: 4 },
      { name: 'method', line: 14, lines: 3 },
    ])
    expect(longFunctions(text, 5)).toEqual([{ name: 'outer', line: 1, lines: 6 }])
  })
})

describe('the finder of functions on properties', () => {
  it('finds those that are assigned where they are written, and no others', () => {
    const text = `class C {
  #a: (() => void) | undefined
  readonly b = () => 1
  set(of: { c?: () => void }, key: string): void {
    const named = () => undefined
    this.#a = () => this.b()
    this.#a = named
    of.c = function () {}
    of.c ??= () => undefined
    ;(of as Record<string, () => void>)[key] = async () => undefined
  }
}
`
    expect(assignedFunctions(text).map(({ line }) => line)).toEqual([6, 8, 9, 10])
  })
})
