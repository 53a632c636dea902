/** The recorder's thread: owns every sink and the page, so that no fsync, export or serialisation can delay a chunk. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { createChangingAccess } from '../admin/access.ts'
import { connectionOver } from '../admin/connection.ts'
import type { Peer, RecordsState } from '../admin/front.ts'
import { createPage, type PageSetup } from '../admin/page-routes.ts'
import { metricsRoute } from '../admin/routes.ts'
import { closeServer, createAdminServer, isLoopback } from '../admin/server.ts'
import type { Config } from '../config/config.ts'
import { bucketOf } from '../ledger/queries/quantiles.ts'
import { listedColumns } from '../ledger/queries/queries.ts'
import { createReader, type Reader } from '../ledger/queries/reader.ts'
import { openStore, type Store } from '../ledger/store.ts'
import { containerOf } from '../lib/container.ts'
import { packageVersion } from '../lib/program.ts'
import { Cell } from '../lib/shared-counters.ts'
import { type UpstreamChange, upstreamLabel } from '../lib/upstream-health.ts'
import { type BudgetsOptions, createBudgets } from '../sinks/budgets.ts'
import { createFanOut } from '../sinks/fan-out.ts'
import { createLedgerSink, ledgerShape } from '../sinks/ledger.ts'
import { createLiveSink, type LiveSink } from '../sinks/live.ts'
import { createLogSink } from '../sinks/log.ts'
import { createLogLine } from '../sinks/log-line.ts'
import { createMetricsSink } from '../sinks/metrics/metrics.ts'
import { createUpstreamMetrics } from '../sinks/metrics/upstreams.ts'
import { createLineLimit } from '../telemetry/line-limit.ts'
import { createMeter, type Meter } from '../telemetry/meter.ts'
import { prometheusText } from '../telemetry/prometheus.ts'
import type { FromRecorder, Packed, ToRecorder } from './batch.ts'
import { type RecorderData, revivedConfig } from './data.ts'
import { createExport, isExporting, planExport } from './export.ts'
import { createKeeper, recoverWith, withoutClosed } from './keep.ts'
import { createMistakesSink } from './mistakes.ts'
import { createPriority } from './priority.ts'
import { recordReadings } from './readings.ts'
import { createSettings, type Settings } from './settings.ts'
import { createUnpacker, type Unpacker } from './unpack.ts'

const version = packageVersion()
/** By message, in order with all others: what a thread writes to stderr right before its end may not arrive. */
const write = (message: string) => parentPort?.postMessage({ kind: 'problem', message, fatal: false } satisfies FromRecorder)
const report = createLineLimit({ write, now: () => performance.now() })

interface Recorder {
  /** Takes a connection to the admin port. */
  admin(port: MessagePort, peer: Peer): void
  state(): RecordsState
  /** `resent`: some of it may be recorded already. */
  record(batch: Packed, resent: boolean): void
  /** Settings that hold from now on. Resolves, with the files that were read, when they do in all. */
  use(config: Config): Promise<readonly string[]>
  upstreams(changes: readonly UpstreamChange[]): void
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
  const lineOf = ({ logFormat: format }: Config) => createLogLine({ format, terminalColumns, env: process.env })
  let line = lineOf(config)
  const log = createLogSink({ meter, onMark: (rowid) => store.remember('log_mark', rowid), line: (...row) => line(...row) })
  store.onCommit(({ last }) => last > 0 && log.letOut(last))
  const leftoverAgeMsMax = config.retention.spoolDays * dayMs
  const exported = createExport({ plan, meter, store, generation: config.semconv, version, leftoverAgeMsMax, report })
  const live = createLiveSink({ columns: listedColumns, bucketOf, now: () => performance.now() })
  const settings = await createSettings({ config, meter, report }).catch((error) => {
    store.close()
    throw error
  })
  const metrics = createMetricsSink({
    ...{ meter, generation: config.semconv, labelValuesMax: config.limits.labelValues, metricLabels: metricLabels(config) },
  })
  const reader = createReader({ path: config.ledger })
  const admin = createAdmin(config, { cells, store, meter, live, reader, pricesDate: settings.pricesDate, exports: isExporting(plan) })
  const budgets = createBudgets({ budgets: config.budgets, meter, report, now: Date.now, spentBefore: spentBefore(reader, store) })
  const ledger = createLedgerSink(store)
  const mistakes = createMistakesSink({ routes: config.routes, container: containerOf(process.env), report })
  const fanOut = createFanOut([ledger, metrics, budgets, exported.sink, log, live, mistakes], meter, report)
  const counting = recordReadings(meter, cells, {
    before: data.restarted === true ? String(store.recall('gauges') ?? '') : undefined,
    keep: (cells) => store.remember('gauges', cells),
  })
  store.onTick(counting.count)
  const showWaiting = () => void Atomics.store(cells, Cell.rowsWaiting, store.waiting())
  store.onCommit(showWaiting)
  const keep = createKeeper({ fanOut, store, log })
  store.recover(recoverWith({ ...keep, log, meter, restarted: data.restarted === true }))
  const { unpack, openings } = createUnpack(settings, meter)
  const upstreams = createUpstreamMetrics(meter)
  // What is open stood in the file that is gone.
  store.queue.onLost(() => ledger.record({ opened: openings(), ended: [] }))
  return {
    admin: admin.connect,
    state: () => ({ instance: store.instanceId(), problems: store.problems(), pricesDate: settings.pricesDate() }),
    record(packed, resent) {
      keep.gather(unpack(resent ? withoutClosed(packed, store.isClosed) : packed))
      keep.commit()
      showWaiting()
    },
    async use(next) {
      store.limit(storeLimits(next))
      metrics.use(metricLabels(next))
      budgets.use(next.budgets, spentBefore(reader, store))
      line = lineOf(next)
      mistakes.use(next.routes)
      upstreams.keep(next.routes.map(({ upstream }) => upstreamLabel(upstream)))
      admin.use(next)
      return settings.use(next)
    },
    upstreams: upstreams.record,
    load: () => void exported.load(),
    async close(deadlineMs) {
      keep.commit()
      // Side by side: a log whose reader has stopped reading must not keep spans from their collector.
      const left = (await within(deadlineMs, Promise.all([exported.shutdown(), fanOut.close()])))?.[0]
      for (const line of left?.lines ?? [`The recorder gave up after ${deadlineMs} ms: what was not exported stays in the spool.`])
        report(line)
      counting.stop()
      settings.stop()
      const lostRows = store.close()
      await admin.close()
      return lostRows + (left?.lost ?? 0)
    },
  }
}

const dayMs = 86_400_000

function storeLimits({ retention, labels }: Config) {
  return {
    retention: { ageMsMax: retention.days * dayMs, bytesMax: retention.bytes, rollupAgeMsMax: retention.rollupDays * dayMs },
    rollupLabels: metricLabels({ labels }),
    spool: { bytesMax: retention.spoolBytes, ageMsMax: retention.spoolDays * dayMs },
  }
}

const metricLabels = ({ labels }: Pick<Config, 'labels'>) => labels.filter(({ metric }) => metric).map(({ name }) => name)

/** Rows that are there now were recorded before; those that come are counted as they are recorded, under higher rowids. */
function spentBefore(reader: Reader, store: Store): BudgetsOptions['spentBefore'] {
  const rowidMax = store.isWritable() ? store.queue.lastRowid() : Number.MAX_SAFE_INTEGER
  return (range, where) => reader.ask({ kind: 'spent', range, where, rowidMax })
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
  use(config: Config): void
  close(): Promise<void>
}

function createAdmin(first: Config, { cells, store, meter, live, reader, pricesDate, exports }: AdminParts): Admin {
  let config = first
  const address = first.admin
  const setup = (): PageSetup => ({
    ledger: config.ledger,
    capture: config.capture,
    // The page knows no address of a socket's file, as of a port that the kernel chose.
    listen: {
      scheme: config.tls === undefined ? 'http' : 'https',
      host: config.listen.host,
      port: config.listen.unix === undefined ? config.listen.port : 0,
    },
    routes: config.routes.map(({ name, prefix, upstream }) => ({
      name,
      prefix,
      upstream: `${upstream.protocol}//${upstream.host}${upstream.pathname}`,
    })),
    labels: config.labels.map(({ name }) => name),
    exports,
    traceUrl: config.traceUrl,
  })
  const page = createPage({
    access: createChangingAccess({ token: () => config.adminToken, isLoopback: isLoopback(address.host), now: Date.now }),
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
    use(next) {
      config = next
    },
    async close() {
      page.close()
      await Promise.all([closeServer(server), reader.close()])
    },
  }
}

function createUnpack({ readRequest, conclude, nameOf }: Settings, meter: Meter): Unpacker {
  const unknown = meter.counter('tokenweir.exchanges.dropped', { reason: 'unknown' })
  const failures = meter.counter('tokenweir.observer.failures', {})
  return createUnpacker({
    ...{ readRequest, conclude, nameOf },
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
      case 'settings': {
        const files = await recorder?.use(revivedConfig(message.config)).catch((error) => {
          report(`The recorder could not take all new settings: ${error instanceof Error ? error.message : String(error)}`)
          return []
        })
        tell({ kind: 'applied', files: files ?? [] })
        return
      }
      case 'upstreams':
        recorder?.upstreams(message.changes)
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
