/**
 * The writing of a store: its file is opened, taken over, committed to, tried again, replaced and closed. One state says which of it is allowed.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Counter, Meter } from '../telemetry/meter.ts'
import { moveAside, openDatabase, openStoreFile, StoreError, unusable } from './file.ts'
import { lockStore } from './lock.ts'
import type { Metadata } from './metadata.ts'
import { inTransaction } from './migrations.ts'
import type { PendingRows } from './pending-rows.ts'
import type { QueueLimits, StoreQueue } from './queue.ts'
import type { Retention, RetentionLimits } from './retention.ts'
import type { Rollups } from './rollups/rollups.ts'
import type { LedgerRow, RowShape } from './row.ts'
import type { SeriesKeeper } from './series.ts'
import { createTablesOf, type Tables } from './tables.ts'
import { type Change, type FileWatch, type LostReason, watchFile } from './watch.ts'

export interface StoreOptions {
  readonly path: string
  readonly shape: RowShape
  readonly meter: Meter
  /** A line for stderr: when writing begins to fail, when it works again, what was moved aside. */
  readonly report: (line: string) => void
  readonly retention?: RetentionLimits
  /** Labels that rollups tell apart. */
  readonly rollupLabels?: readonly string[]
  /** Combinations of model, caller and labels in them; what is beyond is `other`. */
  readonly rollupKeysMax?: number
  readonly spool?: Partial<QueueLimits>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Rows that may wait while the file cannot be written; more are dropped and counted. */
  readonly rowsWaitingMax?: number
  /** How long after a failure the rows are tried again. */
  readonly retryMs?: number
  /** How often it is looked whether the file is still there, at most. */
  readonly lookMs?: number
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

interface OpenFile {
  readonly database: DatabaseSync
  readonly tables: Tables
  readonly watch: FileWatch | undefined
  /** Closed rows that this process has written to it. */
  rows: number
}

/** A store from inside. */
export interface Inside {
  readonly options: Required<StoreOptions>
  state: State
  unlock: (() => void) | undefined
  /** None while it cannot be opened. */
  file: OpenFile | undefined
  /** What was in the first file has been taken over. */
  isTakenOver: boolean
  /** When the file was last looked for at its path, by the monotonic clock. */
  lookedAt: number
  /** Closed rows that were written, and are gone with their file. */
  lostRows: number
  /** What happened to files, as sentences. */
  readonly losses: string[]
  /** Why the last commit failed. */
  failure: string | undefined
  retry: NodeJS.Timeout | undefined
  /** Until the file is open. */
  recover: ((leftover: Leftover) => void) | undefined
  readonly rows: PendingRows
  readonly metadata: Metadata
  readonly series: SeriesKeeper
  readonly queue: StoreQueue
  readonly retention: Retention
  readonly rollups: Rollups
  readonly written: Counter
  readonly failures: Counter
  readonly lost: Readonly<Record<LostReason, Counter>>
  readonly ticks: (() => void)[]
  readonly commits: ((committed: Committed) => void)[]
}

/** Opens the file and takes over what is in it. False when the disk is full or fails. */
export function openFile(inside: Inside): boolean {
  const { path, shape, now, report } = inside.options
  const lock = () => {
    inside.unlock ??= lockStore(path)
  }
  const opened = openStoreFile({ path, shape, now, lock })
  if (opened.kind === 'unwritable') {
    fail(inside, opened.error)
    return false
  }
  if (opened.aside !== undefined) report(opened.aside)
  const { database } = opened
  const tables = createTablesOf(database, shape)
  if (inside.isTakenOver && !isOwn(inside, tables)) {
    database.close()
    report(moveAside(path, 'was replaced by the ledger of another tokenweir', now()))
    return openFile(inside)
  }
  inside.file = { database, tables, watch: watchFile(path), rows: 0 }
  inside.lookedAt = performance.now()
  if (inside.isTakenOver) resume(inside, inside.file)
  else takeOver(inside, inside.file)
  return true
}

function takeOver(inside: Inside, { database, tables }: OpenFile): void {
  const { metadata, series, queue, rollups } = inside
  inside.isTakenOver = true
  rollups.opened(database)
  metadata.opened(tables)
  metadata.remember('process', Number(metadata.recall('process') ?? 0) + 1)
  series.opened(tables)
  queue.leftover.opened(database)
  queue.opened(tables)
  if (inside.recover !== undefined) runRecovery(inside, tables)
}

/** After a file that was lost: a new one, or an earlier state of it. Its marks are right for its rows; the counts of this process stand above its own. */
function resume({ metadata, queue, rollups }: Inside, { database, tables }: OpenFile): void {
  tables.clearSeries()
  rollups.opened(database)
  metadata.opened(tables)
  queue.leftover.opened(database)
  queue.opened(tables)
}

function isOwn({ metadata }: Inside, tables: Tables): boolean {
  const instance = tables.meta().get('instance_id')
  return instance === undefined || instance === metadata.recall('instance_id')
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
    lookForFile(inside)
    if (inside.file === undefined && !openFile(inside)) {
      tryLater(inside)
      return false
    }
    // Opening the file may have recovered, and so committed, all of it.
    if (hasWork(inside)) writeAll(inside)
    if (wasFailing) report(`The ledger ${path} can be written again.`)
    inside.failure = undefined
    inside.state = 'writing'
    return true
  } catch (error) {
    const why = unusable(error)
    if (why !== undefined && inside.file !== undefined && setAside(inside, why)) return write(inside)
    fail(inside, error as Error)
    tryLater(inside)
    return false
  }
}

function hasWork({ rows, metadata, queue, options }: Inside): boolean {
  return rows.size() > 0 || metadata.hasWork() || queue.leftover.hasWork() || options.meter.changed().length > 0
}

/** One transaction. What fails in it leaves rows, marks and counts as they were. */
function writeAll({ file, rows, metadata, series, queue, rollups, written, options, commits }: Inside): void {
  if (file === undefined) return
  const { database, tables } = file
  const count = rows.size()
  let rowids: ReadonlyMap<string, number> = new Map()
  // Counted before the series are written, so that the count is in the same transaction as the rows.
  written.add(count)
  try {
    inTransaction(database, () => {
      rollups.begin()
      rowids = rows.write(tables, rollups.add)
      rollups.write()
      queue.leftover.write()
      series.write(tables)
      metadata.write(tables)
      tables.putMeta('last_commit', options.now())
    })
  } catch (error) {
    written.add(-count)
    rollups.failed()
    throw error
  }
  rows.committed()
  rollups.committed()
  metadata.committed()
  queue.leftover.committed()
  series.committed()
  file.rows += rowids.size
  let last = 0
  for (const rowid of rowids.values()) last = rowid
  if (count > 0) for (const listener of commits) listener({ rowids, last })
}

export function fail(inside: Inside, error: Error): void {
  const { path, report } = inside.options
  inside.failures.add(1)
  const { message } = error
  const why = error instanceof StoreError ? message : `The ledger ${path} cannot be written: ${message}.`
  if (inside.failure !== why) report(`${why} Rows wait, and are tried again.`)
  inside.failure = why
  inside.state = 'failing'
}

export function tryLater(inside: Inside): void {
  inside.retry ??= setTimeout(() => {
    inside.retry = undefined
    write(inside)
  }, inside.options.retryMs).unref()
}

const changes: Readonly<Record<Exclude<Change, 'log'>, string>> = {
  removed: 'was removed while it was in use',
  moved: 'is no longer there: it was renamed or moved, or its disk is gone',
  replaced: 'was replaced by another file while it was in use',
  overwritten: 'was overwritten or cut short by another program',
}
const mendLost = 'Stop tokenweir before you touch the file.'

/** Writing to a file that is gone would succeed and lose everything. */
function lookForFile(inside: Inside): void {
  const { file, options } = inside
  if (file?.watch === undefined || performance.now() - inside.lookedAt < options.lookMs) return
  inside.lookedAt = performance.now()
  const change = file.watch.look()
  if (change === 'log') reopen(inside, file)
  else if (change === 'overwritten') setAside(inside, changes.overwritten, change)
  else if (change !== undefined) beginAnew(inside, file, file.watch, change)
}

function beginAnew(inside: Inside, file: OpenFile, watch: FileWatch, change: Exclude<Change, 'log'>): void {
  // What the log holds of a file that is somewhere else belongs there.
  const isWhole = watch.isKept() && attempt(file.tables.checkpoint)
  closeFile(inside)
  watch.removeLog()
  lose(inside, file, change, isWhole)
  const rows = isWhole ? 'its rows are in it, wherever it is now' : `the ${file.rows} rows of this run in it are lost`
  say(inside, `The ledger ${inside.options.path} ${changes[change]}; ${rows}. A new one is begun. ${mendLost}`)
}

/** Its `-wal` or `-shm` was removed. What they hold goes into the file, and they are made anew. */
function reopen(inside: Inside, { database, tables, watch, rows }: OpenFile): void {
  const { path, shape, report } = inside.options
  if (!tables.checkpoint()) return // somebody reads: the next look tries it again
  database.close()
  inside.file = undefined
  const opened = openDatabase({ path, shape })
  const again = { database: opened, tables: createTablesOf(opened, shape), watch, rows }
  inside.file = again
  watch?.renew()
  inside.queue.reopened(again.tables)
  inside.queue.leftover.opened(opened)
  inside.rollups.opened(opened)
  report(`The -wal or -shm of the ledger ${path} was removed while it was in use; nothing is lost. ${mendLost}`)
}

/** What waits goes to a new file; what was in the old one stays there. */
function setAside(inside: Inside, why: string, reason: LostReason = 'damaged'): boolean {
  const { file, options } = inside
  if (file === undefined) return false
  try {
    const sentence = moveOpenFile(inside, why)
    closeFile(inside)
    lose(inside, file, reason, false)
    say(inside, sentence)
    return true
  } catch (error) {
    options.report(`The ledger ${options.path} ${why}, and could not be moved aside: ${(error as Error).message}`)
    return false
  }
}

/** While it is open, so that closing it does not write its log into it. */
function moveOpenFile(inside: Inside, why: string): string {
  const { path, now } = inside.options
  try {
    return moveAside(path, why, now())
  } catch {
    closeFile(inside) // Windows renames no open file
    return moveAside(path, why, now())
  }
}

/** All that the file held and this process still knows is to be written again. */
function lose(inside: Inside, file: OpenFile, reason: LostReason, isWhole: boolean): void {
  inside.lost[reason].add(1)
  if (!isWhole) inside.lostRows += file.rows
  file.watch?.close()
  inside.unlock?.() // the lock may be gone with the file
  inside.unlock = undefined
  inside.series.lost()
  inside.metadata.lost()
  inside.metadata.remember('log_mark', 0)
  inside.queue.lost()
}

/** On stderr, and for as long as the process lives where its state is shown. */
function say(inside: Inside, sentence: string): void {
  inside.options.report(sentence)
  inside.losses.push(sentence)
  if (inside.losses.length > lossesMax) inside.losses.shift()
}

const lossesMax = 5

function attempt(work: () => boolean): boolean {
  try {
    return work()
  } catch {
    return false
  }
}

function closeFile(inside: Inside): void {
  inside.queue.closed()
  inside.queue.leftover.closed()
  inside.rollups.closed()
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

/** How many closed rows are in no file. */
export function close(inside: Inside): number {
  const { options, retention, rollups, ticks, rows } = inside
  retention.stop()
  rollups.maintenance.stop()
  for (const read of ticks) read()
  clearTimeout(inside.retry)
  inside.lookedAt = Number.NEGATIVE_INFINITY
  write(inside)
  attempt(rollups.maintenance.step) // else the next start adds the last rows again
  clearTimeout(inside.retry)
  const unwritten = rows.size()
  const { lostRows, file } = inside
  if (unwritten > 0) options.report(`The ledger ${options.path} could not be written: ${unwritten} rows are lost.`)
  if (lostRows > 0)
    options.report(`${lostRows} rows of this run are in no ledger any more: its file was lost while it was in use (see above).`)
  inside.state = 'closed'
  closeFile(inside)
  file?.watch?.close()
  inside.unlock?.()
  return unwritten + lostRows
}
