/** exchange → metrics. Every instrument is in `telemetry/catalog.ts`; here is when each is recorded, and with which labels. */
import type { Cost, Ending, Exchange, Usage } from '../../lib/exchange.ts'
import type { Generation } from '../../telemetry/catalog.ts'
import type { Counter, Histogram, Labels, Meter } from '../../telemetry/meter.ts'
import { type GenerationNames, generations } from '../../telemetry/names.ts'
import { createLabelCap, type LabelCap, otherValue } from '../label-cap.ts'
import type { Sink } from '../sink.ts'
import { answeredOf, countStream, type RouteCells, routeCells } from './by-route.ts'
import { createCallers } from './callers.ts'
import { cellOf, createCells } from './cells.ts'
import { type Charge, type ChargesByPayer, createCharges } from './charges.ts'
import { createRateLimits } from './rate-limits.ts'

export interface MetricsOptions {
  readonly meter: Meter
  readonly generation: Generation
  /** Distinct values of a label; see `config.limits.labelValues`. */
  readonly labelValuesMax: number
  /** Names of the operator's labels that are metric labels. */
  readonly metricLabels?: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * Label sets of GenAI operations, for each value that a single label may have. Every label is bounded alone; this bounds what they multiply
 * to. One set is up to 135 lines of a scrape, 30 KB.
 */
const operationsPerValue = 2
/** Payers by operation and route, for each value that a single label may have. One is up to eight lines of a scrape, 2 KB. */
const payersPerValue = 4
/** Limits on rate, for each value that a single label may have: by provider, model, caller and what is limited. Three lines each. */
const limitsPerValue = 4

export interface MetricsSink extends Sink {
  /** Names of the operator's labels that are metric labels from now on. */
  use(metricLabels: readonly string[]): void
}

export function createMetricsSink({ meter, generation, labelValuesMax, metricLabels = [], now = Date.now }: MetricsOptions): MetricsSink {
  let marked = metricLabels
  const cap = createLabelCap(labelValuesMax, meter)
  const charge = createCharges({ meter, cap, marked: () => marked, payersMax: labelValuesMax * payersPerValue })
  const operations = createOperations(meter, cap, generations[generation], labelValuesMax * operationsPerValue, charge)
  const requests = createRequests(meter)
  const capability = createCapability(meter)
  const callers = createCallers(meter)
  const priced = createPriced(meter)
  const rateLimits = createRateLimits(meter, cap, { seriesMax: labelValuesMax * limitsPerValue, now })
  const firstByte = meter.histogram('tokenweir.overhead.first_byte', {})
  return {
    name: 'metrics',
    record({ ended }) {
      for (const exchange of ended) {
        // Most providers are rows of ours, so that refusals may name some: a wrong key shows whose it is.
        const how = answeredOf(exchange)
        const provider = cap.value('gen_ai.provider.name', exchange.provider, how === 'well' ? 'well' : 'failed')
        const caller = cap.value('caller', exchange.caller, how)
        requests(exchange, provider)
        capability(exchange)
        if (exchange.ending.drained !== undefined) recordDrained(meter, exchange.opening.route, exchange.ending.drained)
        callers(exchange, caller)
        if (exchange.cost !== undefined) priced(provider, exchange.cost)
        if (exchange.inference) operations(exchange, provider, caller)
        rateLimits(exchange, provider, caller)
        if (exchange.notes.includes('usage_contradictory')) {
          meter.counter('tokenweir.usage.contradictions', { 'gen_ai.provider.name': provider, 'http.route': exchange.opening.route }).add(1)
        }
        const { firstByteOverheadMs } = exchange.ending
        if (firstByteOverheadMs !== undefined) firstByte.record(firstByteOverheadMs / 1000)
      }
    },
    use(next) {
      marked = next
    },
    async close() {},
  }
}

/** Provider and caller are capped. */
type Recorder = (exchange: Exchange, provider: string | undefined, caller: string | undefined) => void

function createRequests(meter: Meter): (exchange: Exchange, provider: string | undefined) => void {
  const counters = createCells<Counter>()
  const durations = createCells<Histogram>()
  return ({ opening, ending, endReason, usageOutcome, usageReason }, provider) => {
    const { method, route } = opening
    const counter = () =>
      meter.counter('tokenweir.requests', {
        'gen_ai.provider.name': provider,
        'http.route': route,
        usage_outcome: usageOutcome,
        reason: usageReason,
        end_reason: endReason,
      })
    cellOf(counters, [provider, route, usageOutcome, usageReason, endReason], counter).add(1)

    const duration = () =>
      meter.histogram('http.server.request.duration', {
        'http.request.method': method,
        'url.scheme': 'http',
        'http.response.status_code': ending.status,
        'http.route': route,
      })
    cellOf(durations, [method, ending.status, route], duration).record(ending.endMs / 1000)
  }
}

/** A counter of its own: as a label, the status would multiply the series of `tokenweir.requests`. */
function createPriced(meter: Meter): (provider: string | undefined, cost: Cost) => void {
  const counters = createCells<Counter>()
  return (provider, { status }) => {
    const counter = () => meter.counter('tokenweir.cost.requests', { 'gen_ai.provider.name': provider, price_status: status })
    cellOf(counters, [provider, status], counter).add(1)
  }
}

function recordDrained(meter: Meter, route: string, { bytes, ms }: NonNullable<Ending['drained']>): void {
  meter.counter('tokenweir.drained', { 'http.route': route }).add(bytes)
  meter.counter('tokenweir.drain.time', { 'http.route': route }).add(ms / 1000)
}

/** Notes of the proxying thread, and what they say of the upstream. */
const capabilityNotes = { usage_injected: 'accepted', usage_injection_refused: 'refused' } as const

/** Upstreams are the configured ones, so the series are few. */
function createCapability(meter: Meter): (exchange: Exchange) => void {
  return ({ opening, notes }) => {
    const note = notes.find((one): one is keyof typeof capabilityNotes => one in capabilityNotes)
    if (note === undefined) return
    const labels = { upstream: `${opening.serverAddress}:${opening.serverPort}`, feature: 'stream_options' }
    for (const state of Object.values(capabilityNotes)) {
      meter.reading('tokenweir.capability', { ...labels, state }).set(state === capabilityNotes[note] ? 1 : 0)
    }
  }
}

/** The cells of one label set, each made when it is first recorded. */
interface Operation {
  readonly labels: Labels
  readonly duration: Histogram
  timeToFirstChunk: Histogram | undefined
  timePerOutputChunk: Histogram | undefined
  timePerOutputToken: Histogram | undefined
  /** What is counted by route besides; routes are the configured ones. */
  readonly byRoute: Map<string, RouteCells>
  readonly charges: ChargesByPayer
  /** By the order of the generation's `tokenHistograms` and `tokenCounters`. */
  readonly tokenHistograms: (Histogram | undefined)[]
  readonly tokenCounters: (Counter | undefined)[]
}

function createOperations(meter: Meter, cap: LabelCap, names: GenerationNames, operationsMax: number, charge: Charge): Recorder {
  const known = createCells<Operation>()
  const overflow = meter.counter('tokenweir.label_overflow', { label: 'gen_ai.operation.name' })

  function find(exchange: Exchange, provider: string | undefined): Operation {
    const { opening, request, response } = exchange
    const operation = cap.value('gen_ai.operation.name', exchange.operation)
    const models = cap.models(request?.model, response?.model, answeredOf(exchange))
    const errorType = cap.value('error.type', exchange.errorType)
    const key = [operation, provider, models.request, models.response, opening.serverAddress, opening.serverPort, errorType]
    let found = known.get(key)
    if (found !== undefined) return found
    const isOverflow = known.size() >= operationsMax
    if (isOverflow) overflow.add(1)
    const labels = isOverflow
      ? everyOther
      : {
          'gen_ai.operation.name': operation,
          'gen_ai.provider.name': provider,
          'gen_ai.request.model': models.request,
          'gen_ai.response.model': models.response,
          'server.address': opening.serverAddress,
          'server.port': opening.serverPort,
        }
    found = newOperation(labels, meter.histogram(names.duration, { ...labels, 'error.type': isOverflow ? undefined : errorType }))
    if (!isOverflow) known.set(key, found)
    return found
  }

  return (exchange, provider, caller) => {
    const cells = find(exchange, provider)
    cells.duration.record(exchange.ending.endMs / 1000)
    const usage = exchange.response?.usage
    // Ours alone counts what the caller reports itself: backends would add up the two spans' usage.
    if (usage !== undefined && exchange.opening.usageByCaller !== true) recordTokens(meter, names, cells, usage)
    charge(exchange, caller, cells.labels, cells.charges)
    if (exchange.ending.streamed) recordStream(meter, names, cells, exchange)
  }
}

const everyOther: Labels = {
  'gen_ai.operation.name': otherValue,
  'gen_ai.provider.name': otherValue,
  'gen_ai.request.model': otherValue,
  'gen_ai.response.model': otherValue,
  'server.address': otherValue,
}

function newOperation(labels: Labels, duration: Histogram): Operation {
  const none = undefined
  return {
    labels,
    duration,
    timeToFirstChunk: none,
    timePerOutputChunk: none,
    timePerOutputToken: none,
    byRoute: new Map(),
    charges: createCells(),
    tokenHistograms: [],
    tokenCounters: [],
  }
}

/** A count that was not reported is not recorded; a zero that was reported is. */
function recordTokens(meter: Meter, names: GenerationNames, cells: Operation, usage: Usage): void {
  names.tokenHistograms.forEach(({ count, metric, labels }, index) => {
    const tokens = usage[count]
    if (tokens === undefined) return
    cells.tokenHistograms[index] ??= meter.histogram(metric, { ...cells.labels, ...labels })
    cells.tokenHistograms[index].record(tokens)
  })
  names.tokenCounters.forEach(({ count, metric, labels }, index) => {
    const tokens = usage[count]
    if (tokens === undefined) return
    cells.tokenCounters[index] ??= meter.counter(metric, { ...cells.labels, ...labels })
    cells.tokenCounters[index].add(tokens)
  })
}

function recordStream(meter: Meter, names: GenerationNames, cells: Operation, exchange: Exchange): void {
  const { firstChunkMs, lastChunkMs, chunkCount, framing } = exchange.ending
  // A connection that is talked on for an hour has no first chunk that anybody waited for.
  const isTimed = framing !== 'websocket'
  if (isTimed && firstChunkMs !== undefined) {
    cells.timeToFirstChunk ??= meter.histogram(names.timeToFirstChunk, cells.labels)
    cells.timeToFirstChunk.record(firstChunkMs / 1000)
  }
  // The conventions record every chunk. That would be a clock reading and a message between threads for each; the mean of one stream tells
  // a slow model from a fast one as well, and a stall shows in the duration.
  if (isTimed && firstChunkMs !== undefined && lastChunkMs !== undefined && chunkCount > 1) {
    cells.timePerOutputChunk ??= meter.histogram(names.timePerOutputChunk, cells.labels)
    cells.timePerOutputChunk.record((lastChunkMs - firstChunkMs) / 1000 / (chunkCount - 1))
  }
  if (exchange.timePerOutputTokenMs !== undefined) {
    cells.timePerOutputToken ??= meter.histogram('gen_ai.server.time_per_output_token', cells.labels)
    cells.timePerOutputToken.record(exchange.timePerOutputTokenMs / 1000)
  }
  countStream(meter, routeCells(cells.byRoute, cells.labels, exchange.opening.route), exchange)
}
