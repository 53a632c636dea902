/** The spool that schema 3 left in a ledger, as a process of that version really wrote it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { spansOfProtobuf } from '../../src/cli/reconcile/spans.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'
import { folder, id } from '../store/harness.ts'
import { rows } from '../store/rows.ts'
import { plain, type Received, spansOf, startCollector } from './collector.ts'
import { start } from './started.ts'

function ledgerOfVersion3(): string {
  const path = join(folder(), 'ledger.db')
  const old = new DatabaseSync(path)
  old.exec(readFileSync(new URL('../store/version-3.sql', import.meta.url), 'utf8'))
  old.close()
  return path
}

const to = (url: string, protocol = 'http/protobuf') => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_BSP_SCHEDULE_DELAY: '5',
})

const idsOf = ({ headers, body }: Received): string[] =>
  headers['content-type'] === 'application/json'
    ? spansOf(JSON.parse(body.toString())).map(({ attributes }) => String(plain(attributes)['tokenweir.exchange.id']))
    : spansOfProtobuf(body).map((seen) => seen.id)
const tables = (path: string) => rows(path, "SELECT name FROM sqlite_schema WHERE type = 'table'").map(({ name }) => name)
const closed = (path: string) =>
  rows(path, 'SELECT id FROM exchanges WHERE end_reason IS NOT NULL ORDER BY rowid').map((row) => String(row['id']))

describe('what an earlier version left encoded', () => {
  it('is sent once, as it is and before all else, is counted as replayed, and goes with its table', async () => {
    const collector = await startCollector()
    const path = ledgerOfVersion3()
    const before = closed(path)
    const { send, meter, exported, store } = await start({ ...to(collector.url), OTEL_LOGS_EXPORTER: 'otlp' }, { path })
    expect(await send(exchangeOf({ opening: { id: id(1) } }))).toEqual([])
    const traces = collector.received.filter((one) => one.path === '/v1/traces')
    expect(traces.flatMap(idsOf)).toEqual([...before, id(1)])
    expect(traces.map(({ headers }) => headers['content-type'])).toEqual([
      'application/x-protobuf',
      'application/json',
      'application/json',
      'application/x-protobuf',
    ])
    const total = (name: 'written' | 'delivered' | 'replayed') => meter.total(`tokenweir.spool.${name}`)
    // Of spans and log records: what the last version had counted as written, and one more of each.
    expect([total('written'), total('delivered'), total('replayed')]).toEqual([12, 12, 10])
    expect(tables(path).sort()).toEqual(['exchanges', 'meta', 'rollup_keys', 'rollup_sketches', 'rollup_state', 'rollups', 'series'])
    store.close()
    void exported
    const again = await start({ ...to(collector.url), OTEL_LOGS_EXPORTER: 'otlp' }, { path })
    const count = collector.received.length
    expect(await again.send()).toEqual([])
    expect(collector.received.length).toBe(count)
  })

  it('waits while its collector is away', async () => {
    const path = ledgerOfVersion3()
    const { send } = await start(to('http://127.0.0.1:9'), { path })
    expect(await send()).toEqual(['5 spans stay in the spool and are sent at the next start.'])
    expect(rows(path, "SELECT sum(records) AS records FROM spool WHERE signal = 'traces'")).toEqual([{ records: 5 }])
  })

  it('is dropped and counted where it is refused', async () => {
    const collector = await startCollector(400)
    const path = ledgerOfVersion3()
    const { send, meter } = await start(to(collector.url), { path })
    await send()
    expect([meter.total('tokenweir.spool.dropped'), meter.total('tokenweir.spool.delivered')]).toEqual([5, 0])
    expect(rows(path, "SELECT count(*) AS count FROM spool WHERE signal = 'traces'")).toEqual([{ count: 0 }])
  })

  it('is given up and counted when it is too old', async () => {
    const path = ledgerOfVersion3()
    const { meter } = await start(to('http://127.0.0.1:9'), { path, leftoverAgeMsMax: 1 })
    await expect.poll(() => meter.total('tokenweir.spool.dropped'), { interval: 200 }).toBe(5)
  })

  it('waits for an endpoint in the variables where a configuration file says where to', async () => {
    const path = ledgerOfVersion3()
    const { lines } = await start({ OTEL_CONFIG_FILE: new URL('./leftover.yaml', import.meta.url).pathname }, { path })
    expect(lines).toEqual(['5 spans of an earlier version wait for a start with OTEL_EXPORTER_OTLP_ENDPOINT and without OTEL_CONFIG_FILE.'])
  })
})
