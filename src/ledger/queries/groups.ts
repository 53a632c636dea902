/** One page of the groups of a dimension: searched, sorted by any column, with the range before beside each. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { inSnapshot, readSketches } from './look.ts'
import { quantilesOf } from './quantiles.ts'
import type { Condition, Group, GroupPage, GroupSort, GroupsQuestion, Quantiles, Summary } from './queries.ts'
import { daysOf, readSummary } from './summary.ts'

/** What a column shows. By tokens is the order of a breakdown. */
const shownOf: Readonly<Record<Exclude<GroupSort, 'name' | 'firstP50' | 'firstP95'>, (group: Group) => number | null>> = {
  tokens: ({ tokens: { input, output } }) => (input.sum ?? 0) + (output.sum ?? 0),
  requests: ({ requests }) => requests,
  streams: ({ streams }) => streams,
  errors: ({ errors }) => errors,
  zeroUsage: ({ zeroUsage }) => zeroUsage,
  input: ({ tokens }) => tokens.input.sum,
  output: ({ tokens }) => tokens.output.sum,
  cacheRead: ({ tokens }) => tokens.cacheRead.sum,
  reasoning: ({ tokens }) => tokens.reasoning.sum,
  cost: ({ cost }) => cost.usd,
  cached: ({ cache }) => cache.hitShare,
  saved: ({ cache }) => cache.savedUsd,
  speed: ({ timePerOutputTokenMs }) => (timePerOutputTokenMs === null ? null : 1 / timePerOutputTokenMs),
}

/** In one transaction, so that groups and totals are of the same requests. */
export function readGroups(database: DatabaseSync, question: GroupsQuestion): GroupPage {
  const { range, by, where, before } = question
  const summaryOf = (within: Range) => readSummary(database, { range: within, sets: [[by]], where, groupsMax: Number.POSITIVE_INFINITY })
  return inSnapshot(database, () => {
    const summary = summaryOf(range)
    const earlier = before && summaryOf(before)
    const compared = earlier === undefined ? {} : { before: earlier.total }
    return {
      ...range,
      total: summary.total,
      ...compared,
      zeroUsage: summary.zeroUsage,
      by,
      ...pageOf(database, question, summary, earlier),
    }
  })
}

function pageOf(
  database: DatabaseSync,
  { range, by, where, search, sort, order, offset, limit }: GroupsQuestion,
  summary: Summary,
  before: Summary | undefined,
): Pick<GroupPage, 'groups' | 'found' | 'all'> {
  const nameOf = ({ key }: Group) => key[by] ?? null
  const groupsOf = ({ breakdowns: [breakdown] }: Summary) => breakdown?.groups ?? []
  const latencyOf = (condition: readonly Condition[]) => firstChunks(database, range, by, [...where, ...condition])
  const everyLatency = sort === 'firstP50' || sort === 'firstP95' ? latencyOf([]) : undefined
  const rankOf = (group: Group) => {
    if (sort === 'name') return nameOf(group)
    if (sort === 'firstP50' || sort === 'firstP95') return everyLatency?.get(nameOf(group))?.[sort === 'firstP50' ? 'p50' : 'p95'] ?? null
    return shownOf[sort](group)
  }
  const all = groupsOf(summary)
  const wanted = search.toLowerCase()
  const found = wanted === '' ? all : all.filter((group) => nameOf(group)?.toLowerCase().includes(wanted))
  const shown = sorted(found, rankOf, order).slice(offset, offset + limit)
  if (shown.length === 0) return { groups: [], found: found.length, all: all.length }
  const these: readonly Condition[] = [{ dimension: by, operator: '=', values: shown.map(nameOf) }]
  const earlier = before && new Map(groupsOf(before).map((group) => [nameOf(group), group]))
  const latency = everyLatency ?? latencyOf(by === 'day' || shown.length === all.length ? [] : these)
  const groups = shown.map((group) => {
    const compared = earlier === undefined ? {} : { before: earlier.get(nameOf(group)) ?? null }
    return { ...group, firstChunkMs: latency.get(nameOf(group)) ?? null, ...compared }
  })
  return { groups, found: found.length, all: all.length }
}

/** What has no value comes last in either order. Equal ones keep their order, which is by tokens and then by name. */
function sorted<T>(groups: readonly T[], rankOf: (group: T) => number | string | null, order: 'asc' | 'desc'): T[] {
  const sign = order === 'asc' ? 1 : -1
  const compare = (a: number | string, b: number | string) => (a < b ? -sign : a > b ? sign : 0)
  return groups
    .map((group) => ({ group, value: rankOf(group) }))
    .sort(({ value: a }, { value: b }) => (a === null || b === null ? Number(a === null) - Number(b === null) : compare(a, b)))
    .map(({ group }) => group)
}

function firstChunks(
  database: DatabaseSync,
  range: Range,
  by: GroupsQuestion['by'],
  where: readonly Condition[],
): ReadonlyMap<string | null, Quantiles | null> {
  const days = by === 'day' ? daysOf(database, range) : undefined
  const look = { intervals: days ?? [range], by: 'started', dimensions: days === undefined ? [by] : [], where } as const
  return new Map(
    readSketches(database, look, 'first_chunk').map(({ i, key: [name = null], buckets }) => [days?.[i]?.day ?? name, quantilesOf(buckets)]),
  )
}
