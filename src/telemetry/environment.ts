/**
 * Our own defaults, on top of the `OTEL_*` variables that the SDK reads for itself: nothing is exported until an endpoint or an exporter is asked for;
 * the sampler is `always_on` (the usual default drops requests that arrive with `traceparent …-00`); log records leave only when
 * OTEL_LOGS_EXPORTER or the endpoint of logs is set, because the same lines stand on standard output; the command line is not in the resource.
 * A value that cannot be used is named, with what is used instead.
 */

export type Environment = Readonly<Record<string, string | undefined>>
export type Protocol = 'http/protobuf' | 'http/json' | 'grpc'
export type ExporterName = 'otlp' | 'console'

export interface TelemetryPlan {
  /** OTEL_CONFIG_FILE: it says all that the variables would, but what waits in memory and on disk. */
  readonly configFile: string | undefined
  readonly traces: readonly ExporterName[]
  readonly metrics: readonly ExporterName[]
  readonly logs: readonly ExporterName[]
  readonly traceProtocol: Protocol
  readonly metricProtocol: Protocol
  readonly logProtocol: Protocol
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
  /** A limit of attributes is set, which the SDK applies to each one that it is given. */
  readonly hasSpanLimits: boolean
  /** OTEL_LOG_LEVEL; `warn` when not set. */
  readonly logLevel: string | undefined
  /** Variables as the SDK is to read them, where they differ from what was given; undefined takes one away. */
  readonly variables: Environment
  /** Values that could not be used, each as a sentence with what is used instead. */
  readonly problems: readonly string[]
}

const queueRecordsMax = 65_536
const protocols = ['http/protobuf', 'http/json', 'grpc'] as const
const samplers = ['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio']
/** Read by the SDK; without a number above 0 it has limits of its own. */
const limits = [
  'SPAN_ATTRIBUTE_COUNT',
  'ATTRIBUTE_COUNT',
  'SPAN_ATTRIBUTE_VALUE_LENGTH',
  'ATTRIBUTE_VALUE_LENGTH',
  'SPAN_EVENT_COUNT',
  'SPAN_LINK_COUNT',
]
const endpoints = ['', '_TRACES', '_METRICS', '_LOGS'].map((signal) => `OTEL_EXPORTER_OTLP${signal}_ENDPOINT`)

export function planTelemetry(env: Environment): TelemetryPlan {
  const read = createReader(env)
  for (const name of endpoints) read.url(name)
  sampler(read)
  const spanLimits = limits.map((name) => read.positive(`OTEL_${name}_LIMIT`, undefined))
  read.set('OTEL_NODE_RESOURCE_DETECTORS', detectors(read.list('OTEL_NODE_RESOURCE_DETECTORS')))
  const configFile = read.text('OTEL_CONFIG_FILE')
  const isOff = configFile !== undefined || read.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true'
  const recordsMax = read.positive('OTEL_BSP_MAX_QUEUE_SIZE', queueRecordsMax)
  const metricIntervalMs = read.positive('OTEL_METRIC_EXPORT_INTERVAL', 60_000)
  return {
    configFile,
    traces: isOff ? [] : exporters(read, 'TRACES'),
    metrics: isOff ? [] : exporters(read, 'METRICS'),
    logs: isOff ? [] : exporters(read, 'LOGS'),
    traceProtocol: protocol(read, 'TRACES'),
    metricProtocol: protocol(read, 'METRICS'),
    logProtocol: protocol(read, 'LOGS'),
    queue: {
      recordsMax,
      requestRecordsMax: Math.min(recordsMax, read.positive('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512)),
      delayMs: read.positive('OTEL_BSP_SCHEDULE_DELAY', 5000),
    },
    metricIntervalMs,
    metricTimeoutMs: Math.min(metricIntervalMs, read.positive('OTEL_METRIC_EXPORT_TIMEOUT', 30_000)),
    hasSpanLimits: spanLimits.some((limit) => limit !== undefined),
    logLevel: read.text('OTEL_LOG_LEVEL'),
    variables: read.variables,
    problems: [...new Set(read.problems)],
  }
}

type Reader = ReturnType<typeof createReader>

/** An empty variable counts as one that is not set, as the specification has it. */
function createReader(env: Environment) {
  const problems: string[] = []
  const variables: Record<string, string | undefined> = {}
  const text = (name: string): string | undefined => (name in variables ? variables[name] : env[name])?.trim() || undefined
  const set = (name: string, value: string | undefined) => {
    if (text(name) !== value) variables[name] = value
  }
  function positive<Fallback extends number | undefined>(name: string, fallback: Fallback): number | Fallback {
    const given = text(name)
    if (given === undefined) return fallback
    const value = Number(given)
    if (value > 0 && Number.isFinite(value)) return value
    problems.push(`${name} must be a number above 0, not "${given}"; ${fallback === undefined ? 'it is ignored' : `${fallback} is used`}.`)
    set(name, undefined)
    return fallback
  }
  return {
    problems,
    variables: variables as Environment,
    text,
    set,
    positive,
    list(name: string): readonly string[] | undefined {
      const parts = text(name)?.split(',')
      return parts?.map((part) => part.trim()).filter((part) => part !== '')
    },
    /** A host and port without a scheme are meant as http. */
    url(name: string): void {
      const given = text(name)
      if (given === undefined || isEndpoint(given)) return
      const completed = `http://${given}`
      const isUsable = !given.includes('://') && isEndpoint(completed)
      problems.push(
        isUsable ? `${name}: "${given}" has no scheme; ${completed} is used.` : `${name}: "${given}" is not a URL; it is ignored.`,
      )
      set(name, isUsable ? completed : undefined)
    },
  }
}

function isEndpoint(url: string): boolean {
  return URL.canParse(url) && /^(https?|unix):$/.test(new URL(url).protocol)
}

type SignalName = 'TRACES' | 'METRICS' | 'LOGS'

/** `otlp` when an endpoint is configured; what OTEL_{signal}_EXPORTER says when it is set. */
function exporters(read: Reader, signal: SignalName): readonly ExporterName[] {
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
    if (name !== 'prometheus') read.problems.push(`${variable}: "${name}" is not known; use otlp, console or none.`)
    return false
  })
}

function protocol(read: Reader, signal: SignalName): Protocol {
  const own = `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`
  const variable = read.text(own) === undefined ? 'OTEL_EXPORTER_OTLP_PROTOCOL' : own
  const given = read.text(variable) ?? 'http/protobuf'
  const known = protocols.find((one) => one === given)
  if (known === undefined) {
    read.problems.push(`${variable}: "${given}" is not known; use http/protobuf, http/json or grpc. http/protobuf is used.`)
  }
  return known ?? 'http/protobuf'
}

function sampler(read: Reader): void {
  const given = read.text('OTEL_TRACES_SAMPLER') ?? 'always_on'
  const isKnown = samplers.includes(given)
  if (!isKnown) read.problems.push(`OTEL_TRACES_SAMPLER: "${given}" is not known; always_on is used.`)
  read.set('OTEL_TRACES_SAMPLER', isKnown ? given : 'always_on')
  const argument = read.text('OTEL_TRACES_SAMPLER_ARG')
  const ratio = argument === undefined ? 1 : Number(argument)
  const isUsable = ratio >= 0 && ratio <= 1
  if (!isUsable) read.problems.push(`OTEL_TRACES_SAMPLER_ARG must be from 0 to 1, not "${argument}"; 1 is used.`)
  if (given.endsWith('traceidratio') || argument !== undefined) read.set('OTEL_TRACES_SAMPLER_ARG', String(isUsable ? ratio : 1))
}

/** The service's name and attributes are always read. `all` would take the place of our own `service.instance.id`. */
function detectors(named: readonly string[] | undefined): string {
  const chosen = named === undefined ? ['host', 'os'] : named.includes('all') ? ['host', 'os', 'process'] : named
  return [...new Set([...chosen.filter((name) => name !== 'none'), 'env'])].join(',')
}
