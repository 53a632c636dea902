/**
 * Where ended spans wait for the collector: the SDK's batch processor, with every span that it gives up counted. This is the seam for a
 * durable queue: whatever replaces it is a `SpanProcessor` too.
 */
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace'
import type { TelemetryPlan } from './environment.ts'
import type { Meter } from './meter.ts'

export function createSpanQueue(exporter: SpanExporter, options: TelemetryPlan['spanQueue'], meter: Meter): SpanProcessor {
  const exported = meter.counter('tokenweir.spans.exported', {})
  const queueFull = meter.counter('tokenweir.spans.dropped', { reason: 'queue_full' })
  const exportFailed = meter.counter('tokenweir.spans.dropped', { reason: 'export_failed' })
  const depth = meter.reading('tokenweir.spans.depth', {})
  let waiting = 0
  meter.beforeCollect(() => depth.set(waiting))

  const counted: SpanExporter = {
    export(spans, done) {
      waiting -= spans.length
      exporter.export(spans, (result) => {
        const counter = result.code === 0 ? exported : exportFailed
        counter.add(spans.length)
        done(result)
      })
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
  const batches = new BatchSpanProcessor({ exporter: counted, ...options })
  return {
    onStart() {},
    onEnd(span: ReadableSpan) {
      if ((span.spanContext().traceFlags & 1) === 0) return
      if (waiting >= options.maxQueueSize) {
        queueFull.add(1)
        return
      }
      waiting++
      batches.onEnd(span)
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  }
}
