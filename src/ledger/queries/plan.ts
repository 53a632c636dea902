/**
 * Which rollups answer a question about a range, and for which moments rows must be read: the longest periods that fit, shorter ones at both ends,
 * and rows where a minute is cut. So an answer is exact for every range, and in every time zone.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import {
  dayMs,
  finerFrom,
  type Grain,
  grain,
  levels,
  minuteMs,
  minuteOf,
  type RollupState,
  stateOf,
  type View,
  weekMs,
} from '../rollups/grains.ts'

/** Milliseconds since the epoch; `i` is the interval that it belongs to. */
export interface RowSpan extends Range {
  readonly i: number
}

/** Minutes since the epoch. */
export interface CellSpan {
  readonly i: number
  readonly grain: Grain
  readonly since: number
  readonly until: number
  /** Of a period. */
  readonly length: number
}

export interface Plan {
  readonly cells: readonly CellSpan[]
  /** Rows that started, or ended, in these. */
  readonly rows: readonly RowSpan[]
}

/** Undefined in a file of a version without rollups, which its owner has not opened yet. */
export function readState(database: DatabaseSync): RollupState | undefined {
  const isThere = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'rollup_state'").get() !== undefined
  return isThere ? stateOf(database.prepare('SELECT key, value FROM rollup_state').all()) : undefined
}

interface Cells {
  readonly grain: Grain
  readonly lengthMs: number
  /** Before it there are none. */
  readonly from: number
  /** They have all of the time up to then, also of the period in which it is; and nothing of later. */
  readonly until: number
}

export interface PlanOptions {
  readonly state: RollupState
  readonly view: View
  /** Rows are read for what is before it. */
  readonly cellsFrom: number
  /** Rows are read from then on at the earliest: those of before may be gone. */
  readonly rowsFrom: number
}

export function planOf(intervals: readonly Range[], { state, view, cellsFrom, rowsFrom }: PlanOptions): Plan {
  const lengths = cellsOf(state, view)
  const earlier = earlierOf(cellsOf(state, view === 'callers' ? 'all' : view))
  const cells: CellSpan[] = []
  const rows: RowSpan[] = []

  function cover(i: number, sinceMs: number, untilMs: number, [longest, ...shorter]: readonly Cells[]): void {
    if (sinceMs >= untilMs) return
    if (longest === undefined) {
      rows.push({ i, sinceMs, untilMs })
      return
    }
    const { lengthMs } = longest
    const first = Math.ceil(Math.max(sinceMs, longest.from) / lengthMs) * lengthMs
    const last = longest.until <= untilMs ? longest.until : Math.floor(untilMs / lengthMs) * lengthMs
    if (first < last) cells.push({ i, grain: longest.grain, since: minuteOf(first), until: minuteOf(last), length: lengthMs / minuteMs })
    cover(i, sinceMs, first < last ? first : untilMs, shorter)
    if (first < last) cover(i, last, untilMs, shorter)
  }

  const finer = finerFrom(state)
  const known = (moment: number) => knownMoment(moment, finer, rowsFrom)
  const firstCell = Math.ceil(cellsFrom / minuteMs) * minuteMs
  intervals.forEach(({ sinceMs, untilMs }, i) => {
    const [since, until] = [known(sinceMs), known(untilMs)]
    cover(i, since, Math.min(until, firstCell), [])
    const [from, changed] = [Math.max(since, firstCell), state.quartersFrom]
    cover(i, from, Math.min(until, changed), earlier)
    cover(i, Math.max(from, changed), until, lengths)
  })
  return { cells, rows }
}

const quarters: readonly Grain[] = Object.values(grain.quarter)

/** Of a view, from the longest to the shortest. */
function cellsOf(state: RollupState, view: View): readonly Cells[] {
  const added = levels.map(({ to, toMs, until, key }) => ({
    grain: to[view],
    lengthMs: toMs,
    from: toMs === weekMs ? state.weeksFrom : Number.MIN_SAFE_INTEGER,
    // Some of the next period has been added too where that was not done at once.
    until: state[key] === 0 ? state[until] : Math.floor(state[until] / toMs) * toMs,
  }))
  return [...added.reverse(), { grain: grain.minute, lengthMs: minuteMs, from: Number.MIN_SAFE_INTEGER, until: Number.POSITIVE_INFINITY }]
}

/** Of those that an earlier version wrote: how much of the last period they have cannot be told. */
function earlierOf(cells: readonly Cells[]): readonly Cells[] {
  return cells
    .filter(({ grain: one }) => !quarters.includes(one))
    .map((each) => ({ ...each, until: Math.floor(each.until / each.lengthMs) * each.lengthMs }))
}

/**
 * Of old days only the whole is known: such a day is taken to lie on the side of the moment on which its larger half lies. So ranges side by side
 * share nothing and leave nothing out.
 */
function knownMoment(moment: number, finerFrom: number, rowsFrom: number): number {
  if (Math.floor(moment / dayMs) * dayMs < finerFrom) return Math.round(moment / dayMs) * dayMs
  return Math.floor(moment / minuteMs) * minuteMs < rowsFrom ? Math.round(moment / minuteMs) * minuteMs : moment
}
