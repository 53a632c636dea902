/** Parses the query string of a request for data into a ledger query. Throws an actionable error. */

import {
  type Condition,
  conditionsOf,
  type Dimension,
  dimensionOf,
  dimensionsHelp,
  outcomes,
  type RequestFilter,
} from '../ledger/queries/queries.ts'
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

export interface Query {
  readonly range: Range
  /** The range ends now: the response may be cached for a moment. */
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
    return { range, isRelative: get('until') === undefined, get, all: (name) => given.getAll(name), labels }
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

/** `where=provider=openai&where=label:team=search`, or `label.team=search`, which the page writes. */
export function whereOf(query: Query): readonly Condition[] {
  const conditions = conditionsOf([...query.all('where'), ...query.labels])
  if (conditions === undefined) throw new ParameterError(`where is no ${dimensionsHelp} with = and a value: where=provider=openai.`)
  return conditions
}

export function filterOf(query: Query): RequestFilter {
  const { range, get } = query
  const outcome = outcomes.find((one) => one === get('outcome'))
  if (get('outcome') !== undefined && outcome === undefined) {
    throw new ParameterError(`outcome is none of ${outcomes.join(', ')}.`)
  }
  const text = get('text')
  if (text !== undefined && text.length > textCharactersMax)
    throw new ParameterError(`text is longer than ${textCharactersMax} characters.`)
  const limit = Number(get('limit') ?? limitUsual)
  if (!Number.isInteger(limit) || limit < 1 || limit > limitMax) throw new ParameterError(`limit is no whole number from 1 to ${limitMax}.`)
  const before = get('before')
  if (before !== undefined && !/^\d+(\.\d+)?_[\w-]{1,64}$/.test(before))
    throw new ParameterError('before is not the next of an earlier page.')
  return { ...range, outcome, provider: get('provider'), where: whereOf(query), text, before, limit }
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800].map((s) => s * 1000)
const bucketsMax = 100

/** The length of a plot's intervals: a round number, and few enough for the plot's width. */
export function bucketMsOf({ sinceMs, untilMs }: Range): number {
  return steps.find((step) => (untilMs - sinceMs) / step <= bucketsMax) ?? (steps.at(-1) as number)
}
