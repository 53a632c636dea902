/**
 * The tier for many machines, on one: node collector → gateway collector → Kafka → reader, with the very files of deploy/tiers and real programs. The
 * gateway and the broker are killed for a while under load, then the two others; nothing is lost. What arrives goes into ClickHouse.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { send } from '../../examples/sample-gateway/send.ts'
import { demoRequests } from '../../examples/sample-gateway/traffic.ts'
import { missingDeployTools } from '../../scripts/deploy-tools.ts'
import { missingTools } from '../../scripts/stack-tools.ts'
import { columns } from '../../src/ledger/columns.ts'
import { startProduct } from '../e2e/product.ts'
import { clickhouse, exampleQueries, panelQueries, refresh } from './clickhouse.ts'
import { type Collector, createBroker, createCollector, type Program } from './tiers/programs.ts'
import { type Store, startStore, startTraffic, type Traffic } from './tiers/traffic.ts'

const root = resolve(import.meta.dirname, '../..')
const missing = [...missingTools(['otelcol']), ...missingDeployTools(['kafka', 'clickhouse'])]
/** How long the gateway and the broker are away. */
const outageMs = Number(process.env['TOKENWEIR_OUTAGE_MS'] ?? 30_000)
const arriveMsMax = 300_000

if (missing.length > 0) {
  const names = missing.join(', ').toUpperCase()
  process.stderr.write(
    `\n*** ${names} NOT INSTALLED: the tiers are not tested. Run: npm run stack:install && npm run deploy:install ***\n\n`,
  )
}

describe.skipIf(missing.length > 0)('the tiers', { timeout: outageMs + 900_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-tiers-'))
  const programs: Program[] = []
  let store: Store
  let traffic: Traffic
  let node: Collector

  afterAll(async () => {
    await Promise.all(programs.map((program) => program.kill()))
    await store?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const missingOf = (sent: readonly string[], came: Iterable<string>) => {
    const there = new Set(came)
    return sent.filter((id) => !there.has(id))
  }
  const idsOf = (from = 0) =>
    store.records
      .slice(from)
      .flatMap(({ attributes }) =>
        attributes.flatMap(({ key, value }) => (key === 'id' && 'stringValue' in value ? value.stringValue : [])),
      )
  const left = () => ({
    spans: missingOf(
      traffic.sent.map(({ spanId }) => spanId),
      store.spanIds,
    ).length,
    records: missingOf(
      traffic.sent.map(({ id }) => id),
      idsOf(),
    ).length,
    counted: traffic.sent.length - store.counted(),
  })

  it('lose nothing while the gateway and the broker are away, and when the others are killed', async () => {
    store = await startStore()
    const broker = await createBroker(folder)
    const gateway = await createCollector(folder, 'gateway', { KAFKA_BROKER: broker.address })
    const overlay = join(root, 'test/stack/tiers/reader-to-sink.yaml')
    const reader = await createCollector(
      folder,
      'reader',
      { KAFKA_BROKER: broker.address, SINK: store.url, METRICS_OTLP_ENDPOINT: store.url },
      [overlay],
    )
    node = await createCollector(folder, 'node', { GATEWAY_HOST: '127.0.0.1', GATEWAY_PORT: String(gateway.grpcPort) })
    programs.push(node, reader, gateway, broker)
    await broker.start()
    for (const collector of [gateway, reader, node]) await collector.start()

    traffic = startTraffic(`http://127.0.0.1:${node.httpPort}`)
    await waitUntil(
      () => store.spanIds.length > 100 && store.records.length > 100 && store.counted() > 0,
      'the first spans, records and counts arrive',
    )
    await gateway.kill()
    await broker.kill()
    const arrivedAtKill = store.spanIds.length
    await setTimeout(outageMs)
    const waiting = traffic.sent.length - arrivedAtKill
    await broker.start()
    await gateway.start()
    for (const program of [node, reader]) {
      await program.kill()
      await program.start()
    }
    await traffic.stop()
    await waitUntil(
      () => Object.values(left()).every((count) => count === 0),
      () => `everything arrives; left: ${JSON.stringify(left())}`,
    )

    const repeated = { spans: store.spanIds.length - traffic.sent.length, records: store.records.length - traffic.sent.length }
    process.stdout.write(
      `${traffic.sent.length} exchanges, ${waiting} of them while the middle was away; came twice: ${JSON.stringify(repeated)}\n`,
    )
    // So many that they can only have waited on a disk.
    expect(waiting).toBeGreaterThan(outageMs / 100)
    expect(left()).toEqual({ spans: 0, records: 0, counted: 0 })
  })

  it('fill a ledger in ClickHouse that has each row once, and answers the example queries and the panels', () => {
    const statements = [...exampleQueries(), ...panelQueries().map(({ sql }) => sql)]
    const totals = `SELECT provider, toUInt32(count()) AS requests, toUInt32(sum(input_tokens)) AS reported, toUInt32(countIf(input_tokens IS NULL)) AS unreported
      FROM tokenweir.exchanges FINAL GROUP BY provider ORDER BY provider`
    const [rows, ...all] = clickhouse(store.records, [totals, ...refresh, ...statements])

    const expected = [...new Set(traffic.sent.map(({ provider }) => provider))].sort().map((provider) => {
      const own = traffic.sent.filter((it) => it.provider === provider)
      const reported = own.flatMap(({ inputTokens }) => inputTokens ?? [])
      return {
        provider,
        requests: own.length,
        reported: reported.reduce((sum, tokens) => sum + tokens, 0),
        unreported: own.length - reported.length,
      }
    })
    expect(rows).toEqual(expected)
    const answers = all.slice(refresh.length)
    expect(answers.map((answer) => answer.length > 0)).toEqual(statements.map(() => true))
  })

  it('carry the rows of a real sidecar to ClickHouse as they are in its own ledger', async () => {
    const from = store.records.length
    const gateway = await startSampleGateway()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${node.httpPort}`, OTEL_LOGS_EXPORTER: 'otlp' }
    const product = await startProduct({ upstream: gateway.url, env })
    try {
      for (const request of demoRequests) await send(product.url, request)
      const ledger = await product.closedRows(demoRequests.length)
      await waitUntil(() => new Set(idsOf(from)).size >= ledger.length, 'the rows of the sidecar arrive')

      const isTime = (name: string) => name === 'started_at' || name === 'ended_at'
      const selected = columns.map(({ name }) => (isTime(name) ? `toUnixTimestamp64Milli(${name}) AS ${name}` : name)).join(', ')
      const [rows] = clickhouse(store.records.slice(from), [`SELECT ${selected} FROM tokenweir.exchanges FINAL ORDER BY id`])
      // Times are kept to the millisecond, and texts of numbers are read to the last bit but one.
      const comparable = ({ name, type }: (typeof columns)[number], value: unknown) =>
        typeof value !== 'number' || type !== 'REAL' ? (value ?? null) : isTime(name) ? Math.floor(value) : Number(value.toPrecision(12))
      const tableOf = (list: readonly Readonly<Record<string, unknown>>[]) =>
        list.map((row) => Object.fromEntries(columns.map((column) => [column.name, comparable(column, row[column.name])])))
      expect(tableOf(rows ?? [])).toEqual(tableOf([...ledger].sort((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1))))
    } finally {
      await product.stop()
      await gateway.close()
    }
  })

  async function waitUntil(holds: () => boolean, what: string | (() => string)): Promise<void> {
    const until = performance.now() + arriveMsMax
    while (!holds()) {
      if (performance.now() > until) {
        const tails = programs.map(({ name, tail }) => `--- ${name}\n${tail()}`).join('\n')
        throw new Error(`not within ${arriveMsMax} ms: ${typeof what === 'string' ? what : what()}\n${tails}`)
      }
      await setTimeout(200)
    }
  }
})
