/**
 * OpenTelemetry's NodeSDK on the recorder's thread, as the `OTEL_*` variables or OTEL_CONFIG_FILE ask for it: resource, detectors, sampler, limits, readers,
 * exporters. Its tracer and logger make the records; processors of ours hand them over to the outbox, which sends them by the exporters.
 * Imported only when something is to be exported, and after the start: importing all of the SDK takes half a second of a busy core.
 */
import { context, type Logger, logs, metrics, propagation, type Tracer, trace } from '@opentelemetry/api'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import type { LogRecordExporter, LogRecordProcessor, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { ConsoleMetricExporter, type MetricReader, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { NodeSDK } from '@opentelemetry/sdk-node'
import {
  ConsoleSpanExporter,
  type IdGenerator,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { type Attempt, attempt, type Exporter, type TakeRejected } from './attempt.ts'
import { startFromFile } from './config-file.ts'
import { installDiagnostics, type PartialSuccess, withOurDiagnostics } from './diagnostics.ts'
import type { ExporterName, TelemetryPlan } from './environment.ts'
import { logExporters, metricExporters, traceExporters } from './exporters.ts'
import type { Meter } from './meter.ts'
import { createProducer } from './producer.ts'
import type { Signal } from './signal.ts'

export interface TelemetryOptions {
  readonly plan: TelemetryPlan
  readonly meter: Meter
  /** `service.version`. */
  readonly version: string
  /** `service.instance.id`, unless the variables give one. */
  readonly instanceId: string
  /** Receives the SDK's diagnostics, each a line for stderr, again with every attempt. */
  readonly report: (line: string) => void
  /** An exporter sends a request again by itself. Of which signal, it does not tell. */
  readonly onRetry: () => void
}

export interface Telemetry {
  /** `undefined` when spans go nowhere: then none need be made. */
  readonly spans: SpanSource | undefined
  /** `undefined` when no log exporter is configured. */
  readonly logs: LogSource | undefined
  /** Exports the last metrics. Resolves always, with a sentence for what was not exported. */
  shutdown(): Promise<readonly string[]>
}

/** Where records of one signal go. */
export interface Delivery<Content> {
  send(records: Content[]): Promise<Attempt>
  /** Records in one request, and how long they wait for company. */
  readonly requestRecordsMax: number
  readonly delayMs: number
  /** What the collector rejected of the request that is being settled. */
  readonly takeRejected: TakeRejected
}

export interface SpanSource {
  readonly tracer: Tracer
  readonly ids: PresetIds
  /** Limits may be set: attributes must go through the SDK, which applies them. */
  readonly isLimited: boolean
  /** The spans that have ended since the last time. */
  takeEnded(): ReadableSpan[]
  /** None when spans only go to the console. */
  readonly delivery: Delivery<ReadableSpan> | undefined
}

export interface LogSource {
  readonly logger: Logger
  /** The records that were emitted since the last time. */
  takeEmitted(): ReadableLogRecord[]
  readonly delivery: Delivery<ReadableLogRecord>
}

/** Hands out the ids that the proxying thread made and told the upstream. */
interface PresetIds extends IdGenerator {
  preset(traceId: string, spanId: string): void
}

/** What the SDK made, of the variables or of a file. */
interface Started {
  readonly spanExporters: readonly SpanExporter[]
  readonly logExporters: readonly LogRecordExporter[]
  /** Spans go somewhere, if only to the console. */
  readonly hasSpans: boolean
  readonly traceQueue: Pick<Delivery<unknown>, 'requestRecordsMax' | 'delayMs'>
  readonly logQueue: Pick<Delivery<unknown>, 'requestRecordsMax' | 'delayMs'>
  shutdown(): Promise<void>
}

interface Parts {
  readonly ids: PresetIds
  readonly ended: ReturnType<typeof collectSpans>
  readonly emitted: ReturnType<typeof collectLogs>
}

/** SDK and exporters read `process.env`, in which the plan's variables are put. */
export async function createTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { plan, report, onRetry } = options
  for (const [name, value] of Object.entries(plan.variables)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  const rejected = new Map<Signal, PartialSuccess>()
  // The SDK registers what it makes for this whole thread.
  for (const api of [trace, metrics, logs, context, propagation]) api.disable()
  const telling = { onPartialSuccess: (partial: PartialSuccess) => void rejected.set(partial.signal, partial), onRetry }
  installDiagnostics(plan.logLevel, report, telling)
  const parts: Parts = { ids: createPresetIds(), ended: collectSpans(), emitted: collectLogs() }
  const started = withOurDiagnostics(() => (plan.configFile === undefined ? startFromVariables : startWithFile)(options, parts))
  const takeRejected = (signal: Signal) => () => {
    const partial = rejected.get(signal)
    rejected.delete(signal)
    return partial
  }
  return {
    spans: spansOf(options, parts, started, takeRejected('traces')),
    logs: logsOf(parts, started, takeRejected('logs')),
    shutdown: () =>
      started.shutdown().then(
        () => [],
        (error) => [`Not all metrics could be exported: ${error instanceof Error ? error.message : String(error)}`],
      ),
  }
}

function spansOf({ plan }: TelemetryOptions, { ids, ended }: Parts, started: Started, takeRejected: TakeRejected): SpanSource | undefined {
  if (!started.hasSpans) return undefined
  const { spanExporters: exporters, traceQueue } = started
  const send = async (spans: ReadableSpan[]) => {
    // Attributes of the host may still be looked up.
    await spans[0]?.resource.waitForAsyncAttributes?.()
    return sendToAll(exporters, spans, takeRejected)
  }
  return {
    tracer: trace.getTracer('tokenweir'),
    ids,
    isLimited: plan.hasSpanLimits || plan.configFile !== undefined,
    takeEnded: ended.take,
    delivery: exporters.length === 0 ? undefined : { send, takeRejected, ...traceQueue },
  }
}

function logsOf({ emitted }: Parts, { logExporters: exporters, logQueue }: Started, takeRejected: TakeRejected): LogSource | undefined {
  if (exporters.length === 0) return undefined
  const send = async (records: ReadableLogRecord[]) => {
    await records[0]?.resource.waitForAsyncAttributes?.()
    return sendToAll(exporters, records, takeRejected)
  }
  return { logger: logs.getLogger('tokenweir'), takeEmitted: emitted.take, delivery: { send, takeRejected, ...logQueue } }
}

/** Of several exporters the worst answer counts: what one of them did not take, all of them get again. */
async function sendToAll<Content>(
  exporters: readonly Exporter<Content[]>[],
  records: Content[],
  takeRejected: TakeRejected,
): Promise<Attempt> {
  const attempts = await Promise.all(exporters.map((exporter) => attempt(exporter, records, takeRejected)))
  const worst = attempts.find(({ kind }) => kind === 'failed') ?? attempts.find(({ kind }) => kind === 'refused')
  return worst ?? attempts.find((one) => one.kind === 'delivered' && one.rejected > 0) ?? { kind: 'delivered', rejected: 0 }
}

function startFromVariables({ plan, meter, version, instanceId }: TelemetryOptions, { ids, ended, emitted }: Parts): Started {
  const own = resourceFromAttributes({ 'service.name': 'tokenweir', 'service.version': version, 'service.instance.id': instanceId })
  const spanExporters = plan.traces.includes('otlp') ? [new traceExporters[plan.traceProtocol]()] : []
  const spanProcessors: SpanProcessor[] = [ended.processor]
  if (plan.traces.includes('console')) spanProcessors.push(new SimpleSpanProcessor({ exporter: new ConsoleSpanExporter() }))
  const exporters = plan.logs.includes('otlp') ? [new logExporters[plan.logProtocol]()] : []
  const sdk = new NodeSDK({
    resource: defaultResource().merge(own),
    idGenerator: ids,
    spanProcessors: plan.traces.length === 0 ? [] : spanProcessors,
    logRecordProcessors: exporters.length === 0 ? [] : [emitted.processor],
    metricReaders: plan.metrics.map((name) => createReader(name, plan, meter)),
    contextManager: null as never, // none: nothing here is asynchronous between a span's start and its end
    textMapPropagator: null,
  })
  sdk.start()
  const { requestRecordsMax, delayMs } = plan.queue
  const queue = { requestRecordsMax, delayMs }
  return {
    spanExporters,
    logExporters: exporters,
    hasSpans: plan.traces.length > 0,
    traceQueue: queue,
    logQueue: queue,
    shutdown: () => sdk.shutdown(),
  }
}

function createReader(name: ExporterName, plan: TelemetryPlan, meter: Meter): MetricReader {
  const exporter = name === 'otlp' ? new metricExporters[plan.metricProtocol]() : new ConsoleMetricExporter()
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: plan.metricIntervalMs,
    exportTimeoutMillis: plan.metricTimeoutMs,
    metricProducers: [createProducer(meter, Date.now, exporter.selectAggregationTemporality?.bind(exporter))],
  })
}

function startWithFile({ plan, meter }: TelemetryOptions, { ids, ended, emitted }: Parts): Started {
  const file = startFromFile({
    ids,
    spanProcessor: ended.processor,
    logProcessor: emitted.processor,
    producerFor: (temporality) => createProducer(meter, Date.now, temporality),
  })
  const { requestRecordsMax, delayMs } = plan.queue
  return {
    spanExporters: file.traces.exporters,
    logExporters: file.logs.exporters,
    hasSpans: file.traces.exporters.length > 0 || file.traces.hasConsole,
    traceQueue: { requestRecordsMax: file.traces.requestRecordsMax ?? requestRecordsMax, delayMs: file.traces.delayMs ?? delayMs },
    logQueue: { requestRecordsMax: file.logs.requestRecordsMax ?? requestRecordsMax, delayMs: file.logs.delayMs ?? delayMs },
    shutdown: file.shutdown,
  }
}

/** Where the SDK's ended spans go. */
function collectSpans() {
  let ended: ReadableSpan[] = []
  const processor: SpanProcessor = {
    onStart() {},
    onEnd(span) {
      if ((span.spanContext().traceFlags & 1) !== 0) ended.push(span)
    },
    async forceFlush() {},
    async shutdown() {},
  }
  return {
    processor,
    take() {
      const taken = ended
      ended = []
      return taken
    },
  }
}

/** Where the SDK's log records go. */
function collectLogs() {
  let emitted: ReadableLogRecord[] = []
  const processor: LogRecordProcessor = {
    onEmit: (record) => void emitted.push(record),
    async forceFlush() {},
    async shutdown() {},
  }
  return {
    processor,
    take() {
      const taken = emitted
      emitted = []
      return taken
    },
  }
}

function createPresetIds(): PresetIds {
  let presetTraceId = ''
  let presetSpanId = ''
  return {
    preset(traceId, spanId) {
      presetTraceId = traceId
      presetSpanId = spanId
    },
    generateTraceId: () => presetTraceId,
    generateSpanId: () => presetSpanId,
  }
}
