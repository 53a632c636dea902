/** `/api/…`: ledger queries as JSON, for the page and for programs. */
import type { IncomingMessage } from 'node:http'
import { ReadingError } from '../ledger/queries/open.ts'
import type { Reader } from '../ledger/queries/reader.ts'
import { bucketMsOf, filterOf, groupsOf, ParameterError, type Query, queryOf, setsOf, timeZoneOf, whereOf } from './parameters.ts'
import { type AdminAnswer, type AdminRoute, jsonAnswer, refusal } from './server.ts'

export interface ApiOptions {
  readonly reader: Reader
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** What `/api/state` returns besides the ledger's size. */
  readonly state: () => Readonly<Record<string, unknown>>
}

/** Groups of one breakdown: the page shows no more, and the rest are only counted. */
const groupsMax = 1000
/** Lines of a plot: more could not be told apart. */
const providersMax = 8
/** How long a query of a range that ends now is cached: at least this, and ten times its duration, so that a tenth of the time goes to it. */
const keptMsMin = 1000
const keptTimes = 10
const keptMax = 32

export function apiRoutes({ reader, now, state }: ApiOptions): readonly AdminRoute[] {
  const kept = createKept(now)
  const route = (path: string, known: readonly string[], answer: (query: Query) => Promise<unknown>): AdminRoute => ({
    path,
    answer: (request) =>
      answering(async () => {
        const query = queryOf(request.url ?? '/', known, now())
        return query.isRelative ? await kept(`${request.url}`, () => answer(query)) : await answer(query)
      }),
  })
  return [
    route('/api/summary', ['by', 'where'], (query) =>
      reader.ask({ kind: 'summary', range: query.range, sets: setsOf(query), where: whereOf(query), groupsMax }),
    ),
    route('/api/latency', [], ({ range }) => reader.ask({ kind: 'latency', range })),
    route('/api/series', ['where'], (query) =>
      reader.ask({ kind: 'series', range: query.range, bucketMs: bucketMsOf(query.range), providersMax, where: whereOf(query) }),
    ),
    route('/api/groups', ['by', 'where', 'search', 'sort', 'order', 'offset', 'limit', 'compare'], (query) => reader.ask(groupsOf(query))),
    route('/api/heatmap', ['where', 'zone'], (query) =>
      reader.ask({ kind: 'heatmap', range: query.range, where: whereOf(query), timeZone: timeZoneOf(query) }),
    ),
    route('/api/distribution', ['where'], (query) => reader.ask({ kind: 'distribution', range: query.range, where: whereOf(query) })),
    route('/api/requests', ['outcome', 'provider', 'where', 'text', 'sort', 'order', 'before', 'limit'], (query) =>
      reader.ask({ kind: 'requests', filter: filterOf(query) }),
    ),
    { path: '/api/request', answer: (request) => answering(() => one(request, reader)) },
    {
      path: '/api/state',
      answer: () => answering(async () => ({ ...state(), ledgerFile: await kept('state', () => reader.ask({ kind: 'state' })) })),
    },
  ]
}

async function one(request: IncomingMessage, reader: Reader): Promise<unknown> {
  const id = new URL(request.url ?? '/', 'http://admin').searchParams.get('id') ?? ''
  if (!/^[\w-]{1,64}$/.test(id)) throw new ParameterError('id is no id of a request. Write /api/request?id=ID.')
  return (await reader.ask({ kind: 'request', id })) ?? undefined
}

async function answering(answer: () => Promise<unknown>): Promise<AdminAnswer> {
  try {
    const value = await answer()
    return value === undefined ? refusal(404, 'There is no such request in the ledger.') : jsonAnswer(200, value)
  } catch (error) {
    if (error instanceof ParameterError) return refusal(400, error.message)
    if (error instanceof ReadingError) return refusal(503, error.message)
    throw error
  }
}

/** Caches responses while they are fresh; a query that is running is not started twice. */
function createKept(now: () => number) {
  const answers = new Map<string, { readonly answer: Promise<unknown>; until: number }>()
  return (question: string, ask: () => Promise<unknown>): Promise<unknown> => {
    const found = answers.get(question)
    if (found !== undefined && found.until > now()) return found.answer
    answers.delete(question)
    const [oldest] = answers.keys()
    if (answers.size >= keptMax && oldest !== undefined) answers.delete(oldest)
    const asked = now()
    const entry = { answer: ask(), until: Number.POSITIVE_INFINITY }
    answers.set(question, entry)
    entry.answer.then(
      () => {
        entry.until = now() + Math.max(keptMsMin, (now() - asked) * keptTimes)
      },
      () => answers.delete(question),
    )
    return entry.answer
  }
}
