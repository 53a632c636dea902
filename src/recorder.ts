/** The recorder's thread: owns every sink and the admin port, so that no fsync, export or serialisation can delay a chunk. */
import { readFileSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { adminRoutes } from './admin/routes.ts'
import { type AdminServer, startAdmin } from './admin/server.ts'
import type { FromRecorder, Packed, ToRecorder } from './batch.ts'
import { conclude, readRequest } from './conclude.ts'
import type { Address, Config } from './config.ts'
import { createAttributor } from './providers.ts'
import { type RecorderData, revivedConfig } from './recorder/data.ts'
import { createExport } from './recorder/export.ts'
import { recordGauges } from './recorder/gauges.ts'
import { createUnpacker } from './recorder/unpack.ts'
import { fromWire } from './recorder/wire.ts'
import { createFanOut } from './sinks/fan-out.ts'
import { type Ledger, openLedger } from './sinks/ledger.ts'
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
  const fanOut = createFanOut([ledger, createLogSink({ meter }), metrics, ...exported.sinks], meter, report)
  const admin = await openAdmin(config.admin, gauges, ledger, meter).catch(async (error) => {
    await ledger.close()
    throw error
  })
  const stopGauges = recordGauges(meter, gauges)
  return {
    adminPort: admin.port,
    record: recordWith(fanOut, config, meter),
    exportTelemetry: exported.begin,
    async close() {
      // Side by side: a log whose reader has stopped reading must not keep spans from their collector.
      const [lost] = await Promise.all([exported.shutdown(), fanOut.close()])
      for (const line of lost) report(line)
      stopGauges()
      await admin.close()
    },
  }
}

function openAdmin(address: Address, gauges: Int32Array, ledger: Ledger, meter: Meter): Promise<AdminServer> {
  const scrape = () => prometheusText(meter.collect())
  const state = { gauges, isLedgerWritable: ledger.isWritable, scrape, total: meter.total, version, uptime: process.uptime }
  return startAdmin({ address, routes: adminRoutes(state), report })
}

function recordWith(fanOut: Sink, { limits, providers, routes }: Config, meter: Meter): (packed: Packed) => void {
  const { attribute } = createAttributor({ own: providers })
  const basePaths = new Map(routes.map(({ name, upstream }) => [name, upstream.pathname.replace(/\/+$/, '')]))
  const attribution = { attribute, basePathOf: (route: string) => basePaths.get(route) }
  const unknown = meter.counter('tokenweir.exchanges.dropped', { reason: 'unknown' })
  const failures = meter.counter('tokenweir.observer.failures', {})
  const unpack = createUnpacker({
    readRequest,
    conclude: (opening, ending, reading, body) => conclude(opening, ending, reading, body, limits, attribution),
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
  started.then(
    ({ adminPort, exportTelemetry }) => {
      tell({ kind: 'ready', adminPort })
      exportTelemetry()
    },
    (error) => tell({ kind: 'problem', message: error instanceof Error ? error.message : String(error), fatal: true }),
  )
  port.on('message', async (message: ToRecorder) => {
    const recorder = await started.catch(() => undefined)
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
