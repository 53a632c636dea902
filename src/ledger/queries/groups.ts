/** One page of the groups of a dimension: searched, sorted by any column, with the range before beside each. */
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { conditionSql, inRange, isCompletedStream, isZeroUsage, sqlOf } from './fragments.ts'
import { addTo, type Buckets, bucketSql, quantilesOf } from './quantiles.ts'
import type { Condition, GroupPage, GroupSort, GroupsQuestion, Quantiles } from './queries.ts'
import { readSummary } from './summary.ts'

/** What a column sums up. By tokens is the order of a breakdown. */
const sortSql: Readonly<Record<Exclude<GroupSort, 'name' | 'firstP50' | 'firstP95'>, string>> = {
  tokens: 'total(input_tokens) + total(output_tokens)',
  requests: 'count(*)',
  streams: `sum(${isCompletedStream})`,
  errors: 'sum(error_type IS NOT NULL)',
  zeroUsage: `sum(${isZeroUsage})`,
  input: 'sum(input_tokens)',
  output: 'sum(output_tokens)',
  cacheRead: 'sum(cache_read_tokens)',
  reasoning: 'sum(reasoning_tokens)',
  cost: 'sum(cost)',
  cached:
    'sum(CASE WHEN input_tokens IS NOT NULL THEN cache_read_tokens END) * 1.0 / sum(CASE WHEN cache_read_tokens IS NOT NULL THEN input_tokens END)',
  saved: 'sum(cache_saved)',
  speed: '1 / avg(time_per_output_token_ms)',
}

/** In one transaction, so that groups and totals are of the same rows. */
export function readGroups(database: DatabaseSync, question: GroupsQuestion): GroupPage {
  const { range, where, before } = question
  const totalOf = (within: Range) => readSummary(database, { range: within, sets: [], where, groupsMax: 0 })
  database.exec('BEGIN')
  try {
    const { total, zeroUsage } = totalOf(range)
    const compared = before === undefined ? {} : { before: totalOf(before).total }
    return { ...range, total, ...compared, zeroUsage, by: question.by, ...pageOf(database, question) }
  } finally {
    database.exec('COMMIT')
  }
}

/** Two passes over the rows: one finds which groups stand on the page, by one sum each; the other adds up these few. */
function pageOf(database: DatabaseSync, question: GroupsQuestion): Pick<GroupPage, 'groups' | 'found' | 'all'> {
  const { range, by, where, search, sort, order, offset, limit, before } = question
  const latencyOf = (condition: readonly Condition[]) => firstChunks(database, range, by, [...where, ...condition])
  const isByLatency = sort === 'firstP50' || sort === 'firstP95'
  const everyLatency = isByLatency ? latencyOf([]) : undefined
  const all = ranked(database, question)
  const wanted = search.toLowerCase()
  const found = wanted === '' ? all : all.filter(({ name }) => name?.toLowerCase().includes(wanted))
  const rankOf = ({ name, value }: Ranked) =>
    sort === 'name' ? name : isByLatency ? (everyLatency?.get(name)?.[sort === 'firstP50' ? 'p50' : 'p95'] ?? null) : value
  const names = sorted(found, rankOf, order)
    .slice(offset, offset + limit)
    .map(({ name }) => name)
  if (names.length === 0) return { groups: [], found: found.length, all: all.length }
  const these: readonly Condition[] = [{ dimension: by, operator: '=', values: names }]
  const groupsIn = (within: Range) => {
    const { breakdowns } = readSummary(database, { range: within, sets: [[by]], where: [...where, ...these], groupsMax: limit })
    return new Map(breakdowns[0]?.groups.map((group) => [group.key[by] ?? null, group]))
  }
  const now = groupsIn(range)
  const earlier = before === undefined ? undefined : groupsIn(before)
  const latency = everyLatency ?? latencyOf(these)
  const groups = names.flatMap((name) => {
    const group = now.get(name)
    const compared = earlier === undefined ? {} : { before: earlier.get(name) ?? null }
    return group === undefined ? [] : [{ ...group, firstChunkMs: latency.get(name) ?? null, ...compared }]
  })
  return { groups, found: found.length, all: all.length }
}

interface Ranked {
  readonly name: string | null
  readonly value: number | null
}

/** Every group with the sum to sort by; most tokens first, then by name. */
function ranked(database: DatabaseSync, { range, by, where, sort }: GroupsQuestion): readonly Ranked[] {
  const condition = conditionSql(where)
  const value = sort in sortSql ? sortSql[sort as keyof typeof sortSql] : sortSql.tokens
  return database
    .prepare(
      `SELECT ${sqlOf(by)} AS name, ${value} AS value FROM exchanges WHERE ${inRange}${condition.sql} GROUP BY 1
       ORDER BY ${sortSql.tokens} DESC, count(*) DESC, 1`,
    )
    .all({ since: range.sinceMs, until: range.untilMs, ...condition.values }) as unknown as readonly Ranked[]
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
): Map<string | null, Quantiles> {
  const condition = conditionSql(where)
  const rows = database
    .prepare(
      `SELECT ${sqlOf(by)} AS name, ${bucketSql('time_to_first_chunk_ms')} AS bucket, count(*) AS count FROM exchanges
       WHERE ${inRange} AND time_to_first_chunk_ms IS NOT NULL${condition.sql} GROUP BY 1, 2`,
    )
    .all({ since: range.sinceMs, until: range.untilMs, ...condition.values }) as unknown as readonly {
    name: string | null
    bucket: number
    count: number
  }[]
  const found = new Map<string | null, Buckets>()
  for (const { name, bucket, count } of rows) {
    let buckets = found.get(name)
    if (buckets === undefined) found.set(name, (buckets = new Map()))
    addTo(buckets, bucket, count)
  }
  return new Map([...found].flatMap(([name, buckets]) => [[name, quantilesOf(buckets) as Quantiles]]))
}
