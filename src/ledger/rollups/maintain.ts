/**
 * What is done to the rollups between batches, a step at a time: what batches added is written, rows of an earlier version are added, minutes are added
 * up to quarters of an hour, these to hours, hours to days and days to weeks, and what is too old leaves. A step takes about ten milliseconds, so that no
 * batch waits long for it.
 */
import { inTransaction } from '../migrations.ts'
import { addCell } from './cells.ts'
import { dayMs, finerFrom, type Grain, grain, type Level, levels, minuteMs, minuteOf, partsIn, views, weekMs } from './grains.ts'
import { neededColumns } from './measures.ts'
import type { OpenRollups } from './open.ts'

export interface MaintenanceOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** How long days are kept; 0 is without limit. */
  readonly ageMsMax: () => number
  readonly on: () => OpenRollups | undefined
  readonly stepMs?: number | undefined
  /** A step failed. */
  readonly failed: () => void
}

export interface Maintenance {
  /** Whether there may be more to do. */
  step(): boolean
  /** Some time after the last one, goes on in steps until nothing is left to do. `isStopped` ends it before. */
  begin(isStopped: () => boolean): void
  stop(): void
}

/** A step takes half of this to twice as much. */
const stepUsualMs = 8
const betweenStepsMs = 50
/** Until it is looked again whether there is something to do. */
const restMs = 10_000
/** With less, a step is mostly the writing of the same cells again. */
const amountMin = 150
const amountMax = 32_768
/** Minutes are added to their quarter so long after they began, when most of what began in them has ended. */
const settledMs = 3 * minuteMs
/** Cells or keys that leave in one step. */
const expireMax = 1000

export function createMaintenance({ now, ageMsMax, on, failed, stepMs = stepUsualMs }: MaintenanceOptions): Maintenance {
  /** Rows or cells of one step. It adapts to how long the last one took. */
  let amount = amountMin
  let next: NodeJS.Timeout | undefined
  let endedAt = Number.NEGATIVE_INFINITY

  function step(): boolean {
    const open = on()
    if (open === undefined) return false
    let isMore = false
    const began = performance.now()
    try {
      inTransaction(open.database, () => {
        open.begin()
        open.flush() // the cells in the file are read
        isMore = work(open, amount, now(), ageMsMax())
        open.cells.write()
      })
      open.cells.trim()
    } catch (error) {
      failed()
      throw error
    }
    const took = performance.now() - began
    amount = took > stepMs ? Math.max(amountMin, amount / 2) : took < stepMs / 2 ? Math.min(amountMax, amount * 2) : amount
    return isMore
  }

  function goOn(isStopped: () => boolean): void {
    if (isStopped()) return
    if (!step()) {
      endedAt = performance.now()
      return
    }
    next = setTimeout(() => {
      next = undefined
      try {
        goOn(isStopped)
      } catch {
        // What fails here fails at the next commit too, and is reported there.
      }
    }, betweenStepsMs).unref()
  }

  function begin(isStopped: () => boolean): void {
    if (next === undefined && performance.now() - endedAt >= restMs) goOn(isStopped)
  }

  return { step, begin, stop: () => clearTimeout(next) }
}

function work(open: OpenRollups, amount: number, now: number, ageMsMax: number): boolean {
  const { after, upTo } = open.state()
  return (
    (after < upTo && addEarlier(open, amount)) ||
    levels.some((level, at) =>
      addUp(open, level, at === 0 ? now - settledMs + minuteMs : open.state()[(levels[at - 1] as Level).until], amount),
    ) ||
    expire(open, ageMsMax === 0 ? Number.NEGATIVE_INFINITY : now - ageMsMax)
  )
}

/** Rows that were there before the rollups, in the order in which they were closed. */
function addEarlier(open: OpenRollups, limit: number): boolean {
  const { after, upTo, rows } = open.state()
  const found = open.database
    .prepare(`SELECT rowid, ${neededColumns.join(', ')} FROM exchanges WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?`)
    .all(after, upTo, limit)
  let added = 0
  for (const row of found) {
    if (row['end_reason'] === null) continue
    open.addNeeded(row)
    added++
  }
  open.change({ after: found.length < limit ? upTo : Number(found.at(-1)?.['rowid']), rows: rows + added })
  return true
}

/** The next cells of periods that end before that moment are added to the longer period's. False when there are none. */
function addUp({ cells, keys, state, change }: OpenRollups, level: Level, beforeMs: number, limit: number): boolean {
  const { from, to, fromMs, toMs, until, key } = level
  const before = minuteOf(Math.floor(beforeMs / fromMs) * fromMs)
  const found = cells.read(from, minuteOf(state()[until]), state()[key], before, limit)
  const last = found.at(-1)
  if (last === undefined) return false
  const isCut = found.length === limit
  for (const cell of found) {
    if (isCut && cell.period === last.period && cell.key === last.key) break // its parts may be cut apart
    const period = minuteOf(Math.floor((cell.period * minuteMs) / toMs) * toMs)
    for (const view of views)
      for (const each of partsIn(to[view], cell.part)) addCell(cells.find(to[view], period, keys.byId(cell.key)[view], each), cell)
  }
  change({ [until]: last.period * minuteMs + (isCut ? 0 : fromMs), [key]: isCut ? last.key : 0 })
  return true
}

/**
 * Shorter periods leave with their rows, days when they are older than that moment, and weeks when one of their days is; then the keys that nothing names
 * any more.
 */
function expire(open: OpenRollups, daysBefore: number): boolean {
  const finer = finerFrom(open.state())
  const days = Math.floor(Math.min(daysBefore, finer) / dayMs) * dayMs
  const before = [
    [grain.minute, finer],
    ...[grain.quarter, grain.hour].flatMap(Object.values<Grain>).map((which) => [which, finer] as const),
    ...[grain.day, grain.week].flatMap(Object.values<Grain>).map((which) => [which, days] as const),
  ] as const
  const weeksFrom = Math.ceil(days / weekMs) * weekMs
  if (days > 0 && weeksFrom > open.state().weeksFrom) open.change({ weeksFrom })
  for (const [which, moment] of before) {
    if (moment > 0 && removeSome(open, which, minuteOf(moment))) {
      open.cells.forget()
      return true
    }
  }
  return days > 0 && open.keys.expire(days, expireMax) > 0
}

/** Of the first period that is too old. */
function removeSome({ database }: OpenRollups, which: Grain, before: number): boolean {
  const first = database.prepare('SELECT period FROM rollups WHERE grain = ? AND period < ? ORDER BY period LIMIT 1').get(which, before)
  if (first === undefined) return false
  const period = Number(first['period'])
  const upTo = database
    .prepare('SELECT key FROM rollups WHERE grain = ? AND period = ? ORDER BY key LIMIT 1 OFFSET ?')
    .get(which, period, expireMax)
  for (const table of ['rollups', 'rollup_sketches'])
    database
      .prepare(`DELETE FROM ${table} WHERE grain = ? AND period = ? AND key <= ?`)
      .run(which, period, Number(upTo?.['key'] ?? Number.MAX_SAFE_INTEGER))
  return true
}
