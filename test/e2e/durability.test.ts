import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { at, parseJson } from '../../src/lib/json.ts'
import { type OtlpJson, plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { type Product, startProduct } from './product.ts'
import { beforeOthers, watchWaiting } from './waiting.ts'

let product: Product | undefined
let gateway: SampleGateway | undefined
afterEach(async () => {
  await product?.stop('SIGKILL')
  await gateway?.close()
  product = undefined
  gateway = undefined
})

/** What the documents promise: a kill loses no request that had ended this long before, of time in which the machine let it work. */
const windowMs = 100

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tokenweir-durability-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function read(path: string, query: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return database.prepare(query).all() as Record<string, unknown>[]
  } finally {
    database.close()
  }
}

const body = (streamed: boolean) =>
  JSON.stringify({ model: 'claude-sonnet-5-5', max_tokens: 20, stream: streamed, messages: [{ role: 'user', content: 'How much?' }] })

async function start(ledger: string, env: Record<string, string> = {}): Promise<Product> {
  gateway ??= await startSampleGateway({ eventMs: 5 })
  product = await startProduct({ upstream: gateway.url, env: { TOKENWEIR_LEDGER: ledger, ...env }, through: beforeOthers })
  return product
}

/** Clients that ask one request after the other until the product is gone; the ids of their answers, with when each had come whole. */
async function load({ url }: Product, clients: number): Promise<{ readonly endedAt: number[]; readonly done: Promise<unknown> }> {
  const endedAt: number[] = []
  const client = async (index: number) => {
    for (let count = 0; count < 500; count++) {
      const response = await fetch(`${url}/v1/messages`, { method: 'POST', body: body((index + count) % 2 === 0) })
      await response.text()
      endedAt.push(performance.now())
    }
  }
  const done = Promise.allSettled(Array.from({ length: clients }, (_, index) => client(index)))
  return { endedAt, done }
}

/** Of what lasts: the sum over a counter's series. */
async function total({ adminUrl }: Product, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

const exchangeIds = (text: string) => [...text.matchAll(/"exchange_id":"([^"]+)"/g)].map((match) => match[1] as string)
const spanIds = (requests: readonly OtlpJson[]) =>
  requests.flatMap(spansOf).map(({ attributes }) => String(plain(attributes)['tokenweir.exchange.id']))

describe('a process that is killed under load', () => {
  it('leaves a ledger from which the next has every row closed, one span and one count for each, and a line', async () => {
    const ledger = join(folder(), 'ledger.db')
    const away = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_METRICS_EXPORTER: 'none' }
    let asked = 0
    let lines: string[] = []
    for (let round = 0; round < 3; round++) {
      const running = await start(ledger, away)
      const watch = watchWaiting(running.pid)
      const { endedAt, done } = await load(running, 8)
      await setTimeout(400 + 170 * round)
      const kill = watch.end()
      process.kill(running.pid, 'SIGKILL')
      await done
      asked += endedAt.filter((at) => kill.at - at - kill.waitedMsSince(at) > windowMs).length
      await running.stop('SIGKILL')
      lines = [...lines, ...exchangeIds(running.stdout())]
      expect(read(ledger, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    }
    const collector = await startCollector()
    const last = await start(ledger, { ...away, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })
    const rows = read(ledger, 'SELECT id, end_reason FROM exchanges ORDER BY id')
    expect(rows.filter(({ end_reason }) => end_reason === null)).toEqual([])
    expect(rows.length).toBeGreaterThanOrEqual(asked)
    expect(await total(last, 'tokenweir_requests_total')).toBe(rows.length)
    await expect.poll(() => total(last, 'tokenweir_spool_depth')).toBe(0)
    expect([await total(last, 'tokenweir_spool_delivered_total'), await total(last, 'tokenweir_spool_dropped_total')]).toEqual([
      rows.length,
      0,
    ])
    expect(await last.stop()).toBe(0)
    const logged = new Set([...lines, ...exchangeIds(last.stdout())])
    expect(rows.filter(({ id }) => !logged.has(String(id)))).toEqual([])
  })

  it('has its spans delivered with the ids and times they had', async () => {
    const ledger = join(folder(), 'ledger.db')
    const json = { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_METRICS_EXPORTER: 'none' }
    gateway = await startSampleGateway({ eventMs: 60_000 })
    const running = await start(ledger, { ...json, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })
    for (let count = 0; count < 3; count++) await (await fetch(`${running.url}/v1/messages`, { method: 'POST', body: body(false) })).text()
    const open = await fetch(`${running.url}/v1/messages`, { method: 'POST', body: body(true) })
    const reasons = () => read(ledger, 'SELECT end_reason FROM exchanges ORDER BY id').map((row) => row['end_reason'])
    await expect.poll(reasons).toEqual(['completed', 'completed', 'completed', null])
    process.kill(running.pid, 'SIGKILL')
    await open.text().catch(() => undefined)
    await running.stop('SIGKILL')
    const collector = await startCollector()
    const next = await start(ledger, { ...json, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    await expect.poll(() => spanIds(collector.json('/v1/traces')).length).toBe(4)
    await next.stop()
    const rows = read(ledger, 'SELECT id, trace_id, span_id, started_at, ended_at, end_reason FROM exchanges ORDER BY id')
    const spans = collector.json('/v1/traces').flatMap(spansOf)
    const at = (nanos: string) => Number(BigInt(nanos) / 1000n) / 1000
    const byId = new Map(spans.map((span) => [String(plain(span.attributes)['tokenweir.exchange.id']), span]))
    for (const row of rows) {
      const span = byId.get(String(row['id']))
      expect([span.traceId, span.spanId, plain(span.attributes)['tokenweir.end_reason']]).toEqual([
        row['trace_id'],
        row['span_id'],
        row['end_reason'],
      ])
      expect(at(span.startTimeUnixNano)).toBeCloseTo(Number(row['started_at']), 1)
      if (row['ended_at'] !== null) expect(at(span.endTimeUnixNano)).toBeCloseTo(Number(row['ended_at']), 1)
    }
    expect(rows.length).toBe(4)
  })
})

describe('a process that stops and starts again', () => {
  it('goes on with every count where it was', async () => {
    const ledger = join(folder(), 'ledger.db')
    const first = await start(ledger)
    for (const streamed of [true, false]) await (await fetch(`${first.url}/v1/messages`, { method: 'POST', body: body(streamed) })).text()
    await expect.poll(() => total(first, 'tokenweir_requests_total')).toBe(2)
    const lasting = async ({ adminUrl }: Product) => {
      const text = await (await fetch(`${adminUrl}/metrics`)).text()
      return text
        .split('\n')
        .filter((line) => /^(gen_ai|http_server|tokenweir_(requests|cost|streams|caller|overhead_first))/.test(line))
        .sort()
    }
    const before = await lasting(first)
    expect(await first.stop()).toBe(0)
    expect(await lasting(await start(ledger))).toEqual(before)
  })
})

describe('a disk that is full', () => {
  it('costs no request and no record that there is memory for, says so, and is got over without a restart', async () => {
    const mount = folder()
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tokenweir-test', mount]).status === 0
    if (!mounted) {
      console.warn('Skipped: this user may not mount a tmpfs, so no disk could be filled.')
      return
    }
    onTestFinished(() => void spawnSync('umount', ['-l', mount]))
    mkdirSync(join(mount, 'data'))
    const ledger = join(mount, 'data', 'ledger.db')
    const running = await start(ledger)
    const ask = async () => (await fetch(`${running.url}/v1/messages`, { method: 'POST', body: body(false) })).status
    expect(await ask()).toBe(200)
    const filler = join(mount, 'filler')
    for (let kib = 1024; kib >= 1; kib /= 2) for (let part = 0; part < 4; part++) tryWrite(`${filler}-${kib}-${part}`, kib * 1024)
    const ready = async () => {
      const response = await fetch(`${running.adminUrl}/readyz`)
      return [response.status, at(at(parseJson(await response.text()), 'records'), 'ok')]
    }
    let count = 1
    for (; count < 600 && (await ready())[1] === true; count++) expect(await ask()).toBe(200)
    expect([await ready(), await total(running, 'tokenweir_ledger_writable')]).toEqual([[200, false], 0])
    for (let more = 0; more < 20; more++, count++) expect(await ask()).toBe(200)
    spawnSync('sh', ['-c', `rm -f ${filler}-*`])
    await expect.poll(ready).toEqual([200, true])
    expect([await total(running, 'tokenweir_ledger_writable'), await total(running, 'tokenweir_ledger_dropped_total')]).toEqual([1, 0])
    await expect.poll(() => read(ledger, 'SELECT count(*) AS count FROM exchanges')).toEqual([{ count }])
    expect(read(ledger, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
  })

  it('lets it start all the same, and record when there is room', async () => {
    const mount = folder()
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tokenweir-test', mount]).status !== 0) {
      console.warn('Skipped: this user may not mount a tmpfs, so no disk could be filled.')
      return
    }
    onTestFinished(() => void spawnSync('umount', ['-l', mount]))
    for (let part = 0; part < 300; part++) tryWrite(join(mount, `filler-${part}`), 4096)
    const ledger = join(mount, 'ledger.db')
    gateway ??= await startSampleGateway({ eventMs: 5 })
    let said = ''
    const starting = startProduct({
      upstream: gateway.url,
      env: { TOKENWEIR_LEDGER: ledger, TOKENWEIR_CALLER: 'none' },
      onStderr: (part) => (said += part),
    }) // which waits for readiness
    await expect.poll(() => said).toContain(`The ledger ${ledger} cannot be written`)
    spawnSync('sh', ['-c', `rm -f ${mount}/filler-*`])
    product = await starting
    expect((await fetch(`${product.url}/v1/messages`, { method: 'POST', body: body(false) })).status).toBe(200)
    await expect.poll(() => read(ledger, 'SELECT count(*) AS count FROM exchanges')).toEqual([{ count: 1 }])
    await expect.poll(() => product?.stderr()).toContain(`The ledger ${ledger} can be written again.`)
  })
})

function tryWrite(path: string, bytes: number): void {
  try {
    writeFileSync(path, Buffer.alloc(bytes, 1))
  } catch {
    // the disk is full, as it is to be
  }
}
