/** The admin port as the recorder opens it, on a ledger of the test's own, without a proxy: the test says what has ended. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAccess } from '../../src/admin/access.ts'
import { createPage } from '../../src/admin/page-routes.ts'
import { metricsRoute } from '../../src/admin/routes.ts'
import { jsonAnswer, startAdmin } from '../../src/admin/server.ts'
import { bucketOf } from '../../src/ledger/queries/quantiles.ts'
import { listedColumns } from '../../src/ledger/queries/queries.ts'
import { createReader } from '../../src/ledger/queries/reader.ts'
import { openStore } from '../../src/ledger/store.ts'
import type { Exchange, Opening } from '../../src/lib/exchange.ts'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { createFanOut } from '../../src/sinks/fan-out.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import { createLiveSink } from '../../src/sinks/live.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { addCrowd, type Crowd } from './crowd.ts'

export interface StageOptions {
  readonly host?: string
  readonly token?: string
  readonly traceUrl?: string
  /** 0 when not given. */
  readonly port?: number
  /** The body of `/readyz`. */
  readonly ready?: object
  /** Rows that are there before. */
  readonly crowd?: Crowd
}

export interface Stage {
  readonly url: string
  readonly port: number
  readonly ledger: string
  readonly cells: Int32Array
  /** What the admin port reported. */
  readonly lines: readonly string[]
  record(ended: readonly Exchange[], opened?: readonly Opening[]): void
  /** The port answers no more; `close` still has to be called. */
  leave(): Promise<void>
  close(): Promise<void>
}

export async function startStage({ host = '127.0.0.1', token, traceUrl, port = 0, ready = {}, crowd }: StageOptions = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-page-'))
  const path = join(folder, 'ledger.db')
  const lines: string[] = []
  const report = (line: string) => void lines.push(line)
  const cells = new Int32Array(cellCount)
  const meter = createMeter(Date.now)
  if (crowd !== undefined) addCrowd(path, crowd)
  const ledger = openStore({ path, shape: ledgerShape, meter, report })
  const live = createLiveSink({ columns: listedColumns, bucketOf, now: () => performance.now() })
  const fanOut = createFanOut([createLedgerSink(ledger), live], meter, report)
  const reader = createReader({ path })
  const access = createAccess({ token, isLoopback: host === '127.0.0.1', now: Date.now })
  const page = createPage({
    access,
    reader,
    live,
    open: () => cells[Cell.open] ?? 0,
    isLedgerWritable: ledger.isWritable,
    problems: ledger.problems,
    collect: meter.collect,
    now: Date.now,
    uptime: process.uptime,
    version: '1.2.3',
    pricesDate: () => '2026-11-28',
    setup: () => ({
      ledger: path,
      capture: 'inject',
      listen: { scheme: 'http', host: '127.0.0.1', port: 4141 },
      routes: [{ name: 'default', prefix: '/', upstream: 'http://gateway.example:8000/' }],
      labels: ['team', 'session'],
      exports: false,
      traceUrl,
    }),
  })
  const readyz = { path: '/readyz', answer: () => jsonAnswer(200, ready) }
  const server = await startAdmin({ address: { host, port }, routes: [metricsRoute(() => ''), readyz, ...page.routes], report })
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    ledger: path,
    cells,
    lines,
    record(ended, opened = []) {
      fanOut.record({ opened, ended })
      ledger.commit()
    },
    async leave() {
      page.close()
      await server.close()
    },
    async close() {
      page.close()
      await server.close()
      await reader.close()
      await fanOut.close()
      ledger.close()
      rmSync(folder, { recursive: true })
    },
  }
}

const providers = ['openai', 'anthropic', 'gcp.gemini', 'aws.bedrock', 'mistral_ai'] as const
const models = ['gpt-4o', 'claude-sonnet-4-5', 'gemini-2.5-flash', 'amazon.nova-pro-v1:0', 'mistral-large-latest'] as const
let made = 0

/** A new id each time, in the form of the product's. */
export function nextId(): string {
  return `01993c5c-0000-7000-8000-${String(++made).padStart(12, '0')}`
}

/** Traffic of five providers as a gateway has it: mostly well, some errors, cuts and streams without usage. The same for the same `n`. */
export function trafficOf(n: number, startedAt: number): Exchange {
  const which = (n * 7 + (n >> 3)) % providers.length
  const noise = ((n * 2654435761) >>> 0) / 2 ** 32
  const id = nextId()
  const opening = { id, startedAt, route: n % 3 === 0 ? 'batch' : 'default', traceId: id.replaceAll('-', '').padStart(32, '0') }
  const provider = providers[which] as string
  const model = models[which] as string
  const firstChunkMs = 180 + noise * 700 + which * 60
  const ending = { firstChunkMs, lastChunkMs: firstChunkMs + 900, endMs: firstChunkMs + 1000 + noise * 2500 }
  const request = { operation: 'chat', usageExpected: true, model, stream: true }
  const common = { opening, provider, request, caller: `key:${['3f9a02c1d4', '77be01a9c2', 'c04d9e1f55'][n % 3]}` }
  if (n % 23 === 5) {
    return exchangeOf({
      ...common,
      ending: { ...ending, status: 429, streamed: false, framing: 'whole' },
      response: undefined,
      usageOutcome: undefined,
      errorType: '429',
    })
  }
  if (n % 17 === 3) {
    const usageReason = n % 2 === 0 ? 'not_requested' : 'upstream_omitted'
    return exchangeOf({
      ...common,
      ending,
      response: { model, finished: true },
      usageOutcome: 'missing',
      usageReason,
      cost: { status: 'unpriced' },
    })
  }
  if (n % 29 === 7) {
    const cut = { ...ending, outcome: { kind: 'client-aborted' } as const }
    return exchangeOf({
      ...common,
      ending: cut,
      endReason: 'client-aborted',
      response: { model },
      usageOutcome: 'partial',
      usageReason: 'client_left',
    })
  }
  const usage = {
    inputTokens: 200 + Math.round(noise * 4000),
    outputTokens: 40 + Math.round(noise * 900),
    ...(which < 2 ? { cacheReadTokens: 100 } : {}),
  }
  const response = { id: `resp-${n}`, model: `${model}-2026`, finishReasons: ['stop'], usage, finished: true }
  return exchangeOf({ ...common, ending, response, cost: { status: 'priced', usd: usage.outputTokens * 1e-5, source: 'table' } })
}

/** `count` requests, evenly over the last `spanMs`. */
export function trafficOver(spanMs: number, count: number, now = Date.now()): Exchange[] {
  return Array.from({ length: count }, (_, n) => trafficOf(n, now - spanMs + (n * spanMs) / count))
}
