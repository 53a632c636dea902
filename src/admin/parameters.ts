/** Parses the query string of a request for data into a ledger query. Throws an actionable error. */

import {
  type Condition,
  type Dimension,
  dimensionOf,
  dimensionsHelp,
  type GroupsQuestion,
  groupSorts,
  outcomes,
  type RequestFilter,
  requestSorts,
} from '../ledger/queries/queries.ts'
import { ConditionError, conditionsOf } from '../ledger/queries/where.ts'
import { MomentError, type Range, rangeOf } from '../lib/range.ts'

/** Becomes a 400 response with its message. */
export class ParameterError extends Error {
  override readonly name = 'ParameterError'
}

const rangeMsMax = 400 * 86_400_000
const textCharactersMax = 200
const valueCharactersMax = 512
const setsMax = 8
const limitMax = 500
const limitUsual = 200
const groupLimitMax = 100
const groupLimitUsual = 25

export interface Query {
  readonly range: Range
  /** The range ends now, or so long ago: the response may be cached for a moment. */
  readonly isRelative: boolean
  readonly get: (name: string) => string | undefined
  readonly all: (name: string) => readonly string[]
  /** Of the parameters `label.NAME=value`, as conditions of `where`. */
  readonly labels: readonly string[]
}

const labelPrefix = 'label.'
const labelForm = `${labelPrefix}NAME`

/** Throws `ParameterError` for a name that is not in `known`, and for an invalid range. */
export function queryOf(url: string, known: readonly string[], nowMs: number): Query {
  const given = new URL(url, 'http://admin').searchParams
  const names = ['since', 'until', ...known, ...(known.includes('where') ? [labelForm] : [])]
  for (const [name, value] of given) {
    const isLabel = name.startsWith(labelPrefix) && known.includes('where')
    if (!names.includes(name) && !isLabel)
      throw new ParameterError(`There is no parameter ${JSON.stringify(name.slice(0, 40))}. The parameters are ${names.join(', ')}.`)
    if (value.length > valueCharactersMax) throw new ParameterError(`${name} is longer than ${valueCharactersMax} characters.`)
  }
  const get = (name: string) => given.get(name) ?? undefined
  try {
    const range = rangeOf({ since: get('since'), until: get('until') }, nowMs, '1h')
    if (range.untilMs - range.sinceMs > rangeMsMax) throw new ParameterError('The range is longer than 400 days. Ask for less at a time.')
    const labels = [...given].flatMap(([name, value]) =>
      name.startsWith(labelPrefix) ? [`label:${name.slice(labelPrefix.length)}=${value}`] : [],
    )
    return { range, isRelative: /^(\d+(\.\d+)?[smhdw])?$/.test(get('until') ?? ''), get, all: (name) => given.getAll(name), labels }
  } catch (error) {
    throw error instanceof MomentError ? new ParameterError(error.message) : error
  }
}

/** `by=provider&by=model,day`: one breakdown by provider, one by model and day. */
export function setsOf(query: Query): readonly (readonly Dimension[])[] {
  const sets = query.all('by').map((set) =>
    set.split(',').map((name) => {
      const found = dimensionOf(name)
      if (found === undefined) throw new ParameterError(`by=${JSON.stringify(name.slice(0, 40))} is none of ${dimensionsHelp}.`)
      return found
    }),
  )
  if (sets.length > setsMax) throw new ParameterError(`by may stand ${setsMax} times at most.`)
  return sets
}

/** `by=caller&search=team&sort=cost&order=desc&offset=25&limit=25`; `compare=1` for the range before, which is as long. */
export function groupsOf(query: Query): GroupsQuestion {
  const { range } = query
  const by = setsOf(query).flat()
  const [dimension] = by
  if (dimension === undefined || by.length > 1) throw new ParameterError('by is needed once, with one dimension: by=model.')
  return {
    kind: 'groups',
    range,
    by: dimension,
    where: whereOf(query),
    search: textOf(query, 'search') ?? '',
    sort: oneOf(query, 'sort', groupSorts) ?? 'tokens',
    order: oneOf(query, 'order', orders) ?? 'desc',
    offset: wholeOf(query, 'offset', { usual: 0, min: 0, max: 10_000_000 }),
    limit: wholeOf(query, 'limit', { usual: groupLimitUsual, min: 1, max: groupLimitMax }),
    before:
      oneOf(query, 'compare', ['1']) === undefined ? undefined : { sinceMs: 2 * range.sinceMs - range.untilMs, untilMs: range.sinceMs },
  }
}

/** `zone=Europe/Berlin`; this machine's without. */
export function timeZoneOf({ get }: Query): string {
  const zone = get('zone')
  try {
    return new Intl.DateTimeFormat('en', zone === undefined ? {} : { timeZone: zone }).resolvedOptions().timeZone
  } catch {
    throw new ParameterError(`zone=${JSON.stringify(zone?.slice(0, 40))} is no time zone. Write an IANA name: zone=Europe/Berlin.`)
  }
}

const orders = ['asc', 'desc'] as const

function oneOf<T extends string>({ get }: Query, name: string, known: readonly T[]): T | undefined {
  const given = get(name)
  const found = known.find((one) => one === given)
  if (given !== undefined && found === undefined) throw new ParameterError(`${name} is none of ${known.join(', ')}.`)
  return found
}

function wholeOf({ get }: Query, name: string, { usual, min, max }: { usual: number; min: number; max: number }): number {
  const value = Number(get(name) ?? usual)
  if (!Number.isInteger(value) || value < min || value > max) throw new ParameterError(`${name} is no whole number from ${min} to ${max}.`)
  return value
}

function textOf({ get }: Query, name: string): string | undefined {
  const text = get(name)
  if (text !== undefined && text.length > textCharactersMax)
    throw new ParameterError(`${name} is longer than ${textCharactersMax} characters.`)
  return text
}

/** `where=provider=openai&where=label:team=search&where=status>=400`, or `label.team=search`, which the page writes. */
export function whereOf(query: Query): readonly Condition[] {
  try {
    return conditionsOf([...query.all('where'), ...query.labels])
  } catch (error) {
    throw error instanceof ConditionError ? new ParameterError(error.message) : error
  }
}

export function filterOf(query: Query): RequestFilter {
  const { range, get } = query
  const sort = oneOf(query, 'sort', requestSorts) ?? 'time'
  const before = get('before')
  if (before !== undefined && !(sort === 'time' ? /^\d+(\.\d+)?_[\w-]{1,64}$/ : /^\d{1,9}$/).test(before))
    throw new ParameterError('before is not the next of an earlier page.')
  return {
    ...range,
    outcome: oneOf(query, 'outcome', outcomes),
    provider: get('provider'),
    where: whereOf(query),
    text: textOf(query, 'text'),
    sort,
    order: oneOf(query, 'order', orders),
    before,
    limit: wholeOf(query, 'limit', { usual: limitUsual, min: 1, max: limitMax }),
  }
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800].map((s) => s * 1000)
const bucketsMax = 100

/** The length of a plot's intervals: a round number, and few enough for the plot's width. */
export function bucketMsOf({ sinceMs, untilMs }: Range): number {
  return steps.find((step) => (untilMs - sinceMs) / step <= bucketsMax) ?? (steps.at(-1) as number)
}
