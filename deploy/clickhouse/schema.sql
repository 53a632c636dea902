-- Made by `npm run clickhouse` from src/ledger/columns.ts. Run it once: clickhouse-client --multiquery < schema.sql
CREATE DATABASE IF NOT EXISTS tokenweir;

-- What the collector's ClickHouse exporter writes logs to (its own table, with shorter life: the ledger below is what is kept).
CREATE TABLE IF NOT EXISTS tokenweir.otel_logs (
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, Timestamp)
TTL toDateTime(Timestamp) + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS tokenweir.otel_traces (
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
TTL toDateTime(Timestamp) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1;

-- The fleet's ledger: one row per request. The way here delivers at least once; a repeated row has the same id and is merged away, at once
-- for a query that says FINAL.
CREATE TABLE IF NOT EXISTS tokenweir.exchanges (
    id String COMMENT 'The sidecar''s own id of the request, a UUIDv7: sorts by time.',
    started_at DateTime64(3, 'UTC') COMMENT 'When the request arrived, in milliseconds since the epoch, with fraction.',
    trace_id Nullable(String) COMMENT 'W3C trace id of the span.',
    span_id Nullable(String) COMMENT 'W3C span id of the span.',
    parent_span_id Nullable(String) COMMENT 'The caller''s span, when the caller sent a traceparent.',
    method LowCardinality(Nullable(String)) COMMENT 'HTTP method.',
    path Nullable(String) COMMENT 'Path as the client sent it, without the query.',
    route LowCardinality(Nullable(String)) COMMENT 'Name of the configured route.',
    server_address LowCardinality(Nullable(String)) COMMENT 'Host of the upstream.',
    server_port Nullable(Int64) COMMENT 'Port of the upstream.',
    trace_flags Nullable(Int64) COMMENT 'The caller''s W3C trace flags; 1 when it sent none.',
    trace_state Nullable(String) COMMENT 'The caller''s tracestate.',
    link Nullable(String) COMMENT 'The caller''s span as a traceparent, where the route links to its callers'' traces.',
    usage_by_caller Nullable(Int64) COMMENT '1 where the caller reports usage itself, so that span and gen_ai metrics do not.',
    caller LowCardinality(Nullable(String)) COMMENT 'Who called: `key:` and ten hex digits, the value of a header, or a verified claim. NULL when no source could tell.',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the answer had been handed over whole, or was cut, in milliseconds since the epoch. NULL when nobody saw the end.',
    end_reason LowCardinality(Nullable(String)) COMMENT 'completed, refused, unreachable, upstream-aborted, client-aborted or sidecar-stopped. NULL while the request is open.',
    status Nullable(Int64) COMMENT 'Status sent to the client. NULL when none was sent.',
    streamed Nullable(Int64) COMMENT '1 when the answer came as a sequence of messages, else 0.',
    framing LowCardinality(Nullable(String)) COMMENT 'sse, ndjson, json-array, eventstream, websocket, whole or none.',
    format LowCardinality(Nullable(String)) COMMENT 'Wire format, where one was recognised.',
    operation LowCardinality(Nullable(String)) COMMENT 'gen_ai.operation.name. NULL when the request was no inference.',
    provider LowCardinality(Nullable(String)) COMMENT 'gen_ai.provider.name. NULL when the request was no inference.',
    request_model LowCardinality(Nullable(String)) COMMENT 'Model that the request asked for.',
    response_model LowCardinality(Nullable(String)) COMMENT 'Model that answered.',
    response_id Nullable(String) COMMENT 'The provider''s id of the answer.',
    finish_reasons Nullable(String) COMMENT 'JSON array, one per choice, in the provider''s spelling.',
    input_tokens Nullable(Int64) COMMENT 'Input tokens, cached ones included. NULL when not reported.',
    output_tokens Nullable(Int64) COMMENT 'Output tokens, reasoning included. NULL when not reported.',
    cache_read_tokens Nullable(Int64) COMMENT 'Part of the input that was read from a cache. NULL when not reported.',
    cache_write_tokens Nullable(Int64) COMMENT 'Part of the input that was written to a cache. NULL when not reported.',
    reasoning_tokens Nullable(Int64) COMMENT 'Part of the output that was reasoning. NULL when not reported.',
    total_tokens Nullable(Int64) COMMENT 'The provider''s own total. NULL when not reported.',
    iterations_input_tokens Nullable(Int64) COMMENT 'Input tokens added up over the answer''s iterations, when that differs from the top-level count (Anthropic compaction).',
    iterations_output_tokens Nullable(Int64) COMMENT 'Output tokens added up over the answer''s iterations, when that differs from the top-level count (Anthropic compaction).',
    iterations_cache_read_tokens Nullable(Int64) COMMENT 'Cache-read tokens added up over the answer''s iterations, when that differs from the top-level count (Anthropic compaction).',
    iterations_cache_write_tokens Nullable(Int64) COMMENT 'Cache-write tokens added up over the answer''s iterations, when that differs from the top-level count (Anthropic compaction).',
    usage_outcome LowCardinality(Nullable(String)) COMMENT 'reported, zero, partial, missing or undecodable. NULL when the request carries no usage.',
    usage_reason LowCardinality(Nullable(String)) COMMENT 'Why the outcome is not `reported`.',
    error_type LowCardinality(Nullable(String)) COMMENT 'Status of 400 or more, why the upstream was unreachable, or the error reported inside a stream.',
    request_bytes Nullable(Int64) COMMENT 'Bytes of the request body.',
    response_bytes Nullable(Int64) COMMENT 'Bytes of the response body as received.',
    request_sent_ms Nullable(Float64) COMMENT 'Milliseconds until the request, body included, had been handed over to the upstream. NULL when it was not.',
    response_head_ms Nullable(Float64) COMMENT 'Milliseconds from the request to the head of the answer. NULL when none came.',
    time_to_first_chunk_ms Nullable(Float64) COMMENT 'Milliseconds from the request to the first bytes of the response body.',
    duration_ms Nullable(Float64) COMMENT 'Milliseconds from the request to the end of the answer. NULL when nobody saw the end.',
    content_encoding LowCardinality(Nullable(String)) COMMENT 'Content encoding of the answer, when it had one.',
    drained_bytes Nullable(Int64) COMMENT 'Bytes read on after the client had left (disconnect policy drain). NULL when nothing was drained.',
    drained_ms Nullable(Float64) COMMENT 'How long was read on after the client had left, in milliseconds. NULL when nothing was drained.',
    notes Nullable(String) COMMENT 'JSON array of what observation could not do. NULL when there is nothing to note.',
    responses Nullable(Int64) COMMENT 'Responses that ended on a WebSocket; usage is their sum. NULL for everything else.',
    cost Nullable(Float64) COMMENT 'Cost in USD. NULL when it is not known, which is not zero.',
    cost_status LowCardinality(Nullable(String)) COMMENT 'priced, free or unpriced. NULL when the request costs no tokens.',
    cost_source LowCardinality(Nullable(String)) COMMENT 'reported (by the provider), custom (the configured prices) or table (public prices).',
    estimated_input_tokens Nullable(Int64) COMMENT 'Estimated, where the provider reported no input tokens and estimates are on; no part of the cost.',
    estimated_output_tokens Nullable(Int64) COMMENT 'Estimated, where the provider reported no output tokens and estimates are on; no part of the cost.',
    details Nullable(String) COMMENT 'JSON object of what the span has and no column: request settings, service tiers, events. NULL when there is nothing of it.',
    rate_limits LowCardinality(Nullable(String)) COMMENT 'JSON object of the limits on rate that the head told, by what is limited: {"tokens":{"limit":30000,"remaining":29000,"resetMs":2000}}.',
    retry_after_ms Nullable(Float64) COMMENT 'How long the upstream asked to wait before the next try, in milliseconds.',
    labels LowCardinality(Nullable(String)) COMMENT 'JSON object of the labels (see labels.md), by name: {"team":"search"}.',
    time_per_output_token_ms Nullable(Float64) COMMENT 'Mean time of each output token after the first, in milliseconds; 1000 / this is tokens per second. NULL where it cannot be known.',
    cache_saved Nullable(Float64) COMMENT 'USD by which prompt caching made the request cheaper; below zero where writing to the cache cost more. NULL where that is not certain.',
    service LowCardinality(String) COMMENT 'service.name of the sidecar.',
    instance LowCardinality(String) COMMENT 'service.instance.id of the sidecar.',
    arrived_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row came into this table.',
    INDEX idx_arrived_at arrived_at TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(started_at)
ORDER BY (started_at, id)
TTL toDateTime(started_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenweir.exchanges_from_logs TO tokenweir.exchanges AS
SELECT
    LogAttributes['id'] AS id,
    fromUnixTimestamp64Milli(toInt64(toFloat64OrZero(LogAttributes['started_at'])), 'UTC') AS started_at,
    nullIf(if(LogAttributes['trace_id'] = '', TraceId, LogAttributes['trace_id']), '') AS trace_id,
    nullIf(if(LogAttributes['span_id'] = '', SpanId, LogAttributes['span_id']), '') AS span_id,
    nullIf(LogAttributes['parent_span_id'], '') AS parent_span_id,
    nullIf(LogAttributes['method'], '') AS method,
    nullIf(LogAttributes['path'], '') AS path,
    nullIf(LogAttributes['route'], '') AS route,
    nullIf(LogAttributes['server_address'], '') AS server_address,
    toInt64OrNull(LogAttributes['server_port']) AS server_port,
    toInt64OrNull(LogAttributes['trace_flags']) AS trace_flags,
    nullIf(LogAttributes['trace_state'], '') AS trace_state,
    nullIf(LogAttributes['link'], '') AS link,
    toInt64OrNull(LogAttributes['usage_by_caller']) AS usage_by_caller,
    nullIf(LogAttributes['caller'], '') AS caller,
    fromUnixTimestamp64Milli(CAST(toFloat64OrNull(LogAttributes['ended_at']) AS Nullable(Int64)), 'UTC') AS ended_at,
    nullIf(LogAttributes['end_reason'], '') AS end_reason,
    toInt64OrNull(LogAttributes['status']) AS status,
    toInt64OrNull(LogAttributes['streamed']) AS streamed,
    nullIf(LogAttributes['framing'], '') AS framing,
    nullIf(LogAttributes['format'], '') AS format,
    nullIf(LogAttributes['operation'], '') AS operation,
    nullIf(LogAttributes['provider'], '') AS provider,
    nullIf(LogAttributes['request_model'], '') AS request_model,
    nullIf(LogAttributes['response_model'], '') AS response_model,
    nullIf(LogAttributes['response_id'], '') AS response_id,
    nullIf(LogAttributes['finish_reasons'], '') AS finish_reasons,
    toInt64OrNull(LogAttributes['input_tokens']) AS input_tokens,
    toInt64OrNull(LogAttributes['output_tokens']) AS output_tokens,
    toInt64OrNull(LogAttributes['cache_read_tokens']) AS cache_read_tokens,
    toInt64OrNull(LogAttributes['cache_write_tokens']) AS cache_write_tokens,
    toInt64OrNull(LogAttributes['reasoning_tokens']) AS reasoning_tokens,
    toInt64OrNull(LogAttributes['total_tokens']) AS total_tokens,
    toInt64OrNull(LogAttributes['iterations_input_tokens']) AS iterations_input_tokens,
    toInt64OrNull(LogAttributes['iterations_output_tokens']) AS iterations_output_tokens,
    toInt64OrNull(LogAttributes['iterations_cache_read_tokens']) AS iterations_cache_read_tokens,
    toInt64OrNull(LogAttributes['iterations_cache_write_tokens']) AS iterations_cache_write_tokens,
    nullIf(LogAttributes['usage_outcome'], '') AS usage_outcome,
    nullIf(LogAttributes['usage_reason'], '') AS usage_reason,
    nullIf(LogAttributes['error_type'], '') AS error_type,
    toInt64OrNull(LogAttributes['request_bytes']) AS request_bytes,
    toInt64OrNull(LogAttributes['response_bytes']) AS response_bytes,
    toFloat64OrNull(LogAttributes['request_sent_ms']) AS request_sent_ms,
    toFloat64OrNull(LogAttributes['response_head_ms']) AS response_head_ms,
    toFloat64OrNull(LogAttributes['time_to_first_chunk_ms']) AS time_to_first_chunk_ms,
    toFloat64OrNull(LogAttributes['duration_ms']) AS duration_ms,
    nullIf(LogAttributes['content_encoding'], '') AS content_encoding,
    toInt64OrNull(LogAttributes['drained_bytes']) AS drained_bytes,
    toFloat64OrNull(LogAttributes['drained_ms']) AS drained_ms,
    nullIf(LogAttributes['notes'], '') AS notes,
    toInt64OrNull(LogAttributes['responses']) AS responses,
    toFloat64OrNull(LogAttributes['cost']) AS cost,
    nullIf(LogAttributes['cost_status'], '') AS cost_status,
    nullIf(LogAttributes['cost_source'], '') AS cost_source,
    toInt64OrNull(LogAttributes['estimated_input_tokens']) AS estimated_input_tokens,
    toInt64OrNull(LogAttributes['estimated_output_tokens']) AS estimated_output_tokens,
    nullIf(LogAttributes['details'], '') AS details,
    nullIf(LogAttributes['rate_limits'], '') AS rate_limits,
    toFloat64OrNull(LogAttributes['retry_after_ms']) AS retry_after_ms,
    nullIf(LogAttributes['labels'], '') AS labels,
    toFloat64OrNull(LogAttributes['time_per_output_token_ms']) AS time_per_output_token_ms,
    toFloat64OrNull(LogAttributes['cache_saved']) AS cache_saved,
    ServiceName AS service,
    ResourceAttributes['service.instance.id'] AS instance
FROM tokenweir.otel_logs
WHERE mapContains(LogAttributes, 'id') AND mapContains(LogAttributes, 'started_at');

-- Sums by minute, hour and day. Read them with FINAL, and add up over what you do not ask for: deploy/clickhouse/queries.sql.
CREATE TABLE IF NOT EXISTS tokenweir.usage_by_minute (
    start DateTime('UTC') COMMENT 'When it begins.',
    service LowCardinality(String) COMMENT 'service.name of the sidecar. Empty when it is not known.',
    provider LowCardinality(String) COMMENT 'gen_ai.provider.name. Empty when it is not known.',
    model LowCardinality(String) COMMENT 'The model that was asked for, or else the one that answered. Empty when it is not known.',
    caller LowCardinality(String) COMMENT 'Who called. Empty when it is not known.',
    route LowCardinality(String) COMMENT 'Name of the configured route. Empty when it is not known.',
    outcome LowCardinality(String) COMMENT 'reported, zero, partial, missing or undecodable. Empty when it is not known.',
    reason LowCardinality(String) COMMENT 'Why the outcome is not `reported`. Empty when it is not known.',
    requests UInt64 COMMENT 'Requests that began then.',
    errors UInt64 COMMENT 'Of them, with an error.',
    streams UInt64 COMMENT 'Streams that came whole.',
    zero_usage UInt64 COMMENT 'Of them, the ones without usage.',
    input UInt64 COMMENT 'Sum of input_tokens, as far as they were reported.',
    input_reported UInt64 COMMENT 'Requests whose input_tokens are in the sum. 0: the sum is not known.',
    input_unreported UInt64 COMMENT 'Requests that owe their input_tokens and gave none.',
    output UInt64 COMMENT 'Sum of output_tokens, as far as they were reported.',
    output_reported UInt64 COMMENT 'Requests whose output_tokens are in the sum. 0: the sum is not known.',
    output_unreported UInt64 COMMENT 'Requests that owe their output_tokens and gave none.',
    cache_read UInt64 COMMENT 'Sum of cache_read_tokens, as far as they were reported.',
    cache_read_reported UInt64 COMMENT 'Requests whose cache_read_tokens are in the sum. 0: the sum is not known.',
    cache_read_unreported UInt64 COMMENT 'Requests that owe their cache_read_tokens and gave none.',
    cache_write UInt64 COMMENT 'Sum of cache_write_tokens, as far as they were reported.',
    cache_write_reported UInt64 COMMENT 'Requests whose cache_write_tokens are in the sum. 0: the sum is not known.',
    cache_write_unreported UInt64 COMMENT 'Requests that owe their cache_write_tokens and gave none.',
    reasoning UInt64 COMMENT 'Sum of reasoning_tokens, as far as they were reported.',
    reasoning_reported UInt64 COMMENT 'Requests whose reasoning_tokens are in the sum. 0: the sum is not known.',
    reasoning_unreported UInt64 COMMENT 'Requests that owe their reasoning_tokens and gave none.',
    cost_usd Float64 COMMENT 'USD, as far as the cost is known.',
    priced UInt64 COMMENT 'Requests whose cost is in the sum. 0: the sum is not known.',
    unpriced UInt64 COMMENT 'Requests that have no price that is known.',
    time_to_first_chunk AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'Milliseconds to the first chunk. Read it with quantilesDDMerge(0.01, 0.5, 0.95, 0.99): 50th, 95th and 99th percentile, within 1 %.',
    duration AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'Milliseconds to the end. Read it with quantilesDDMerge(0.01, 0.5, 0.95, 0.99): 50th, 95th and 99th percentile, within 1 %.',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When it was added up; the newest counts.'
) ENGINE = ReplacingMergeTree(refreshed_at)
PARTITION BY toYYYYMM(start)
ORDER BY (start, service, provider, model, caller, route, outcome, reason)
TTL start + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenweir.usage_by_minute_refresh REFRESH EVERY 1 MINUTE APPEND TO tokenweir.usage_by_minute AS
SELECT
    toStartOfMinute(toDateTime(started_at, 'UTC')) AS start,
    ifNull(service, '') AS service,
    ifNull(provider, '') AS provider,
    ifNull(coalesce(request_model, response_model), '') AS model,
    ifNull(caller, '') AS caller,
    ifNull(route, '') AS route,
    ifNull(usage_outcome, '') AS outcome,
    ifNull(usage_reason, '') AS reason,
    count() AS requests,
    countIf(error_type IS NOT NULL) AS errors,
    countIf((streamed = 1 AND end_reason = 'completed' AND error_type IS NULL AND (status BETWEEN 200 AND 299 OR status = 101) AND usage_outcome IS NOT NULL)) AS streams,
    countIf((streamed = 1 AND end_reason = 'completed' AND error_type IS NULL AND (status BETWEEN 200 AND 299 OR status = 101) AND usage_outcome IS NOT NULL AND usage_outcome IN ('zero', 'missing', 'undecodable') AND NOT (coalesce(usage_reason, '') = 'not_requested' AND coalesce(notes, '') LIKE '%"usage_probe"%'))) AS zero_usage,
    sum(ifNull(input_tokens, 0)) AS input,
    count(input_tokens) AS input_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND input_tokens IS NULL) AS input_unreported,
    sum(ifNull(output_tokens, 0)) AS output,
    count(output_tokens) AS output_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND output_tokens IS NULL) AS output_unreported,
    sum(ifNull(cache_read_tokens, 0)) AS cache_read,
    count(cache_read_tokens) AS cache_read_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND cache_read_tokens IS NULL) AS cache_read_unreported,
    sum(ifNull(cache_write_tokens, 0)) AS cache_write,
    count(cache_write_tokens) AS cache_write_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND cache_write_tokens IS NULL) AS cache_write_unreported,
    sum(ifNull(reasoning_tokens, 0)) AS reasoning,
    count(reasoning_tokens) AS reasoning_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND reasoning_tokens IS NULL) AS reasoning_unreported,
    sum(ifNull(cost, 0)) AS cost_usd,
    count(cost) AS priced,
    countIf(cost_status = 'unpriced') AS unpriced,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(time_to_first_chunk_ms) AS time_to_first_chunk,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration_ms) AS duration,
    now64(3, 'UTC') AS refreshed_at
FROM tokenweir.exchanges FINAL
WHERE toStartOfMinute(toDateTime(started_at, 'UTC')) IN (
    SELECT toStartOfMinute(toDateTime(started_at, 'UTC')) FROM tokenweir.exchanges
    WHERE arrived_at > (SELECT max(refreshed_at) FROM tokenweir.usage_by_minute) - INTERVAL 15 MINUTE
        AND started_at > now() - INTERVAL 13 DAY
)
GROUP BY start, service, provider, model, caller, route, outcome, reason;

CREATE TABLE IF NOT EXISTS tokenweir.usage_by_hour (
    start DateTime('UTC') COMMENT 'When it begins.',
    service LowCardinality(String) COMMENT 'service.name of the sidecar. Empty when it is not known.',
    provider LowCardinality(String) COMMENT 'gen_ai.provider.name. Empty when it is not known.',
    model LowCardinality(String) COMMENT 'The model that was asked for, or else the one that answered. Empty when it is not known.',
    caller LowCardinality(String) COMMENT 'Who called. Empty when it is not known.',
    route LowCardinality(String) COMMENT 'Name of the configured route. Empty when it is not known.',
    outcome LowCardinality(String) COMMENT 'reported, zero, partial, missing or undecodable. Empty when it is not known.',
    reason LowCardinality(String) COMMENT 'Why the outcome is not `reported`. Empty when it is not known.',
    requests UInt64 COMMENT 'Requests that began then.',
    errors UInt64 COMMENT 'Of them, with an error.',
    streams UInt64 COMMENT 'Streams that came whole.',
    zero_usage UInt64 COMMENT 'Of them, the ones without usage.',
    input UInt64 COMMENT 'Sum of input_tokens, as far as they were reported.',
    input_reported UInt64 COMMENT 'Requests whose input_tokens are in the sum. 0: the sum is not known.',
    input_unreported UInt64 COMMENT 'Requests that owe their input_tokens and gave none.',
    output UInt64 COMMENT 'Sum of output_tokens, as far as they were reported.',
    output_reported UInt64 COMMENT 'Requests whose output_tokens are in the sum. 0: the sum is not known.',
    output_unreported UInt64 COMMENT 'Requests that owe their output_tokens and gave none.',
    cache_read UInt64 COMMENT 'Sum of cache_read_tokens, as far as they were reported.',
    cache_read_reported UInt64 COMMENT 'Requests whose cache_read_tokens are in the sum. 0: the sum is not known.',
    cache_read_unreported UInt64 COMMENT 'Requests that owe their cache_read_tokens and gave none.',
    cache_write UInt64 COMMENT 'Sum of cache_write_tokens, as far as they were reported.',
    cache_write_reported UInt64 COMMENT 'Requests whose cache_write_tokens are in the sum. 0: the sum is not known.',
    cache_write_unreported UInt64 COMMENT 'Requests that owe their cache_write_tokens and gave none.',
    reasoning UInt64 COMMENT 'Sum of reasoning_tokens, as far as they were reported.',
    reasoning_reported UInt64 COMMENT 'Requests whose reasoning_tokens are in the sum. 0: the sum is not known.',
    reasoning_unreported UInt64 COMMENT 'Requests that owe their reasoning_tokens and gave none.',
    cost_usd Float64 COMMENT 'USD, as far as the cost is known.',
    priced UInt64 COMMENT 'Requests whose cost is in the sum. 0: the sum is not known.',
    unpriced UInt64 COMMENT 'Requests that have no price that is known.',
    time_to_first_chunk AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'Milliseconds to the first chunk. Read it with quantilesDDMerge(0.01, 0.5, 0.95, 0.99): 50th, 95th and 99th percentile, within 1 %.',
    duration AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'Milliseconds to the end. Read it with quantilesDDMerge(0.01, 0.5, 0.95, 0.99): 50th, 95th and 99th percentile, within 1 %.',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When it was added up; the newest counts.'
) ENGINE = ReplacingMergeTree(refreshed_at)
PARTITION BY toYYYYMM(start)
ORDER BY (start, service, provider, model, caller, route, outcome, reason)
TTL start + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenweir.usage_by_hour_refresh REFRESH EVERY 10 MINUTE APPEND TO tokenweir.usage_by_hour AS
SELECT
    toStartOfHour(toDateTime(started_at, 'UTC')) AS start,
    ifNull(service, '') AS service,
    ifNull(provider, '') AS provider,
    ifNull(coalesce(request_model, response_model), '') AS model,
    ifNull(caller, '') AS caller,
    ifNull(route, '') AS route,
    ifNull(usage_outcome, '') AS outcome,
    ifNull(usage_reason, '') AS reason,
    count() AS requests,
    countIf(error_type IS NOT NULL) AS errors,
    countIf((streamed = 1 AND end_reason = 'completed' AND error_type IS NULL AND (status BETWEEN 200 AND 299 OR status = 101) AND usage_outcome IS NOT NULL)) AS streams,
    countIf((streamed = 1 AND end_reason = 'completed' AND error_type IS NULL AND (status BETWEEN 200 AND 299 OR status = 101) AND usage_outcome IS NOT NULL AND usage_outcome IN ('zero', 'missing', 'undecodable') AND NOT (coalesce(usage_reason, '') = 'not_requested' AND coalesce(notes, '') LIKE '%"usage_probe"%'))) AS zero_usage,
    sum(ifNull(input_tokens, 0)) AS input,
    count(input_tokens) AS input_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND input_tokens IS NULL) AS input_unreported,
    sum(ifNull(output_tokens, 0)) AS output,
    count(output_tokens) AS output_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND output_tokens IS NULL) AS output_unreported,
    sum(ifNull(cache_read_tokens, 0)) AS cache_read,
    count(cache_read_tokens) AS cache_read_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND cache_read_tokens IS NULL) AS cache_read_unreported,
    sum(ifNull(cache_write_tokens, 0)) AS cache_write,
    count(cache_write_tokens) AS cache_write_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND cache_write_tokens IS NULL) AS cache_write_unreported,
    sum(ifNull(reasoning_tokens, 0)) AS reasoning,
    count(reasoning_tokens) AS reasoning_reported,
    countIf((usage_outcome IN ('partial', 'missing', 'undecodable')) AND reasoning_tokens IS NULL) AS reasoning_unreported,
    sum(ifNull(cost, 0)) AS cost_usd,
    count(cost) AS priced,
    countIf(cost_status = 'unpriced') AS unpriced,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(time_to_first_chunk_ms) AS time_to_first_chunk,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration_ms) AS duration,
    now64(3, 'UTC') AS refreshed_at
FROM tokenweir.exchanges FINAL
WHERE toStartOfHour(toDateTime(started_at, 'UTC')) IN (
    SELECT toStartOfHour(toDateTime(started_at, 'UTC')) FROM tokenweir.exchanges
    WHERE arrived_at > (SELECT max(refreshed_at) FROM tokenweir.usage_by_hour) - INTERVAL 15 MINUTE
        AND started_at > now() - INTERVAL 399 DAY
)
GROUP BY start, service, provider, model, caller, route, outcome, reason;

CREATE TABLE IF NOT EXISTS tokenweir.usage_by_day (
    start DateTime('UTC') COMMENT 'When it begins.',
    service LowCardinality(String) COMMENT 'service.name of the sidecar. Empty when it is not known.',
    provider LowCardinality(String) COMMENT 'gen_ai.provider.name. Empty when it is not known.',
    model LowCardinality(String) COMMENT 'The model that was asked for, or else the one that answered. Empty when it is not known.',
    caller LowCardinality(String) COMMENT 'Who called. Empty when it is not known.',
    route LowCardinality(String) COMMENT 'Name of the configured route. Empty when it is not known.',
    outcome LowCardinality(String) COMMENT 'reported, zero, partial, missing or undecodable. Empty when it is not known.',
    reason LowCardinality(String) COMMENT 'Why the outcome is not `reported`. Empty when it is not known.',
    requests UInt64 COMMENT 'Requests that began then.',
    errors UInt64 COMMENT 'Of them, with an error.',
    streams UInt64 COMMENT 'Streams that came whole.',
    zero_usage UInt64 COMMENT 'Of them, the ones without usage.',
    input UInt64 COMMENT 'Sum of input_tokens, as far as they were reported.',
    input_reported UInt64 COMMENT 'Requests whose input_tokens are in the sum. 0: the sum is not known.',
    input_unreported UInt64 COMMENT 'Requests that owe their input_tokens and gave none.',
    output UInt64 COMMENT 'Sum of output_tokens, as far as they were reported.',
    output_reported UInt64 COMMENT 'Requests whose output_tokens are in the sum. 0: the sum is not known.',
    output_unreported UInt64 COMMENT 'Requests that owe their output_tokens and gave none.',
    cache_read UInt64 COMMENT 'Sum of cache_read_tokens, as far as they were reported.',
    cache_read_reported UInt64 COMMENT 'Requests whose cache_read_tokens are in the sum. 0: the sum is not known.',
    cache_read_unreported UInt64 COMMENT 'Requests that owe their cache_read_tokens and gave none.',
    cache_write UInt64 COMMENT 'Sum of cache_write_tokens, as far as they were reported.',
    cache_write_reported UInt64 COMMENT 'Requests whose cache_write_tokens are in the sum. 0: the sum is not known.',
    cache_write_unreported UInt64 COMMENT 'Requests that owe their cache_write_tokens and gave none.',
    reasoning UInt64 COMMENT 'Sum of reasoning_tokens, as far as they were reported.',
    reasoning_reported UInt64 COMMENT 'Requests whose reasoning_tokens are in the sum. 0: the sum is not known.',
    reasoning_unreported UInt64 COMMENT 'Requests that owe their reasoning_tokens and gave none.',
    cost_usd Float64 COMMENT 'USD, as far as the cost is known.',
    priced UInt64 COMMENT 'Requests whose cost is in the sum. 0: the sum is not known.',
    unpriced UInt64 COMMENT 'Requests that have no price that is known.',
    time_to_first_chunk AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'Milliseconds to the first chunk. Read it with quantilesDDMerge(0.01, 0.5, 0.95, 0.99): 50th, 95th and 99th percentile, within 1 %.',
    duration AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'Milliseconds to the end. Read it with quantilesDDMerge(0.01, 0.5, 0.95, 0.99): 50th, 95th and 99th percentile, within 1 %.',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When it was added up; the newest counts.'
) ENGINE = ReplacingMergeTree(refreshed_at)
PARTITION BY toYYYYMM(start)
ORDER BY (start, service, provider, model, caller, route, outcome, reason)
TTL start + INTERVAL 1830 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenweir.usage_by_day_refresh REFRESH EVERY 10 MINUTE DEPENDS ON tokenweir.usage_by_hour_refresh APPEND TO tokenweir.usage_by_day AS
SELECT
    toStartOfDay(toDateTime(r.start, 'UTC')) AS start,
    service AS service,
    provider AS provider,
    model AS model,
    caller AS caller,
    route AS route,
    outcome AS outcome,
    reason AS reason,
    sum(r.requests) AS requests,
    sum(r.errors) AS errors,
    sum(r.streams) AS streams,
    sum(r.zero_usage) AS zero_usage,
    sum(r.input) AS input,
    sum(r.input_reported) AS input_reported,
    sum(r.input_unreported) AS input_unreported,
    sum(r.output) AS output,
    sum(r.output_reported) AS output_reported,
    sum(r.output_unreported) AS output_unreported,
    sum(r.cache_read) AS cache_read,
    sum(r.cache_read_reported) AS cache_read_reported,
    sum(r.cache_read_unreported) AS cache_read_unreported,
    sum(r.cache_write) AS cache_write,
    sum(r.cache_write_reported) AS cache_write_reported,
    sum(r.cache_write_unreported) AS cache_write_unreported,
    sum(r.reasoning) AS reasoning,
    sum(r.reasoning_reported) AS reasoning_reported,
    sum(r.reasoning_unreported) AS reasoning_unreported,
    sum(r.cost_usd) AS cost_usd,
    sum(r.priced) AS priced,
    sum(r.unpriced) AS unpriced,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(r.time_to_first_chunk) AS time_to_first_chunk,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(r.duration) AS duration,
    now64(3, 'UTC') AS refreshed_at
FROM tokenweir.usage_by_hour AS r FINAL
WHERE toStartOfDay(toDateTime(r.start, 'UTC')) IN (
    SELECT toStartOfDay(toDateTime(start, 'UTC')) FROM tokenweir.usage_by_hour
    WHERE refreshed_at > (SELECT max(refreshed_at) FROM tokenweir.usage_by_day) - INTERVAL 15 MINUTE
        AND start > now() - INTERVAL 398 DAY
)
GROUP BY start, service, provider, model, caller, route, outcome, reason;
