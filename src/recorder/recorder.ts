/** The recorder's thread: owns every sink and the admin port, so that no fsync, export or serialisation can delay a chunk. */
import { readFileSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { createAccess } from '../admin/access.ts'
import { createPage, type PageSetup } from '../admin/page-routes.ts'
import { adminRoutes } from '../admin/routes.ts'
import { isLoopback, startAdmin } from '../admin/server.ts'
import { createEstimator } from '../conclude/estimates/estimator.ts'
import { createLabelReader, type LabelReader } from '../conclude/labels.ts'
import { createPricer } from '../conclude/pricing/pricer.ts'
import { loadPriceTable } from '../conclude/pricing/table.ts'
import type { Config } from '../config/config.ts'
import { bucketOf } from '../ledger/queries/quantiles.ts'
import { listedColumns } from '../ledger/queries/queries.ts'
import { createReader, type Reader } from '../ledger/queries/reader.ts'
import { openStore, type Store } from '../ledger/store.ts'
import { readSalt } from '../lib/salt.ts'
import { Cell } from '../lib/shared-counters.ts'
import { type BudgetsOptions, createBudgets } from '../sinks/budgets.ts'
import { createFanOut } from '../sinks/fan-out.ts'
import { createLedgerSink, ledgerShape } from '../sinks/ledger.ts'
import { createLiveSink, type LiveSink } from '../sinks/live.ts'
import { createLogSink } from '../sinks/log.ts'
import { createMetricsSink } from '../sinks/metrics/metrics.ts'
import type { Batch } from '../sinks/sink.ts'
import { createLineLimit } from '../telemetry/line-limit.ts'
import { createMeter, type Meter } from '../telemetry/meter.ts'
import { prometheusText } from '../telemetry/prometheus.ts'
import { type Assessment, createAssessment } from './assess.ts'
import type { FromRecorder, Packed, ToRecorder } from './batch.ts'
import { type RecorderData, revivedConfig } from './data.ts'
import { createExport, isExporting, planExport } from './export.ts'
import { createKeeper, recoverWith, withoutClosed } from './keep.ts'
import { createMapFiles, type MapFiles } from './map-files.ts'
import { watchPrices } from './prices.ts'
import { createPriority } from './priority.ts'
import { recordReadings } from './readings.ts'
import { createUnpacker } from './unpack.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
const report = createLineLimit({ write: (line) => process.stderr.write(`tokenweir: ${line}\n`), now: () => performance.now() })

interface Recorder {
  readonly adminPort: number
  /** `resent`: some of it may be recorded already. */
  record(batch: Packed, resent: boolean): void
  /** Loads what the start did not wait for. */
  load(): void
  /** Writes everything, and exports what can be exported within the deadline; the rest stays in the spool. */
  close(deadlineMs: number): Promise<void>
}

/** Rejects with the sentence that mends it: a ledger that cannot be written, an admin port in use. */
async function startRecorder(data: RecorderData): Promise<Recorder> {
  const config = revivedConfig(data.config)
  const cells = new Int32Array(data.cells)
  const meter = createMeter(Date.now)
  const plan = planExport(process.env, report)
  const store = openStore({ path: config.ledger, shape: ledgerShape, meter, report, ...storeLimits(config) })
  const log = createLogSink({ meter, onMark: (rowid) => store.remember('log_mark', rowid) })
  store.onCommit(({ last }) => last > 0 && log.letOut(last))
  const leftoverAgeMsMax = config.retention.spoolDays * dayMs
  const exported = createExport({ plan, meter, store, generation: config.semconv, version, leftoverAgeMsMax, report })
  const live = createLiveSink({ columns: listedColumns, bucketOf, now: () => performance.now() })
  const pricer = createPricer({ prices: config.prices, loadTable: () => loadPriceTable(config.pricesFile) })
  const estimator = config.estimates.enabled ? createEstimator({ bodyBytesMax: config.limits.bodyBytes }) : undefined
  const reader = createReader({ path: config.ledger })
  const paths = [config.callerNamesFile, ...config.labels.map(({ mapFile }) => mapFile)]
  // All of it before the first batch: a kill must not find an exchange that waits for something to be loaded.
  const [admin, priceWatch, mapFiles] = await Promise.all([
    openAdmin(config, { cells, store, meter, live, reader, pricesDate: pricer.date, exports: isExporting(plan) }),
    watchPrices({ pricer, file: config.pricesFile, meter, report, now: Date.now }),
    createMapFiles({ paths, report, now: () => performance.now() }),
    estimator?.load().catch(reported('Nothing is estimated: the tokenizer could not be loaded')),
  ]).catch((error) => {
    store.close()
    throw error
  })
  const metrics = createMetricsSink({
    ...{ meter, generation: config.semconv, labelValuesMax: config.limits.labelValues },
    metricLabels: config.labels.filter(({ metric }) => metric).map(({ name }) => name),
  })
  const budgets = createBudgets({ budgets: config.budgets, meter, report, now: Date.now, spentBefore: spentBefore(reader, store) })
  const fanOut = createFanOut([createLedgerSink(store), metrics, budgets, exported.sink, log, live], meter, report)
  const counting = recordReadings(meter, cells, {
    before: data.restarted === true ? String(store.recall('gauges') ?? '') : undefined,
    keep: (cells) => store.remember('gauges', cells),
  })
  store.onTick(counting.count)
  const keep = createKeeper({ fanOut, store, log })
  store.recover(recoverWith({ ...keep, log, meter, restarted: data.restarted === true }))
  const labelsOf = labelReader(config, meter, mapFiles)
  const unpack = createUnpack(createAssessment({ config, pricer, estimator, labelsOf }), config, meter, mapFiles)
  return {
    adminPort: admin.port,
    record(packed, resent) {
      keep.gather(unpack(resent ? withoutClosed(packed, store.isClosed) : packed))
      keep.commit()
    },
    load: () => void exported.load(),
    async close(deadlineMs) {
      keep.commit()
      // Side by side: a log whose reader has stopped reading must not keep spans from their collector.
      const lines = await within(deadlineMs, Promise.all([exported.shutdown(), fanOut.close()]))
      for (const line of lines?.[0] ?? [`The recorder gave up after ${deadlineMs} ms: what was not exported stays in the spool.`])
        report(line)
      counting.stop()
      priceWatch.stop()
      store.close()
      await admin.close()
    },
  }
}

const dayMs = 86_400_000

function storeLimits({ retention }: Config) {
  return {
    retention: { ageMsMax: retention.days * dayMs, bytesMax: retention.bytes },
    spool: { bytesMax: retention.spoolBytes, ageMsMax: retention.spoolDays * dayMs },
  }
}

function reported(sentence: string): (error: unknown) => void {
  return (error) => report(`${sentence} (${error instanceof Error ? error.message : String(error)}).`)
}

/** Rows that are there at the start were written by others; those that come are counted as they are recorded. */
function spentBefore(reader: Reader, store: Store): BudgetsOptions['spentBefore'] {
  const rowidMax = store.isWritable() ? store.queue.lastRowid() : Number.MAX_SAFE_INTEGER
  return (range, where) => reader.ask({ kind: 'spent', range, where, rowidMax })
}

function labelReader({ labels, ledger }: Config, meter: Meter, mapFiles: MapFiles): LabelReader | undefined {
  if (labels.length === 0) return undefined
  return createLabelReader({
    labels,
    mapOf: ({ mapFile }) => mapFiles(mapFile),
    salt: labels.some(({ hash }) => hash) ? readSalt(`${ledger}.salt`) : undefined,
    onDropped: (label, reason) => meter.counter('tokenweir.labels.dropped', { label, reason }).add(1),
  })
}

interface AdminParts {
  readonly cells: Int32Array
  readonly store: Pick<Store, 'isWritable'>
  readonly meter: Meter
  readonly live: LiveSink
  readonly reader: Reader
  readonly pricesDate: () => string | undefined
  /** Something is sent to a collector. */
  readonly exports: boolean
}

async function openAdmin(
  config: Config,
  { cells, store, meter, live, reader, pricesDate, exports }: AdminParts,
): Promise<{ port: number; close(): Promise<void> }> {
  const { admin: address, adminToken: token, ledger: path } = config
  const setup: PageSetup = {
    ledger: path,
    capture: config.capture,
    routes: config.routes.map(({ name }) => name),
    labels: config.labels.map(({ name }) => name),
    exports,
    traceUrl: config.traceUrl,
  }
  const page = createPage({
    access: createAccess({ token, isLoopback: isLoopback(address.host), now: Date.now }),
    reader,
    live,
    open: () => Atomics.load(cells, Cell.open),
    isLedgerWritable: store.isWritable,
    collect: meter.collect,
    now: Date.now,
    uptime: process.uptime,
    version,
    pricesDate,
    setup,
  })
  const state = {
    cells,
    isLedgerWritable: store.isWritable,
    scrape: () => prometheusText(meter.collect()),
    uptime: process.uptime,
    pricesDate,
  }
  const server = await startAdmin({ address, routes: [...adminRoutes(state), ...page.routes], report })
  return {
    port: server.port,
    async close() {
      page.close()
      await Promise.all([server.close(), reader.close()])
    },
  }
}

function createUnpack(assessment: Assessment, config: Config, meter: Meter, mapFiles: MapFiles): (packed: Packed) => Batch {
  const unknown = meter.counter('tokenweir.exchanges.dropped', { reason: 'unknown' })
  const failures = meter.counter('tokenweir.observer.failures', {})
  return createUnpacker({
    ...assessment,
    limits: config.limits,
    nameOf: (caller) => wordFor(caller, mapFiles(config.callerNamesFile)) ?? wordFor(caller, config.callerNames),
    onUnknown: () => unknown.add(1),
    onFailure(error) {
      failures.add(1)
      report(`An exchange could not be read: ${error instanceof Error ? error.message : String(error)}`)
    },
  })
}

function wordFor(value: string, words: Readonly<Record<string, string>> | undefined): string | undefined {
  return words !== undefined && Object.hasOwn(words, value) ? words[value] : undefined
}

/** After the start, which the SDK would delay by half a second. */
const loadAfterMs = 250

/** What the thread answers, from its first message to its last. After a start that failed it only says so, and waits to be closed. */
function serve(port: MessagePort, data: RecorderData): void {
  const tell = (message: FromRecorder) => port.postMessage(message)
  const cells = new Int32Array(data.cells)
  const started = startRecorder(data)
  const priority = createPriority()
  /** What the next message waits for. They are handled in the order in which they came. */
  const prepared: Promise<Recorder | undefined> = started.then(
    (recorder) => {
      tell({ kind: 'ready', adminPort: recorder.adminPort })
      // Whoever asks whether it is ready is answered first.
      setTimeout(recorder.load, loadAfterMs).unref()
      return recorder
    },
    (error) => {
      tell({ kind: 'problem', message: error instanceof Error ? error.message : String(error), fatal: true })
      return undefined
    },
  )
  port.on('message', async (message: ToRecorder) => {
    const recorder = await prepared
    if (message.kind === 'batch') {
      const { batch } = message
      priority.adapt(Atomics.load(cells, Cell.unrecorded))
      recorder?.record(batch, message.resent === true)
      tell({ kind: 'recorded', ended: batch.ended.length })
      return
    }
    await recorder?.close(message.deadlineMs).catch((error) => {
      report(`The recorder failed to close: ${error instanceof Error ? error.message : String(error)}`)
    })
    tell({ kind: 'closed' })
    port.close()
  })
}

/** Undefined when it took longer. */
async function within<T>(deadlineMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, undefined)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

if (parentPort !== null) {
  const data = workerData as RecorderData
  if (data.env !== undefined) {
    for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]
    Object.assign(process.env, data.env)
  }
  serve(parentPort, data)
}
