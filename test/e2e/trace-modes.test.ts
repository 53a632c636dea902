/** A caller that is instrumented itself (PAINS 14, T11): our span joins its trace, links to it, or leaves the usage to it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type OtlpJson, plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { startProduct } from './product.ts'
import { chat, startChatUpstream } from './upstream.ts'

const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', state: 'vendor=1' }

/** One streamed chat through the product; what its span, its metrics, its row, and the upstream's headers say. */
async function record(
  env: Record<string, string>,
  path = '/v1/chat/completions',
  traceparent = `00-${caller.traceId}-${caller.spanId}-01`,
) {
  const upstream = await startChatUpstream()
  const collector = await startCollector()
  const product = await startProduct({
    ...('TOKENWEIR_CONFIG' in env ? {} : { upstream: upstream.url }),
    capture: 'observe',
    env: {
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
      ...env,
      ...('TOKENWEIR_CONFIG' in env ? { TOKENWEIR_CONFIG: configFile(env['TOKENWEIR_CONFIG'] as string, upstream.url) } : {}),
    },
  })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const headers = traceparent === '' ? {} : { traceparent, tracestate: caller.state }
  await (await fetch(`${product.url}${path}`, { ...chat(), headers })).text()
  const [row] = await product.closedRows(1)
  await product.stop()
  const [span] = collector.json('/v1/traces').flatMap(spansOf)
  const metrics = collector.json('/v1/metrics').flatMap((sent) => sent.resourceMetrics[0].scopeMetrics[0].metrics)
  const attributes = plain(span.attributes)
  return {
    span: {
      traceId: span.traceId,
      parent: span.parentSpanId ?? null,
      state: span.traceState ?? null,
      links: (span.links ?? []).map(({ traceId, spanId, traceState }: OtlpJson) => ({ traceId, spanId, traceState })),
    },
    usage: Object.keys(attributes).filter((name) => name.startsWith('gen_ai.usage.')),
    outcome: attributes['tokenweir.usage.outcome'],
    metrics: metrics.map(({ name }: OtlpJson) => name).filter((name: string) => /^gen_ai\..*(token|duration)/.test(name)),
    row: { input: row?.['input_tokens'], output: row?.['output_tokens'], trace: row?.['trace_id'], parent: row?.['parent_span_id'] },
    upstream: { traceparent: upstream.heads[0]?.['traceparent'], tracestate: upstream.heads[0]?.['tracestate'] ?? null },
    own: { traceId: span.traceId as string, spanId: span.spanId as string },
  }
}

function configFile(text: string, upstream: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'tokenweir.yaml'), text.replaceAll('UPSTREAM', upstream))
  return join(folder, 'tokenweir.yaml')
}

const usage = ['gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens']
const metrics = ['gen_ai.client.token.usage', 'gen_ai.client.operation.duration']

const child = (spanId: string) => ({
  span: { traceId: caller.traceId, parent: caller.spanId, state: caller.state, links: [] },
  row: { input: 11, output: 7, trace: caller.traceId, parent: caller.spanId },
  upstream: { traceparent: `00-${caller.traceId}-${spanId}-01`, tracestate: caller.state },
})

describe('the span of a request whose caller has a trace', () => {
  it('is the caller\u2019s child', async () => {
    const { own, ...seen } = await record({})
    expect(seen).toEqual({ ...child(own.spanId), usage, outcome: 'reported', metrics: expect.arrayContaining(metrics) })
  })

  const link = ({ traceId, spanId }: { traceId: string; spanId: string }) => ({
    span: {
      traceId,
      parent: null,
      state: null,
      links: [{ traceId: caller.traceId, spanId: caller.spanId, traceState: caller.state }],
    },
    usage,
    outcome: 'reported',
    metrics: expect.arrayContaining(metrics),
    row: { input: 11, output: 7, trace: traceId, parent: null },
    upstream: { traceparent: `00-${traceId}-${spanId}-01`, tracestate: null },
  })

  it('begins a trace of its own and links to the caller\u2019s', async () => {
    const { own, ...seen } = await record({ TOKENWEIR_TRACE: 'link' })
    expect(own.traceId).not.toBe(caller.traceId)
    expect(seen).toEqual(link(own))
  })

  it('is the caller\u2019s child and leaves the usage to it', async () => {
    const { own, ...seen } = await record({ TOKENWEIR_TRACE: 'no-usage' })
    const { metrics: names, ...rest } = seen
    expect(rest).toEqual({ ...child(own.spanId), usage: [], outcome: 'reported' })
    expect([...new Set(names)].sort()).toEqual(['gen_ai.client.operation.duration'])
  })

  it('leaves the usage to it in the other generation of names too', async () => {
    const { metrics: names, usage: attributes } = await record({ TOKENWEIR_TRACE: 'no-usage', TOKENWEIR_SEMCONV: 'genai' })
    expect([attributes, [...new Set(names)].sort()]).toEqual([[], ['gen_ai.client.inference.duration']])
  })

  it('is what its own route says, not what the others do', async () => {
    const file = 'trace: no-usage\nroutes: [{upstream: UPSTREAM}, {prefix: /linked, upstream: UPSTREAM, trace: link}]\n'
    const { own, ...seen } = await record({ TOKENWEIR_CONFIG: file }, '/linked/v1/chat/completions')
    expect(seen).toEqual(link(own))
  })
})

it('a caller without a trace has none to link to', async () => {
  const { span, own, upstream } = await record({ TOKENWEIR_TRACE: 'link' }, '/v1/chat/completions', '')
  expect({ span, upstream }).toEqual({
    span: { traceId: own.traceId, parent: null, state: null, links: [] },
    upstream: { traceparent: `00-${own.traceId}-${own.spanId}-01`, tracestate: null },
  })
})
