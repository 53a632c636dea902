/**
 * Every attribute, label and metric that tokenweir emits, once. Sinks take names from here by type, so a name that is not in the table
 * does not compile; dashboards, alerts and docs are generated from it or checked against it.
 * Names, units and buckets: the GenAI and HTTP semantic conventions for `gen_ai.*`, `http.*`, `process.*`, `nodejs.*`; ours are `tokenweir.*`.
 */
import { remembered } from '../lib/remembered.ts'

/** The generation of the GenAI conventions: `1.41` is what backends read today, `genai` the renames of the repository of that name. */
export type Generation = '1.41' | 'genai'

export interface AttributeEntry {
  readonly type: 'string' | 'int' | 'double' | 'boolean' | 'string[]'
  readonly description: string
  /** Emitted by this generation only. */
  readonly generation?: Generation
}

/** Span attributes and metric labels. */
export const attributes = {
  'http.request.method': { type: 'string', description: 'Method of the proxied request.' },
  'http.response.status_code': { type: 'int', description: 'Status sent to the client; absent when none was sent.' },
  'http.route': { type: 'string', description: 'Name of the configured route. A label only.' },
  'url.path': { type: 'string', description: 'Path as the client sent it, without the query.' },
  'url.scheme': { type: 'string', description: 'Scheme by which the client reached the sidecar. A label only.' },
  'server.address': { type: 'string', description: 'Host of the upstream.' },
  'server.port': { type: 'int', description: 'Port of the upstream.' },
  'error.type': {
    type: 'string',
    description: 'HTTP status of 400 or more, why the upstream was unreachable, or the error reported inside a stream.',
  },
  'gen_ai.operation.name': { type: 'string', description: 'chat, generate_content, text_completion, embeddings, …' },
  'gen_ai.provider.name': { type: 'string', description: 'openai, anthropic, aws.bedrock, gcp.vertex_ai, … or another string.' },
  'gen_ai.request.model': { type: 'string', description: 'Model that the request asked for.' },
  'gen_ai.request.stream': { type: 'boolean', description: 'True when the request asked for a stream, else absent.' },
  'gen_ai.request.max_tokens': { type: 'int', description: 'Most tokens the answer may have.' },
  'gen_ai.request.temperature': { type: 'double', description: 'Sampling temperature asked for.' },
  'gen_ai.request.top_p': { type: 'double', description: 'Nucleus sampling mass asked for.' },
  'gen_ai.request.top_k': { type: 'double', description: 'Top-k sampling asked for.' },
  'gen_ai.request.frequency_penalty': { type: 'double', description: 'Frequency penalty asked for.' },
  'gen_ai.request.presence_penalty': { type: 'double', description: 'Presence penalty asked for.' },
  'gen_ai.request.seed': { type: 'int', description: 'Seed asked for.' },
  'gen_ai.request.choice.count': { type: 'int', description: 'Candidates asked for, when not one.' },
  'gen_ai.output.type': { type: 'string', description: 'text, json, image or speech, when the request says so.' },
  'gen_ai.conversation.id': { type: 'string', description: 'Conversation named by the request; never invented.' },
  'gen_ai.response.id': { type: 'string', description: "The provider's id of the answer." },
  'gen_ai.response.model': { type: 'string', description: 'Model that answered.' },
  'gen_ai.response.finish_reasons': {
    type: 'string[]',
    description: "One per choice, in the provider's spelling; `error` when one was due and never came.",
  },
  'gen_ai.response.time_to_first_chunk': { type: 'double', description: 'Seconds from the request to the first chunk of a stream.' },
  'gen_ai.usage.input_tokens': { type: 'int', description: 'Input tokens as reported, cached ones included.' },
  'gen_ai.usage.output_tokens': { type: 'int', description: 'Output tokens as reported, reasoning included.' },
  'gen_ai.usage.cache_read.input_tokens': { type: 'int', description: 'Part of the input that was read from a cache.' },
  'gen_ai.usage.cache_creation.input_tokens': {
    type: 'int',
    description: 'Part of the input that was written to a cache.',
    generation: '1.41',
  },
  'gen_ai.usage.cache_write.input_tokens': {
    type: 'int',
    description: 'Part of the input that was written to a cache.',
    generation: 'genai',
  },
  'gen_ai.usage.reasoning.output_tokens': { type: 'int', description: 'Part of the output that was reasoning.' },
  'gen_ai.usage.cost': { type: 'double', description: 'Cost in USD; absent when it is not known.' },
  'gen_ai.token.type': { type: 'string', description: 'input or output. A label only.', generation: '1.41' },
  'openai.api.type': { type: 'string', description: 'chat_completions or responses.' },
  'openai.request.service_tier': { type: 'string', description: 'Service tier asked for.' },
  'openai.response.service_tier': { type: 'string', description: 'Service tier that answered.' },
  'openai.response.system_fingerprint': { type: 'string', description: 'Fingerprint of the backend configuration.' },
  'tokenweir.exchange.id': { type: 'string', description: "The sidecar's own id of the request, a UUIDv7; the ledger's primary key." },
  'tokenweir.end_reason': { type: 'string', description: 'How the request ended: completed, client-aborted, upstream-aborted, …' },
  'tokenweir.responses': { type: 'int', description: 'Responses that ended on a WebSocket; usage is their sum.' },
  'tokenweir.usage.outcome': { type: 'string', description: 'reported, zero, partial, missing or undecodable.' },
  'tokenweir.usage.reason': { type: 'string', description: 'Why the outcome is not `reported`.' },
  upstream: { type: 'string', description: 'Address and port of an upstream. A label only.' },
  feature: { type: 'string', description: 'Of an upstream: `stream_options`. A label only.' },
  state: { type: 'string', description: 'Of a feature: `accepted` or `refused`. A label only.' },
  'tokenweir.caller': {
    type: 'string',
    description: 'Who called: `key:` and ten hex digits, the value of a header, a verified claim, or the name that `callerNames` gives it.',
  },
  'tokenweir.time_per_output_token': {
    type: 'double',
    description: 'Mean seconds of each output token after the first; absent where it cannot be known.',
  },
  'tokenweir.cache.saved': {
    type: 'double',
    description: 'USD by which prompt caching made the request cheaper; below zero where writing to the cache cost more.',
  },
  'tokenweir.estimated.input_tokens': {
    type: 'int',
    description: 'Estimated input tokens, when estimates are on and the provider reported none.',
  },
  'tokenweir.estimated.output_tokens': {
    type: 'int',
    description: 'Estimated output tokens, when estimates are on and the provider reported none.',
  },
  price_status: { type: 'string', description: 'priced, free or unpriced. A label only.' },
  usage_outcome: { type: 'string', description: 'As `tokenweir.usage.outcome`; absent on requests that carry no usage. A label only.' },
  reason: { type: 'string', description: 'As `tokenweir.usage.reason`, or why something was dropped. A label only.' },
  end_reason: { type: 'string', description: 'As `tokenweir.end_reason`. A label only.' },
  caller: { type: 'string', description: 'As `tokenweir.caller`. A label only.' },
  signal: { type: 'string', description: '`traces` or `logs`. A label only.' },
  budget: { type: 'string', description: 'Name of a budget. A label only.' },
  period: { type: 'string', description: 'day, week or month. A label only.' },
  budget_unit: { type: 'string', description: '`usd` or `tokens`. A label only.' },
  rate_limit: { type: 'string', description: 'What a limit is of: requests, tokens, input_tokens, tokens_minute, … A label only.' },
  token_type: { type: 'string', description: 'input, output, cache_read, cache_write or reasoning. A label only.' },
  sink: { type: 'string', description: 'Name of a sink: span, metrics, log, ledger. A label only.' },
  label: { type: 'string', description: 'Name of the label whose value became `other`, or was not recorded. A label only.' },
  result: {
    type: 'string',
    description: 'Of a reload: applied, unchanged or refused. Of a probe: success, or why it failed. A label only.',
  },
  'thread.name': { type: 'string', description: 'recorder. A label only.' },
  'cpu.mode': { type: 'string', description: 'user or system. A label only.' },
} as const satisfies Record<string, AttributeEntry>

export type AttributeName = keyof typeof attributes

/** The attribute, and the metric label, of one of the operator's labels. */
export type LabelAttribute = `tokenweir.label.${string}`
export const labelAttribute = remembered((name): LabelAttribute => `tokenweir.label.${name}`)

export interface MetricEntry {
  /** `updown` is a sum that can fall; `gauge` a reading that cannot be summed. */
  readonly kind: 'counter' | 'updown' | 'gauge' | 'histogram'
  /** UCUM; `{…}` is an annotation and has no place in a Prometheus name. */
  readonly unit: string
  readonly description: string
  readonly labels: readonly AttributeName[]
  /** Upper bounds, inclusive, ascending, in `unit`. */
  readonly buckets?: readonly number[]
  readonly generation?: Generation
}

/** Seconds. The conventions end at 81.92; reasoning models run longer, so ours go on. */
const durationBuckets = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36,
] as const
/** Seconds. The conventions begin at 0.01; fast models write a token in less. */
const perTokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] as const
const tokenBuckets = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864] as const
/** Seconds, as the HTTP conventions advise. */
const httpBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const
/**
 * Microseconds, 10 µs to 1 s, dense where the target lies (p99 ≤ 0.5 ms). The proxying thread counts chunks into cells of a shared array by
 * these bounds (`Cell.chunkOverhead`), one cell per bound and one for what is above the last.
 */
export const overheadBucketsMicros = [
  10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
] as const
const overheadBuckets = overheadBucketsMicros.map((micros) => micros / 1e6)

/** Seconds: from a loopback's tenth of a millisecond to the limit of a connection. */
const connectBuckets = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

const operationLabels = [
  'gen_ai.operation.name',
  'gen_ai.provider.name',
  'gen_ai.request.model',
  'gen_ai.response.model',
  'server.address',
  'server.port',
] as const
const streamLabels = ['gen_ai.operation.name', 'gen_ai.provider.name', 'gen_ai.request.model', 'http.route'] as const

const payerLabels = ['gen_ai.provider.name', 'gen_ai.request.model', 'http.route', 'caller'] as const
const budgetLabels = ['budget', 'period', 'budget_unit'] as const
const limitLabels = ['gen_ai.provider.name', 'gen_ai.request.model', 'rate_limit', 'caller'] as const

type Label = AttributeName
const counter = (unit: string, description: string, ...labels: Label[]) => ({ kind: 'counter', unit, description, labels }) as const
const updown = (unit: string, description: string, ...labels: Label[]) => ({ kind: 'updown', unit, description, labels }) as const
const gauge = (unit: string, description: string, ...labels: Label[]) => ({ kind: 'gauge', unit, description, labels }) as const
const histogram = (unit: string, buckets: readonly number[], description: string, ...labels: Label[]) =>
  ({ kind: 'histogram', unit, buckets, description, labels }) as const
const operation = (generation: Generation, unit: 's' | '{token}', description: string, ...labels: Label[]) => {
  const buckets = unit === 's' ? durationBuckets : tokenBuckets
  return { ...histogram(unit, buckets, description, ...operationLabels, ...labels), generation } as const
}
const usage = (description: string) => ({ ...counter('{token}', description, ...operationLabels), generation: 'genai' }) as const

const toEnd = 'From the request to the end of the answer.'
const toFirstChunk = 'From the request to the first chunk of a stream.'
const betweenChunks = 'Mean time between the chunks of one stream; one record per stream.'

export const metrics = {
  'gen_ai.client.token.usage': operation(
    '1.41',
    '{token}',
    'Tokens of one request, by type; only counts that were reported.',
    'gen_ai.token.type',
  ),
  'gen_ai.client.operation.duration': operation('1.41', 's', toEnd, 'error.type'),
  'gen_ai.client.operation.time_to_first_chunk': operation('1.41', 's', toFirstChunk),
  'gen_ai.client.operation.time_per_output_chunk': operation('1.41', 's', betweenChunks),
  'gen_ai.client.inference.usage.input_tokens': usage('Input tokens as reported, cached ones included.'),
  'gen_ai.client.inference.usage.output_tokens': usage('Output tokens as reported, reasoning included.'),
  'gen_ai.client.inference.usage.cache_read.input_tokens': usage('Input tokens read from a cache.'),
  'gen_ai.client.inference.usage.cache_write.input_tokens': usage('Input tokens written to a cache.'),
  'gen_ai.client.inference.usage.reasoning.output_tokens': usage('Output tokens that were reasoning.'),
  'gen_ai.client.inference.operation.input_tokens': operation('genai', '{token}', 'Input tokens of one request, when reported.'),
  'gen_ai.client.inference.operation.output_tokens': operation('genai', '{token}', 'Output tokens of one request, when reported.'),
  'gen_ai.client.inference.duration': operation('genai', 's', toEnd, 'error.type'),
  'gen_ai.client.inference.time_to_first_chunk': operation('genai', 's', toFirstChunk),
  'gen_ai.client.inference.time_per_output_chunk': operation('genai', 's', betweenChunks),
  'gen_ai.server.time_per_output_token': histogram(
    's',
    perTokenBuckets,
    'Mean time of each output token after the first, of one stream; nothing where it cannot be known. As a client sees it: the way from the upstream is part of it.',
    ...operationLabels,
  ),
  'http.server.request.duration': histogram(
    's',
    httpBuckets,
    'From the request to the end of the answer, for every proxied request.',
    'http.request.method',
    'url.scheme',
    'http.response.status_code',
    'http.route',
  ),
  'tokenweir.requests': counter(
    '{request}',
    'Proxied requests that ended, by what is known of their usage and how they ended.',
    'gen_ai.provider.name',
    'http.route',
    'usage_outcome',
    'reason',
    'end_reason',
  ),
  'tokenweir.tokens': counter(
    '{token}',
    'Tokens as reported, in either generation of the conventions; cache_read and cache_write are part of input, reasoning of output. Labels that are marked `metric` are labels here.',
    'gen_ai.provider.name',
    'gen_ai.request.model',
    'http.route',
    'caller',
    'token_type',
  ),
  'tokenweir.usage.contradictions': counter(
    '{request}',
    'Requests whose reported counts cannot all be right: parts beyond their whole, a total that is not their sum.',
    'gen_ai.provider.name',
    'http.route',
  ),
  'tokenweir.caller.requests': counter('{request}', 'Proxied requests that ended, by caller and how they ended.', 'caller', 'end_reason'),
  'tokenweir.caller.tokens': counter('{token}', 'Tokens as reported, by caller.', 'caller', 'token_type'),
  'tokenweir.caller.unknown': counter(
    '{request}',
    'Requests whose token told no caller: it did not verify, or too many were being verified.',
    'reason',
  ),
  'tokenweir.cost': counter(
    '{USD}',
    'Cost in USD of the requests whose cost is known; as `tokenweir.tokens` with the labels that are marked `metric`.',
    ...operationLabels,
    'caller',
  ),
  'tokenweir.cache.saved': counter(
    '{USD}',
    'USD that prompt caching saved, over the requests that it made cheaper; as `tokenweir.tokens` with the labels that are marked `metric`.',
    ...payerLabels,
  ),
  'tokenweir.cache.lost': counter(
    '{USD}',
    'USD that prompt caching cost more, over the requests that it made dearer: writing to a cache can cost more than plain input.',
    ...payerLabels,
  ),
  'tokenweir.cost.requests': counter(
    '{request}',
    'Requests whose tokens cost something, by whether it is known what.',
    'gen_ai.provider.name',
    'price_status',
  ),
  'tokenweir.budget.limit': gauge('{unit}', 'What may be spent in the period, in USD or tokens.', ...budgetLabels),
  'tokenweir.budget.spent': gauge('{unit}', 'What is spent in the period of now, as far as it is known.', ...budgetLabels),
  'tokenweir.budget.forecast': gauge(
    '{unit}',
    'What will be spent at the end of the period if it goes on so. Absent in the first twentieth of the period.',
    ...budgetLabels,
  ),
  'tokenweir.labels.dropped': counter(
    '{value}',
    'Values of labels that were not recorded: `too_long`, `not_text` or `credential`.',
    'label',
    'reason',
  ),
  'tokenweir.ratelimit.limit': gauge('{unit}', 'A limit on rate, as the last answer told it; 100 where it told a share.', ...limitLabels),
  'tokenweir.ratelimit.remaining': gauge(
    '{unit}',
    'What is left of it, as the last answer told it. Gone a minute after it is whole again.',
    ...limitLabels,
  ),
  'tokenweir.ratelimit.reset': gauge('s', 'Until it is whole again, by what the last answer told.', ...limitLabels),
  'tokenweir.ratelimit.refusals': counter('{request}', 'Requests answered 429.', 'gen_ai.provider.name', 'caller'),
  'tokenweir.ratelimit.retry_after': histogram(
    's',
    durationBuckets,
    'How long upstreams asked to wait before the next try (`Retry-After`).',
    'gen_ai.provider.name',
    'caller',
  ),
  'tokenweir.prices.age': gauge('s', 'How long ago the newest table of prices was made.'),
  'tokenweir.streams.completed': counter(
    '{stream}',
    'Streamed answers that came whole and without an error, with a status of 2xx, to requests whose answers carry usage; WebSockets with a response.',
    ...streamLabels,
  ),
  'tokenweir.streams.zero_usage': counter(
    '{stream}',
    'Completed streams with no usage, by reason; a client that left is not counted.',
    ...streamLabels,
    'reason',
  ),
  'tokenweir.overhead.first_byte': histogram(
    's',
    overheadBuckets,
    'From the first bytes of an answer to their hand-over to the client, per request.',
  ),
  'tokenweir.overhead.chunk': histogram('s', overheadBuckets, 'From a chunk of an answer to its hand-over to the client. No sum is kept.'),
  'tokenweir.drained': counter('By', 'Read on after clients had left, so that usage was seen (disconnect policy drain).', 'http.route'),
  'tokenweir.drain.time': counter('s', 'Time spent reading on after clients had left (disconnect policy drain).', 'http.route'),
  'tokenweir.capability': gauge(
    '{upstream}',
    'What an upstream was last seen to make of an injected feature: 1 for the state it is in.',
    'upstream',
    'feature',
    'state',
  ),
  'tokenweir.upstream.last_success': gauge(
    's',
    'When an upstream last began a response with a status below 500, in seconds since the epoch.',
    'upstream',
  ),
  'tokenweir.upstream.failures': counter(
    '{request}',
    'Requests that an upstream failed: `refused`, `timeout`, `tls`, `dns`, `reset`, `protocol`, `5xx`, or its forward proxy (`proxy_refused`, `proxy_unreachable`).',
    'upstream',
    'reason',
  ),
  'tokenweir.upstream.connect.duration': histogram(
    's',
    connectBuckets,
    'Time to make a connection to an upstream, with TLS and forward proxy. No sum is kept.',
    'upstream',
  ),
  'tokenweir.upstream.probes': counter('{request}', 'Probes of an upstream, which are no requests of clients.', 'upstream', 'result'),
  'tokenweir.config.reloads': counter('{reload}', 'Times that the configuration was read again.', 'result'),
  'tokenweir.config.last_reload': gauge(
    's',
    'When the settings in effect were read, in seconds since the epoch: at the start, or at the last reload that was not refused.',
  ),
  'tokenweir.config.last_reload.successful': gauge(
    '{reload}',
    '0 while the last reload was refused: the settings from before stay in effect. Else 1.',
  ),
  'tokenweir.exchanges.open': updown('{exchange}', 'Requests open now.'),
  'tokenweir.exchanges.dropped': counter(
    '{exchange}',
    'Ended requests that were not recorded: the recorder was too far behind, died on them, or had never heard of them.',
    'reason',
  ),
  'tokenweir.recorder.restarts': counter('{restart}', 'Times that the recorder thread died and was started again.'),
  'tokenweir.requests.malformed': counter('{request}', 'Connections that sent no HTTP and were refused before they became a request.'),
  'tokenweir.injection.skipped': counter(
    '{request}',
    'Requests whose body went on unchanged although usage might have been asked for: too long or of too many keys (`size`), or too much was held of all bodies (`budget`).',
    'reason',
  ),
  'tokenweir.clients.silent': counter(
    '{request}',
    'Requests ended because the client stopped sending its body (`body`) or reading the response (`read`).',
    'reason',
  ),
  'tokenweir.connections.dropped': counter(
    '{connection}',
    'Connections refused, closed or not made: file descriptors were scarce (`descriptors`), too many requests waited behind others (`pipelining`), or a client flooded an HTTP/2 connection or broke its protocol (`http2`).',
    'reason',
  ),
  'tokenweir.tls.handshakes.failed': counter(
    '{connection}',
    'TLS handshakes with clients that failed: for want of a valid client certificate (`client_certificate`), or for another reason (`handshake`).',
    'reason',
  ),
  'tokenweir.tls.certificates.changed': counter(
    '{change}',
    'Times that changed certificate files were taken into use (`in_use`), or could not be used (`refused`: those from before stay).',
    'state',
  ),
  'tokenweir.observer.failures': counter('{exchange}', 'Exchanges whose observation failed; their bytes went through untouched.'),
  'tokenweir.sink.failures': counter('{batch}', 'Batches that a sink threw on.', 'sink'),
  'tokenweir.label_overflow': counter('{value}', 'Label values that became `other` because the label has too many.', 'label'),
  'tokenweir.log.written': counter('{line}', 'Log lines written to standard output.'),
  'tokenweir.log.dropped': counter('{line}', 'Log lines dropped: standard output was closed or too slow.'),
  'tokenweir.ledger.written': counter('{row}', 'Ledger rows opened or closed.'),
  'tokenweir.ledger.failures': counter('{batch}', 'Writes to the ledger that failed and are tried again.'),
  'tokenweir.ledger.lost': counter(
    '{file}',
    "Times that the ledger's file was lost while it was in use, and another begun: removed, moved, replaced, overwritten, damaged.",
    'reason',
  ),
  'tokenweir.ledger.expired': counter('{row}', 'Rows removed because they were too old, or the ledger too large.'),
  'tokenweir.ledger.rollup_overflow': counter(
    '{row}',
    'Rows whose model, caller, labels or error are `other` in the rollups, because too many combinations are in the ledger.',
  ),
  'tokenweir.ledger.bytes': updown('By', "Size of the ledger's file."),
  'tokenweir.ledger.writable': updown('{ledger}', '1 while the ledger can be written, else 0.'),
  'tokenweir.ledger.dropped': counter('{row}', 'Requests that ended without a row, because too many rows waited for the ledger.'),
  'tokenweir.ledger.recovered': counter('{row}', 'Rows that a killed process had left open, closed at start-up.'),
  'tokenweir.ledger.depth': updown('{row}', 'Rows that wait to be written.'),
  'tokenweir.counters.start_time': gauge(
    's',
    'When this ledger began to count, in seconds since the epoch: a series that appears in a window this lies in began at 0.',
  ),
  'tokenweir.spool.depth': updown('{record}', 'Spans or log records that wait for the collector.', 'signal'),
  'tokenweir.spool.bytes': updown('By', 'Bytes that wait for the collector.', 'signal'),
  'tokenweir.spool.oldest_age': gauge('s', 'How long the oldest that waits for the collector has waited; 0 when nothing waits.', 'signal'),
  'tokenweir.spool.written': counter('{record}', 'Spans or log records given to the spool.', 'signal'),
  'tokenweir.spool.delivered': counter('{record}', 'Spans or log records that the collector acknowledged.', 'signal'),
  'tokenweir.spool.replayed': counter(
    '{record}',
    'Of those delivered, what an earlier process or recorder had left in the spool.',
    'signal',
  ),
  'tokenweir.spool.dropped': counter(
    '{record}',
    'Given up: too old (`age`), too much (`size`), not taken by the collector (`refused`, `rejected`), or never on disk (`unwritable`).',
    'signal',
    'reason',
  ),
  'tokenweir.spool.failures': counter('{request}', 'Exports that failed; what they held is sent again.', 'signal'),
  'process.memory.usage': updown('By', 'Resident memory of the process.'),
  'process.uptime': gauge('s', 'Since when the process runs: it falls with a restart.'),
  'process.cpu.time': counter('s', 'CPU time of the process.', 'cpu.mode'),
  'nodejs.eventloop.delay.p50': gauge('s', 'Median event-loop delay since the last reading.', 'thread.name'),
  'nodejs.eventloop.delay.p99': gauge('s', '99th percentile of the event-loop delay since the last reading.', 'thread.name'),
  'nodejs.eventloop.delay.max': gauge('s', 'Longest event-loop delay since the last reading.', 'thread.name'),
} as const satisfies Record<string, MetricEntry>

export type MetricName = keyof typeof metrics
type OfKind<Kind extends MetricEntry['kind']> = {
  [Name in MetricName]: (typeof metrics)[Name]['kind'] extends Kind ? Name : never
}[MetricName]
export type CounterName = OfKind<'counter'>
export type HistogramName = OfKind<'histogram'>
export type ReadingName = OfKind<'updown' | 'gauge'>

/** Longer values of a label become `other`: a model name may be as long as a request body. */
export const labelCharsMax = 200

/** What the default translation adds to a name, by unit, unless it is in the name already; annotations in braces add nothing. */
const prometheusUnits: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes' }

/** The name that Prometheus shows under the default OTLP translation: `gen_ai_client_operation_duration_seconds`, `tokenweir_requests_total`. */
export function prometheusName(name: MetricName): string {
  const { unit, kind } = metrics[name]
  const base = name.replaceAll('.', '_')
  const suffix = prometheusUnits[unit] ?? ''
  return `${base}${base.endsWith(suffix) ? '' : suffix}${kind === 'counter' ? '_total' : ''}`
}
