/** The recorder's thread: owns every sink and the admin port, so that no fsync, export or serialisation can delay a chunk. */
import { readFileSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { createAccess } from './admin/access.ts'
import { createPage, type PageSetup } from './admin/page.ts'
import { adminRoutes } from './admin/routes.ts'
import { isLoopback, startAdmin } from './admin/server.ts'
import { type FromRecorder, Gauge, type Packed, type ToRecorder } from './batch.ts'
import type { Config } from './config.ts'
import { createEstimator } from './estimates.ts'
import { createPricer } from './pricing.ts'
import { listedColumns } from './reading/answers.ts'
import { bucketOf } from './reading/quantiles.ts'
import { createReader } from './reading/reader.ts'
import { type Assessment, createAssessment } from './recorder/assess.ts'
import { type RecorderData, revivedConfig } from './recorder/data.ts'
import { createExport } from './recorder/export.ts'
import { recordGauges } from './recorder/gauges.ts'
import { createUnpacker } from './recorder/unpack.ts'
import { fromWire } from './recorder/wire.ts'
import { createFanOut } from './sinks/fan-out.ts'
import { type Ledger, openLedger } from './sinks/ledger.ts'
import { createLiveSink, type LiveSink } from './sinks/live.ts'
import { createLogSink } from './sinks/log.ts'
import { createMetricsSink } from './sinks/metrics.ts'
import type { Sink } from './sinks/sink.ts'
import { createLineLimit } from './telemetry/line-limit.ts'
import { createMeter, type Meter } from './telemetry/meter.ts'
import { prometheusText } from './telemetry/prometheus.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const report = createLineLimit({ write: (line) => process.stderr.write(`tokenweir: ${line}\n`), now: () => performance.now() })

interface Recorder {
  readonly adminPort: number
  record(batch: Packed): void
  /** Begins to export; until then what is to be exported waits. */
  exportTelemetry(): void
  /** Loads what the first record needs, and a start does not: the table of prices, and the tokenizer when estimates are on. */
  load(): Promise<void>
  /** Writes and exports everything. */
  close(): Promise<void>
}

/** Rejects with the sentence that mends it: a ledger that cannot be written, an admin port in use. */
async function startRecorder(data: RecorderData): Promise<Recorder> {
  const config = revivedConfig(data.config)
  const gauges = new Int32Array(data.gauges)
  const meter = createMeter(Date.now)
  const ledger = openLedger({ path: config.ledger, meter, report })
  const metrics = createMetricsSink({ meter, generation: config.semconv, labelValuesMax: config.limits.labelValues })
  const exported = createExport({ env: process.env, meter, generation: config.semconv, version, report })
  const live = createLiveSink({ columns: listedColumns, bucketOf, now: () => performance.now() })
  const fanOut = createFanOut([ledger, createLogSink({ meter }), metrics, ...exported.sinks, live], meter, report)
  const admin = await openAdmin(config, { gauges, ledger, meter, live, exports: exported.sinks.length > 0 }).catch(async (error) => {
    await ledger.close()
    throw error
  })
  const stopGauges = recordGauges(meter, gauges)
  const pricer = createPricer({ prices: config.prices })
  const estimator = config.estimates.enabled ? createEstimator({ bodyBytesMax: config.limits.bodyBytes }) : undefined
  return {
    adminPort: admin.port,
    record: recordWith(fanOut, createAssessment({ config, pricer, estimator }), config.limits, meter),
    exportTelemetry: exported.begin,
    async load() {
      await Promise.all([
        pricer.load().catch(reported('Nothing is priced by the public table: it could not be loaded')),
        estimator?.load().catch(reported('Nothing is estimated: the tokenizer could not be loaded')),
      ])
    },
    async close() {
      // Side by side: a log whose reader has stopped reading must not keep spans from their collector.
      const [lost] = await Promise.all([exported.shutdown(), fanOut.close()])
      for (const line of lost) report(line)
      stopGauges()
      await admin.close()
    },
  }
}

function reported(sentence: string): (error: unknown) => void {
  return (error) => report(`${sentence} (${error instanceof Error ? error.message : String(error)}).`)
}

interface AdminParts {
  readonly gauges: Int32Array
  readonly ledger: Ledger
  readonly meter: Meter
  readonly live: LiveSink
  /** Spans are sent to a collector. */
  readonly exports: boolean
}

async function openAdmin(
  config: Config,
  { gauges, ledger, meter, live, exports }: AdminParts,
): Promise<{ port: number; close(): Promise<void> }> {
  const { admin: address, adminToken: token, ledger: path } = config
  const reader = createReader({ path })
  const setup: PageSetup = {
    ledger: path,
    capture: config.capture,
    routes: config.routes.map(({ name }) => name),
    exports,
    traceUrl: config.traceUrl,
  }
  const page = createPage({
    access: createAccess({ token, isLoopback: isLoopback(address.host), now: Date.now }),
    reader,
    live,
    open: () => Atomics.load(gauges, Gauge.open),
    isLedgerWritable: ledger.isWritable,
    collect: meter.collect,
    now: Date.now,
    uptime: process.uptime,
    version,
    setup,
  })
  const state = { gauges, isLedgerWritable: ledger.isWritable, scrape: () => prometheusText(meter.collect()), uptime: process.uptime }
  const server = await startAdmin({ address, routes: [...adminRoutes(state), ...page.routes], report })
  return {
    port: server.port,
    async close() {
      page.close()
      await Promise.all([server.close(), reader.close()])
    },
  }
}

function recordWith(fanOut: Sink, assessment: Assessment, limits: Config['limits'], meter: Meter): (packed: Packed) => void {
  const unknown = meter.counter('tokenweir.exchanges.dropped', { reason: 'unknown' })
  const failures = meter.counter('tokenweir.observer.failures', {})
  const unpack = createUnpacker({
    ...assessment,
    limits,
    onUnknown: () => unknown.add(1),
    onFailure(error) {
      failures.add(1)
      report(`An exchange could not be read: ${error instanceof Error ? error.message : String(error)}`)
    },
  })
  return (packed) => fanOut.record(unpack(packed))
}

/** What the thread answers, from its first message to its last. After a start that failed it only says so, and waits to be closed. */
function serve(port: MessagePort, data: RecorderData): void {
  const tell = (message: FromRecorder) => port.postMessage(message)
  const started = startRecorder(data)
  /** What the next message waits for. They are handled in the order in which they came. */
  let prepared: Promise<Recorder | undefined> = started.then(
    (recorder) => {
      tell({ kind: 'ready', adminPort: recorder.adminPort })
      recorder.exportTelemetry()
      return recorder
    },
    (error) => {
      tell({ kind: 'problem', message: error instanceof Error ? error.message : String(error), fatal: true })
      return undefined
    },
  )
  let isLoaded = false

  /** With the first request that has ended, so that neither a start nor an idle sidecar pays for it. */
  async function loaded(before: Promise<Recorder | undefined>): Promise<Recorder | undefined> {
    const recorder = await before
    await recorder?.load()
    return recorder
  }
  port.on('message', async (message: ToRecorder) => {
    if (message.kind === 'batch' && message.wire.ended.length > 0 && !isLoaded) {
      isLoaded = true
      prepared = loaded(prepared)
    }
    const recorder = await prepared
    if (message.kind === 'batch') {
      const batch = fromWire(message.wire)
      recorder?.record(batch)
      tell({ kind: 'recorded', ended: batch.ended.length })
      return
    }
    if (recorder !== undefined && !(await within(message.deadlineMs, recorder.close()))) {
      report(`The recorder gave up after ${message.deadlineMs} ms: what had not been exported by then is lost.`)
    }
    tell({ kind: 'closed' })
    port.close()
  })
}

async function within(deadlineMs: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, false)
  })
  const done = work.then(
    () => true,
    (error) => {
      report(`The recorder failed to close: ${error instanceof Error ? error.message : String(error)}`)
      return true
    },
  )
  return Promise.race([done, late]).finally(() => clearTimeout(timer))
}

if (parentPort !== null) {
  const data = workerData as RecorderData
  if (data.env !== undefined) {
    for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]
    Object.assign(process.env, data.env)
  }
  serve(parentPort, data)
}
