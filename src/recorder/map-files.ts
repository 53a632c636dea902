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

export interface MapFilesOptions {
  readonly paths: readonly (string | undefined)[]
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  /** Milliseconds, of any clock that goes on. */
  readonly now: () => number
}

/** What a file says now; undefined for a path that is none of `paths`. */
export type MapFiles = (path: string | undefined) => Words | undefined

export async function createMapFiles({ paths, report, now }: MapFilesOptions): Promise<MapFiles> {
  if (paths.every((path) => path === undefined)) return () => undefined
  const parse = await mapFileParser()
  const files = new Map<string, Watched>()
  for (const path of paths) {
    if (path !== undefined) files.set(path, { path, words: {}, stamp: '', lookedAt: Number.NEGATIVE_INFINITY })
  }

  function look(file: Watched): void {
    file.lookedAt = now()
    const stamp = changeOf(file.path)
    if (stamp === file.stamp) return
    file.stamp = stamp
    try {
      file.words = parse(readFileSync(file.path, 'utf8'))
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      report(`${file.path} cannot be used (${reason}). What was read of it before stays in effect.`)
    }
  }

  for (const file of files.values()) look(file)
  return (path) => {
    const file = path === undefined ? undefined : files.get(path)
    if (file === undefined) return undefined
    if (now() - file.lookedAt >= lookMs) look(file)
    return file.words
  }
}
