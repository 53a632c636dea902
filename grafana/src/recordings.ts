/**
 * The rules that record how many events a counter saw, so that a panel asks for any range with one short query:
 * `sum by (gen_ai_provider_name) (sum_over_time(instance:tokenweir_tokens:increase{token_type="input"}[$__range]))`.
 *
 * `increase()` in the panel does not do: it never sees the value with which a series begins, and it estimates what it does not see. Here each
 * evaluation counts what came since the last one that saw the series, however long ago within an hour, so a Prometheus that was away, or samples
 * that come late, lose nothing.
 */
import { labelsOf, type Metric, series } from './promql.ts'

export interface Recording {
  readonly record: string
  readonly expr: string
}

interface Source {
  readonly metric: Metric
  readonly part?: 'count'
  /** What tells its series from those of the other sources: their label `what`. */
  readonly what?: string
}

const counters = [
  'tokenweir.tokens',
  'tokenweir.cost',
  'tokenweir.cost.requests',
  'tokenweir.requests',
  'tokenweir.requests.malformed',
  'tokenweir.streams.completed',
  'tokenweir.streams.zero_usage',
  'tokenweir.caller.tokens',
  'tokenweir.caller.requests',
  'tokenweir.spool.dropped',
  'tokenweir.label_overflow',
  'tokenweir.upstream.failures',
] as const satisfies readonly Metric[]

/** Records given up at a limit. Should be 0. */
const lost: readonly Source[] = [
  { metric: 'tokenweir.exchanges.dropped', what: 'requests not recorded' },
  { metric: 'tokenweir.ledger.dropped', what: 'ledger rows' },
  { metric: 'tokenweir.spool.dropped', what: 'spans and log records' },
  { metric: 'tokenweir.log.dropped', what: 'log lines' },
]
/** Each was survived. */
const faults: readonly Source[] = [
  { metric: 'tokenweir.observer.failures', what: 'observations that failed' },
  { metric: 'tokenweir.sink.failures', what: 'batches that a sink refused' },
  { metric: 'tokenweir.recorder.restarts', what: 'restarts of the recorder' },
  { metric: 'tokenweir.ledger.failures', what: 'failed ledger writes' },
  { metric: 'tokenweir.ledger.lost', what: 'ledger files lost' },
  { metric: 'tokenweir.spool.failures', what: 'failed exports' },
]

/** Counts that more than one metric makes, or that stand in a histogram. */
const combined = {
  /** Every response, by its status. */
  'http.server.request.duration': [{ metric: 'http.server.request.duration', part: 'count' }],
  /** Inference requests, whichever generation of the conventions names them. */
  'gen_ai.client.duration': [
    { metric: 'gen_ai.client.operation.duration', part: 'count' },
    { metric: 'gen_ai.client.inference.duration', part: 'count' },
  ],
  'tokenweir.lost': lost,
  'tokenweir.faults': faults,
} as const satisfies Record<string, readonly Source[]>

export type Recorded = (typeof counters)[number] | keyof typeof combined
export const recordedNames: readonly Recorded[] = [...counters, ...(Object.keys(combined) as (keyof typeof combined)[])]

const sourcesOf = (name: Recorded): readonly Source[] =>
  name in combined ? combined[name as keyof typeof combined] : [{ metric: name as Metric }]
const selectorOf = ({ metric, part }: Source) => series(metric, {}, part)
const nameOf = (name: Recorded, operation: 'increase' | 'last') => {
  const [first, ...others] = sourcesOf(name)
  const base = first === undefined || others.length > 0 ? name.replaceAll('.', '_') : selectorOf(first).replace(/_(total|count)$/, '')
  return `instance:${base}:${operation}`
}

/** The events since the evaluation before: `instance:tokenweir_tokens:increase`. */
export const recordName = (name: Recorded): string => nameOf(name, 'increase')

/** As Prometheus shows them. */
export const recordedLabels = (name: Recorded): readonly string[] => [
  ...new Set([...sourcesOf(name).flatMap(({ metric }) => labelsOf(metric)), 'what']),
]

const startTime = series('tokenweir.counters.start_time')
/** There while a sidecar reports and these rules are evaluated. */
export const seen = 'instance:tokenweir_start_time:last'
/** A sample that is older says nothing any more. */
const current = '5m'
/** What was last seen longer ago counts as new. */
const memory = { range: '1h', seconds: 3600 }
const before = (name: string) => `last_over_time(${name}[${memory.range}] offset 1s)`

function latest(source: Source): string {
  const value = `last_over_time(${selectorOf(source)}[${current}])`
  return source.what === undefined ? value : `label_replace(${value}, "what", "${source.what}", "", "")`
}

/**
 * The increase is from what was seen last, unless the counter has begun anew since; else from 0, if the process was seen before, or if its ledger
 * is new. What is seen for the first time of a process that is new as well may be old, and is not counted.
 */
function recordingsOf(name: Recorded): readonly Recording[] {
  const last = nameOf(name, 'last')
  const known = `(${before(seen)} or ${seen} > time() - ${memory.seconds})`
  return [
    { record: last, expr: sourcesOf(name).map(latest).join('\nor ') },
    { record: recordName(name), expr: `${last}\n- (${before(last)} <= ${last}\nor 0 * ${last} and on (job, instance) ${known})` },
  ]
}

export function recordingRules() {
  const rules: readonly Recording[] = [
    { record: seen, expr: `last_over_time(${startTime}[${current}])` },
    ...recordedNames.flatMap(recordingsOf),
  ]
  return { groups: [{ name: 'tokenweir-boards', interval: '30s', rules }] }
}
