/** Lines for stderr, the same line at most once a minute: a collector that is away says so on every attempt. */

/** The same line is written again after this long, with how often it came. */
const repeatMs = 60_000
/** Different lines remembered; beyond it everything counts as one line, so a flood cannot get through by varying. */
const linesMax = 100

export interface LineLimitOptions {
  readonly write: (line: string) => void
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

interface Written {
  at: number
  repeats: number
}

export function createLineLimit({ write, now }: LineLimitOptions): (line: string) => void {
  const lines = new Map<string, Written>()
  return (line) => {
    const key = lines.has(line) || lines.size < linesMax ? line : 'further lines'
    const known = lines.get(key)
    const moment = now()
    if (known !== undefined && moment - known.at < repeatMs) {
      known.repeats++
      return
    }
    write(known === undefined || known.repeats === 0 ? line : `${line} (and ${known.repeats} more like it)`)
    lines.set(key, { at: moment, repeats: 0 })
  }
}
