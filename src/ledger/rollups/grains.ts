/**
 * What a rollup is about: how long its period is, and what it tells apart. Closed rows are added to a cell of their minute after some seconds; quarters
 * of an hour are added up from minutes, hours from quarters, days from hours and weeks from days, some time later (`maintain.ts`).
 */

export const minuteMs = 60_000
export const quarterMs = 15 * minuteMs
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs
/** Weeks since the epoch: they begin on Thursdays. */
export const weekMs = 7 * dayMs

/**
 * What quarters, hours, days and weeks tell apart: everything; all but callers and labels; callers, labels and usage alone; providers and usage alone.
 * Each but the first is fewer cells, and the last is few however many callers and models there are. Minutes tell everything apart.
 */
export const views = ['all', 'withoutCallers', 'callers', 'providers'] as const
export type View = (typeof views)[number]

/** Values of the column `grain`. */
export const grain = {
  minute: 0,
  quarter: { all: 7, withoutCallers: 8, callers: 9, providers: 10 },
  hour: { all: 1, withoutCallers: 3, callers: 11, providers: 5 },
  day: { all: 2, withoutCallers: 4, callers: 12, providers: 6 },
  week: { all: 13, withoutCallers: 14, callers: 15, providers: 16 },
} as const
export type Grain = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16

/**
 * Values of the column `part`. A request counts in the period in which it started and in the one in which it ended; `both` is for one that did both
 * in the same minute.
 */
export const part = { both: 0, started: 1, ended: 2 } as const
export type Part = (typeof part)[keyof typeof part]

/**
 * Where a cell is added to in a longer period. Quarters of all have most cells, and each minute adds to them: one is written instead of two. What is longer
 * or less has fewer to read without `both`.
 */
export function partsIn(to: Grain, one: Part): readonly Part[] {
  return one === part.both && to !== grain.quarter.all ? [part.started, part.ended] : [one]
}

/** How periods are added up: each from the one before it in this list. */
export const levels = [
  { from: grain.minute, to: grain.quarter, fromMs: minuteMs, toMs: quarterMs, until: 'quartersUntil', key: 'quartersKey' },
  { from: grain.quarter.all, to: grain.hour, fromMs: quarterMs, toMs: hourMs, until: 'hoursUntil', key: 'hoursKey' },
  { from: grain.hour.all, to: grain.day, fromMs: hourMs, toMs: dayMs, until: 'daysUntil', key: 'daysKey' },
  { from: grain.day.all, to: grain.week, fromMs: dayMs, toMs: weekMs, until: 'weeksUntil', key: 'weeksKey' },
] as const
export type Level = (typeof levels)[number]

/** A period is written as its first minute since the epoch. */
export const minuteOf = (ms: number): number => Math.floor(ms / minuteMs)

/** The table `rollup_state`. Moments are in milliseconds since the epoch. */
export interface RollupState {
  /** Minutes before it have been added to their quarters; of the minute that begins then, those whose key is below `quartersKey`. */
  readonly quartersUntil: number
  readonly quartersKey: number
  /** The same of quarters that have been added to their hours. */
  readonly hoursUntil: number
  readonly hoursKey: number
  /** The same of hours that have been added to their days. */
  readonly daysUntil: number
  readonly daysKey: number
  /** The same of days that have been added to their weeks. */
  readonly weeksUntil: number
  readonly weeksKey: number
  /** Before it there are no weeks: some of their days are gone. */
  readonly weeksFrom: number
  /** Before it there are no quarters, and no view `callers`: a version that did not have them wrote the cells. */
  readonly quartersFrom: number
  /** Cells of periods up to this one, in minutes since the epoch, may hold their sketches themselves: versions before 10 wrote them so. */
  readonly sketchesUpTo: number
  /** Rows that started before it may be gone. */
  readonly rowsFrom: number
  /** Closed rows above it (and above `upTo`) are in no cell yet. */
  readonly addedUpTo: number
  /** Of the rows that were there before the rollups, those above `after` and up to `upTo` are in none yet. */
  readonly after: number
  readonly upTo: number
  /** Closed rows in the ledger that are in the rollups. */
  readonly rows: number
  /** The labels that cells tell apart, each since when. */
  readonly labels: Readonly<Record<string, number>>
}

export const emptyState: RollupState = {
  quartersUntil: 0,
  quartersKey: 0,
  hoursUntil: 0,
  hoursKey: 0,
  daysUntil: 0,
  daysKey: 0,
  weeksUntil: 0,
  weeksKey: 0,
  weeksFrom: 0,
  quartersFrom: 0,
  sketchesUpTo: Number.MAX_SAFE_INTEGER,
  rowsFrom: Number.MIN_SAFE_INTEGER,
  addedUpTo: Number.MAX_SAFE_INTEGER, // versions before 9 added each with its batch
  after: 0,
  upTo: 0,
  rows: 0,
  labels: {},
}

/** Out of the rows of `rollup_state`. */
export function stateOf(rows: readonly Readonly<Record<string, unknown>>[]): RollupState {
  const found: Record<string, unknown> = { ...emptyState }
  for (const { key, value } of rows) found[String(key)] = key === 'labels' ? JSON.parse(String(value)) : value
  return found as unknown as RollupState
}

/** The last row that is in a cell, but for those that are still to be added of the ones that were there before the rollups. */
export function lastAdded({ addedUpTo, upTo }: RollupState): number {
  return Math.max(addedUpTo, upTo)
}

/** Cells of periods shorter than a day before this moment may be gone: their days have all of it, and the rows are gone too. */
export function finerFrom({ rowsFrom, daysUntil }: RollupState): number {
  return Math.floor(Math.min(rowsFrom, daysUntil) / dayMs) * dayMs
}
