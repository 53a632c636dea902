/**
 * Export: what the ledger's rows say leaves as spans and log records. The SDK is loaded after the start is over; what is recorded before is made of
 * its rows.
 */

import { setImmediate as turn } from 'node:timers/promises'
import type { Queue } from '../ledger/queue.ts'
import { exchangeOfRow } from '../ledger/rows.ts'
import type { Store } from '../ledger/store.ts'
import type { Exchange } from '../lib/exchange.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Generation } from '../telemetry/catalog.ts'
import { type Environment, planTelemetry, type TelemetryPlan } from '../telemetry/environment.ts'
import type { Meter } from '../telemetry/meter.ts'
import { createOutbox, type Outbox, type Rows } from '../telemetry/outbox.ts'
import type { Delivery, Telemetry } from '../telemetry/sdk.ts'
import { createSender, type Sender, type Source } from '../telemetry/sender.ts'
import { recordsOf, type Signal, signals } from '../telemetry/signal.ts'
import { createSpoolCounters } from '../telemetry/spool-counters.ts'

export interface ExportOptions {
  /** The exporters read `process.env` for themselves, so this is normally that. */
  readonly plan: TelemetryPlan
  readonly meter: Meter
  readonly store: Pick<Store, 'queue' | 'instanceId' | 'onCommit' | 'onTick'>
  readonly generation: Generation
  /** `service.version`. */
  readonly version: string
  /** How long an earlier version's packets may wait, in milliseconds; 0 is without limit. */
  readonly leftoverAgeMsMax: number
  /** A line for stderr. */
  readonly report: (line: string) => void
}

export interface Export {
  /** Takes what has ended to where it is to be exported. */
  readonly sink: Sink
  /** Loads the SDK, where something is to be exported, and begins. Resolves always. */
  load(): Promise<void>
  /** Exports what waits. Resolves always. */
  shutdown(): Promise<Unexported>
}

export interface Unexported {
  /** A sentence for each thing that was not exported. */
  readonly lines: readonly string[]
  /** Spans and log records that are in no file either. */
  readonly lost: number
}

/** A signal that is exported. */
interface Exported {
  readonly outbox: Outbox
  readonly sender: Sender
  trim(): void
}

interface Inside {
  readonly options: ExportOptions
  readonly exported: Map<Signal, Exported>
  telemetry: Telemetry | undefined
  loading: Promise<void> | undefined
  /** Makes spans for the console alone. */
  show: ((exchange: Exchange) => void) | undefined
}

/** Reads `env` once; says on `report` what could not be used. */
export function planExport(env: Environment, report: (line: string) => void): TelemetryPlan {
  const plan = planTelemetry(env)
  for (const problem of plan.problems) report(problem)
  return plan
}

export function isExporting({ configFile, traces, metrics, logs }: TelemetryPlan): boolean {
  return configFile !== undefined || traces.length + metrics.length + logs.length > 0
}

export function createExport(options: ExportOptions): Export {
  const { plan, store, meter } = options
  const inside: Inside = { options, exported: new Map(), telemetry: undefined, loading: undefined, show: undefined }
  for (const signal of signals) {
    const isAsked = plan[signal].includes('otlp')
    createSpoolCounters(meter, signal, isAsked)
    // What a file says is known when it is loaded; until then both signals' rows wait.
    if (isAsked || plan.configFile !== undefined) {
      store.queue.begin(signal)
      observeUntilLoaded(inside, signal)
    }
  }
  store.onCommit(({ rowids, last }) => {
    for (const { outbox } of inside.exported.values()) outbox.committed(rowids, last)
  })
  store.onTick(() => trim(inside))
  store.queue.onLost(() => {
    for (const { outbox } of inside.exported.values()) outbox.lost()
  })
  return {
    sink: {
      name: 'span',
      record({ ended }) {
        for (const exchange of ended) inside.show?.(exchange)
        for (const { outbox, sender } of inside.exported.values()) {
          outbox.add(ended)
          sender.arrived()
        }
      },
      async close() {},
    },
    load: () => loadOnce(inside),
    shutdown: () => shutdown(inside),
  }
}

function observeUntilLoaded({ options, exported }: Inside, signal: Signal): void {
  const { meter, store } = options
  const depth = meter.reading('tokenweir.spool.depth', { signal })
  meter.beforeCollect(() => {
    const { queue } = store
    if (!exported.has(signal)) depth.set(queue.countClosed(queue.mark(signal), queue.lastRowid()) + queue.leftover.totals(signal).records)
  })
}

const loadAgainMs = { first: 1000, max: 30_000 }

/** What keeps the SDK from being loaded may pass: no file descriptor may have been left. */
function loadOnce(inside: Inside, againMs = loadAgainMs.first): Promise<void> {
  const { plan, report } = inside.options
  if (!isExporting(plan)) return Promise.resolve()
  inside.loading ??= load(inside).catch((error) => {
    report(`Nothing is exported: OpenTelemetry could not be loaded (${error instanceof Error ? error.message : error}). It is tried again.`)
    inside.loading = undefined
    setTimeout(loadOnce, againMs, inside, Math.min(againMs * 2, loadAgainMs.max)).unref()
  })
  return inside.loading
}

/** In the order in which they need each other. */
const packages = [
  () => import('@opentelemetry/api'),
  () => import('@opentelemetry/core'),
  () => import('@opentelemetry/resources'),
  () => import('@opentelemetry/sdk-metrics'),
  () => import('@opentelemetry/sdk-trace'),
  () => import('@opentelemetry/sdk-logs'),
  () => import('@opentelemetry/otlp-transformer'),
  () => import('@opentelemetry/otlp-exporter-base'),
  () => import('@opentelemetry/otlp-grpc-exporter-base'),
  () => import('@opentelemetry/exporter-trace-otlp-proto'),
  () => import('@opentelemetry/exporter-trace-otlp-grpc'),
  () => import('@opentelemetry/sdk-node'),
]

/** One by one, so that batches are committed between: all at once, the SDK takes 200 ms of a core, and what ended meanwhile would be lost in a kill. */
async function loadPackages(): Promise<void> {
  for (const load of packages) {
    await load()
    await turn()
  }
}

async function load(inside: Inside): Promise<void> {
  const { plan, meter, store, generation, version, report } = inside.options
  await loadPackages()
  const [{ createTelemetry }, { createSpanMaker }, { createLogRecordMaker }] = await Promise.all([
    import('../telemetry/sdk.ts'),
    import('../sinks/span.ts'),
    import('../sinks/otlp-log.ts'),
  ])
  const telemetry = await createTelemetry({
    plan,
    meter,
    version,
    instanceId: store.instanceId(),
    report,
    onRetry: () => countRetry(inside),
  })
  inside.telemetry = telemetry
  const { spans, logs } = telemetry
  if (spans !== undefined) {
    const spanOf = createSpanMaker(spans, generation)
    if (spans.delivery === undefined) inside.show = spanOf
    else inside.exported.set('traces', await begin(inside, 'traces', spanOf, spans.delivery))
  }
  if (logs !== undefined) inside.exported.set('logs', await begin(inside, 'logs', createLogRecordMaker(logs), logs.delivery))
}

/** What an exporter sends again by itself a collector may have twice, like what we send again: both are exports that failed. */
function countRetry({ exported, options }: Inside): void {
  for (const [signal, { sender }] of exported) if (sender.isSending()) createSpoolCounters(options.meter, signal, true).failures.add(1)
}

/** Records in memory that are on disk too, in requests: a busy second. To read one back costs as much as to record one. */
const memoryRequests = 16

async function begin<Content>(
  inside: Inside,
  signal: Signal,
  recordOf: (exchange: Exchange) => Content | undefined,
  delivery: Delivery<Content>,
): Promise<Exported> {
  const { plan, meter, store, report } = inside.options
  const { queue } = store
  const counters = createSpoolCounters(meter, signal, true)
  const leftover = await leftoverOf(inside, signal, delivery)
  const outbox = createOutbox<Content>({
    signal,
    rows: rowsOf(queue, signal),
    meter,
    counters,
    leftover: () => queue.leftover.totals(signal),
    recordOf,
    send: delivery.send,
    memoryRecordsMax: memoryRequests * delivery.requestRecordsMax,
    unwrittenRecordsMax: plan.queue.recordsMax,
    now: Date.now,
  })
  const sources = leftover === undefined ? [outbox] : [leftover, outbox]
  const sender = createSender({ signal, sources, counters, report, recordsMax: delivery.requestRecordsMax, delayMs: delivery.delayMs })
  queue.onOpen(() => {
    outbox.opened()
    sender.leftover()
  })
  return {
    outbox,
    sender,
    trim() {
      if (sender.isSending()) return
      outbox.trim()
      leftover?.trim()
    },
  }
}

/** Loaded only where an earlier version left something. */
async function leftoverOf(
  { options }: Inside,
  signal: Signal,
  { takeRejected }: Delivery<never>,
): Promise<(Source & { trim(): void }) | undefined> {
  const { plan, meter, store, leftoverAgeMsMax: ageMsMax, report } = options
  const packets = store.queue.leftover
  const { records } = packets.totals(signal)
  if (records === 0) return undefined
  const { createLeftoverSource, sendEncoded } = await import('../telemetry/leftover.ts')
  const protocol = signal === 'traces' ? plan.traceProtocol : plan.logProtocol
  const isByFile = plan.configFile !== undefined
  if (isByFile)
    report(
      `${records} ${recordsOf[signal]} of an earlier version wait for a start with OTEL_EXPORTER_OTLP_ENDPOINT and without OTEL_CONFIG_FILE.`,
    )
  const send = isByFile ? () => undefined : sendEncoded(signal, protocol, takeRejected)
  const counters = createSpoolCounters(meter, signal, true)
  return createLeftoverSource({ signal, packets, counters, send, ageMsMax, now: Date.now, commit: store.queue.commit })
}

function rowsOf(queue: Queue, signal: Signal): Rows {
  return {
    mark: () => queue.mark(signal),
    acknowledge: (rowid) => queue.advance(signal, rowid),
    commit: queue.commit,
    isWritten: queue.isWritten,
    leftoverUpTo: queue.leftoverUpTo,
    lastRowid: queue.lastRowid,
    closedAfter: (after, upTo, limit) =>
      queue.closedRows(after, upTo, limit).map((row) => ({ rowid: Number(row['rowid']), exchange: exchangeOfRow(row) })),
    countClosed: queue.countClosed,
    oldestAfter: queue.oldestAfter,
    bytesAfter: queue.bytesAfter,
    trim: () => queue.trim(signal),
  }
}

/** Where a signal is not exported any more, its mark moves on without a count: nothing is lost that anybody asked for. */
function trim({ options, exported, telemetry }: Inside): void {
  try {
    for (const one of exported.values()) one.trim()
    if (telemetry === undefined && isExporting(options.plan)) return
    for (const signal of signals) if (!exported.has(signal)) options.store.queue.trim(signal)
  } catch {
    // A file that cannot be read shows at the next commit.
  }
}

/** Where the collector of spans does not answer, that of metrics, nearly always the same, has this long. */
const metricsGraceMs = 500

async function shutdown(inside: Inside): Promise<Unexported> {
  await loadOnce(inside)
  const left = await Promise.all(
    [...inside.exported].map(async ([signal, { sender, outbox }]) => ({ what: recordsOf[signal], count: await sender.finish(), outbox })),
  )
  inside.options.store.queue.commit() // the last time that what they are made of can be written
  const waiting = left.map(({ what, count, outbox }) => ({ what, lost: Math.min(count, outbox.unwritten()), count }))
  const lines = waiting.flatMap(({ what, count, lost }) => [
    ...(count > lost ? [`${count - lost} ${what} stay in the spool and are sent at the next start.`] : []),
    ...(lost > 0 ? [`${lost} ${what} are lost: the collector did not take them, and their rows are in no ledger.`] : []),
  ])
  const lost = waiting.reduce((sum, one) => sum + one.lost, 0)
  const metrics = inside.telemetry?.shutdown() ?? Promise.resolve([])
  if (lines.length === 0) return { lines: await metrics, lost }
  const late = new Promise<string[]>((resolve) => setTimeout(resolve, metricsGraceMs, ['The last metrics could not be exported.']).unref())
  return { lines: [...lines, ...(await Promise.race([metrics, late]))], lost }
}
