/**
 * The writing of a store: its file is opened, taken over, committed to, tried again, replaced and closed. One state says which of it is allowed.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Counter, Meter } from '../telemetry/meter.ts'
import { moveAside, openStoreFile, unusable } from './file.ts'
import { lockStore } from './lock.ts'
import type { Metadata } from './metadata.ts'
import { inTransaction } from './migrations.ts'
import type { PendingRows } from './pending-rows.ts'
import type { QueueLimits, StoreQueue } from './queue.ts'
import type { Retention, RetentionLimits } from './retention.ts'
import type { LedgerRow, RowShape } from './row.ts'
import type { SeriesKeeper } from './series.ts'
import { createTablesOf, type Tables } from './tables.ts'

export interface StoreOptions {
  readonly path: string
  readonly shape: RowShape
  readonly meter: Meter
  /** A line for stderr: when writing begins to fail, when it works again, what was moved aside. */
  readonly report: (line: string) => void
  readonly retention?: RetentionLimits
  readonly spool?: Partial<QueueLimits>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Rows that may wait while the file cannot be written; more are dropped and counted. */
  readonly rowsWaitingMax?: number
  /** How long after a failure the rows are tried again. */
  readonly retryMs?: number
}

/** What an earlier process left. */
export interface Leftover {
  /** Rows without an end, by column name. */
  readonly openRows: readonly LedgerRow[]
  /** When it last wrote, in milliseconds since the epoch; now when that is not known. */
  readonly lastSignOfLife: number
  /** Closed rows whose log lines may not have been written, by column name, some at a time. */
  rowsAfterMark(): Generator<readonly LedgerRow[]>
}

/** The closed rows of one commit. */
export interface Committed {
  /** By the id of their request. */
  readonly rowids: ReadonlyMap<string, number>
  /** The highest of them; 0 when the commit closed no row. */
  readonly last: number
}

const logRowsMax = 500

/**
 * `writing`: commits are made as they are asked for. `recovering`: what an earlier process left is being put; half of it would not be seen as such
 * by the next start, so nothing is committed. `failing`: the last commit failed, and a timer tries the next. `closed`: nothing is written any more.
 */
type State = 'writing' | 'recovering' | 'failing' | 'closed'

/** A store from inside. */
export interface Inside {
  readonly options: Required<StoreOptions>
  state: State
  unlock: (() => void) | undefined
  /** None while it cannot be opened. */
  file: { readonly database: DatabaseSync; readonly tables: Tables } | undefined
  retry: NodeJS.Timeout | undefined
  /** Until the file is open. */
  recover: ((leftover: Leftover) => void) | undefined
  readonly rows: PendingRows
  readonly metadata: Metadata
  readonly series: SeriesKeeper
  readonly queue: StoreQueue
  readonly retention: Retention
  readonly written: Counter
  readonly failures: Counter
  readonly ticks: (() => void)[]
  readonly commits: ((committed: Committed) => void)[]
}

/** Opens the file and takes over what is in it. False when the disk is full or fails. */
export function openFile(inside: Inside): boolean {
  const { path, shape, now, report } = inside.options
  inside.unlock ??= lockStore(path)
  const opened = openStoreFile({ path, shape, now })
  if (opened.kind === 'unwritable') {
    fail(inside, opened.error)
    return false
  }
  if (opened.aside !== undefined) report(opened.aside)
  const { database } = opened
  const tables = createTablesOf(database, shape)
  inside.file = { database, tables }
  const { metadata, series, queue } = inside
  metadata.opened(tables)
  metadata.remember('process', Number(metadata.recall('process') ?? 0) + 1)
  series.opened(tables)
  queue.leftover.opened(database)
  queue.opened(tables)
  if (inside.recover !== undefined) runRecovery(inside, tables)
  return true
}

export function runRecovery(inside: Inside, tables: Tables): void {
  const { metadata, rows, recover, options } = inside
  const lastSignOfLife = Number(metadata.recall('last_commit') ?? options.now())
  const mark = Math.min(Number(metadata.recall('log_mark') ?? 0), tables.lastRowid())
  const openRows = tables.openRows().filter((row) => !rows.has(String(row['id'])))
  inside.state = 'recovering'
  recover?.({ openRows, lastSignOfLife, rowsAfterMark: () => rowsAfter(tables, mark) })
  inside.state = 'writing'
  inside.recover = undefined
  commit(inside)
}

function* rowsAfter(tables: Tables, mark: number): Generator<readonly LedgerRow[]> {
  for (let after = mark; ; ) {
    const rows = tables.closedRows(after, Number.MAX_SAFE_INTEGER, logRowsMax)
    if (rows.length === 0) return
    yield rows
    after = Number(rows.at(-1)?.['rowid'])
  }
}

export function commit(inside: Inside): boolean {
  return inside.state === 'writing' ? write(inside) : false
}

function write(inside: Inside): boolean {
  const { path, report } = inside.options
  const wasFailing = inside.state === 'failing'
  try {
    if (inside.file === undefined && !openFile(inside)) {
      tryLater(inside)
      return false
    }
    // Opening the file may have recovered, and so committed, all of it.
    if (hasWork(inside)) writeAll(inside)
    if (wasFailing) report(`The ledger ${path} can be written again.`)
    inside.state = 'writing'
    return true
  } catch (error) {
    const why = unusable(error)
    if (why !== undefined && inside.file !== undefined && replaceFile(inside, why)) return write(inside)
    fail(inside, error as Error)
    tryLater(inside)
    return false
  }
}

function hasWork({ rows, metadata, queue, options }: Inside): boolean {
  return rows.size() > 0 || metadata.hasWork() || queue.leftover.hasWork() || options.meter.changed().length > 0
}

/** One transaction. What fails in it leaves rows, marks and counts as they were. */
function writeAll({ file, rows, metadata, series, queue, written, options, commits }: Inside): void {
  if (file === undefined) return
  const { database, tables } = file
  const count = rows.size()
  let rowids: ReadonlyMap<string, number> = new Map()
  // Counted before the series are written, so that the count is in the same transaction as the rows.
  written.add(count)
  try {
    inTransaction(database, () => {
      rowids = rows.write(tables)
      queue.leftover.write()
      series.write(tables)
      metadata.write(tables)
      tables.putMeta('last_commit', options.now())
    })
  } catch (error) {
    written.add(-count)
    throw error
  }
  rows.committed()
  metadata.committed()
  queue.leftover.committed()
  series.committed()
  let last = 0
  for (const rowid of rowids.values()) last = rowid
  if (count > 0) for (const listener of commits) listener({ rowids, last })
}

export function fail(inside: Inside, error: Error): void {
  const { path, report } = inside.options
  inside.failures.add(1)
  if (inside.state !== 'failing') report(`The ledger ${path} cannot be written: ${error.message}. Rows wait, and are tried again.`)
  inside.state = 'failing'
}

export function tryLater(inside: Inside): void {
  inside.retry ??= setTimeout(() => {
    inside.retry = undefined
    write(inside)
  }, inside.options.retryMs).unref()
}

/** Damage that shows while writing. What waits goes to a new file; what was in the old one stays there. */
function replaceFile(inside: Inside, why: string): boolean {
  const { path, shape, now, report } = inside.options
  try {
    closeFile(inside)
    report(moveAside(path, why, now()))
  } catch (error) {
    report(`The ledger ${path} ${why}, and could not be moved aside: ${(error as Error).message}`)
    return false
  }
  inside.series.lost()
  inside.metadata.lost()
  inside.queue.lost()
  const opened = openStoreFile({ path, shape, now })
  if (opened.kind === 'unwritable') return false
  const { database } = opened
  const tables = createTablesOf(database, shape)
  inside.file = { database, tables }
  inside.queue.opened(tables)
  return true
}

function closeFile(inside: Inside): void {
  inside.queue.closed()
  inside.queue.leftover.closed()
  inside.file?.database.close()
  inside.file = undefined
}

export function stateInFile({ file }: Inside, id: string): 'open' | 'closed' | undefined {
  try {
    return file?.tables.stateOf(id)
  } catch {
    return undefined // it is written again, over what is there
  }
}

export function close(inside: Inside): void {
  const { options, retention, ticks, rows } = inside
  retention.stop()
  for (const read of ticks) read()
  clearTimeout(inside.retry)
  write(inside)
  clearTimeout(inside.retry)
  if (rows.size() > 0) options.report(`The ledger ${options.path} could not be written: ${rows.size()} rows are lost.`)
  inside.state = 'closed'
  closeFile(inside)
  inside.unlock?.()
}
