/** Spans, ledger rows as log records, and a counter, as a sidecar sends them, and the store at the other end that says what came. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'

type Value = { stringValue: string } | { intValue: string } | { doubleValue: number }
interface Attribute {
  readonly key: string
  readonly value: Value
}
export interface LogRecord {
  readonly timeUnixNano: string
  readonly traceId: string
  readonly spanId: string
  readonly body: { readonly stringValue: string }
  readonly attributes: readonly Attribute[]
}

const attributes = (values: Readonly<Record<string, string | number>>): Attribute[] =>
  Object.entries(values).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string' ? { stringValue: value } : Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value },
  }))

const resource = { attributes: attributes({ 'service.name': 'tokenweir', 'service.instance.id': 'tiers-test' }) }
const scope = { name: 'tokenweir' }
const providers = ['openai', 'anthropic', 'gcp.gemini']
const nanos = (ms: number) => `${Math.round(ms * 1000)}000`

export interface Sent {
  readonly spanId: string
  readonly id: string
  readonly provider: string
  readonly inputTokens: number | undefined
}

/** One request's span and record. Every seventh answer reported no usage, and then no attribute says it did. */
function exchange(index: number) {
  const startedAt = Date.now()
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
  const provider = providers[index % providers.length] as string
  const inputTokens = index % 7 === 0 ? undefined : 100 + (index % 50)
  const id = `exchange-${String(index).padStart(8, '0')}`
  const usage =
    inputTokens === undefined
      ? { usage_outcome: 'missing', usage_reason: 'upstream_omitted' }
      : { usage_outcome: 'reported', input_tokens: inputTokens, output_tokens: 20, cost: 0.001 }
  const row = {
    id,
    started_at: startedAt + 0.25,
    ended_at: startedAt + 900.5,
    provider,
    operation: 'chat',
    request_model: 'm-1',
    streamed: 1,
    status: 200,
    end_reason: 'completed',
    time_to_first_chunk_ms: 120.5,
    ...usage,
  }
  const span = {
    traceId,
    spanId,
    name: 'chat m-1',
    kind: 3,
    startTimeUnixNano: nanos(startedAt),
    endTimeUnixNano: nanos(startedAt + 900),
    attributes: attributes({ 'gen_ai.provider.name': provider, 'tokenweir.exchange.id': id }),
  }
  const record: LogRecord = {
    timeUnixNano: nanos(startedAt + 900),
    traceId,
    spanId,
    body: { stringValue: 'Streaming request logged' },
    attributes: attributes(row),
  }
  return { span, record, sent: { spanId, id, provider, inputTokens } satisfies Sent }
}

const counter = (value: number, startedAt: number) => ({
  resourceMetrics: [
    {
      resource,
      scopeMetrics: [
        {
          scope,
          metrics: [
            {
              name: 'tokenweir.requests',
              sum: {
                aggregationTemporality: 2,
                isMonotonic: true,
                dataPoints: [{ asInt: String(value), startTimeUnixNano: nanos(startedAt), timeUnixNano: nanos(Date.now()) }],
              },
            },
          ],
        },
      ],
    },
  ],
})

export interface Traffic {
  readonly sent: readonly Sent[]
  /** How often a batch had to be sent again. */
  readonly repeats: () => number
  /** Ends the load; resolves when everything was acknowledged. */
  stop(): Promise<void>
}

/** Ten batches a second of twenty exchanges. A batch is sent until it is acknowledged, as the sidecar's spool does. */
export function startTraffic(base: string): Traffic {
  const sent: Sent[] = []
  const startedAt = Date.now()
  let [running, repeats] = [true, 0]
  const deliver = async (path: string, body: object) => {
    const until = performance.now() + 120_000
    for (;;) {
      const ok = await fetch(`${base}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000),
      }).then(
        (answer) => answer.ok,
        () => false,
      )
      if (ok) return
      if (performance.now() > until) throw new Error(`${path} was not acknowledged for 120 s`)
      repeats++
      await setTimeout(250)
    }
  }
  const batches = (async () => {
    while (running) {
      const batch = Array.from({ length: 20 }, (_, at) => exchange(sent.length + at))
      sent.push(...batch.map((it) => it.sent))
      const pause = setTimeout(100)
      await Promise.all([
        deliver('/v1/traces', { resourceSpans: [{ resource, scopeSpans: [{ scope, spans: batch.map(({ span }) => span) }] }] }),
        deliver('/v1/logs', { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: batch.map(({ record }) => record) }] }] }),
        deliver('/v1/metrics', counter(sent.length, startedAt)),
      ])
      await pause
    }
  })()
  return {
    sent,
    repeats: () => repeats,
    stop: () => {
      running = false
      return batches
    },
  }
}

/** An export request of any signal. */
interface Received {
  readonly resourceSpans?: readonly { readonly scopeSpans: readonly { readonly spans: readonly { readonly spanId: string }[] }[] }[]
  readonly resourceLogs?: readonly { readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[] }[]
  readonly resourceMetrics?: readonly object[]
}

export interface Store {
  readonly url: string
  /** In the order in which they came, repeated ones too. */
  readonly spanIds: readonly string[]
  readonly records: readonly LogRecord[]
  /** Highest value of the counter. */
  readonly counted: () => number
  close(): Promise<void>
}

/** Takes OTLP as JSON; keeps what matters here. */
export async function startStore(): Promise<Store> {
  const spanIds: string[] = []
  const records: LogRecord[] = []
  let counted = 0
  const take = ({ resourceSpans = [], resourceLogs = [], resourceMetrics = [] }: Received) => {
    for (const { scopeSpans } of resourceSpans) for (const { spans } of scopeSpans) spanIds.push(...spans.map(({ spanId }) => spanId))
    for (const { scopeLogs } of resourceLogs) for (const { logRecords } of scopeLogs) records.push(...logRecords)
    for (const [, value] of JSON.stringify(resourceMetrics).matchAll(/"asInt":"(\d+)"/g)) counted = Math.max(counted, Number(value))
  }
  const server = createServer(async (request, response) => {
    take(JSON.parse(await textOf(request)) as Received)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    await once(server.close(), 'close')
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spanIds, records, counted: () => counted, close }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
