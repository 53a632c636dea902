/** Spans in protobuf: byte for byte what the SDK's own serializer makes of them. */
import { type Attributes, createTraceState, type HrTime, type SpanContext, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { detectResources, hostDetector, osDetector, processDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { AlwaysOnSampler, type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace'
import { describe, expect, it } from 'vitest'
import { createSpanSink } from '../../src/sinks/span.ts'
import { encodeSpans } from '../../src/telemetry/otlp-spans.ts'
import { ProtobufWriter } from '../../src/telemetry/protobuf.ts'
import { randomNumbers } from '../formats/random-json.ts'
import { exchangeOf, failedExchangeOf, otherExchangeOf, startedAt } from '../sinks/exchange-of.ts'

const context: SpanContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
const resource = resourceFromAttributes({ 'service.name': 'tokenweir', 'service.version': '1.2.3' })
const scope = { name: 'tokenweir' }

function spanOf(overrides: Partial<ReadableSpan> = {}): ReadableSpan {
  return {
    name: 'chat gpt-4o',
    kind: SpanKind.CLIENT,
    spanContext: () => context,
    startTime: [1_790_000_000, 250_000],
    endTime: [1_790_000_000, 260_750_000],
    duration: [0, 260_500_000],
    ended: true,
    status: { code: SpanStatusCode.UNSET },
    attributes: {},
    links: [],
    events: [],
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    ...overrides,
  }
}

const withAttributes = (attributes: Attributes) => spanOf({ attributes })

/** Of long ones only what stands around the first difference is compared and shown. */
function expectTheSame(...spans: readonly ReadableSpan[]): void {
  expectTheSameOf(encodeSpans, spans)
}

function expectTheSameOf(encode: typeof encodeSpans, spans: readonly ReadableSpan[]): void {
  const ours = Buffer.from(encode(spans))
  const theirs = Buffer.from(ProtobufTraceSerializer.serializeRequest([...spans]) ?? [])
  const from = Math.max(0, ours.findIndex((byte, index) => byte !== theirs[index]) - 32)
  const shown = (bytes: Buffer) => `${bytes.length} bytes, ${from}: ${bytes.toString('hex', from, from + 64)}`
  expect(shown(ours)).toBe(shown(theirs))
}

const texts = [
  '',
  'POST',
  'ä',
  'a quarter of 100 €: 25 %',
  '東京 🗼',
  '\u0000\u007f\u0080\u07ff\u0800\uffff',
  'lone \ud83d and \udd28, the wrong way round \udd28\ud83d',
  ...[63, 64, 65, 127, 128, 129, 16_383, 16_384, 200_000].flatMap((length) => ['a'.repeat(length), `${'a'.repeat(length - 1)}ß`]),
]

const numbers = [
  ...[0, -0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 2 ** 62],
  ...[-1, -128, -(2 ** 31), -(2 ** 32), -(2 ** 32) - 1, Number.MIN_SAFE_INTEGER, -(2 ** 63)],
  ...[2 ** 63, -(2 ** 64), 1e300, 0.1, -2.5, Number.MIN_VALUE, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
]

describe('a span in protobuf is what the SDK makes of it,', () => {
  it.each(texts.map((text) => [text.length, text]))('with a text of %i characters as value, key, name and message', (_, text) => {
    expectTheSame(withAttributes({ 'url.path': text }))
    expectTheSame(withAttributes({ [text]: 1 }))
    expectTheSame(spanOf({ name: text, status: { code: SpanStatusCode.ERROR, message: text } }))
  })

  it.each(numbers)('with the number %d', (number) =>
    expectTheSame(withAttributes({ 'gen_ai.usage.input_tokens': number, alone: [number] })),
  )

  it('with truth values and lists', () => {
    expectTheSame(
      withAttributes({
        'gen_ai.request.stream': true,
        no: false,
        'gen_ai.response.finish_reasons': ['stop', '', 'länge'],
        none: [],
        integers: [1, -1, 300],
        doubles: [0.5, 1],
        answers: [true, false],
        gaps: ['a', null, undefined, 'b'],
        long: Array.from({ length: 5000 }, (_, index) => `entry ${index}`),
      }),
    )
  })

  it.each<HrTime>([
    [0, 0],
    [0, 999_999_999],
    [1, 1_000_000_000],
    [4, 294_967_295],
    [4, 294_967_296],
    [65_535, 999_999_999],
    [65_536, 0],
    [1_790_000_000, 123_456_789],
    [4_294_967_295, 999_999_999],
    [17_179_869_183, 1],
  ])('at %i s and %i ns', (...time) => expectTheSame(spanOf({ startTime: time, endTime: time, events: [{ name: 'now', time }] })))

  it.each([undefined, 'vendor=1', 'a=1,b=2'])('with a parent, near and far, and the tracestate %s', (state) => {
    const traceState = state === undefined ? {} : { traceState: createTraceState(state) }
    for (const isRemote of [undefined, false, true]) {
      for (const traceFlags of [0, 1, 0xff, 0x101]) {
        const parentSpanContext = { ...context, spanId: 'aaaaaaaaaaaaaaaa', traceFlags, ...(isRemote === undefined ? {} : { isRemote }) }
        expectTheSame(spanOf({ parentSpanContext, spanContext: () => ({ ...context, ...traceState, traceFlags }) }))
        expectTheSame(spanOf({ links: [{ context: { ...parentSpanContext, ...traceState } }] }))
      }
    }
  })

  it('with events and links, with and without attributes, and what was dropped of all', () => {
    const attributes = { 'gen_ai.usage.output_tokens': 7, other: 'ü' }
    expectTheSame(
      spanOf({
        events: [
          { name: 'tokenweir.response', time: [1, 2] },
          { name: 'x'.repeat(200), time: [1, 2], attributes, droppedAttributesCount: 130 },
        ],
        links: [{ context }, { context, attributes, droppedAttributesCount: 1 }],
        droppedAttributesCount: 1,
        droppedEventsCount: 128,
        droppedLinksCount: 70_000,
      }),
    )
  })

  it('of every kind and status', () => {
    for (const kind of [0, 1, 2, 3, 4]) for (const code of [0, 1, 2]) expectTheSame(spanOf({ kind, status: { code } }))
  })

  it('under any resource and scope', () => {
    const detected = detectResources({ detectors: [hostDetector, osDetector, processDetector] })
    const scopes = [{ name: '' }, { name: 'tokenweir', version: '1.2.3', schemaUrl: 'https://opentelemetry.io/schemas/1.41.0' }]
    for (const instrumentationScope of scopes) {
      expectTheSame(spanOf({ instrumentationScope, resource: resourceFromAttributes({}) }))
      const schemaUrl = 'https://opentelemetry.io/schemas/1.40.0'
      expectTheSame(spanOf({ instrumentationScope, resource: resourceFromAttributes({ 'service.name': 'ä', number: 3 }, { schemaUrl }) }))
      expectTheSame(spanOf({ instrumentationScope, resource: resource.merge(detected) }))
    }
  })

  it('with many spans in one request, and again with one', () => {
    expectTheSame(...Array.from({ length: 2000 }, (_, index) => spanOf({ name: `chat ${index}`, attributes: { index } })))
    expectTheSame(spanOf())
  })

  it('wherever in it the buffer has to grow', () => {
    const attributes = {
      'server.port': 443,
      'gen_ai.request.top_p': 0.5,
      'gen_ai.request.seed': -1,
      list: [1, -1, 0.5, true, ['a']],
      a: 'ä',
    }
    const span = spanOf({ attributes, links: [{ context }], events: [{ name: 'now', time: [1, 2], attributes }] })
    for (let bytes = 1; bytes < 1000; bytes++) expectTheSameOf((spans) => encodeSpans(spans, new ProtobufWriter(bytes)), [span])
  })

  it('with 2,000 spans made up at random', () => {
    const random = randomNumbers('spans')
    const one = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
    const short = texts.filter(({ length }) => length < 200)
    const value = () => one([() => one(short), () => one(numbers), () => random() < 0.5, () => [one(short), one(short)]])()
    const some = () => Object.fromEntries(Array.from({ length: Math.floor(random() * 40) }, () => [one(short), value()])) as Attributes
    const spans = Array.from({ length: 2000 }, () =>
      spanOf({ name: one(short), attributes: some(), events: random() < 0.2 ? [{ name: 'e', time: [1, 2], attributes: some() }] : [] }),
    )
    for (const span of spans) expectTheSame(span)
  })
})

describe('the spans of exchanges', () => {
  function spansOf(...exchanges: readonly ReturnType<typeof exchangeOf>[]): readonly ReadableSpan[] {
    const ended: ReadableSpan[] = []
    const ids = { traceId: '', spanId: '' }
    const provider = new TracerProvider({
      resource,
      sampler: new AlwaysOnSampler(),
      idGenerator: { generateTraceId: () => ids.traceId, generateSpanId: () => ids.spanId },
      spanProcessors: [{ onStart() {}, onEnd: (span) => void ended.push(span), async forceFlush() {}, async shutdown() {} }],
    })
    const preset = (traceId: string, spanId: string) => void Object.assign(ids, { traceId, spanId })
    const source = { tracer: provider.getTracer('tokenweir'), ids: { preset, generateTraceId: () => '', generateSpanId: () => '' } }
    createSpanSink({ ...source, limited: false }, '1.41').record({ opened: [], ended: exchanges })
    return ended
  }

  it('are encoded as the SDK does: whole, failed, linked, with a parent, with the responses of a WebSocket', () => {
    const caller = { traceId: context.traceId, spanId: 'aaaaaaaaaaaaaaaa', traceFlags: 3, traceState: 'vendor=1' }
    const last = [{ id: 'resp_1', finishReason: 'completed', usage: { inputTokens: 1, outputTokens: 2 } }, { finishReason: 'cancelled' }]
    const spans = spansOf(
      exchangeOf(),
      otherExchangeOf(),
      failedExchangeOf(429, { opening: { parentSpanId: caller.spanId, traceFlags: 0, traceState: 'vendor=1' } }),
      exchangeOf({
        opening: { link: caller },
        errorType: 'connect',
        ending: { outcome: { kind: 'upstream-aborted', message: 'gone: ö' } },
      }),
      exchangeOf({
        response: { responses: { ended: 2, underWay: 0, last } },
        ending: { framing: 'websocket', session: { responseEndMs: [1.5, 2] } },
        cost: { status: 'priced', usd: 0.000118, source: 'table' },
      }),
    )
    expect(spans.map(({ links, events, parentSpanContext }) => [links.length, events.length, parentSpanContext?.isRemote])).toEqual([
      [0, 0, undefined],
      [0, 0, undefined],
      [0, 0, true],
      [1, 0, undefined],
      [0, 2, undefined],
    ])
    expect(spans[0]?.startTime).toEqual([Math.floor(startedAt / 1000), 250_000])
    expectTheSame(...spans)
  })
})
