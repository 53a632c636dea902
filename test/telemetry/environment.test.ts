import { describe, expect, it } from 'vitest'
import { planTelemetry, type TelemetryPlan } from '../../src/telemetry/environment.ts'

const nothingSet: TelemetryPlan = {
  traces: [],
  metrics: [],
  logs: [],
  traceProtocol: 'http/protobuf',
  metricProtocol: 'http/protobuf',
  logProtocol: 'http/protobuf',
  sampler: { name: 'always_on', ratio: 1 },
  queue: { recordsMax: 65_536, requestRecordsMax: 512, delayMs: 5000 },
  metricIntervalMs: 60_000,
  metricTimeoutMs: 30_000,
  spanLimits: {},
  detectors: undefined,
  logLevel: undefined,
  problems: [],
}

describe('the OTEL variables', () => {
  it('ask for nothing when none is set, or all are empty', () => {
    expect(planTelemetry({})).toEqual(nothingSet)
    expect(planTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_SAMPLER: ' ' })).toEqual(nothingSet)
  })

  it('start the export of both signals with one endpoint', () => {
    expect(planTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' })).toEqual({
      ...nothingSet,
      traces: ['otlp'],
      metrics: ['otlp'],
    })
  })

  it('start the export of one signal with its own endpoint', () => {
    expect(planTelemetry({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://collector:4318' })).toEqual({ ...nothingSet, metrics: ['otlp'] })
  })

  it.each([
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, ['otlp'], []],
    [{ OTEL_TRACES_EXPORTER: 'console, otlp' }, ['console', 'otlp'], []],
    [{ OTEL_METRICS_EXPORTER: 'console' }, [], ['console']],
    [{ OTEL_METRICS_EXPORTER: 'prometheus' }, [], []],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_EXPORTER: 'none' }, [], ['otlp']],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_SDK_DISABLED: 'TRUE' }, [], []],
  ])('%o choose the exporters', (env, traces, metrics) => {
    expect(planTelemetry(env)).toEqual({ ...nothingSet, traces, metrics })
  })

  it('choose the protocol, each signal its own', () => {
    const plan = planTelemetry({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/json' })
    expect(plan).toEqual({ ...nothingSet, traceProtocol: 'grpc', logProtocol: 'grpc', metricProtocol: 'http/json' })
  })

  it('set the queue, the intervals and the limits', () => {
    const plan = planTelemetry({
      OTEL_BSP_MAX_QUEUE_SIZE: '100',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '200',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_BSP_EXPORT_TIMEOUT: '60',
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
      OTEL_ATTRIBUTE_COUNT_LIMIT: '10',
      OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '20',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '30',
    })
    expect(plan).toEqual({
      ...nothingSet,
      queue: { recordsMax: 100, requestRecordsMax: 100, delayMs: 50 },
      metricIntervalMs: 1000,
      metricTimeoutMs: 1000,
      spanLimits: { attributeCountLimit: 20, attributeValueLengthLimit: 30 },
    })
  })

  it('choose the sampler', () => {
    const plan = planTelemetry({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' })
    expect(plan).toEqual({ ...nothingSet, sampler: { name: 'parentbased_traceidratio', ratio: 0.25 } })
  })

  it('that cannot be used are said, and the default stands', () => {
    const plan = planTelemetry({
      OTEL_TRACES_EXPORTER: 'zipkin',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'udp',
      OTEL_TRACES_SAMPLER: 'sometimes',
      OTEL_TRACES_SAMPLER_ARG: '2',
      OTEL_BSP_SCHEDULE_DELAY: 'soon',
      OTEL_ATTRIBUTE_COUNT_LIMIT: '-1',
    })
    expect(plan).toEqual({
      ...nothingSet,
      problems: [
        'OTEL_TRACES_EXPORTER: "zipkin" is not known; use otlp, console or none.',
        'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "udp" is not known; use http/protobuf, http/json or grpc. http/protobuf is used.',
        'OTEL_TRACES_SAMPLER: "sometimes" is not known; always_on is used.',
        'OTEL_TRACES_SAMPLER_ARG must be from 0 to 1, not "2"; 1 is used.',
        'OTEL_BSP_SCHEDULE_DELAY must be a number above 0, not "soon"; 5000 is used.',
        'OTEL_ATTRIBUTE_COUNT_LIMIT must be a number above 0, not "-1"; it is ignored.',
      ],
    })
  })
})
