/**
 * DESIGN §1, on a running system: a FastAPI gateway that logs after its `yield` loop loses every stream, and tokenweir, on either side of
 * it, has each of them: log line, ledger row, span.
 */
import OpenAI from 'openai'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type Product, startProduct } from '../e2e/product.ts'
import { type Collector, type OtlpJson, plain, startCollector } from '../telemetry/collector.ts'
import { type FastapiGateway, startFastapi } from './gateways.ts'
import { isInstalled } from './places.ts'

if (!isInstalled.fastapi()) process.stderr.write('\n*** THE FASTAPI GATEWAY IS NOT INSTALLED. Run: npm run gateways:install ***\n\n')

const model = 'gpt-4o'
const questions = ['How much water went through the gate?', 'And yesterday?', 'Who counted it?']
const messagesOf = (content: string) => [{ role: 'user' as const, content }]
const withUsage = { stream: true, stream_options: { include_usage: true } } as const

async function startGateway(upstream: string): Promise<FastapiGateway> {
  const gateway = await startFastapi(upstream)
  onTestFinished(async () => {
    await gateway.stop()
    gateway.remove()
  })
  return gateway
}

async function startProvider(eventMs = 0): Promise<SampleGateway> {
  const provider = await startSampleGateway({ eventMs })
  onTestFinished(() => provider.close())
  return provider
}

async function startSidecar(upstream: string, collector: Collector): Promise<Product> {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' }
  const product = await startProduct({ upstream, env })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return product
}

const clientOf = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'test', maxRetries: 0 })

/** Tokens that the client was told of at the end of its stream. */
async function streamed(client: OpenAI, content: string): Promise<{ input: number | undefined; output: number | undefined }> {
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const chunk of await client.chat.completions.create({ model, messages: messagesOf(content), ...withUsage })) {
    usage = chunk.usage ?? usage
  }
  return { input: usage?.prompt_tokens, output: usage?.completion_tokens }
}

const logLines = (text: string, message: string) => text.split('\n').filter((line) => line.includes(message))
const lost = { model, streamed: 1, status: 'started', input_tokens: 0, output_tokens: 0 }
const rowsOf = (gateway: FastapiGateway) => gateway.rows().map(({ id: _id, started: _started, ...row }) => row)

/** What the sidecar wrote of its streams: log lines, ledger rows, spans, each as its tokens. */
async function recorded(product: Product, collector: Collector, count: number) {
  const rows = await product.closedRows(count)
  const code = await product.stop()
  const lines = logLines(product.stdout(), '"msg":"Streaming request logged"').map((line) => JSON.parse(line))
  const spans = collector
    .json('/v1/traces')
    .flatMap((sent) => sent.resourceSpans)
    .flatMap((resource: OtlpJson) => resource.scopeSpans[0].spans)
    .map((span) => plain(span.attributes))
  const tokens = (one: Record<string, unknown>, input: string, output: string) => ({ input: one[input], output: one[output] })
  return {
    code,
    rows: rows.map((row) => tokens(row, 'input_tokens', 'output_tokens')),
    lines: lines.map((line) => tokens(line, 'input_tokens', 'output_tokens')),
    spans: spans.map((span) => tokens(span, 'gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens')),
  }
}

describe.skipIf(!isInstalled.fastapi())('a FastAPI gateway that logs after its yield loop', () => {
  it('logs plain requests, and of streams nothing: its table has 0 tokens for ever', async () => {
    const provider = await startProvider()
    const gateway = await startGateway(provider.url)
    const client = clientOf(gateway.url)
    const told = await streamed(client, questions[0] as string)
    const { usage } = await client.chat.completions.create({ model, messages: messagesOf(questions[1] as string) })
    await gateway.stop()
    // The client had its tokens, the provider sent them; the gateway forgot them.
    expect(told).toEqual({ input: provider.sent[0]?.usage?.inputTokens, output: provider.sent[0]?.usage?.outputTokens })
    expect(Math.min(told.input ?? 0, told.output ?? 0)).toBeGreaterThan(0)
    expect(rowsOf(gateway)).toEqual([
      lost,
      { model, streamed: 0, status: 'completed', input_tokens: usage?.prompt_tokens, output_tokens: usage?.completion_tokens },
    ])
    expect(logLines(gateway.said(), 'equest logged')).toEqual([`Request logged: row 2, ${usage?.total_tokens} tokens`])
  })

  it('logs nothing of a client that leaves half-way either', async () => {
    const provider = await startProvider(20)
    const gateway = await startGateway(provider.url)
    const stream = await clientOf(gateway.url).chat.completions.create({
      model,
      messages: messagesOf(questions[0] as string),
      ...withUsage,
    })
    for await (const _chunk of stream) break
    await expect.poll(() => provider.sent.map(({ ended }) => ended)).toEqual(['client-left'])
    await gateway.stop()
    expect(rowsOf(gateway)).toEqual([lost])
    expect(logLines(gateway.said(), 'Streaming request logged')).toEqual([])
  })

  it.each(['behind', 'in front of'] as const)('%s tokenweir has every stream logged, in the ledger and as a span', async (place) => {
    const provider = await startProvider()
    const collector = await startCollector()
    const behind = place === 'behind'
    const gateway = behind ? await startGateway(provider.url) : undefined
    const product = await startSidecar(gateway?.url ?? provider.url, collector)
    const asked = gateway ?? (await startGateway(product.url))
    const client = clientOf(behind ? product.url : asked.url)
    const told = []
    for (const question of questions) told.push(await streamed(client, question))
    const { code, ...seen } = await recorded(product, collector, questions.length)
    await asked.stop()
    const sent = provider.sent.map(({ usage }) => ({ input: usage?.inputTokens, output: usage?.outputTokens }))
    expect({ code, told, ...seen }).toEqual({ code: 0, told: sent, rows: sent, lines: sent, spans: sent })
    // The gateway itself is as it was: the cure is outside of it.
    expect(rowsOf(asked)).toEqual(questions.map(() => lost))
    expect(logLines(asked.said(), 'Streaming request logged')).toEqual([])
  })

  it('behind tokenweir has the tokens of a client that does not ask for them', async () => {
    const provider = await startProvider()
    const collector = await startCollector()
    const product = await startSidecar((await startGateway(provider.url)).url, collector)
    const usages = []
    // The first two streams pass unchanged: they show that usage does not come unasked.
    for (let n = 0; n < 3; n++) {
      const stream = await clientOf(product.url).chat.completions.create({
        model,
        messages: messagesOf(questions[2] as string),
        stream: true,
      })
      for await (const chunk of stream) usages.push(chunk.usage ?? undefined)
    }
    const { code, ...seen } = await recorded(product, collector, 3)
    const { usage } = provider.sent[2] ?? {}
    const tokens = { input: usage?.inputTokens, output: usage?.outputTokens }
    expect(tokens.output).toBeGreaterThan(0)
    expect(code).toBe(0)
    for (const records of Object.values(seen)) expect(records.slice(2)).toEqual([tokens])
    expect(usages.filter((told) => told !== undefined)).toEqual([])
  })
})
