/** Single requests: the newest of a range, those that a search finds, one of them whole. */
import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import type { Range } from '../../lib/range.ts'
import { lastAdded } from '../rollups/grains.ts'
import { conditionSql, escapedLike, inRange, isCompletedStream, isZeroUsage } from './fragments.ts'
import { inSnapshot } from './look.ts'
import { readState } from './plan.ts'
import {
  type LedgerState,
  type ListedRequest,
  listedColumns,
  type RequestFilter,
  type RequestPage,
  type RequestSort,
  type WholeRequest,
} from './queries.ts'

const outcomeSql: Readonly<Record<NonNullable<RequestFilter['outcome']>, string>> = {
  errors: 'error_type IS NOT NULL',
  streams: isCompletedStream,
  zero: isZeroUsage,
  unpriced: "cost_status = 'unpriced'",
  open: 'end_reason IS NULL',
}

const searched = [
  'id',
  'trace_id',
  'response_id',
  'provider',
  'request_model',
  'response_model',
  'caller',
  'labels',
  'route',
  'path',
  'error_type',
  'usage_outcome',
  'usage_reason',
  'end_reason',
]

const sortSql: Readonly<Record<Exclude<RequestSort, 'time'>, string>> = {
  provider: 'provider',
  model: 'coalesce(request_model, response_model)',
  caller: 'caller',
  outcome: 'usage_outcome',
  input: 'input_tokens',
  output: 'output_tokens',
  cost: 'cost',
  first: 'time_to_first_chunk_ms',
  duration: 'duration_ms',
}

/** Rows that one question looks through: no index finds what a text is in, or what cost most. */
const lookedUsualMax = 50_000

/** A `before` that is none is taken as absent. */
export function readRequests(database: DatabaseSync, filter: RequestFilter, lookedMax = lookedUsualMax): RequestPage {
  const { outcome, provider, where = [], text, limit, sort = 'time', order = 'desc' } = filter
  const condition = conditionSql(where)
  const isByTime = sort === 'time'
  const cursor = isByTime ? cursorOf(filter.before) : undefined
  const offset = isByTime ? 0 : Number(/^\d+$/.exec(filter.before ?? '')?.[0] ?? 0)
  const looked = lookedOf(database, filter, cursor?.startedAt, lookedMax)
  const conditions = [inRange]
  const values: Record<string, string | number> = {
    since: looked.sinceMs,
    until: looked.untilMs,
    limit: limit + 1,
    offset,
    ...condition.values,
  }
  if (outcome !== undefined) conditions.push(outcomeSql[outcome])
  if (provider !== undefined) {
    conditions.push('provider = :provider')
    values['provider'] = provider
  }
  if (text !== undefined && text !== '') {
    conditions.push(`(${searched.map((column) => `${column} LIKE :text ESCAPE '\\'`).join(' OR ')})`)
    values['text'] = `%${escapedLike(text)}%`
  }
  if (cursor !== undefined) {
    conditions.push(`(started_at, id) ${order === 'desc' ? '<' : '>'} (:beforeAt, :beforeId)`)
    values['beforeAt'] = cursor.startedAt
    values['beforeId'] = cursor.id
  }
  // What is not known comes last in either order.
  const sorted = isByTime ? `started_at ${order}, id ${order}` : `${sortSql[sort]} ${order} NULLS LAST, started_at DESC, id DESC`
  const rows = database
    .prepare(
      `SELECT ${listedColumns.join(', ')} FROM exchanges WHERE ${conditions.join(' AND ')}${condition.sql} ORDER BY ${sorted} LIMIT :limit OFFSET :offset`,
    )
    .all(values) as unknown as ListedRequest[]
  const requests = rows.slice(0, limit).map((row) => ({ ...row }))
  const last = requests.at(-1)
  const isCut = looked.sinceMs !== filter.sinceMs || looked.untilMs !== filter.untilMs
  if (!isByTime) return { requests, looked: isCut ? looked : null, next: rows.length > limit ? String(offset + limit) : null }
  if (rows.length > limit) return { requests, looked: null, next: `${last?.started_at}_${last?.id}` }
  // What is beyond the end of what was looked through: no id comes before `-`.
  return isCut
    ? { requests, looked, next: `${order === 'desc' ? looked.sinceMs : looked.untilMs}_-` }
    : { requests, looked: null, next: null }
}

/** Of the range, the part that holds the next so many rows of the list; in any other order than by time, the newest. */
function lookedOf(
  database: DatabaseSync,
  { sinceMs, untilMs, sort = 'time', order }: RequestFilter,
  cursorMs: number | undefined,
  rowsMax: number,
): Range {
  const isOldestFirst = sort === 'time' && order === 'asc'
  const [from, to] = isOldestFirst ? [cursorMs ?? sinceMs, untilMs] : [sinceMs, cursorMs ?? untilMs]
  const row = database
    .prepare(
      `SELECT started_at FROM exchanges WHERE started_at >= ? AND started_at <= ? ORDER BY started_at ${isOldestFirst ? 'ASC' : 'DESC'} LIMIT 1 OFFSET ?`,
    )
    .get(from, to, rowsMax)
  if (row === undefined) return { sinceMs, untilMs }
  const end = Number(row['started_at'])
  return isOldestFirst ? { sinceMs, untilMs: end } : { sinceMs: end, untilMs }
}

function cursorOf(before: string | undefined): { readonly startedAt: number; readonly id: string } | undefined {
  const found = /^(\d+(?:\.\d+)?)_([\w-]{1,64})$/.exec(before ?? '')
  return found === null ? undefined : { startedAt: Number(found[1]), id: found[2] as string }
}

export function readRequest(database: DatabaseSync, id: string): WholeRequest | null {
  const row = database.prepare('SELECT * FROM exchanges WHERE id = ?').get(id)
  return row === undefined ? null : ({ ...row } as WholeRequest)
}

export function readLedgerState(database: DatabaseSync, path: string): LedgerState {
  return inSnapshot(database, () => {
    const oldest = database.prepare('SELECT min(started_at) AS oldest FROM exchanges').get()?.['oldest'] as number | null
    return { rows: countRows(database), bytes: bytesOf(path) + bytesOf(`${path}-wal`), oldestStartedAt: oldest }
  })
}

/** Counting every row of a large ledger takes a second; those that are in rollups have been counted. */
function countRows(database: DatabaseSync): number {
  const state = readState(database)
  const count = (condition: string) =>
    Number(database.prepare(`SELECT count(*) AS count FROM exchanges WHERE ${condition}`).get()?.['count'])
  if (state === undefined) return count('TRUE')
  const { rows, after, upTo } = state
  const later = `rowid > ${lastAdded(state)} AND end_reason IS NOT NULL`
  return (
    rows +
    count('end_reason IS NULL') +
    count(later) +
    (after < upTo ? count(`rowid > ${after} AND rowid <= ${upTo} AND end_reason IS NOT NULL`) : 0)
  )
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
