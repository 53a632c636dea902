/** exchange → log record for the collector: the line's message, and the ledger's columns as attributes. What is NULL there is absent here. */
import type { Exchange } from '../exchange.ts'
import type { LogEntry, LogSource } from '../telemetry/sdk.ts'
import { endColumns, startColumns } from './ledger-columns.ts'
import { levelOf, logMessage } from './log.ts'
import type { Sink } from './sink.ts'

/** https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber */
const severities = { info: 9, warn: 13, error: 17 } as const

export function createOtlpLogSink({ origin, add }: LogSource): Sink {
  return {
    name: 'otlp-log',
    record({ ended }) {
      for (const exchange of ended) add({ ...origin, ...recordOf(exchange) })
    },
    async close() {},
  }
}

function recordOf(exchange: Exchange): Omit<LogEntry, keyof LogSource['origin']> {
  const { opening, ending } = exchange
  const endMs = opening.startedAt + ending.endMs
  const seconds = Math.floor(endMs / 1000)
  const hrTime: [number, number] = [seconds, Math.round((endMs - seconds * 1000) * 1e6)]
  const level = levelOf(exchange)
  return {
    hrTime,
    hrTimeObserved: hrTime,
    spanContext: { traceId: opening.traceId, spanId: opening.spanId, traceFlags: opening.traceFlags & 1 },
    severityText: level.toUpperCase(),
    severityNumber: severities[level],
    body: logMessage(exchange),
    attributes: attributesOf(exchange),
    droppedAttributesCount: 0,
  }
}

function attributesOf(exchange: Exchange): Record<string, string | number> {
  const attributes: Record<string, string | number> = {}
  const put = (name: string, value: string | number | null | undefined) => {
    if (typeof value === 'string' || typeof value === 'number') attributes[name] = value
  }
  for (const { name, ofOpening, ofExchange } of startColumns)
    put(name, ofExchange === undefined ? ofOpening(exchange.opening) : ofExchange(exchange))
  for (const { name, ofExchange } of endColumns) put(name, ofExchange(exchange))
  return attributes
}
