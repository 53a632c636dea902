/** exchange → span, built by the SDK with the ids that the upstream was told and the times that were recorded. */
import {
  type Attributes,
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Exchange, Opening, SpanLink } from '../lib/exchange.ts'
import { type SpanAttributes, spanContent } from '../telemetry/attributes.ts'
import type { Generation } from '../telemetry/catalog.ts'
import type { SpanSource } from '../telemetry/sdk.ts'

/** Undefined where the sampler leaves the span out. */
export function createSpanMaker(
  { tracer, ids, isLimited, takeEnded }: SpanSource,
  generation: Generation,
): (exchange: Exchange) => ReadableSpan | undefined {
  return (exchange) => {
    const { opening, ending } = exchange
    const { name, attributes, events, isError, errorMessage } = spanContent(exchange, generation)
    ids.preset(opening.traceId, opening.spanId)
    const links = opening.link === undefined ? undefined : [{ context: remoteContext(opening.link) }]
    const options = { kind: SpanKind.CLIENT, startTime: opening.startedAt, ...(links === undefined ? {} : { links }) }
    const span = tracer.startSpan(name, options, parentContext(opening))
    if (!span.isRecording()) return undefined
    // The SDK checks and copies each attribute (20 of 25 µs measured). Ours have the catalog's types already, so they become the span's own object
    // where no limit has to be applied: copying them one by one into it took 13 % of this thread.
    if (isLimited) span.setAttributes(attributes)
    else putWhole(span, attributes)
    for (const event of events ?? []) span.addEvent(event.name, event.attributes, event.time)
    if (isError) span.setStatus({ code: SpanStatusCode.ERROR, ...(errorMessage === undefined ? {} : { message: errorMessage }) })
    span.end(opening.startedAt + ending.endMs)
    return takeEnded().at(-1)
  }
}

function putWhole(span: Span, attributes: SpanAttributes): void {
  const own = span as unknown as { attributes: Attributes }
  own.attributes = Object.assign(attributes, own.attributes) // the sampler's, which are hardly ever there
}

function parentContext({ traceId, parentSpanId, traceFlags, traceState }: Opening): Context {
  if (parentSpanId === undefined) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, remoteContext({ traceId, spanId: parentSpanId, traceFlags, traceState }))
}

function remoteContext({ traceId, spanId, traceFlags, traceState }: SpanLink): SpanContext {
  return {
    traceId,
    spanId,
    traceFlags: traceFlags & TraceFlags.SAMPLED,
    isRemote: true,
    ...(traceState === undefined ? {} : { traceState: createTraceState(traceState) }),
  }
}
