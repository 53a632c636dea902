/**
 * Checks that every row of the ledger has its span, its log line and its share of the counters, and that there are no others. What the sidecar has counted
 * as dropped, expired or sent again explains that many differences of that kind. Any further difference means that the records disagree.
 */

import { firstIdAt } from '../../lib/ids.ts'
import { parseJson } from '../../lib/json.ts'
import type { OpenRange } from '../../lib/range.ts'
import { type Counters, countersOfText, type Totals } from './counters.ts'
import { type Example, type Found, openScratch, type Scratch, type Snapshot, type Source } from './scratch.ts'
import { eachLine, seenInLog, spansOfJson } from './spans.ts'

export interface ReconcileOptions {
  readonly ledger: string
  readonly range: OpenRange
  /** Files as the collector's file exporter writes them, opened one after the other; none: spans are not compared. */
  readonly spans: readonly AsyncIterable<Uint8Array>[]
  /** The sidecar's standard output; none: log lines are not compared. */
  readonly logs: readonly AsyncIterable<Uint8Array>[]
  /** Prometheus text, read anew each time. Undefined: the counters that the ledger's file keeps are compared. */
  readonly metrics: (() => Promise<string>) | undefined
  /** The sidecar is running: records of requests that have just ended may still arrive. */
  readonly isRunning: boolean
  /** The sidecar that was found is not the one of this ledger: a sentence. */
  readonly other?: string | undefined
  readonly examplesMax: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Difference {
  readonly what: string
  readonly count: number
  /** How many the sidecar's own counters explain. */
  readonly explained: number
  /** The explanation, where there is one. */
  readonly because?: string | undefined
  readonly examples: readonly Example[]
}

export interface Reconciliation {
  readonly equal: boolean
  readonly ledger: { readonly closed: number; readonly open: number }
  readonly spans?: { readonly exchanges: number; readonly records: number; readonly waiting: number } | undefined
  readonly log?: { readonly exchanges: number; readonly records: number } | undefined
  readonly metrics?: Totals | undefined
  readonly differences: readonly Difference[]
  readonly notCompared: readonly string[]
}

/** Longer than a collector takes to write acknowledged spans, and a pipe to deliver a line. */
const underWayMs = 5000
/** A scrape and a snapshot are taken at two moments. Traffic in between makes them differ, so they are taken again. */
const attemptsMax = 10
const againMs = 150

/** Rejects when an input or the ledger cannot be read. */
export async function reconcile(options: ReconcileOptions): Promise<Reconciliation> {
  const scratch = open(options)
  try {
    const { snapshot, counters, metrics } = await takeStock(scratch, options)
    const at = options.now()
    for (const file of options.spans)
      await eachLine(file, (line) => spansOfJson(parseJson(line)).forEach((seen) => void scratch.put('span', seen)))
    for (const file of options.logs) {
      await eachLine(file, (line) => {
        const seen = seenInLog(line)
        if (seen !== undefined) scratch.put('log', seen)
      })
    }
    const comparison = { scratch, snapshot, counters, at, options }
    const differences = [
      ...(options.spans.length === 0 ? [] : [...compare(comparison, 'span'), ...spanTwice(comparison)]),
      ...(options.logs.length === 0 ? [] : compare(comparison, 'log')),
      ...metrics.differences,
    ].filter(({ count }) => count > 0)
    return {
      equal: differences.every(({ count, explained }) => count <= explained),
      ledger: { closed: snapshot.closed, open: snapshot.open },
      spans: options.spans.length === 0 ? undefined : { ...scratch.seen('span'), waiting: snapshot.waiting },
      log: options.logs.length === 0 ? undefined : scratch.seen('log'),
      metrics: metrics.total,
      differences,
      notCompared: [
        ...(options.other === undefined
          ? []
          : [
              `Metrics of a running sidecar: ${options.other} Name its own with --admin HOST:PORT; the counters in the file were compared.`,
            ]),
        ...(options.spans.length === 0 ? ['Spans: give the files that the collector writes, with --spans FILE…'] : []),
        ...(options.logs.length === 0 ? ["Log lines: give the sidecar's standard output, with --log FILE…"] : []),
        ...metrics.notCompared,
      ],
    }
  } finally {
    scratch.close()
  }
}

function open({ ledger, range }: ReconcileOptions): Scratch {
  try {
    return openScratch(ledger, range)
  } catch (error) {
    throw new Error(`The ledger ${ledger} cannot be read: ${(error as Error).message}. Choose another file with --ledger FILE.`)
  }
}

interface Stock {
  readonly snapshot: Snapshot
  /** The counters that explain differences: from the scrape, else from the file. */
  readonly counters: Counters | undefined
  readonly metrics: MetricsVerdict
}

async function takeStock(scratch: Scratch, options: ReconcileOptions): Promise<Stock> {
  for (let attempt = 1; ; attempt++) {
    const text = await options.metrics?.()
    const snapshot = scratch.takeSnapshot()
    const counters = text === undefined ? snapshot.counters : countersOfText(text)
    const metrics = compareMetrics(snapshot, counters, options.range)
    const isEqual = metrics.differences.every(({ count, explained }) => count <= explained)
    if (isEqual || !options.isRunning || attempt === attemptsMax) return { snapshot, counters, metrics }
    await new Promise((resolve) => setTimeout(resolve, againMs))
  }
}

interface MetricsVerdict {
  readonly total: Totals | undefined
  readonly differences: readonly Difference[]
  readonly notCompared: readonly string[]
}

function compareMetrics({ byProvider, closed }: Snapshot, counters: Counters | undefined, { sinceMs, untilMs }: OpenRange): MetricsVerdict {
  const none = (why: string): MetricsVerdict => ({ total: undefined, differences: [], notCompared: [why] })
  if (sinceMs !== undefined || untilMs !== undefined) return none('Metrics: counters know no time range; leave --since and --until out.')
  if (counters === undefined)
    return none('Metrics: no sidecar answers on the admin port, and the ledger keeps no counters; give --metrics URL or FILE.')
  const expired = counters.total('tokenweir.ledger.expired')
  if (expired > 0) return none(`Metrics: ${expired} rows have been removed since the counters began (retention).`)
  const total = sumOf(counters.byProvider.values())
  const dropped = counters.total('tokenweir.ledger.dropped')
  // Providers beyond the limit of label values are one in the metrics.
  const isCapped = counters.byProvider.has('other')
  const providers = isCapped ? ['every provider together'] : [...new Set([...byProvider.keys(), ...counters.byProvider.keys()])]
  const of = (from: ReadonlyMap<string, Totals>, provider: string) => (isCapped ? sumOf(from.values()) : (from.get(provider) ?? nothing))
  const differences: Difference[] = []
  for (const provider of providers) {
    const [rows, counted] = [of(byProvider, provider), of(counters.byProvider, provider)]
    for (const [key, unit] of [
      ['requests', 'requests'],
      ['inputTokens', 'input tokens'],
      ['outputTokens', 'output tokens'],
    ] as const) {
      const count = Math.abs(counted[key] - rows[key])
      // Exchanges that the ledger dropped were counted, but their tokens are unknown.
      const explained = dropped === 0 || counted[key] < rows[key] ? 0 : key === 'requests' ? dropped : count
      const what = `${unit} of ${provider === '' ? 'no provider' : provider}: ${counted[key]} in the metrics, ${rows[key]} in the ledger`
      differences.push({
        what,
        count,
        explained,
        because: explained > 0 ? `${dropped} rows were dropped and counted` : undefined,
        examples: [],
      })
    }
  }
  const empty = total.requests === 0 && closed > 0 && counters.total('tokenweir.ledger.written') === 0
  return empty
    ? none('Metrics: these are of a sidecar that has recorded nothing; give --metrics URL or FILE of the one that writes this ledger.')
    : { total, differences, notCompared: [] }
}

const nothing: Totals = { requests: 0, inputTokens: 0, outputTokens: 0 }

function sumOf(all: Iterable<Totals>): Totals {
  const sum = { ...nothing }
  for (const one of all) {
    sum.requests += one.requests
    sum.inputTokens += one.inputTokens
    sum.outputTokens += one.outputTokens
  }
  return sum
}

interface Comparison {
  readonly scratch: Scratch
  readonly snapshot: Snapshot
  readonly counters: Counters | undefined
  /** When the snapshot had been taken. */
  readonly at: number
  readonly options: ReconcileOptions
}

function difference(what: string, { count, examples }: Found, reasons: readonly (readonly [number, string])[] = []): Difference {
  const found = reasons.filter(([number]) => number > 0)
  const explained = Math.min(
    count,
    found.reduce((sum, [number]) => sum + number, 0),
  )
  return { what, count, explained, because: found.length === 0 ? undefined : found.map(([, why]) => why).join(', '), examples }
}

const names: Readonly<Record<Source, string>> = { span: 'span', log: 'log line' }

function compare({ scratch, snapshot, counters, at, options }: Comparison, source: Source): Difference[] {
  const { isRunning, examplesMax } = options
  const count = (...args: Parameters<Counters['total']>) => counters?.total(...args) ?? 0
  const name = names[source]
  const dropped = source === 'span' ? count('tokenweir.spool.dropped', { signal: 'traces' }) : count('tokenweir.log.dropped')
  const rowsDropped = count('tokenweir.ledger.dropped')
  const oldest = snapshot.oldest ?? 'g'
  const upTo = isRunning ? firstIdAt(at - underWayMs) : 'g'
  return [
    difference(`rows without a ${name}`, scratch.missing(source, isRunning ? at - underWayMs : Number.MAX_VALUE, examplesMax), [
      [dropped, `${dropped} dropped and counted`],
    ]),
    difference(`${name}s older than every row`, scratch.rowless(source, { before: oldest }, examplesMax), [
      [count('tokenweir.ledger.expired'), 'rows removed by retention'],
      [rowsDropped, `${rowsDropped} rows dropped and counted`],
    ]),
    difference(`${name}s without a row`, scratch.rowless(source, { from: oldest, upTo }, examplesMax), [
      [rowsDropped, `${rowsDropped} rows dropped and counted`],
    ]),
    difference(`${name}s whose tokens differ from the row's`, scratch.differing(source, examplesMax)),
  ]
}

/** An export without a response is sent again, although the collector may have received it. Only then can a span be there twice. */
function spanTwice({ scratch, counters, options }: Comparison): Difference[] {
  const found = scratch.repeated('span', options.examplesMax)
  const replayed = counters?.total('tokenweir.spool.replayed', { signal: 'traces' }) ?? 0
  const failures = counters?.total('tokenweir.spool.failures', { signal: 'traces' }) ?? 0
  return [
    difference('spans delivered more than once', found, [
      [replayed, `${replayed} left by a process or recorder that was killed were sent by the next`],
      [failures > 0 ? found.count : 0, `${failures} exports failed and were sent again`],
    ]),
  ]
}
