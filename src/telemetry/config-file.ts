/**
 * OpenTelemetry's declarative configuration, OTEL_CONFIG_FILE. `startNodeSdk` makes providers of the file and takes no parts of ours, so three things
 * are put into what it made, before the first record: the ids that the upstream was told, processors that collect for the outbox in place of
 * those that would send, and the meter as a producer of each reader. These fields are not public; the versions are pinned and a test holds them.
 */
import { logs, metrics, type ProxyTracerProvider, trace } from '@opentelemetry/api'
import { ConsoleLogRecordExporter, type LogRecordExporter, type LogRecordProcessor } from '@opentelemetry/sdk-logs'
import type { MetricProducer } from '@opentelemetry/sdk-metrics'
import { startNodeSdk } from '@opentelemetry/sdk-node'
import { ConsoleSpanExporter, type IdGenerator, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace'
import type { TemporalitySelector } from './producer.ts'

export interface FileParts {
  readonly ids: IdGenerator
  readonly spanProcessor: SpanProcessor
  readonly logProcessor: LogRecordProcessor
  producerFor(temporality: TemporalitySelector): MetricProducer
}

/** Of one signal: where its records go, and how many, how often. */
export interface FileExport<Exporter> {
  readonly exporters: readonly Exporter[]
  /** Some of the file's processors write to the console. */
  readonly hasConsole: boolean
  readonly requestRecordsMax: number | undefined
  readonly delayMs: number | undefined
}

export interface FromFile {
  readonly traces: FileExport<SpanExporter>
  readonly logs: FileExport<LogRecordExporter>
  /** Of the readers that the file has. */
  readonly metrics: number
  shutdown(): Promise<void>
}

/** A processor that hands records to an exporter. */
interface Sending<Exporter> {
  readonly _exporter?: Exporter
  readonly _maxExportBatchSize?: number
  readonly _scheduledDelayMillis?: number
}

interface TracerInside {
  readonly _tracerOptions: { idGenerator: IdGenerator }
  readonly _activeSpanProcessor: { readonly _spanProcessors: (SpanProcessor & Sending<SpanExporter>)[] }
}
interface LoggerInside {
  readonly _sharedState: { readonly processors: (LogRecordProcessor & Sending<LogRecordExporter>)[] }
}
interface ReaderInside {
  readonly _metricProducers: MetricProducer[]
  readonly selectAggregationTemporality: TemporalitySelector
}
interface MeterInside {
  readonly _sharedState: { readonly metricCollectors: readonly { readonly _metricReader: ReaderInside }[] }
}

/** The SDK says what is wrong with the file by its diagnostics, and then nothing is exported. */
export function startFromFile({ ids, spanProcessor, logProcessor, producerFor }: FileParts): FromFile {
  const sdk = startNodeSdk()
  const tracer = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate() as unknown as Partial<TracerInside>
  const logger = logs.getLoggerProvider() as unknown as Partial<LoggerInside>
  const meter = metrics.getMeterProvider() as unknown as Partial<MeterInside>
  if (tracer._tracerOptions !== undefined) tracer._tracerOptions.idGenerator = ids
  const collectors = meter._sharedState?.metricCollectors ?? []
  for (const { _metricReader: reader } of collectors) {
    reader._metricProducers.push(producerFor(reader.selectAggregationTemporality.bind(reader)))
  }
  const isConsole = (exporter: object) => exporter instanceof ConsoleSpanExporter || exporter instanceof ConsoleLogRecordExporter
  return {
    traces: takeOver<SpanExporter, SpanProcessor>(tracer._activeSpanProcessor?._spanProcessors ?? [], spanProcessor, isConsole),
    logs: takeOver<LogRecordExporter, LogRecordProcessor>(logger._sharedState?.processors ?? [], logProcessor, isConsole),
    metrics: collectors.length,
    shutdown: sdk.shutdown,
  }
}

/** In place of every processor that sends, one that collects. What writes to the console stays. */
function takeOver<Exporter extends object, Processor extends object>(
  processors: (Processor & Sending<Exporter>)[],
  collecting: Processor,
  isConsole: (exporter: Exporter) => boolean,
): FileExport<Exporter> {
  const sending = processors.filter(({ _exporter }) => _exporter !== undefined && !isConsole(_exporter))
  if (sending.length > 0) {
    const others = processors.filter((one) => !sending.includes(one))
    processors.splice(0, processors.length, ...others, collecting)
  }
  return {
    hasConsole: processors.some((one) => one._exporter !== undefined),
    exporters: sending.map(({ _exporter }) => _exporter as Exporter),
    requestRecordsMax: sending[0]?._maxExportBatchSize,
    delayMs: sending[0]?._scheduledDelayMillis,
  }
}
