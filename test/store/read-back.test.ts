/** What is exported after an outage or a kill is made of rows: it must be what would have been exported at once. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { columns } from '../../src/ledger/columns.ts'
import { exchangeOfRow, recoveredExchange, wholeRow } from '../../src/ledger/rows.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import { createFold } from '../../src/observe/fold.ts'
import { logLine, logMessage } from '../../src/sinks/log.ts'
import { spanContent } from '../../src/telemetry/attributes.ts'
import { concluded, streamed } from '../formats/exchanges.ts'
import { fixtures } from '../formats/fixtures/index.ts'
import { exchangeOf, failedExchangeOf, openingOf, otherExchangeOf } from '../sinks/exchange-of.ts'
import { folder, id, open } from './harness.ts'
import { rows } from './rows.ts'

function ofFixture(fixture: (typeof fixtures)[number]): Exchange {
  const { kind, method = 'POST', path, headers = {}, request, messages } = fixture
  const given = { opening: { method, path }, request }
  if (kind === 'body') return concluded({ ...given, ending: { responseHeaders: headers }, body: messages[0]?.data })
  const fold = createFold(method, path, headers)
  for (const { event, data } of messages) fold.message(event, Buffer.from(JSON.stringify(data)))
  return concluded({ ...given, ending: streamed(fold.facts() ?? {}, { format: fold.format, responseHeaders: headers }) })
}

const link = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 3, traceState: 'vendor=1' }
const settings = {
  operation: 'chat',
  usageExpected: true,
  model: 'gpt-4o',
  stream: true,
  maxTokens: 9,
  temperature: 0.25,
  topP: 0.5,
  topK: 3,
  frequencyPenalty: -1.5,
  presencePenalty: 2,
  seed: -7,
  choiceCount: 2,
  outputType: 'json',
  conversationId: 'conv_1',
  serviceTier: 'flex',
  openaiApiType: 'responses',
}
const usage = { inputTokens: 3, outputTokens: 4, reasoningTokens: 0 }
const last = [{ id: 'r1', finishReason: 'completed', usage }, { id: 'r2' }]
const recovered = recoveredExchange(rowOf(exchangeOf()), openingOf().startedAt + 12_345.5)

const special: readonly (readonly [string, Exchange])[] = [
  ['every setting of a request', exchangeOf({ request: settings })],
  [
    'tiers, a fingerprint and no finish reason',
    exchangeOf({ response: { serviceTier: 'default', systemFingerprint: 'fp_1', finishReasons: [] } }),
  ],
  [
    'the responses of a WebSocket',
    exchangeOf({
      ending: { framing: 'websocket', session: { responseEndMs: [10.5, 20] } },
      response: { responses: { ended: 12, underWay: 1, last } },
    }),
  ],
  [
    'labels, limits on rate, and a wait',
    exchangeOf({
      labels: { team: 'search', session: '"s"' },
      rateLimits: [
        { kind: 'tokens', limit: 5, remaining: 0, resetMs: 1.5 },
        { kind: 'requests', remaining: 3 },
      ],
      retryAfterMs: 20,
    }),
  ],
  [
    'how fast it came, and what caching saved',
    exchangeOf({ timePerOutputTokenMs: 12.345, cost: { status: 'priced', usd: 1, source: 'reported', cacheSavedUsd: -0.5 } }),
  ],
  ['a caller that reports usage itself, linked', exchangeOf({ opening: { usageByCaller: true, link } })],
  ["a caller's parent", exchangeOf({ opening: { parentSpanId: 'c'.repeat(16), traceState: 'a=b', traceFlags: 0 } })],
  [
    'an unreachable upstream',
    {
      ...otherExchangeOf({
        errorType: 'dns',
        endReason: 'unreachable',
        ending: { outcome: { kind: 'unreachable', reason: 'dns', message: 'no such host' } },
      }),
    },
  ],
  [
    'an upstream that broke off',
    exchangeOf({
      endReason: 'upstream-aborted',
      errorType: 'upstream_aborted',
      ending: { outcome: { kind: 'upstream-aborted', message: 'reset' } },
    }),
  ],
  ['a refused status', failedExchangeOf(429)],
  ['an estimate and a cost', exchangeOf({ cost: { status: 'free', usd: 0, source: 'custom' }, estimatedOutputTokens: 5, caller: 'alice' })],
  ['a kill before its end', recovered],
]

/** By column name, as SQLite would give it. */
function rowOf(exchange: Exchange): Record<string, unknown> {
  const values = wholeRow(exchange)
  return Object.fromEntries(columns.map(({ name }, index) => [name, values[index]]))
}

/** All that leaves of an exchange. */
function views(exchange: Exchange) {
  const { opening: opened } = exchange
  return {
    spans: (['1.41', 'genai'] as const).map((generation) => spanContent(exchange, generation)),
    ids: [opened.traceId, opened.spanId, opened.parentSpanId, opened.traceFlags, opened.traceState, opened.link],
    times: [opened.startedAt, opened.startedAt + exchange.ending.endMs],
    row: wholeRow(exchange),
    message: logMessage(exchange),
    line: logLine(exchange),
  }
}

describe('a row that is read back gives the span and the log record of', () => {
  const all = [...fixtures.map((fixture) => [`${fixture.format}: ${fixture.title}`, ofFixture(fixture)] as const), ...special]

  it.each(all)('%s', (_title, exchange) => {
    expect(views(exchangeOfRow(rowOf(exchange)))).toEqual(views(exchange))
  })

  it('all of them, through a file', () => {
    const { path, store, ledger } = open(join(folder(), 'ledger.db'))
    const exchanges = all.map(([, exchange], index) => ({ ...exchange, opening: { ...exchange.opening, id: id(index) } }))
    ledger.record({ opened: [], ended: exchanges })
    store.commit()
    expect(rows(path, 'SELECT * FROM exchanges ORDER BY rowid').map((row) => views(exchangeOfRow(row)))).toEqual(exchanges.map(views))
  })

  it('nothing but its columns, where its details cannot be read', () => {
    const row = { ...rowOf(exchangeOf({ request: settings })), details: '{"request":' }
    const plain = exchangeOf({ request: { operation: 'chat', usageExpected: true, model: 'gpt-4o' } })
    expect(spanContent(exchangeOfRow(row), '1.41')).toEqual(spanContent(plain, '1.41'))
  })
})
