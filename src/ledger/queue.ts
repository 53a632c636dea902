/**
 * The ledger is the queue. Each signal has a mark: the rowid up to which the collector has acknowledged what was made of the rows. A closed row
 * above it waits. A row gets a new, higher rowid when it is closed, so closed rows are in the order of their commits.
 */
import { type Signal, signals } from '../telemetry/signal.ts'
import type { LeftoverSpool } from './leftover-spool.ts'
import type { Metadata } from './metadata.ts'
import type { LedgerRow } from './row.ts'
import type { Tables } from './tables.ts'

export interface QueueLimits {
  /** Of the rows that wait; 0 is without limit. */
  readonly bytesMax: number
  /** 0 is without limit. */
  readonly ageMsMax: number
}

/** What was given up because of a limit. */
export interface GivenUp {
  readonly reason: 'size' | 'age'
  readonly rows: number
}

export interface Queue {
  /**
   * This signal is exported. Its mark is where the last process left it; where no process ever exported it, at the last row of the earlier
   * ones: nothing old is sent when export is switched on for the first time.
   */
  begin(signal: Signal): void
  /** 0 while the file could not be opened yet. */
  mark(signal: Signal): number
  /** Remembered with the next commit. */
  advance(signal: Signal, rowid: number): void
  /** The last row that an earlier process or recorder wrote. */
  leftoverUpTo(): number
  lastRowid(): number
  /** The oldest first, each with its `rowid`. */
  closedRows(after: number, upTo: number, limit: number): readonly LedgerRow[]
  countClosed(after: number, upTo: number): number
  /** When the first closed row above `after` ended, in milliseconds since the epoch. */
  oldestAfter(after: number): number | undefined
  /** Estimated: the share of the file that the rows above `after` have. */
  bytesAfter(after: number): number
  /** Moves the mark over what is beyond the limits. */
  trim(signal: Signal): GivenUp | undefined
  readonly leftover: LeftoverSpool
  /** Told when a file has been opened, at once where it is. */
  onOpen(listener: () => void): void
  /** Told when the file is gone, before another is begun. */
  onLost(listener: () => void): void
  /** Writes what is to be remembered. */
  commit(): void
  /** No row waits to be written. */
  isWritten(): boolean
}

export interface QueueOptions {
  readonly limits: QueueLimits
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly metadata: Metadata
  readonly leftover: LeftoverSpool
  readonly commit: () => void
  readonly isWritten: () => boolean
}

/** The store's own side of it. */
export interface StoreQueue extends Queue {
  opened(tables: Tables): void
  /** The same file, opened again. */
  reopened(tables: Tables): void
  closed(): void
  lost(): void
  /** Rows above it wait, or will, and may not be removed; undefined when no signal was ever exported. */
  neededAfter(): number | undefined
}

/** Rows whose age is looked at in one step. */
const agedRowsMax = 5000

const keyOf = (signal: Signal) => `exported_${signal}`

export function createQueue({ limits, now, metadata, leftover, commit, isWritten }: QueueOptions): StoreQueue {
  let tables: Tables | undefined
  let leftoverUpTo = 0
  const begun = new Set<Signal>()
  const openListeners: (() => void)[] = []
  const lostListeners: (() => void)[] = []
  const markOf = (signal: Signal) => metadata.recall(keyOf(signal)) as number | undefined
  const begin = (signal: Signal) => {
    if (tables !== undefined && markOf(signal) === undefined) metadata.remember(keyOf(signal), leftoverUpTo)
  }

  function trim(signal: Signal): GivenUp | undefined {
    const mark = markOf(signal)
    if (tables === undefined || mark === undefined) return undefined
    const bySize = limits.bytesMax === 0 ? mark : aboveSize(tables, mark, limits.bytesMax)
    const byAge = limits.ageMsMax === 0 ? mark : aboveAge(tables, mark, now() - limits.ageMsMax)
    const next = Math.max(bySize, byAge)
    if (next <= mark) return undefined
    metadata.remember(keyOf(signal), next)
    return { reason: bySize >= byAge ? 'size' : 'age', rows: tables.countClosed(mark, next) }
  }

  return {
    begin(signal) {
      begun.add(signal)
      begin(signal)
    },
    mark: (signal) => markOf(signal) ?? 0,
    advance: (signal, rowid) => metadata.remember(keyOf(signal), rowid),
    leftoverUpTo: () => leftoverUpTo,
    lastRowid: () => tables?.lastRowid() ?? 0,
    closedRows: (after, upTo, limit) => tables?.closedRows(after, upTo, limit) ?? [],
    countClosed: (after, upTo) => tables?.countClosed(after, upTo) ?? 0,
    oldestAfter: (after) => tables?.closedTimes(after, 1)[0]?.time,
    bytesAfter: (after) => bytesAbove(tables, after),
    trim,
    leftover,
    commit,
    isWritten,
    onOpen(listener) {
      openListeners.push(listener)
      if (tables !== undefined) listener()
    },
    onLost: (listener) => void lostListeners.push(listener),
    opened(opened) {
      tables = opened
      leftoverUpTo = opened.lastRowid()
      for (const signal of begun) begin(signal)
      for (const listener of openListeners) listener()
    },
    reopened(opened) {
      tables = opened
    },
    closed() {
      tables = undefined
    },
    lost() {
      leftoverUpTo = 0
      for (const signal of signals) if (markOf(signal) !== undefined) metadata.remember(keyOf(signal), 0)
      for (const listener of lostListeners) listener()
    },
    neededAfter: () => lowest(signals.map(markOf)),
  }
}

export function lowest(marks: readonly (number | undefined)[]): number | undefined {
  const known = marks.filter((mark) => mark !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function bytesAbove(tables: Tables | undefined, mark: number): number {
  return tables === undefined ? 0 : tables.size().usedBytes * shareAbove(tables, mark)
}

/** Of all rows, by their rowids: every row takes one or two, so that no row need be counted. */
function shareAbove(tables: Tables, mark: number): number {
  const last = tables.lastRowid()
  const all = last - tables.firstRowid() + 1
  return last === 0 ? 0 : Math.min(1, Math.max(0, last - mark) / all)
}

/** The mark above which the rows take no more than that of the file. */
function aboveSize(tables: Tables, mark: number, bytesMax: number): number {
  const { usedBytes } = tables.size()
  if (usedBytes * shareAbove(tables, mark) <= bytesMax) return mark
  const last = tables.lastRowid()
  return last - Math.floor((bytesMax / usedBytes) * (last - tables.firstRowid() + 1))
}

/** The mark above which no row ended before that. */
function aboveAge(tables: Tables, mark: number, oldest: number): number {
  if ((tables.closedTimes(mark, 1)[0]?.time ?? oldest) >= oldest) return mark
  const times = tables.closedTimes(mark, agedRowsMax)
  const young = times.findIndex(({ time }) => time >= oldest)
  return (young < 0 ? times.at(-1) : times[young - 1])?.rowid ?? mark
}
