/** File descriptors: how many client connections this process has room for, and what is said and counted when there is none. */
import { readFileSync } from 'node:fs'
import { Cell } from '../lib/shared-counters.ts'

/** For the ledger, the admin port, exporters, and what Node itself needs. */
const reserved = 192
/** Of a client whose request is under way, beside its connection: one to the upstream, and one that is free, or whose client has left. */
export const perRequest = 2
const placesMin = 48
/** Without a lack for so long, the next one is reported again. */
const episodeMs = 60_000

/** How many descriptors there are for clients and their requests within the process's limit; undefined where it has none. */
export function placesMax(limit = openFilesMax()): number | undefined {
  return limit === undefined ? undefined : Math.max(placesMin, limit - reserved)
}

/** The soft limit, which Node raises to the hard one when it starts. Undefined where there is none, and on other systems than Linux. */
function openFilesMax(): number | undefined {
  try {
    const found = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
    return found === null ? undefined : Number(found[1])
  } catch {
    return undefined
  }
}

export function isLack({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EMFILE' || code === 'ENFILE'
}

/** To be called at each connection that is refused, closed or not made because descriptors are scarce. */
export function createLack(cells: Int32Array, report: (sentence: string) => void, now = () => performance.now()): () => void {
  let last = Number.NEGATIVE_INFINITY
  return () => {
    Atomics.add(cells, Cell.withoutDescriptor, 1)
    if (now() - last > episodeMs)
      report(
        'File descriptors are scarce: connections are refused or closed. Raise the limit (ulimit -n, LimitNOFILE=), or look for a flood.',
      )
    last = now()
  }
}
