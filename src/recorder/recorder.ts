/** The recorder's thread: owns every sink and the page, so that no fsync, export or serialisation can delay a chunk. */
import { readFileSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { createAccess } from '../admin/access.ts'
import { connectionOver } from '../admin/connection.ts'
import type { Peer, RecordsState } from '../admin/front.ts'
import { createPage, type PageSetup } from '../admin/page-routes.ts'
import { metricsRoute } from '../admin/routes.ts'
import { closeServer, createAdminServer, isLoopback } from '../admin/server.ts'
import { createEstimator } from '../conclude/estimates/estimator.ts'
import { createLabelReader, type LabelReader } from '../conclude/labels.ts'
import { createPricer } from '../conclude/pricing/pricer.ts'
import { loadPriceTable } from '../conclude/pricing/table.ts'
import type { Config } from '../config/config.ts'
import { wordFor } from '../config/labels.ts'
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
import { createLogLine } from '../sinks/log-line.ts'
import { createMetricsSink } from '../sinks/metrics/metrics.ts'
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
import { createUnpacker, type Unpacker } from './unpack.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
/** By message, in order with all others: what a thread writes to stderr right before its end may not arrive. */
const write = (message: string) => parentPort?.postMessage({ kind: 'problem', message, fatal: false } satisfies FromRecorder)
const report = createLineLimit({ write, now: () => performance.now() })

interface Recorder {
  /** Takes a connection to the admin port. */
  admin(port: MessagePort, peer: Peer): void
  state(): RecordsState
  /** `resent`: some of it may be recorded already. */
  record(batch: Packed, resent: boolean): void
  /** Loads what the start did not wait for. */
  load(): void
  /** Writes everything, and exports what can be exported within the deadline; the rest stays in the spool. How many records are lost. */
  close(deadlineMs: number): Promise<number>
}

/** Rejects with the sentence that mends it: a ledger that cannot be written. */
async function startRecorder(data: RecorderData): Promise<Recorder> {
  const config = revivedConfig(data.config)
  const cells = new Int32Array(data.cells)
  const meter = createMeter(Date.now)
  const plan = planExport(process.env, report)
  const store = openStore({ path: config.ledger, shape: ledgerShape, meter, report, ...storeLimits(config) })
  const terminalColumns = () => Atomics.load(cells, Cell.terminalColumns)
  const line = createLogLine({ format: config.logFormat, terminalColumns, env: process.env })
  const log = createLogSink({ meter, onMark: (rowid) => store.remember('log_mark', rowid), line })
  store.onCommit(({ last }) => last > 0 && log.letOut(last))
  const leftoverAgeMsMax = config.retention.spoolDays * dayMs
  const exported = createExport({ plan, meter, store, generation: config.semconv, version, leftoverAgeMsMax, report })
  const live = createLiveSink({ columns: listedColumns, bucketOf, now: () => performance.now() })
  const pricer = createPricer({ prices: config.prices, loadTable: () => loadPriceTable(config.pricesFile) })
  const estimator = config.estimates.enabled ? createEstimator({ bodyBytesMax: config.limits.bodyBytes }) : undefined
  const paths = [config.callerNamesFile, ...config.labels.map(({ mapFile }) => mapFile)]
  // All of it before the first batch: a kill must not find an exchange that waits for something to be loaded.
  const [priceWatch, mapFiles] = await Promise.all([
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
  const reader = createReader({ path: config.ledger })
  const admin = createAdmin(config, { cells, store, meter, live, reader, pricesDate: pricer.date, exports: isExporting(plan) })
  const budgets = createBudgets({ budgets: config.budgets, meter, report, now: Date.now, spentBefore: spentBefore(reader, store) })
  const ledger = createLedgerSink(store)
  const fanOut = createFanOut([ledger, metrics, budgets, exported.sink, log, live], meter, report)
  const counting = recordReadings(meter, cells, {
    before: data.restarted === true ? String(store.recall('gauges') ?? '') : undefined,
    keep: (cells) => store.remember('gauges', cells),
  })
  store.onTick(counting.count)
  const showWaiting = () => void Atomics.store(cells, Cell.rowsWaiting, store.waiting())
  store.onCommit(showWaiting)
  const keep = createKeeper({ fanOut, store, log })
  store.recover(recoverWith({ ...keep, log, meter, restarted: data.restarted === true }))
  const labelsOf = labelReader(config, meter, mapFiles)
  const { unpack, openings } = createUnpack(createAssessment({ config, pricer, estimator, labelsOf }), config, meter, mapFiles)
  // What is open stood in the file that is gone.
  store.queue.onLost(() => ledger.record({ opened: openings(), ended: [] }))
  return {
    admin: admin.connect,
    state: () => ({ instance: store.instanceId(), problems: store.problems(), pricesDate: pricer.date() }),
    record(packed, resent) {
      keep.gather(unpack(resent ? withoutClosed(packed, store.isClosed) : packed))
      keep.commit()
      showWaiting()
    },
    load: () => void exported.load(),
    async close(deadlineMs) {
      keep.commit()
      // Side by side: a log whose reader has stopped reading must not keep spans from their collector.
      const left = (await within(deadlineMs, Promise.all([exported.shutdown(), fanOut.close()])))?.[0]
      for (const line of left?.lines ?? [`The recorder gave up after ${deadlineMs} ms: what was not exported stays in the spool.`])
        report(line)
      counting.stop()
      priceWatch.stop()
      const lostRows = store.close()
      await admin.close()
      return lostRows + (left?.lost ?? 0)
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
  readonly store: Pick<Store, 'isWritable' | 'problems'>
  readonly meter: Meter
  readonly live: LiveSink
  readonly reader: Reader
  readonly pricesDate: () => string | undefined
  /** Something is sent to a collector. */
  readonly exports: boolean
}

interface Admin {
  connect(port: MessagePort, peer: Peer): void
  close(): Promise<void>
}

function createAdmin(config: Config, { cells, store, meter, live, reader, pricesDate, exports }: AdminParts): Admin {
  const { admin: address, adminToken: token, ledger: path } = config
  const setup: PageSetup = {
    ledger: path,
    capture: config.capture,
    listen: config.listen,
    routes: config.routes.map(({ name, prefix, upstream }) => ({ name, prefix, upstream: `${upstream.origin}${upstream.pathname}` })),
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
    problems: store.problems,
    collect: meter.collect,
    now: Date.now,
    uptime: process.uptime,
    version,
    pricesDate,
    setup,
  })
  const server = createAdminServer({ address, routes: [metricsRoute(() => prometheusText(meter.collect())), ...page.routes], report })
  return {
    connect: (port, peer) => void server.emit('connection', Object.assign(connectionOver(port), peer)),
    async close() {
      page.close()
      await Promise.all([closeServer(server), reader.close()])
    },
  }
}

function createUnpack(assessment: Assessment, config: Config, meter: Meter, mapFiles: MapFiles): Unpacker {
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

/** A commit that is tried again changes the state without a batch. */
const stateMs = 1000

/** After the start, which the SDK would delay by half a second. */
const loadAfterMs = 250

/** What the thread answers, from its first message to its last. After a start that failed it only says so, and waits to be closed. */
function serve(port: MessagePort, data: RecorderData): void {
  const tell = (message: FromRecorder) => port.postMessage(message)
  const cells = new Int32Array(data.cells)
  const started = startRecorder(data)
  const priority = createPriority()
  let told = ''
  const tellState = (recorder: Recorder) => {
    const state = recorder.state()
    const text = JSON.stringify(state)
    if (text !== told) tell({ kind: 'state', state })
    told = text
  }
  /** What the next message waits for. They are handled in the order in which they came. */
  const prepared: Promise<Recorder | undefined> = started.then(
    (recorder) => {
      tellState(recorder)
      setInterval(tellState, stateMs, recorder).unref()
      tell({ kind: 'ready' })
      // Whoever asks whether it is ready is answered first.
      setTimeout(recorder.load, loadAfterMs).unref()
      return recorder
    },
    (error) => {
      tell({ kind: 'problem', message: error instanceof Error ? error.message : String(error), fatal: true })
      return undefined
    },
  )
  const handle = async (message: ToRecorder, recorder: Recorder | undefined) => {
    switch (message.kind) {
      case 'admin':
        if (recorder === undefined) message.port.close()
        else recorder.admin(message.port, message.peer)
        return
      case 'batch':
        priority.adapt(Atomics.load(cells, Cell.unrecorded))
        recorder?.record(message.batch, message.resent === true)
        if (recorder !== undefined) tellState(recorder)
        tell({ kind: 'recorded', ended: message.batch.ended.length })
        return
      case 'close': {
        const lost = await recorder?.close(message.deadlineMs).catch((error) => {
          report(`The recorder failed to close: ${error instanceof Error ? error.message : String(error)}`)
          return 0
        })
        tell({ kind: 'closed', lost: lost ?? 0 })
        port.close()
      }
    }
  }
  port.on('message', async (message: ToRecorder) => handle(message, await prepared))
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
