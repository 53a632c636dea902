/** exchange → log record for the collector: the line's message, and the ledger's columns as attributes. What is NULL there is absent here. */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { columns } from '../ledger/columns.ts'
import type { Exchange } from '../lib/exchange.ts'
import { hrTime } from '../telemetry/hr-time.ts'
import type { LogSource } from '../telemetry/sdk.ts'
import { levelOf, logMessage } from './log.ts'

/** https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber */
const severities = { info: 9, warn: 13, error: 17 } as const

export function createLogRecordMaker({ logger, takeEmitted }: LogSource): (exchange: Exchange) => ReadableLogRecord | undefined {
  return (exchange) => {
    const { opening, ending } = exchange
    const time = hrTime(opening.startedAt + ending.endMs)
    const level = levelOf(exchange)
    const spanContext = { traceId: opening.traceId, spanId: opening.spanId, traceFlags: opening.traceFlags & 1 }
    logger.emit({
      timestamp: time,
      observedTimestamp: time,
      context: trace.setSpanContext(ROOT_CONTEXT, spanContext),
      severityText: level.toUpperCase(),
      severityNumber: severities[level],
      body: logMessage(exchange),
      attributes: attributesOf(exchange),
    })
    return takeEmitted().at(-1)
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
