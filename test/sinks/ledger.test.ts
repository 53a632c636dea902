import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { columns } from '../../src/ledger/columns.ts'
import { openStore } from '../../src/ledger/store.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import type { Batch } from '../../src/sinks/sink.ts'
import { createMeter, type Meter } from '../../src/telemetry/meter.ts'
import { rows } from '../store/rows.ts'
import { exchangeOf, failedExchangeOf, openingOf, startedAt } from './exchange-of.ts'
import { samples } from './scrape.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tokenweir-ledger-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The sink with its store: each batch is recorded and committed. */
interface Ledger {
  record(batch: Batch): void
  isWritable(): boolean
  close(): void
}

interface Opened {
  readonly path: string
  readonly ledger: Ledger
  readonly meter: Meter
  readonly lines: readonly string[]
}

function open(path = join(folder(), 'ledger.db'), options: { rowsWaitingMax?: number; retryMs?: number } = {}): Opened {
  const meter = createMeter(Date.now)
  const lines: string[] = []
  const store = openStore({ path, shape: ledgerShape, meter, report: (line) => lines.push(line), ...options })
  const sink = createLedgerSink(store)
  const record = (batch: Batch) => {
    sink.record(batch)
    store.commit()
  }
  return { path, ledger: { record, isWritable: store.isWritable, close: store.close }, meter, lines }
}

const id = (index: number) => `01993c5c-0000-7000-8000-${String(index).padStart(12, '0')}`
const startColumnsOnly = { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331', parent_span_id: null }

describe('a row', () => {
  it('has every fact of an ended request, and NULL for what was not reported', async () => {
    const { path, ledger } = open()
    const exchange = exchangeOf({
      opening: { parentSpanId: 'aaaaaaaaaaaaaaaa' },
      ending: { contentEncoding: 'gzip' },
      response: {
        id: 'chatcmpl-1',
        model: 'gpt-4o-2024-08-06',
        finishReasons: ['stop', 'length'],
        usage: { inputTokens: 20, outputTokens: 0, cacheReadTokens: 5 },
        usageOfIterations: { inputTokens: 60, outputTokens: 3 },
      },
      notes: ['limit_hit'],
      cost: { status: 'priced', usd: 0.0125, source: 'table' },
      estimatedInputTokens: 21,
      estimatedOutputTokens: 8,
    })
    ledger.record({ opened: [], ended: [exchange] })
    expect(rows(path)).toEqual([
      {
        ...startColumnsOnly,
        id: id(1),
        started_at: startedAt,
        parent_span_id: 'aaaaaaaaaaaaaaaa',
        method: 'POST',
        path: '/v1/chat/completions',
        route: 'default',
        server_address: 'api.example.com',
        server_port: 443,
        trace_flags: 1,
        trace_state: null,
        link: null,
        usage_by_caller: null,
        ended_at: startedAt + 260.5,
        end_reason: 'completed',
        status: 200,
        streamed: 1,
        framing: 'sse',
        format: 'openai-chat',
        operation: 'chat',
        provider: 'openai',
        request_model: 'gpt-4o',
        response_model: 'gpt-4o-2024-08-06',
        response_id: 'chatcmpl-1',
        finish_reasons: '["stop","length"]',
        input_tokens: 20,
        output_tokens: 0,
        cache_read_tokens: 5,
        cache_write_tokens: null,
        reasoning_tokens: null,
        total_tokens: null,
        iterations_input_tokens: 60,
        iterations_output_tokens: 3,
        iterations_cache_read_tokens: null,
        iterations_cache_write_tokens: null,
        usage_outcome: 'reported',
        usage_reason: null,
        error_type: null,
        request_bytes: 120,
        response_bytes: 4096,
        request_sent_ms: 1,
        response_head_ms: 40,
        time_to_first_chunk_ms: 50,
        duration_ms: 260.5,
        content_encoding: 'gzip',
        drained_bytes: null,
        drained_ms: null,
        notes: '["limit_hit"]',
        caller: null,
        responses: null,
        cost: 0.0125,
        cost_status: 'priced',
        cost_source: 'table',
        estimated_input_tokens: 21,
        estimated_output_tokens: 8,
        details: '{"request":{"stream":true}}',
        rate_limits: null,
        retry_after_ms: null,
        labels: null,
        time_per_output_token_ms: null,
        cache_saved: null,
      },
    ])
    ledger.close()
  })

  it('tells a cost of zero from one that is not known', async () => {
    const { path, ledger } = open()
    const costs = [{ status: 'free', usd: 0, source: 'custom' }, { status: 'unpriced' }, undefined] as const
    ledger.record({ opened: [], ended: costs.map((cost, index) => exchangeOf({ opening: { id: id(index) }, cost })) })
    expect(rows(path, 'SELECT cost, cost_status, cost_source, estimated_input_tokens FROM exchanges ORDER BY id')).toEqual([
      { cost: 0, cost_status: 'free', cost_source: 'custom', estimated_input_tokens: null },
      { cost: null, cost_status: 'unpriced', cost_source: null, estimated_input_tokens: null },
      { cost: null, cost_status: null, cost_source: null, estimated_input_tokens: null },
    ])
    ledger.close()
  })

  it('is opened when the request starts and closed when it ends', async () => {
    const { path, ledger, meter } = open()
    ledger.record({ opened: [openingOf({ id: id(1) })], ended: [] })
    expect(rows(path, 'SELECT id, started_at, ended_at, end_reason, status FROM exchanges')).toEqual([
      { id: id(1), started_at: startedAt, ended_at: null, end_reason: null, status: null },
    ])
    ledger.record({ opened: [], ended: [failedExchangeOf(429, { opening: { id: id(1) } })] })
    expect(rows(path, 'SELECT id, ended_at, end_reason, status, error_type FROM exchanges')).toEqual([
      { id: id(1), ended_at: startedAt + 260.5, end_reason: 'completed', status: 429, error_type: '429' },
    ])
    expect(meter.total('tokenweir.ledger.written')).toBe(2)
    ledger.close()
  })

  it('is written once when the request starts and ends in one batch', async () => {
    const { path, ledger, meter } = open()
    ledger.record({ opened: [openingOf({ id: id(1) })], ended: [exchangeOf({ opening: { id: id(1) } })] })
    expect(rows(path, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: 'completed' }])
    expect(meter.total('tokenweir.ledger.written')).toBe(1)
    ledger.close()
  })

  it('does not wait any more once it is written', async () => {
    const { ledger, meter } = open()
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(1) } })] })
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(2) } })] })
    expect(samples(meter, 'tokenweir_ledger')).toEqual({
      tokenweir_ledger_written_total: 2,
      tokenweir_ledger_failures_total: 0,
      ...Object.fromEntries(
        ['removed', 'moved', 'replaced', 'overwritten', 'damaged'].map((reason) => [`tokenweir_ledger_lost_total{reason="${reason}"}`, 0]),
      ),
      tokenweir_ledger_dropped_total: 0,
      tokenweir_ledger_expired_total: 0,
      tokenweir_ledger_rollup_overflow_total: 0,
      tokenweir_ledger_depth: 0,
      tokenweir_ledger_writable: 1,
      tokenweir_ledger_bytes: expect.any(Number),
    })
    ledger.close()
  })

  it('never fails its batch, whatever was read from a body', async () => {
    const { path, ledger } = open()
    const model = { not: 'a string' } as unknown as string
    ledger.record({ opened: [], ended: [exchangeOf({ request: { operation: 'chat', usageExpected: true, model } })] })
    expect(rows(path, 'SELECT id, request_model FROM exchanges')).toEqual([{ id: id(1), request_model: null }])
    ledger.close()
  })
})

describe('the file', () => {
  it('has the documented columns, its schema version and a mark of its own', async () => {
    const { path, ledger } = open()
    expect(rows(path, "SELECT name, type FROM pragma_table_info('exchanges')")).toEqual(columns.map(({ name, type }) => ({ name, type })))
    expect(rows(path, 'PRAGMA user_version')).toEqual([{ user_version: 10 }])
    expect(rows(path, 'PRAGMA application_id')).toEqual([{ application_id: 0x74776572 }])
    expect(rows(path, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(columns.filter(({ description }) => !description.endsWith('.'))).toEqual([])
    ledger.close()
  })

  it('is made in a folder that does not exist yet, and keeps its rows when it is opened again', async () => {
    const first = open(join(folder(), 'a', 'b', 'ledger.db'))
    first.ledger.record({ opened: [], ended: [exchangeOf()] })
    first.ledger.close()
    const second = open(first.path)
    expect(rows(first.path, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: 'completed' }])
    second.ledger.close()
  })
})

describe('a ledger that cannot be written', () => {
  /** Another program holds the write lock until the test lets go. */
  function lock(path: string): () => void {
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    return () => {
      other.exec('ROLLBACK')
      other.close()
    }
  }

  it('keeps its rows, says so once, and writes them when it can again', async () => {
    const { path, ledger, meter, lines } = open(undefined, { retryMs: 10 })
    const release = lock(path)
    ledger.record({ opened: [openingOf({ id: id(1) })], ended: [] })
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(1) } }), exchangeOf({ opening: { id: id(2) } })] })
    expect([ledger.isWritable(), meter.total('tokenweir.ledger.written')]).toEqual([false, 0])
    expect(meter.total('tokenweir.ledger.failures')).toBeGreaterThan(0)
    release()
    await expect.poll(() => ledger.isWritable()).toBe(true)
    expect(rows(path, 'SELECT id, end_reason FROM exchanges ORDER BY id')).toEqual([
      { id: id(1), end_reason: 'completed' },
      { id: id(2), end_reason: 'completed' },
    ])
    expect([meter.total('tokenweir.ledger.written'), meter.total('tokenweir.ledger.dropped')]).toEqual([2, 0])
    expect(lines).toEqual([
      `The ledger ${path} cannot be written: database is locked. Rows wait, and are tried again.`,
      `The ledger ${path} can be written again.`,
    ])
    ledger.close()
  })

  it('drops and counts the rows beyond its limit, but never the end of a request whose start waits', async () => {
    const { path, ledger, meter } = open(undefined, { rowsWaitingMax: 2, retryMs: 60_000 })
    const release = lock(path)
    ledger.record({ opened: [openingOf({ id: id(1) }), openingOf({ id: id(2) }), openingOf({ id: id(3) })], ended: [] })
    expect(meter.total('tokenweir.ledger.dropped')).toBe(0)
    ledger.record({ opened: [], ended: [exchangeOf({ opening: { id: id(2) } }), exchangeOf({ opening: { id: id(3) } })] })
    expect(meter.total('tokenweir.ledger.dropped')).toBe(1)
    release()
    ledger.close()
    expect(rows(path, 'SELECT id, end_reason FROM exchanges ORDER BY id')).toEqual([
      { id: id(1), end_reason: null },
      { id: id(2), end_reason: 'completed' },
    ])
  })

  it('says how many rows are lost when it has to close', async () => {
    const { path, ledger, lines } = open(undefined, { retryMs: 60_000 })
    const release = lock(path)
    ledger.record({ opened: [], ended: [exchangeOf()] })
    ledger.close()
    release()
    expect(lines.at(-1)).toBe(`The ledger ${path} could not be written: 1 rows are lost.`)
  })
})
