/**
 * The OpenTelemetry SDK, set up from what the `OTEL_*` variables ask for, on the recorder's thread. Nothing global is registered but the
 * diagnostics. Imported only when something is to be exported: it is half of the recorder's start.
 */
import type { Tracer } from '@opentelemetry/api'
import type { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import {
  defaultResource,
  detectResources,
  envDetector,
  hostDetector,
  osDetector,
  processDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { MeterProvider, type MetricReader, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import type { IdGenerator, ReadableSpan, Sampler, SpanProcessor } from '@opentelemetry/sdk-trace'
import { installDiagnostics } from './diagnostics.ts'
import type { ExporterName, Protocol, SamplerName, TelemetryPlan } from './environment.ts'
import { createMetricExporter } from './exporters.ts'
import { createGathering, type Gathering, spanProcessorOf } from './gather.ts'
import type { Meter } from './meter.ts'
import { encodeSpans } from './otlp-spans.ts'
import type { PacketSink, Signal, Spool } from './packet.ts'
import { createProducer } from './producer.ts'
import { createSender, type Sender } from './sender.ts'
import { createTransport } from './transport.ts'

export interface TelemetryOptions {
  readonly plan: TelemetryPlan
  readonly meter: Meter
  /** `service.version`. */
  readonly version: string
  /** `service.instance.id`, unless the variables give one. */
  readonly instanceId: string
  /** Where spans and log records wait for the collector. */
  readonly spool: Spool
  readonly addPacket: PacketSink
  /** Receives the SDK's diagnostics, each a line for stderr, again with every attempt. */
  readonly report: (line: string) => void
}

export interface Telemetry {
  /** `undefined` when no trace exporter is configured: then no span need be built. */
  readonly spans: SpanSource | undefined
  /** `undefined` when no log exporter is configured. */
  readonly logs: LogSource | undefined
  /** Makes packets of the spans and log records of a batch. */
  flush(): void
  /** Exports what waits. Resolves always, with a sentence for each thing that was not exported. */
  shutdown(): Promise<readonly string[]>
}

/** What the SDK's serializer makes a log record of. */
export type LogEntry = Parameters<typeof ProtobufLogsSerializer.serializeRequest>[0][number]

export interface LogSource {
  /** The same for every record. */
  readonly origin: Pick<LogEntry, 'resource' | 'instrumentationScope'>
  add(entry: LogEntry): void
}

export interface SpanSource {
  readonly tracer: Tracer
  readonly ids: PresetIds
  /** OTEL_*_ATTRIBUTE_*_LIMIT is set: attributes must go through the SDK, which applies it. */
  readonly limited: boolean
}

/** Hands out the ids that the proxying thread made and told the upstream. */
interface PresetIds extends IdGenerator {
  preset(traceId: string, spanId: string): void
}

/** Exporters read their own variables from `process.env`, which is to agree with the plan. */
export async function createTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { plan, meter, report } = options
  installDiagnostics(plan.logLevel, report)
  const resource = createResource(options)
  // Spans that end while the host's id is still being looked up would not be waited for at shutdown (sdk-trace 3.1).
  const [provider, traces, logs] = await Promise.all([
    resource.waitForAsyncAttributes?.().then(() => undefined),
    plan.traces.length === 0 ? undefined : createTraces(options, resource),
    plan.logs.length === 0 ? undefined : createLogs(options, resource),
  ]).then(async ([, ...signals]) => {
    const readers = await Promise.all(plan.metrics.map((name) => createReader(name, plan, meter)))
    return [new MeterProvider({ resource, readers }), ...signals] as const
  })
  return {
    spans: traces?.spans,
    logs: logs?.source,
    flush() {
      traces?.lane?.gathering.flush()
      logs?.lane.gathering.flush()
    },
    shutdown: () => shutdown(provider, { traces: traces?.lane, logs: logs?.lane }),
  }
}

/** Where the spool's collector does not answer, the one of metrics, nearly always the same, has this long. */
const metricsGraceMs = 500

async function shutdown(provider: MeterProvider, lanes: Record<Signal, { sender: Sender } | undefined>): Promise<readonly string[]> {
  const metrics = provider.shutdown().then(
    () => [],
    (error) => [`Not all metrics could be exported: ${messageOf(error)}`],
  )
  const left = await Promise.all([lanes.traces?.sender.finish() ?? 0, lanes.logs?.sender.finish() ?? 0])
  const stay = (count: number, what: string) => (count === 0 ? [] : [`${count} ${what} stay in the spool and are sent at the next start.`])
  const lines = [...stay(left[0], 'spans'), ...stay(left[1], 'log records')]
  if (lines.length === 0) return metrics
  const late = new Promise<string[]>((resolve) => setTimeout(resolve, metricsGraceMs, ['The last metrics could not be exported.']).unref())
  return [...lines, ...(await Promise.race([metrics, late]))]
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason)
}

async function createReader(name: ExporterName, plan: TelemetryPlan, meter: Meter): Promise<MetricReader> {
  const exporter = await createMetricExporter(name, plan.metricProtocol)
  const temporality = exporter.selectAggregationTemporality?.bind(exporter)
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: plan.metricIntervalMs,
    exportTimeoutMillis: plan.metricTimeoutMs,
    metricProducers: [createProducer(meter, Date.now, temporality)],
  })
}

const optionalDetectors = { host: hostDetector, os: osDetector, process: processDetector }
type OptionalDetector = keyof typeof optionalDetectors
/** Not `process`: its command line may hold what nobody meant to publish. */
const usualDetectors: readonly OptionalDetector[] = ['host', 'os']

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what is detected, and that over our defaults. */
function createResource({ version, instanceId, plan }: TelemetryOptions): Resource {
  const names = plan.detectors
  const known = Object.keys(optionalDetectors) as OptionalDetector[]
  const chosen = names === undefined ? usualDetectors : known.filter((name) => names.includes('all') || names.includes(name))
  const own = resourceFromAttributes({
    'service.name': 'tokenweir',
    'service.version': version,
    'service.instance.id': instanceId,
  })
  const detectors = [...chosen.map((name) => optionalDetectors[name]), envDetector]
  return defaultResource().merge(own).merge(detectResources({ detectors }))
}

interface Lane<Entry> {
  readonly gathering: Gathering<Entry>
  readonly sender: Sender
}

async function createLane<Entry>(
  { plan, meter, report, spool, addPacket }: TelemetryOptions,
  signal: Signal,
  protocol: Protocol,
  serializers: Record<'protobuf' | 'json', { serializeRequest(entries: Entry[]): Uint8Array | undefined }>,
): Promise<Lane<Entry>> {
  const transport = await createTransport(signal, protocol)
  const { encoding } = transport
  const recordsMax = plan.queue.requestRecordsMax
  const serialize = serializers[encoding].serializeRequest.bind(serializers[encoding])
  return {
    gathering: createGathering({ signal, encoding, serialize, addPacket, recordsMax }),
    sender: createSender({ signal, transport, spool, meter, report, recordsMax, delayMs: plan.queue.delayMs }),
  }
}

interface Traces {
  readonly spans: SpanSource
  readonly lane: Lane<ReadableSpan> | undefined
}

async function createTraces(options: TelemetryOptions, resource: Resource): Promise<Traces> {
  const { plan } = options
  const [sdk, { JsonTraceSerializer }] = await Promise.all([import('@opentelemetry/sdk-trace'), import('@opentelemetry/otlp-transformer')])
  const serializers = { protobuf: { serializeRequest: encodeSpans }, json: JsonTraceSerializer }
  const lane = plan.traces.includes('otlp') ? await createLane<ReadableSpan>(options, 'traces', plan.traceProtocol, serializers) : undefined
  const spanProcessors: SpanProcessor[] = lane === undefined ? [] : [spanProcessorOf(lane.gathering)]
  if (plan.traces.includes('console')) spanProcessors.push(new sdk.SimpleSpanProcessor({ exporter: new sdk.ConsoleSpanExporter() }))
  const ids = createPresetIds()
  const provider = new sdk.TracerProvider({
    resource,
    sampler: createSampler(sdk, plan.sampler.name, plan.sampler.ratio),
    idGenerator: ids,
    spanLimits: plan.spanLimits,
    spanProcessors,
  })
  const spans = { tracer: provider.getTracer('tokenweir'), ids, limited: Object.keys(plan.spanLimits).length > 0 }
  return { spans, lane }
}

async function createLogs(options: TelemetryOptions, resource: Resource): Promise<{ source: LogSource; lane: Lane<LogEntry> }> {
  const { ProtobufLogsSerializer, JsonLogsSerializer } = await import('@opentelemetry/otlp-transformer')
  const serializers = { protobuf: ProtobufLogsSerializer, json: JsonLogsSerializer }
  const lane = await createLane<LogEntry>(options, 'logs', options.plan.logProtocol, serializers)
  return { source: { origin: { resource, instrumentationScope: { name: 'tokenweir' } }, add: lane.gathering.add }, lane }
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

function createSampler(sdk: typeof import('@opentelemetry/sdk-trace'), name: SamplerName, ratio: number): Sampler {
  const roots = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratio),
  }
  const root = (name.startsWith('parentbased_') ? name.slice('parentbased_'.length) : name) as keyof typeof roots
  return root === name ? roots[root]() : new sdk.ParentBasedSampler({ root: roots[root]() })
}
