/** A question of `tokenweir report` → its answer: by hours, days, weeks or months of a time zone, and beside the range before. */
import type { DatabaseSync } from 'node:sqlite'
import { type Condition, type Dimension, type Group, type Totals, tokenKinds } from '../../ledger/queries/queries.ts'
import { readBreakdowns, readSummary } from '../../ledger/queries/summary.ts'
import { type Period, periodAt, periodName, reportPeriods } from '../../lib/period.ts'
import type { Range } from '../../lib/range.ts'

export interface ReportQuestion {
  readonly range: Range
  /** Dimensions, and at most one period. */
  readonly by: readonly (Dimension | Period)[]
  readonly where: readonly Condition[]
  /** Groups, those with most tokens; by a period, of each. */
  readonly groupsMax: number
  /** Where hours, days, weeks and months begin. */
  readonly timeZone: string
  /** Beside the range of the same length before it; not together with a period. */
  readonly compare: boolean
}

export interface ReportGroup extends Totals {
  readonly key: Readonly<Record<string, string | null | undefined>>
  /** The same in the range before. */
  readonly before?: Totals | undefined
}

export interface Report extends Range {
  readonly by: readonly string[]
  readonly total: Totals
  /** Those with most tokens first; periods in order. */
  readonly groups: readonly ReportGroup[]
  /** Groups beyond the limit. */
  readonly leftOut: number
  /** Streams that came whole and without usage, by reason. */
  readonly zeroUsage: readonly { readonly reason: string; readonly streams: number }[]
  /** The range before, where it is compared with. */
  readonly before?: (Range & { readonly total: Totals }) | undefined
}

/** Hours of 400 days, and some. */
const periodsMax = 10_000

export const isPeriod = (name: string): name is Period => reportPeriods.some((one) => one === name)

/** Throws a RangeError for too many periods; `partsOf` says so before. */
export function readReport(database: DatabaseSync, question: ReportQuestion): Report {
  const { range, by, where, groupsMax, compare } = question
  const period = by.find(isPeriod)
  if (period !== undefined) return readByPeriod(database, question, period)
  const sets = [by as readonly Dimension[]]
  const now = readSummary(database, { range, sets, where, groupsMax: compare ? Number.POSITIVE_INFINITY : groupsMax })
  const [breakdown] = now.breakdowns
  const report = { ...range, by, total: now.total, zeroUsage: now.zeroUsage }
  if (!compare) return { ...report, groups: breakdown?.groups ?? [], leftOut: breakdown?.leftOut ?? 0 }
  const earlier = { sinceMs: range.sinceMs - (range.untilMs - range.sinceMs), untilMs: range.sinceMs }
  const before = readSummary(database, { range: earlier, sets, where, groupsMax: Number.POSITIVE_INFINITY })
  const groups = paired(breakdown?.groups ?? [], before.breakdowns[0]?.groups ?? [])
  const leftOut = Math.max(0, groups.length - groupsMax)
  return {
    ...report,
    groups: groups.slice(0, groupsMax),
    leftOut,
    before: { ...earlier, total: before.total.requests === 0 ? nothing : before.total },
  }
}

/** Of no request there are no tokens and no cost: here that is known to be zero. */
const nothing: Totals = {
  ...{ requests: 0, open: 0, errors: 0, streams: 0, zeroUsage: 0, cost: { usd: 0, priced: 0, unpriced: 0 } },
  tokens: Object.fromEntries(tokenKinds.map((kind) => [kind, { sum: 0, reported: 0, unreported: 0 }])) as Totals['tokens'],
  ...{ cache: { hitShare: null, savedUsd: null }, timePerOutputTokenMs: null },
}

/** Each group with itself before; what was there before and is no more comes last. */
function paired(now: readonly Group[], before: readonly Group[]): ReportGroup[] {
  const name = ({ key }: Group) => JSON.stringify(Object.values(key))
  const earlier = new Map(before.map((group) => [name(group), group]))
  const there = new Set(now.map(name))
  return [
    ...now.map((group) => ({ ...group, before: earlier.get(name(group)) ?? nothing })),
    ...before.filter((group) => !there.has(name(group))).map((group) => ({ ...nothing, key: group.key, before: group })),
  ]
}

function readByPeriod(database: DatabaseSync, { range, by, where, groupsMax, timeZone }: ReportQuestion, period: Period): Report {
  const dimensions = by.filter((one): one is Dimension => !isPeriod(one))
  const parts = partsOf(range, period, timeZone)
  const whole = readSummary(database, { range, sets: [], where, groupsMax })
  const found = readBreakdowns(database, { intervals: parts, by: dimensions, where, groupsMax }).map(({ groups, leftOut }, at) => {
    return {
      leftOut,
      groups: groups.map(({ key, ...totals }) => {
        const named: ReportGroup['key'] = { ...key, [period]: parts[at]?.name }
        return { ...totals, key: Object.fromEntries(by.map((one) => [one, named[one] ?? null])) }
      }),
    }
  })
  return {
    ...range,
    ...{ by, total: whole.total, zeroUsage: whole.zeroUsage },
    groups: found.flatMap(({ groups }) => groups),
    leftOut: found.reduce((sum, { leftOut }) => sum + leftOut, 0),
  }
}

/** The periods of a range, the first and the last as far as they are in it. Throws a RangeError when there are too many. */
export function partsOf({ sinceMs, untilMs }: Range, period: Period, timeZone: string): (Range & { readonly name: string })[] {
  const parts: (Range & { readonly name: string })[] = []
  for (let at = sinceMs; at < untilMs; ) {
    if (parts.length === periodsMax) throw new RangeError(`The range has more than ${periodsMax} periods.`)
    const whole = periodAt(at, period, timeZone)
    const until = Math.min(whole.untilMs, untilMs)
    parts.push({ sinceMs: at, untilMs: until, name: periodName(whole.sinceMs, period, timeZone) })
    at = until
  }
  return parts
}
