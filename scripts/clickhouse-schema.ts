/**
 * `npm run clickhouse`: writes deploy/clickhouse/schema.sql from the ledger's columns, so that the fleet's ledger has the same ones. A test holds the two
 * together.
 */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { columns } from '../src/ledger/columns.ts'
import { rollupsText } from './clickhouse-rollups.ts'

export const schemaFile = join(resolve(import.meta.dirname, '..'), 'deploy/clickhouse/schema.sql')

/** In milliseconds since the epoch in the ledger, which ClickHouse has a type for. */
const times = new Set(['started_at', 'ended_at'])
/** Never NULL: what the table is ordered by. */
const keys = new Set(['id', 'started_at'])
/** As many values as there are requests: no dictionary. */
const manifold = /(^|_)id$|^(path|notes|finish_reasons|trace_state|link|details)$/

type Column = (typeof columns)[number]

function typeOf({ name, type }: Column): string {
  if (times.has(name)) return keys.has(name) ? "DateTime64(3, 'UTC')" : "Nullable(DateTime64(3, 'UTC'))"
  if (keys.has(name)) return 'String'
  if (type === 'INTEGER') return 'Nullable(Int64)'
  if (type === 'REAL') return 'Nullable(Float64)'
  return manifold.test(name) ? 'Nullable(String)' : 'LowCardinality(Nullable(String))'
}

/** The exporter keeps attributes as texts; what was not reported has no attribute, and stays NULL. Nothing here throws: one bad record
 * would hold up all that come after it. */
function expressionOf({ name, type }: Column): string {
  const text = `LogAttributes['${name}']`
  if (name === 'id') return text
  if (name === 'started_at') return `fromUnixTimestamp64Milli(toInt64(toFloat64OrZero(${text})), 'UTC')`
  if (times.has(name)) return `fromUnixTimestamp64Milli(CAST(toFloat64OrNull(${text}) AS Nullable(Int64)), 'UTC')`
  if (type === 'INTEGER') return `toInt64OrNull(${text})`
  if (type === 'REAL') return `toFloat64OrNull(${text})`
  if (name === 'trace_id') return `nullIf(if(${text} = '', TraceId, ${text}), '')`
  if (name === 'span_id') return `nullIf(if(${text} = '', SpanId, ${text}), '')`
  return `nullIf(${text}, '')`
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
const lines = (list: readonly string[]) => list.map((line) => `    ${line}`).join(',\n')

export function schemaText(): string {
  const declared = columns.map((column) => `${column.name} ${typeOf(column)} COMMENT ${quoted(column.description)}`)
  const selected = columns.map((column) => `${expressionOf(column)} AS ${column.name}`)
  return `-- Made by \`npm run clickhouse\` from src/ledger/columns.ts. Run it once: clickhouse-client --multiquery < schema.sql
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
${lines(declared)},
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
${lines(selected)},
    ServiceName AS service,
    ResourceAttributes['service.instance.id'] AS instance
FROM tokenweir.otel_logs
WHERE mapContains(LogAttributes, 'id') AND mapContains(LogAttributes, 'started_at');

-- Sums by minute, hour and day. Read them with FINAL, and add up over what you do not ask for: deploy/clickhouse/queries.sql.
${rollupsText()}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(schemaFile, schemaText())
