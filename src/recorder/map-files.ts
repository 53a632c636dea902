/** The files that give values other words (labels, names of callers): read again when they change, the last good one kept when they break. */
import { readFileSync } from 'node:fs'
import { mapFileParser } from '../config/labels.ts'
import { changeOf } from './prices.ts'

type Words = Readonly<Record<string, string>>

interface Watched {
  readonly path: string
  words: Words
  stamp: string | undefined
  lookedAt: number
}

/** Between two looks at a file. */
const lookMs = 1000

type Paths = readonly (string | undefined)[]

export interface MapFilesOptions {
  readonly paths: Paths
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  /** Milliseconds, of any clock that goes on. */
  readonly now: () => number
}

export interface MapFiles {
  /** What a file says now; undefined for a path that is not watched. */
  wordsOf(path: string | undefined): Words | undefined
  /** Watches these from now on, and looks at them at once. Gives those that were read. */
  use(paths: Paths): Promise<readonly string[]>
}

export async function createMapFiles({ paths: first, report, now }: MapFilesOptions): Promise<MapFiles> {
  let parse: Awaited<ReturnType<typeof mapFileParser>> | undefined
  let files = new Map<string, Watched>()

  /** Whether it was read. */
  function look(file: Watched): boolean {
    file.lookedAt = now()
    const stamp = changeOf(file.path)
    if (stamp === file.stamp || parse === undefined) return false
    file.stamp = stamp
    try {
      file.words = parse(readFileSync(file.path, 'utf8'))
      return true
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      report(`${file.path} cannot be used (${reason}). What was read of it before stays in effect.`)
      return false
    }
  }

  async function use(paths: Paths): Promise<readonly string[]> {
    const wanted = [...new Set(paths)].filter((path) => path !== undefined)
    if (wanted.length > 0) parse ??= await mapFileParser()
    files = new Map(wanted.map((path) => [path, files.get(path) ?? { path, words: {}, stamp: '', lookedAt: Number.NEGATIVE_INFINITY }]))
    return [...files.values()].filter(look).map(({ path }) => path)
  }

  await use(first)
  return {
    wordsOf(path) {
      const file = path === undefined ? undefined : files.get(path)
      if (file === undefined) return undefined
      if (now() - file.lookedAt >= lookMs) look(file)
      return file.words
    },
    use,
  }
}
