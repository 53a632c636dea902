/** Parses a YAML or JSON file and keeps the position of every value, so that an error can name line and column. JSON is parsed as YAML. */
import type { Document, LineCounter } from 'yaml'

export type KeyPath = readonly (string | number)[]

export interface ConfigError {
  /** Dotted: `routes[1].prefix`; '' when it is the file as a whole. */
  readonly key: string
  /** Where it was given: `--listen`, `TOKENWEIR_LISTEN` or `tokenweir.yaml:3:14`; `undefined` when it was not given at all. */
  readonly where: string | undefined
  /** What is wrong and what to do. Never holds a credential. */
  readonly message: string
}

export interface ConfigFile {
  readonly data: Readonly<Record<string, unknown>>
  /** `file:line:column` of the value at the path, of its key when `which` is `key`, or of the nearest enclosing value that exists. */
  place(path: KeyPath, which: 'key' | 'value'): string
}

/** An alias may be used this often: a file of a kilobyte cannot unfold into gigabytes. */
const aliasMax = 100
const charactersMax = 1024 * 1024
/** What is wrong is said this often: a damaged file can be wrong in every line. */
const faultsMax = 10
/** JavaScript treats these specially: a library that validates may skip them, one that copies may change what every object inherits. */
export const reservedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

const systemErrors: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a folder',
}

/** Reads and parses `name`. `where` is the flag or variable that named it, for the error when it cannot be read. */
export async function readConfigFile(
  name: string,
  where: string,
  readFile: (path: string) => string,
): Promise<ConfigFile | readonly ConfigError[]> {
  const refuse = (place: string, message: string): ConfigError => ({ key: '', where: place, message })
  let text: string
  try {
    text = readFile(name)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return [refuse(where, `The file ${JSON.stringify(name)} ${systemErrors[code ?? ''] ?? `could not be read: ${message}`}.`)]
  }
  if (text.length > charactersMax) {
    return [refuse(where, `The file ${JSON.stringify(name)} is larger than 1 MiB. Name the file with the settings.`)]
  }
  const { isMap, isScalar, LineCounter, parseDocument, visit } = await import('yaml') // 35 ms, so only when there is a file
  const lines = new LineCounter()
  // Duplicate keys are found by keyFaults: the library compares each key with all others, 17 s for 20,000.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  const at = (offset: number) => `${name}:${position(lines, offset)}`
  const faults = [...document.errors, ...document.warnings].slice(0, faultsMax)
  if (faults.length > 0) return faults.map((fault) => refuse(at(fault.pos[0]), `This is no valid YAML or JSON: ${fault.message}.`))

  let data: unknown
  try {
    const wrong = keyFaults(document, { visit, isScalar }).slice(0, faultsMax)
    if (wrong.length > 0) return wrong.map(({ key, offset, message }) => ({ key, where: at(offset), message }))
    data = document.toJS({ maxAliasCount: aliasMax }) ?? {}
  } catch (error) {
    return [refuse(name, `The file could not be unfolded: ${(error as Error).message}.`)]
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    return [refuse(at(0), 'The file holds no mapping of settings. Write lines such as "upstream: http://127.0.0.1:8000".')]
  }
  const keyOffset = (path: KeyPath): number | undefined => {
    const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1))) : undefined
    return isScalar(pair?.key) ? pair.key.range?.[0] : undefined
  }
  return {
    data: data as Record<string, unknown>,
    place(path, which) {
      for (let known = path; known.length > 0; known = known.slice(0, -1)) {
        const offset = which === 'value' ? valueOffset(document, known) : keyOffset(known)
        if (offset !== undefined) return at(offset)
      }
      return name
    },
  }
}

interface KeyFault {
  readonly key: string
  readonly offset: number
  readonly message: string
}

/** Reserved keys, keys that stand twice in one mapping, and aliases that lead back to themselves, wherever they are. */
function keyFaults(document: Document.Parsed, { visit, isScalar }: Pick<typeof import('yaml'), 'visit' | 'isScalar'>): KeyFault[] {
  const faults: KeyFault[] = []
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        const offset = key.range?.[0] ?? 0
        if (reservedKeys.has(name)) faults.push({ key: name, offset, message: 'There is no such key. Take it away.' })
        else if (seen.has(name)) faults.push({ key: name, offset, message: 'This key is here twice. Take one away.' })
        seen.add(name)
      }
    },
    Alias(_, alias, ancestors) {
      const target = alias.resolve(document)
      if (target === undefined || !(ancestors as readonly unknown[]).includes(target)) return
      faults.push({ key: '', offset: alias.range?.[0] ?? 0, message: `*${alias.source} contains itself. Write the value out.` })
    },
  })
  return faults
}

function valueOffset(document: Document.Parsed, path: KeyPath): number | undefined {
  const node = document.getIn(path, true)
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range) ? (node.range[0] as number) : undefined
}

function position(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `${line}:${col}`
}
