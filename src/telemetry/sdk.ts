/**
 * The OpenTelemetry SDK, set up from what the `OTEL_*` variables ask for, on the recorder's thread. Nothing global is registered but the
 * diagnostics. Imported only when something is to be exported: it is half of the recorder's start.
 */
import type { Tracer } from '@opentelemetry/api'
import {
  defaultResource,
  detectResources,
  envDetector,
  hostDetector,
  osDetector,
  processDetector,
  type Resource,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources'
import { MeterProvider, type MetricReader, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import type { IdGenerator, Sampler, SpanProcessor } from '@opentelemetry/sdk-trace'
import { installDiagnostics } from './diagnostics.ts'
import type { ExporterName, SamplerName, TelemetryPlan } from './environment.ts'
import { createMetricExporter, createSpanExporter } from './exporters.ts'
import type { Meter } from './meter.ts'
import { createProducer } from './producer.ts'
import { createSpanQueue } from './span-queue.ts'

export interface TelemetryOptions {
  readonly plan: TelemetryPlan
  readonly meter: Meter
  /** `service.version`. */
  readonly version: string
  /** Receives the SDK's diagnostics, each a line for stderr, again with every attempt. */
  readonly report: (line: string) => void
}

export interface Telemetry {
  /** `undefined` when no trace exporter is configured: then no span need be built. */
  readonly spans: SpanSource | undefined
  /** Exports what waits. Resolves always, with a sentence for each thing that could not be exported. */
  shutdown(): Promise<readonly string[]>
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
export async function createTelemetry({ plan, meter, version, report }: TelemetryOptions): Promise<Telemetry> {
  installDiagnostics(plan.logLevel, report)
  const resource = createResource(version, plan.detectors)
  // Spans that end while the host's id is still being looked up would not be waited for at shutdown (sdk-trace 3.1).
  await resource.waitForAsyncAttributes?.()
  const provider = new MeterProvider({ resource, readers: await Promise.all(plan.metrics.map((name) => createReader(name, plan, meter))) })
  const traces = plan.traces.length === 0 ? undefined : await createTraces(plan, resource, meter)
  return {
    spans: traces?.spans,
    async shutdown() {
      const results = await Promise.allSettled([traces?.shutdown(), provider.shutdown()])
      return results.flatMap((result, index) => {
        const what = index === 0 ? 'spans' : 'metrics'
        return result.status === 'fulfilled' ? [] : [`Not all ${what} could be exported: ${messageOf(result.reason)}`]
      })
    },
  }
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
function createResource(version: string, names: readonly string[] | undefined): Resource {
  const known = Object.keys(optionalDetectors) as OptionalDetector[]
  const chosen = names === undefined ? usualDetectors : known.filter((name) => names.includes('all') || names.includes(name))
  const own = resourceFromAttributes({ 'service.name': 'tokenweir', 'service.version': version })
  const detectors = [serviceInstanceIdDetector, ...chosen.map((name) => optionalDetectors[name]), envDetector]
  return defaultResource().merge(own).merge(detectResources({ detectors }))
}

interface Traces {
  readonly spans: SpanSource
  shutdown(): Promise<void>
}

async function createTraces(plan: TelemetryPlan, resource: Resource, meter: Meter): Promise<Traces> {
  const sdk = await import('@opentelemetry/sdk-trace')
  const { maxQueueSize, maxExportBatchSize } = plan.spanQueue
  const concurrencyLimit = Math.ceil(maxQueueSize / maxExportBatchSize) + 2
  const spanProcessors = plan.traces.map(async (name): Promise<SpanProcessor> => {
    const exporter = await createSpanExporter(name, plan.traceProtocol, { concurrencyLimit })
    return name === 'console' ? new sdk.SimpleSpanProcessor({ exporter }) : createSpanQueue(exporter, plan.spanQueue, meter)
  })
  const ids = createPresetIds()
  const provider = new sdk.TracerProvider({
    resource,
    sampler: createSampler(sdk, plan.sampler.name, plan.sampler.ratio),
    idGenerator: ids,
    spanLimits: plan.spanLimits,
    spanProcessors: await Promise.all(spanProcessors),
  })
  const spans = { tracer: provider.getTracer('tokenweir'), ids, limited: Object.keys(plan.spanLimits).length > 0 }
  return { spans, shutdown: () => provider.shutdown() }
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
