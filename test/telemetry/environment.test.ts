import { describe, expect, it } from 'vitest'
import { planTelemetry, type TelemetryPlan } from '../../src/telemetry/environment.ts'

const nothingSet: TelemetryPlan = {
  configFile: undefined,
  traces: [],
  metrics: [],
  logs: [],
  traceProtocol: 'http/protobuf',
  metricProtocol: 'http/protobuf',
  logProtocol: 'http/protobuf',
  queue: { recordsMax: 65_536, requestRecordsMax: 512, delayMs: 5000 },
  metricIntervalMs: 60_000,
  metricTimeoutMs: 30_000,
  hasSpanLimits: false,
  logLevel: undefined,
  variables: { OTEL_TRACES_SAMPLER: 'always_on', OTEL_NODE_RESOURCE_DETECTORS: 'host,os,env' },
  problems: [],
}
/** The variables as the SDK is to read them, beside our own defaults. */
const withVariables = (more: TelemetryPlan['variables']) => ({ variables: { ...nothingSet.variables, ...more } })

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
      hasSpanLimits: true,
    })
  })

  it('leave the sampler and the resource to the SDK, with defaults of ours', () => {
    const given = {
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_NODE_RESOURCE_DETECTORS: 'process',
    }
    expect(planTelemetry(given)).toEqual({ ...nothingSet, variables: { OTEL_NODE_RESOURCE_DETECTORS: 'process,env' } })
    expect(planTelemetry({ OTEL_TRACES_SAMPLER: 'traceidratio' })).toEqual({
      ...nothingSet,
      variables: { OTEL_TRACES_SAMPLER_ARG: '1', OTEL_NODE_RESOURCE_DETECTORS: 'host,os,env' },
    })
    const detectors = (named: string) => planTelemetry({ OTEL_NODE_RESOURCE_DETECTORS: named }).variables['OTEL_NODE_RESOURCE_DETECTORS']
    expect([detectors('all'), detectors('none')]).toEqual(['host,os,process,env', 'env'])
  })

  it('leave everything to a configuration file where one is named', () => {
    const given = { OTEL_CONFIG_FILE: '/etc/otel.yaml', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }
    expect(planTelemetry(given)).toEqual({ ...nothingSet, configFile: '/etc/otel.yaml' })
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
      ...withVariables({ OTEL_TRACES_SAMPLER_ARG: '1', OTEL_ATTRIBUTE_COUNT_LIMIT: undefined, OTEL_BSP_SCHEDULE_DELAY: undefined }),
      problems: expect.arrayContaining([
        'OTEL_TRACES_EXPORTER: "zipkin" is not known; use otlp, console or none.',
        'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "udp" is not known; use http/protobuf, http/json or grpc. http/protobuf is used.',
        'OTEL_TRACES_SAMPLER: "sometimes" is not known; always_on is used.',
        'OTEL_TRACES_SAMPLER_ARG must be from 0 to 1, not "2"; 1 is used.',
        'OTEL_BSP_SCHEDULE_DELAY must be a number above 0, not "soon"; 5000 is used.',
        'OTEL_ATTRIBUTE_COUNT_LIMIT must be a number above 0, not "-1"; it is ignored.',
      ]),
    })
    expect(plan.problems).toHaveLength(6)
  })
})

describe('an endpoint', () => {
  const endpoint = (given: string) => planTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: given })

  it.each(['localhost:4318', 'collector.internal:4317', '10.0.0.7:4318'])('without a scheme, %s, is taken for http and named', (given) => {
    expect(endpoint(given)).toEqual({
      ...nothingSet,
      traces: ['otlp'],
      metrics: ['otlp'],
      ...withVariables({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://${given}` }),
      problems: [`OTEL_EXPORTER_OTLP_ENDPOINT: "${given}" has no scheme; http://${given} is used.`],
    })
  })

  it.each(['ftp://collector', 'http://', 'not a host'])('that is none, %s, is ignored and named', (given) => {
    expect(endpoint(given)).toEqual({
      ...nothingSet,
      ...withVariables({ OTEL_EXPORTER_OTLP_ENDPOINT: undefined }),
      problems: [`OTEL_EXPORTER_OTLP_ENDPOINT: "${given}" is not a URL; it is ignored.`],
    })
  })

  it.each(['https://collector:4318/path', 'unix:///run/collector.sock'])('%s is left as it is', (given) => {
    expect(endpoint(given).variables).toEqual(nothingSet.variables)
  })
})
