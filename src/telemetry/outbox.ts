/**
 * The records of one signal on their way from the ledger to the collector. What was recorded a moment ago is still in memory; what is older (the
 * collector was away, the process was killed, the SDK was not loaded yet) is made of its row again. Bounded by the queue's limits on disk, and by
 * a number of records in memory.
 */
import type { Exchange } from '../lib/exchange.ts'
import type { Attempt } from './attempt.ts'
import type { Meter } from './meter.ts'
import type { Batch, Source } from './sender.ts'
import type { Signal } from './signal.ts'
import type { SpoolCounters } from './spool-counters.ts'

/** A closed row, read back. */
export interface StoredExchange {
  readonly rowid: number
  readonly exchange: Exchange
}

/** What the outbox asks of the ledger; a rowid is that of a closed row. */
export interface Rows {
  mark(): number
  /** Remembered with the next commit. */
  acknowledge(rowid: number): void
  /** Writes what is remembered. */
  commit(): void
  /** No row waits to be written. */
  isWritten(): boolean
  leftoverUpTo(): number
  lastRowid(): number
  closedAfter(after: number, upTo: number, limit: number): readonly StoredExchange[]
  countClosed(after: number, upTo: number): number
  oldestAfter(after: number): number | undefined
  bytesAfter(after: number): number
  /** Moves the mark over what is beyond the limits. */
  trim(): { readonly reason: 'size' | 'age'; readonly rows: number } | undefined
}

export interface OutboxOptions<Content> {
  readonly signal: Signal
  readonly rows: Rows
  readonly meter: Meter
  readonly counters: SpoolCounters
  /** What an earlier version left encoded; it waits too. */
  readonly leftover: () => { readonly records: number; readonly bytes: number; readonly oldestAt: number | undefined }
  /** The record of an exchange; undefined where a sampler leaves it out. */
  readonly recordOf: (exchange: Exchange) => Content | undefined
  readonly send: (records: Content[]) => Promise<Attempt>
  /** Records in memory that are in the file too; the oldest beyond are read back when their turn comes. */
  readonly memoryRecordsMax: number
  /** Records in memory whose rows could not be written yet; more are dropped and counted. */
  readonly unwrittenRecordsMax: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Outbox extends Source {
  add(exchanges: readonly Exchange[]): void
  /** A commit worked: the rowids of its closed rows, and the last of them. */
  committed(rowids: ReadonlyMap<string, number>, last: number): void
  /** What waits and is in no file. */
  unwritten(): number
  /** A file was opened: what waits in it. */
  opened(): void
  /** The file is gone, and what waited in it. */
  lost(): void
  /** Gives up what is beyond the limits. Not while a request is under way. */
  trim(): void
}

interface Waiting<Content> {
  readonly id: string
  readonly content: Content
  readonly at: number
  /** Undefined until its row is written. */
  rowid: number | undefined
  /** The ledger had to drop the row: it is in memory alone. */
  isRowless: boolean
}

interface Inside<Content> {
  readonly options: OutboxOptions<Content>
  /** Up to here the collector has acknowledged the rows. */
  mark: number
  /** Rows up to here have to be read back. Those above that wait are in `recent`. */
  storedUpTo: number
  /** How many of them wait. */
  storedCount: number
  /** The last closed row that is committed. */
  committedUpTo: number
  /** In the order in which they ended. */
  recent: Waiting<Content>[]
  /** Of what was added since the last commit. */
  unwritten: Waiting<Content>[]
  /** Ids of those that were dropped since the last commit: their rows, once written, do not wait. */
  unwritable: string[]
  /** Rowids of such rows above the mark: as many as can wait to be written. After a kill they are sent all the same. */
  skipped: Set<number>
  /** A file that could not be read when the outbox was made, or rows that were not written then. */
  isBehind: boolean
}

export function createOutbox<Content>(options: OutboxOptions<Content>): Outbox {
  const inside: Inside<Content> = {
    options,
    mark: 0,
    storedUpTo: 0,
    storedCount: 0,
    committedUpTo: 0,
    recent: [],
    unwritten: [],
    unwritable: [],
    skipped: new Set(),
    isBehind: true,
  }
  observe(inside)
  return {
    add: (exchanges) => add(inside, exchanges),
    committed: (rowids, last) => committed(inside, rowids, last),
    unwritten: () => inside.recent.filter(({ rowid }) => rowid === undefined).length,
    opened: () => opened(inside),
    lost: () => lost(inside),
    trim: () => trim(inside),
    take: (limit) => takeStored(inside, limit) ?? takeRecent(inside, limit),
    depth: () => inside.storedCount + inside.recent.length,
  }
}

/** Estimated, of a row. */
const rowBytes = 1024

function observe<Content>(inside: Inside<Content>): void {
  const { meter, signal, rows, now, leftover } = inside.options
  const depth = meter.reading('tokenweir.spool.depth', { signal })
  const bytes = meter.reading('tokenweir.spool.bytes', { signal })
  const age = meter.reading('tokenweir.spool.oldest_age', { signal })
  meter.beforeCollect(() => {
    const { recent, storedCount, mark, unwritten } = inside
    const packets = leftover()
    const waiting = storedCount + recent.length
    depth.set(waiting + packets.records)
    bytes.set((waiting === 0 ? 0 : Math.round(rows.bytesAfter(mark)) + unwritten.length * rowBytes) + packets.bytes)
    const oldest = packets.oldestAt ?? (storedCount > 0 ? rows.oldestAfter(mark) : recent[0]?.at)
    age.set(oldest === undefined ? 0 : Math.max(0, now() - oldest) / 1000)
  })
}

function add<Content>(inside: Inside<Content>, exchanges: readonly Exchange[]): void {
  const { recordOf, counters, unwrittenRecordsMax, now } = inside.options
  const at = now()
  for (const exchange of exchanges) {
    const content = recordOf(exchange)
    if (content === undefined) continue
    counters.written.add(1)
    if (inside.unwritten.length >= unwrittenRecordsMax) {
      counters.dropped('unwritable', 1)
      inside.unwritable.push(exchange.opening.id)
      continue
    }
    const waiting = { id: exchange.opening.id, content, at, rowid: undefined, isRowless: false }
    inside.recent.push(waiting)
    inside.unwritten.push(waiting)
  }
}

function committed<Content>(inside: Inside<Content>, rowids: ReadonlyMap<string, number>, last: number): void {
  for (const waiting of inside.unwritten) {
    waiting.rowid = rowids.get(waiting.id)
    waiting.isRowless = waiting.rowid === undefined
  }
  // Some of them may have been sent from memory already.
  if (inside.isBehind) catchUp(inside, inside.unwritten.find(({ rowid }) => rowid !== undefined)?.rowid)
  inside.unwritten = []
  for (const id of inside.unwritable) {
    const rowid = rowids.get(id)
    if (rowid !== undefined) inside.skipped.add(rowid)
  }
  inside.unwritable = []
  if (last > 0) inside.committedUpTo = last
  evict(inside)
  advance(inside)
}

/** Rows between the last process and the first record that was added here are read back. `first` is its rowid, where there is one. */
function catchUp<Content>(inside: Inside<Content>, first: number | undefined): void {
  const { rows, counters } = inside.options
  inside.isBehind = false
  inside.storedUpTo = first === undefined ? rows.lastRowid() : first - 1
  inside.committedUpTo = rows.lastRowid()
  inside.storedCount = rows.countClosed(inside.mark, inside.storedUpTo)
  counters.written.add(rows.countClosed(Math.max(inside.mark, rows.leftoverUpTo()), inside.storedUpTo))
}

function opened<Content>(inside: Inside<Content>): void {
  inside.mark = inside.options.rows.mark()
  inside.isBehind = true
  if (inside.options.rows.isWritten()) catchUp(inside, undefined)
}

function lost<Content>(inside: Inside<Content>): void {
  inside.options.counters.dropped('unwritable', inside.storedCount)
  Object.assign(inside, { mark: 0, storedUpTo: 0, storedCount: 0, committedUpTo: 0, skipped: new Set() })
  for (const waiting of inside.recent) {
    if (waiting.rowid !== undefined) waiting.isRowless = true
    waiting.rowid = undefined
  }
}

/** The oldest leave memory once they are in the file; what is in no file is dropped. */
function evict<Content>(inside: Inside<Content>): void {
  const { memoryRecordsMax, counters } = inside.options
  const { recent } = inside
  const excess = recent.length - memoryRecordsMax
  if (excess <= 0) return
  // Half of them at once, so that not every commit has to.
  const evicted = recent.slice(0, excess + Math.floor(memoryRecordsMax / 2))
  const unwritten = evicted.findIndex(({ rowid, isRowless }) => rowid === undefined && !isRowless)
  if (unwritten >= 0) evicted.length = unwritten
  inside.recent = recent.slice(evicted.length)
  for (const { rowid } of evicted) {
    if (rowid === undefined) counters.dropped('unwritable', 1)
    else {
      inside.storedUpTo = rowid
      inside.storedCount++
    }
  }
}

/** The mark is below everything that waits, and above all else that is committed. */
function advance<Content>(inside: Inside<Content>): void {
  if (inside.isBehind || inside.mark < inside.storedUpTo) return
  const first = inside.recent.find(({ rowid }) => rowid !== undefined)?.rowid
  const mark = first === undefined ? inside.committedUpTo : first - 1
  if (mark <= inside.mark) return
  inside.mark = mark
  for (const rowid of inside.skipped) if (rowid <= mark) inside.skipped.delete(rowid)
  inside.options.rows.acknowledge(mark)
}

function takeStored<Content>(inside: Inside<Content>, limit: number): Batch | undefined {
  const { rows, recordOf, send } = inside.options
  if (inside.isBehind || inside.mark >= inside.storedUpTo) return undefined
  const found = rows.closedAfter(inside.mark, inside.storedUpTo, limit)
  const upTo = found.at(-1)?.rowid
  if (upTo === undefined) {
    inside.mark = inside.storedUpTo
    inside.storedCount = 0
    advance(inside)
    return undefined
  }
  const waiting = inside.skipped.size === 0 ? found : found.filter(({ rowid }) => !inside.skipped.has(rowid))
  const records: Content[] = []
  let replayed = 0
  for (const { rowid, exchange } of waiting) {
    const content = recordOf(exchange)
    if (content === undefined) continue
    records.push(content)
    if (rowid <= rows.leftoverUpTo()) replayed++
  }
  return {
    size: found.length,
    records: records.length,
    replayed,
    send: () => send(records),
    settle() {
      inside.mark = Math.max(inside.mark, upTo)
      inside.storedCount = inside.mark < inside.storedUpTo ? Math.max(0, inside.storedCount - waiting.length) : 0
      rows.acknowledge(inside.mark)
      advance(inside)
      rows.commit()
    },
  }
}

function takeRecent<Content>(inside: Inside<Content>, limit: number): Batch | undefined {
  const { rows, send } = inside.options
  const taken = inside.recent.slice(0, limit)
  if (taken.length === 0) return undefined
  return {
    size: taken.length,
    records: taken.length,
    replayed: 0,
    send: () => send(taken.map(({ content }) => content)),
    settle() {
      const settled = new Set(taken)
      // Some may have left memory meanwhile, to be read back: they need not be.
      const left = inside.recent.findIndex((waiting) => !settled.has(waiting))
      inside.recent = left < 0 ? [] : inside.recent.slice(left)
      const last = taken.findLast(({ rowid }) => rowid !== undefined)?.rowid ?? 0
      if (inside.mark < inside.storedUpTo && last > inside.mark) {
        inside.mark = last
        inside.storedCount = rows.countClosed(inside.mark, inside.storedUpTo)
        rows.acknowledge(last)
      }
      advance(inside)
      rows.commit()
    },
  }
}

function trim<Content>(inside: Inside<Content>): void {
  const { rows, counters } = inside.options
  if (inside.isBehind) return
  const given = rows.trim()
  if (given === undefined) return
  const mark = rows.mark()
  const before = inside.storedCount + inside.recent.length
  inside.recent = inside.recent.filter(({ rowid }) => rowid === undefined || rowid > mark)
  inside.mark = mark
  inside.storedCount = mark < inside.storedUpTo ? rows.countClosed(mark, inside.storedUpTo) : 0
  counters.dropped(given.reason, Math.max(0, before - inside.storedCount - inside.recent.length))
}
