/** What a framer says, shared by the framers: messages that are wanted, and each note once. */
import type { FramerNote, FramerOptions } from './framer.ts'
import { type WantedPattern, wantedPattern } from './wanted.ts'

export interface Reporter {
  /** Reads `wantedKeys` again: at the start of each push. */
  readWanted(): WantedPattern | undefined
  /** Hands the message over, unless it is known that nobody wants it. */
  message(event: string | undefined, data: Buffer): void
  note(note: FramerNote): void
}

export function createReporter(options: FramerOptions): Reporter {
  const noted = new Set<FramerNote>()
  let keys: readonly string[] | undefined
  let pattern: WantedPattern | undefined

  return {
    readWanted() {
      const wanted = options.wantedKeys?.()
      if (wanted !== keys) pattern = wanted === undefined ? undefined : wantedPattern(wanted)
      keys = wanted
      return pattern
    },
    message(event, data) {
      if (pattern === undefined || pattern.matches(data)) options.onMessage({ event, data })
    },
    note(note) {
      if (noted.has(note)) return
      noted.add(note)
      options.onNote(note)
    },
  }
}
