/**
 * The ledger's rows, added up: in memory with each batch, and written some seconds later, in one transaction with how far they go. Rows beyond that are read
 * as rows, and added again by the next process after a kill. Only closed rows are added: a row is closed once, and those that are open are few and quickly
 * counted.
 */
import type { DatabaseSync } from 'node:sqlite'
import { object, parseJson } from '../../lib/json.ts'
import type { Meter } from '../../telemetry/meter.ts'
import type { RowShape, RowValues, SqlValue } from '../row.ts'
import { lastAdded } from './grains.ts'
import { createKeys } from './keys.ts'
import { createMaintenance, type Maintenance } from './maintain.ts'
import { createMeasure, neededColumns } from './measures.ts'
import { createOpen, type OpenRollups } from './open.ts'

export interface RollupOptions {
  readonly shape: RowShape
  readonly meter: Meter
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Labels that cells tell apart. */
  readonly labels: readonly string[]
  /** How long days are kept; 0 is without limit. */
  readonly ageMsMax: () => number
  readonly keysMax: number
  /** How long a step of the maintenance takes, about. */
  readonly stepMs?: number | undefined
}

export interface Rollups {
  opened(database: DatabaseSync): void
  closed(): void
  /** First in a transaction. */
  begin(): void
  /** Adds a row that the transaction closes. */
  add(row: RowValues, rowid: number): void
  /** Last in a transaction: writes what was added where that is much. */
  write(): void
  committed(): void
  /** The transaction failed. */
  failed(): void
  /** Rows left; all that started from that moment on are there. Part of a transaction. */
  expired(rows: number, wholeFrom: number): void
  /** Rows above it are in no rollup yet, and may not be removed. */
  neededAfter(): number | undefined
  /** What is to be done between batches, one step at a time, each in a transaction of its own. */
  readonly maintenance: Maintenance
}

export function createRollups({ shape, meter, now, labels, ageMsMax, keysMax, stepMs }: RollupOptions): Rollups {
  const overflow = meter.counter('tokenweir.ledger.rollup_overflow', {})
  const labelsOf = createLabelText(labels)
  const measure = createMeasure(
    [...shape.start, ...shape.end].map(({ name }) => name),
    labelsOf,
  )
  const measureNeeded = createMeasure(neededColumns, labelsOf)
  let open: OpenRollups | undefined
  const openOn = (database: DatabaseSync) => {
    const keys = createKeys({ database, keysMax, onOverflow: () => overflow.add(1) })
    open = createOpen({ database, keys, measure, measureNeeded, labels, now })
  }
  const failed = () => open && openOn(open.database)
  return {
    opened: openOn,
    closed() {
      open = undefined
    },
    begin: () => open?.begin(),
    add: (row, rowid) => open?.add(row, rowid),
    write() {
      if (open !== undefined && (open.cells.changed() >= changedMax || open.unwritten() >= unwrittenMax)) open.flush()
    },
    committed() {
      open?.cells.trim()
    },
    failed,
    expired(rows, wholeFrom) {
      if (open === undefined || rows === 0) return
      const { rows: before, rowsFrom } = open.state()
      open.change({ rows: before - rows, rowsFrom: Math.max(rowsFrom, wholeFrom) })
    },
    neededAfter() {
      const state = open?.state()
      return state && (state.after < state.upTo ? state.after : lastAdded(state))
    },
    maintenance: createMaintenance({ now, ageMsMax, stepMs, on: () => open, failed }),
  }
}

/** Cells that wait to be written: about ten milliseconds of writing. */
const changedMax = 1500
/** Rows that are in no written cell, and so are read as rows by each answer: a few milliseconds of reading. */
const unwrittenMax = 3000

/** Texts of labels that are remembered: they recur. */
const textsMax = 1000

/** The marked labels of a row, in the order of the marks; NULL when it has none of them. */
function createLabelText(names: readonly string[]): (labels: SqlValue) => string | null {
  let known = new Map<string, string | null>()
  return (given) => {
    if (names.length === 0 || typeof given !== 'string') return null
    let text = known.get(given)
    if (text === undefined) {
      const fields = object(parseJson(given)) ?? {}
      const marked = names.filter((name) => fields[name] !== undefined && fields[name] !== null)
      text = marked.length === 0 ? null : JSON.stringify(Object.fromEntries(marked.map((name) => [name, fields[name]])))
      if (known.size >= textsMax) known = new Map()
      known.set(given, text)
    }
    return text
  }
}
