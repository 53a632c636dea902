/**
 * Old rows leave the ledger, a few at a time, so that no batch waits for them; freed pages go back to the disk, in steps of their own. What waits for its collector
 * stays: the queue has limits of its own (`queue.ts`).
 */
import type { Meter } from '../telemetry/meter.ts'
import type { Tables } from './tables.ts'

export interface RetentionLimits {
  /** 0 is without limit. */
  readonly ageMsMax: number
  /** Of the file, without its free pages. */
  readonly bytesMax: number
  /** How long the rollups of days are kept, at least as long as the rows; 0 is without limit. */
  readonly rollupAgeMsMax: number
}

export interface RetentionOptions {
  readonly limits: RetentionLimits
  readonly meter: Meter
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Rows removed in one step: some milliseconds. */
  readonly stepRows?: number
  /** Part of the transaction in which they leave: how many, and from when on all rows are there. */
  readonly onExpired: (rows: number, wholeFrom: number) => void
}

export interface Retention {
  /** Goes on in steps until nothing is too old and the file small enough. `isStopped` ends it before. Rows above `neededAfter` stay. */
  begin(tables: Tables, isStopped: () => boolean, neededAfter: () => number | undefined): void
  stop(): void
}

const stepUsualRows = 500
const stepPages = 128
/** Free pages that stay in the file: they are used again soon. */
const freeBytesMax = 4 * 2 ** 20
const betweenStepsMs = 50

export function createRetention({ limits, meter, now, stepRows = stepUsualRows, onExpired }: RetentionOptions): Retention {
  const expired = meter.counter('tokenweir.ledger.expired', {})
  let next: NodeJS.Timeout | undefined

  /** Whether there may be more to do. */
  function step(tables: Tables, upTo: number): boolean {
    if (shrinks(tables)) return true
    if (tables.firstRowid() > upTo) return false
    const isTooLarge = tables.size().usedBytes > limits.bytesMax
    const before = isTooLarge ? Number.MAX_VALUE : limits.ageMsMax === 0 ? 0 : now() - limits.ageMsMax
    const count = before === 0 ? 0 : tables.expireRows(before, upTo, stepRows, onExpired)
    expired.add(count)
    return count === stepRows
  }

  function begin(tables: Tables, isStopped: () => boolean, neededAfter: () => number | undefined): void {
    if (next !== undefined) return
    if (!step(tables, neededAfter() ?? Number.MAX_SAFE_INTEGER)) return
    next = setTimeout(() => {
      next = undefined
      if (isStopped()) return
      try {
        begin(tables, isStopped, neededAfter)
      } catch {
        // What fails here fails at the next commit too, and is reported there.
      }
    }, betweenStepsMs).unref()
  }

  return { begin, stop: () => clearTimeout(next) }
}

/** Gives some free pages back. False when there are few, and for a file that keeps them. */
function shrinks(tables: Tables): boolean {
  const { bytes, usedBytes } = tables.size()
  if (bytes - usedBytes <= freeBytesMax) return false
  tables.vacuum(stepPages)
  return tables.size().bytes < bytes
}
