/** The files that give label values other words: read again when they change, the last good one kept when they break. */
import { readFileSync, statSync } from 'node:fs'
import { type Label, mapFileParser } from '../config/labels.ts'

type Words = Readonly<Record<string, string>>

interface Watched {
  readonly path: string
  words: Words
  stamp: string
  lookedAt: number
}

/** Between two looks at a file. */
const lookMs = 1000

export interface LabelMapsOptions {
  readonly labels: readonly Label[]
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  /** Milliseconds, of any clock that goes on. */
  readonly now: () => number
}

export async function createLabelMaps({ labels, report, now }: LabelMapsOptions): Promise<(label: Label) => Words | undefined> {
  if (labels.every(({ mapFile }) => mapFile === undefined)) return () => undefined
  const parse = await mapFileParser()
  const files = new Map<string, Watched>()
  for (const { mapFile } of labels) {
    if (mapFile !== undefined) files.set(mapFile, { path: mapFile, words: {}, stamp: '', lookedAt: Number.NEGATIVE_INFINITY })
  }

  function look(file: Watched): void {
    file.lookedAt = now()
    try {
      const { mtimeMs, size, ino } = statSync(file.path)
      const stamp = `${mtimeMs} ${size} ${ino}`
      if (stamp === file.stamp) return
      file.stamp = stamp
      file.words = parse(readFileSync(file.path, 'utf8'))
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      if (file.stamp !== reason) report(`${file.path} cannot be used (${reason}). Labels keep the words that were read before.`)
      file.stamp = reason
    }
  }

  for (const file of files.values()) look(file)
  return ({ mapFile }) => {
    const file = mapFile === undefined ? undefined : files.get(mapFile)
    if (file === undefined) return undefined
    if (now() - file.lookedAt >= lookMs) look(file)
    return file.words
  }
}
