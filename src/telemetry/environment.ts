/**
 * What the `OTEL_*` variables ask for, read without side effects. The rules are those of the specification ("Environment Variable
 * Specification") and of sdk-node 0.301, with four of our own: nothing is exported until an endpoint or an exporter is configured, the
 * sampler is `always_on` (the usual default drops requests that arrive with `traceparent …-00`), 65,536 records
 * wait in memory (on disk there is room for more), and log records leave only when OTEL_LOGS_EXPORTER or the endpoint of logs is set: the same
 * lines stand on standard output, and many collect those.
 * What the exporters themselves read (endpoint, headers, compression, timeout, certificates, temporality) is left to them.
 */

export type Environment = Readonly<Record<string, string | undefined>>
export type Protocol = 'http/protobuf' | 'http/json' | 'grpc'
export type ExporterName = 'otlp' | 'console'
export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio'

export interface TelemetryPlan {
  readonly traces: readonly ExporterName[]
  readonly metrics: readonly ExporterName[]
  readonly logs: readonly ExporterName[]
  readonly traceProtocol: Protocol
  readonly metricProtocol: Protocol
  readonly logProtocol: Protocol
  readonly sampler: { readonly name: SamplerName; readonly ratio: number }
  readonly queue: {
    /** Records that wait in memory while the disk cannot be written. */
    readonly recordsMax: number
    /** Records in one request. */
    readonly requestRecordsMax: number
    /** How long records wait for company. */
    readonly delayMs: number
  }
  readonly metricIntervalMs: number
  readonly metricTimeoutMs: number
  /** Only those that were set. */
  readonly spanLimits: { readonly attributeCountLimit?: number; readonly attributeValueLengthLimit?: number }
  /** Names of resource detectors, when given: host, os, process, all, none. */
  readonly detectors: readonly string[] | undefined
  /** OTEL_LOG_LEVEL; `warn` when not set. */
  readonly logLevel: string | undefined
  /** Values that could not be used, each as a sentence with what is used instead. */
  readonly problems: readonly string[]
}

const queueRecordsMax = 65_536

export function planTelemetry(env: Environment): TelemetryPlan {
  const problems: string[] = []
  const read = createReader(env, problems)
  const disabled = read.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true'
  const recordsMax = read.positive('OTEL_BSP_MAX_QUEUE_SIZE', queueRecordsMax)
  const metricIntervalMs = read.positive('OTEL_METRIC_EXPORT_INTERVAL', 60_000)
  return {
    traces: disabled ? [] : exporters(read, 'TRACES', problems),
    metrics: disabled ? [] : exporters(read, 'METRICS', problems),
    logs: disabled ? [] : exporters(read, 'LOGS', problems),
    traceProtocol: protocol(read, 'TRACES', problems),
    metricProtocol: protocol(read, 'METRICS', problems),
    logProtocol: protocol(read, 'LOGS', problems),
    sampler: sampler(read, problems),
    queue: {
      recordsMax,
      requestRecordsMax: Math.min(recordsMax, read.positive('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512)),
      delayMs: read.positive('OTEL_BSP_SCHEDULE_DELAY', 5000),
    },
    metricIntervalMs,
    metricTimeoutMs: Math.min(metricIntervalMs, read.positive('OTEL_METRIC_EXPORT_TIMEOUT', 30_000)),
    spanLimits: spanLimits(read),
    detectors: read.list('OTEL_NODE_RESOURCE_DETECTORS'),
    logLevel: read.text('OTEL_LOG_LEVEL'),
    problems: [...new Set(problems)],
  }
}

type Reader = ReturnType<typeof createReader>

/** An empty variable counts as one that is not set, as the specification has it. */
function createReader(env: Environment, problems: string[]) {
  const text = (name: string): string | undefined => env[name]?.trim() || undefined
  return {
    text,
    list(name: string): readonly string[] | undefined {
      const parts = text(name)?.split(',')
      return parts?.map((part) => part.trim()).filter((part) => part !== '')
    },
    positive(name: string, fallback: number): number {
      const given = text(name)
      if (given === undefined) return fallback
      const value = Number(given)
      if (value > 0 && Number.isFinite(value)) return value
      problems.push(`${name} must be a number above 0, not "${given}"; ${fallback} is used.`)
      return fallback
    },
    optional(name: string): number | undefined {
      const given = text(name)
      const value = Number(given)
      if (given === undefined || (value > 0 && Number.isFinite(value))) return given === undefined ? undefined : value
      problems.push(`${name} must be a number above 0, not "${given}"; it is ignored.`)
      return undefined
    },
  }
}

type SignalName = 'TRACES' | 'METRICS' | 'LOGS'

/** `otlp` when an endpoint is configured; what OTEL_{signal}_EXPORTER says when it is set. */
function exporters(read: Reader, signal: SignalName, problems: string[]): readonly ExporterName[] {
  const variable = `OTEL_${signal}_EXPORTER`
  const named = read.list(variable)
  if (named === undefined) {
    const general = signal === 'LOGS' ? undefined : read.text('OTEL_EXPORTER_OTLP_ENDPOINT')
    const endpoint = read.text(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) ?? general
    return endpoint === undefined ? [] : ['otlp']
  }
  if (named.includes('none')) return []
  return [...new Set(named)].filter((name): name is ExporterName => {
    // Standard output has every log line already.
    if (name === 'otlp' || name === 'console') return name === 'otlp' || signal !== 'LOGS'
    // The admin port always serves Prometheus text, so there is nothing to start.
    if (name !== 'prometheus') problems.push(`${variable}: "${name}" is not known; use otlp, console or none.`)
    return false
  })
}

function protocol(read: Reader, signal: SignalName, problems: string[]): Protocol {
  const own = `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`
  const variable = read.text(own) === undefined ? 'OTEL_EXPORTER_OTLP_PROTOCOL' : own
  const given = read.text(variable) ?? 'http/protobuf'
  if (given === 'http/protobuf' || given === 'http/json' || given === 'grpc') return given
  problems.push(`${variable}: "${given}" is not known; use http/protobuf, http/json or grpc. http/protobuf is used.`)
  return 'http/protobuf'
}

const samplerNames: readonly SamplerName[] = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
]

function sampler(read: Reader, problems: string[]): TelemetryPlan['sampler'] {
  const given = read.text('OTEL_TRACES_SAMPLER') ?? 'always_on'
  const name = samplerNames.find((known) => known === given)
  if (name === undefined) problems.push(`OTEL_TRACES_SAMPLER: "${given}" is not known; always_on is used.`)
  const argument = read.text('OTEL_TRACES_SAMPLER_ARG')
  const ratio = argument === undefined ? 1 : Number(argument)
  const usable = ratio >= 0 && ratio <= 1
  if (!usable) problems.push(`OTEL_TRACES_SAMPLER_ARG must be from 0 to 1, not "${argument}"; 1 is used.`)
  return { name: name ?? 'always_on', ratio: usable ? ratio : 1 }
}

function spanLimits(read: Reader): TelemetryPlan['spanLimits'] {
  const count = read.optional('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT') ?? read.optional('OTEL_ATTRIBUTE_COUNT_LIMIT')
  const length = read.optional('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT') ?? read.optional('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT')
  return {
    ...(count === undefined ? {} : { attributeCountLimit: count }),
    ...(length === undefined ? {} : { attributeValueLengthLimit: length }),
  }
}
