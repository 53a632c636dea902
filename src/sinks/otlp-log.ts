/** exchange → log record for the collector: the line's message, and the ledger's columns as attributes. What is NULL there is absent here. */

import { columns } from '../ledger/columns.ts'
import type { Exchange } from '../lib/exchange.ts'
import { hrTime } from '../telemetry/hr-time.ts'
import type { LogEntry, LogSource } from '../telemetry/sdk.ts'
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
  const time = hrTime(endMs)
  const level = levelOf(exchange)
  return {
    hrTime: time,
    hrTimeObserved: time,
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
  for (const { name, ofExchange } of columns) {
    const value = ofExchange(exchange)
    if (typeof value === 'string' || typeof value === 'number') attributes[name] = value
  }
  return attributes
}
