/**
 * Ended spans → a whole OTLP request in protobuf: the same bytes as the SDK's own serializer (a test compares them), in a third of its time
 * (8 and 23 µs a span). That one goes through every span twice, first for the sizes, and encodes every name anew.
 * Fields: https://github.com/open-telemetry/opentelemetry-proto (trace, common and resource v1).
 */
import type { HrTime, Link, SpanStatus } from '@opentelemetry/api'
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace'
import { attributes as catalog } from './catalog.ts'
import { ProtobufWriter } from './protobuf.ts'

const shared = new ProtobufWriter(1 << 16)

/** `spans`: one or more, all of one resource and one scope. */
export function encodeSpans(spans: readonly ReadableSpan[], out = shared): Uint8Array {
  const [{ resource, instrumentationScope: scope }] = spans as [ReadableSpan]
  out.begin()
  const request = out.open(1)
  const ofResource = out.open(1)
  putAttributes(out, 1, resource.attributes)
  out.integer(2, 0)
  out.close(ofResource)
  const scopeSpans = out.open(2)
  const ofScope = out.open(1)
  out.string(1, scope.name)
  putText(out, 2, scope.version)
  out.close(ofScope)
  for (const span of spans) putSpan(out, span)
  putText(out, 3, scope.schemaUrl)
  out.close(scopeSpans)
  putText(out, 3, resource.schemaUrl)
  out.close(request)
  return out.finish()
}

function putSpan(out: ProtobufWriter, span: ReadableSpan): void {
  const { traceId, spanId, traceState, traceFlags } = span.spanContext()
  const parent = span.parentSpanContext
  const start = out.open(2)
  out.hex(1, traceId)
  out.hex(2, spanId)
  putText(out, 3, traceState?.serialize())
  if (parent !== undefined) out.hex(4, parent.spanId)
  out.string(5, span.name)
  out.integer(6, span.kind + 1)
  putTime(out, 7, span.startTime)
  putTime(out, 8, span.endTime)
  putAttributes(out, 9, span.attributes)
  out.integer(10, span.droppedAttributesCount)
  for (const event of span.events) putEvent(out, event)
  out.integer(12, span.droppedEventsCount)
  for (const link of span.links) putLink(out, link)
  out.integer(14, span.droppedLinksCount)
  putStatus(out, span.status)
  putFlags(out, 16, traceFlags, parent?.isRemote)
  out.close(start)
}

function putEvent(out: ProtobufWriter, { time, name, attributes, droppedAttributesCount }: TimedEvent): void {
  const start = out.open(11)
  putTime(out, 1, time)
  out.string(2, name)
  putAttributes(out, 3, attributes ?? {})
  out.integer(4, droppedAttributesCount ?? 0)
  out.close(start)
}

function putLink(out: ProtobufWriter, { context, attributes, droppedAttributesCount }: Link): void {
  const start = out.open(13)
  out.hex(1, context.traceId)
  out.hex(2, context.spanId)
  putText(out, 3, context.traceState?.serialize())
  putAttributes(out, 4, attributes ?? {})
  out.integer(5, droppedAttributesCount ?? 0)
  putFlags(out, 6, context.traceFlags, context.isRemote)
  out.close(start)
}

function putStatus(out: ProtobufWriter, { code, message }: SpanStatus): void {
  const start = out.open(15)
  putText(out, 2, message)
  out.integer(3, code)
  out.close(start)
}

/** The W3C flags; that it is known whether the parent or the linked span is remote; and whether it is. */
function putFlags(out: ProtobufWriter, field: number, traceFlags: number, isRemote: boolean | undefined): void {
  out.fixed32(field, (traceFlags & 0xff) | 0x100 | (isRemote === true ? 0x200 : 0))
}

/** Left out when it is empty. */
function putText(out: ProtobufWriter, field: number, text: string | undefined): void {
  if (text) out.string(field, text)
}

/** Nanoseconds since the epoch: more than a number can hold, so they are made in two halves. */
function putTime(out: ProtobufWriter, field: number, [seconds, nanoseconds]: HrTime): void {
  const upper = Math.floor(seconds / 0x10000) * 1e9
  const lower = (seconds % 0x10000) * 1e9 + nanoseconds + (upper % 0x10000) * 0x10000
  out.fixed64(field, lower % 2 ** 32, Math.floor(upper / 0x10000) + Math.floor(lower / 2 ** 32))
}

/** The keys in the catalog, each as the field that it is in an attribute. */
const keys = new Map(Object.keys(catalog).map((name) => [name, encodedKey(name)]))

function encodedKey(name: string): Uint8Array {
  shared.begin()
  shared.string(1, name)
  return shared.finish()
}

function putAttributes(out: ProtobufWriter, field: number, attributes: Readonly<Record<string, unknown>>): void {
  for (const name in attributes) {
    const attribute = out.open(field)
    const key = keys.get(name)
    if (key === undefined) out.string(1, name)
    else out.encoded(key)
    const value = out.open(2)
    putValue(out, attributes[name])
    out.close(value)
    out.close(attribute)
  }
}

/** What attributes of spans and resources may hold; of anything else, nothing. */
function putValue(out: ProtobufWriter, value: unknown): void {
  if (typeof value === 'string') out.string(1, value)
  else if (typeof value === 'boolean') out.integer(2, Number(value))
  else if (typeof value === 'number') putNumber(out, value)
  else if (Array.isArray(value)) {
    const list = out.open(5)
    for (const item of value) {
      const start = out.open(1)
      putValue(out, item)
      out.close(start)
    }
    out.close(list)
  }
}

function putNumber(out: ProtobufWriter, value: number): void {
  const isInteger = Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63
  if (isInteger) out.integer(3, value)
  else out.double(4, value)
}
