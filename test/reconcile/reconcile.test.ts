import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { type ReconcileOptions, reconcile } from '../../src/cli/reconcile/reconcile.ts'
import { idAt, lineOf, protobufOf, type Row, requestOf, spanOf, startedAt, temporaryFolder, writeLedger, writeSpans } from './ledger.ts'

const everything = { sinceMs: undefined, untilMs: undefined }

/** Three requests with everything that belongs to them; `change` takes some of it away. */
function complete() {
  const folder = temporaryFolder()
  const rows: Row[] = [
    { id: idAt(0), input: 11, output: 7 },
    { id: idAt(1), input: 5, output: 3 },
    { id: idAt(2), provider: 'anthropic' },
  ]
  // As the file keeps them: catalog names, a value for a counter, a sum for a histogram.
  const series = [
    { name: 'tokenweir.requests', labels: { 'gen_ai.provider.name': 'openai', end_reason: 'completed' }, value: 2 },
    { name: 'tokenweir.requests', labels: { 'gen_ai.provider.name': 'anthropic' }, value: 1 },
    { name: 'gen_ai.client.token.usage', labels: { 'gen_ai.provider.name': 'openai', 'gen_ai.token.type': 'input' }, sum: 16 },
    { name: 'gen_ai.client.token.usage', labels: { 'gen_ai.provider.name': 'openai', 'gen_ai.token.type': 'output' }, sum: 10 },
    { name: 'tokenweir.ledger.written', value: 6 },
  ]
  return { folder, rows, series, lines: rows.map((row) => lineOf(row)) }
}

function run(
  ledger: string,
  { spans = [], lines, ...more }: { spans?: string[]; lines?: readonly string[] } & Partial<Omit<ReconcileOptions, 'spans'>>,
) {
  const log =
    lines === undefined
      ? []
      : [
          (async function* () {
            yield Buffer.from(lines.map((line) => `${line}\n`).join(''))
          })(),
        ]
  return reconcile({
    ledger,
    range: everything,
    spans: spans.map((path) => createReadStream(path)),
    logs: log,
    metrics: undefined,
    isRunning: false,
    examplesMax: 20,
    now: () => startedAt + 3_600_000,
    ...more,
  })
}

it('agrees where every row has its span, its line and its place in the metrics', async () => {
  const { folder, rows, series, lines } = complete()
  const spans = writeSpans(folder, [rows.slice(0, 2), rows.slice(2)])
  expect(await run(writeLedger(folder, rows, { series }), { spans: [spans], lines })).toEqual({
    equal: true,
    ledger: { closed: 3, open: 0 },
    spans: { exchanges: 3, records: 3, waiting: 0 },
    log: { exchanges: 3, records: 3 },
    metrics: { requests: 3, inputTokens: 16, outputTokens: 10 },
    differences: [],
    notCompared: [],
  })
})

it('says what it was given nothing to compare with', async () => {
  const { folder, rows } = complete()
  const { equal, notCompared } = await run(writeLedger(folder, rows), {})
  expect([equal, notCompared]).toEqual([
    true,
    [
      'Spans: give the files that the collector writes, with --spans FILE…',
      "Log lines: give the sidecar's standard output, with --log FILE…",
      'Metrics: no sidecar answers on the admin port, and the ledger keeps no counters; give --metrics URL or FILE.',
    ],
  ])
})

it('lists what disagrees when a row is removed by hand', async () => {
  const { folder, rows, series, lines } = complete()
  const ledger = writeLedger(folder, rows, { series })
  const database = new DatabaseSync(ledger)
  database.prepare('DELETE FROM exchanges WHERE id = ?').run(idAt(1))
  database.close()
  const { equal, differences } = await run(ledger, { spans: [writeSpans(folder, [rows])], lines })
  const found = { inputTokens: 5, outputTokens: 3 }
  const without = { count: 1, explained: 0, because: undefined }
  expect([equal, differences]).toEqual([
    false,
    [
      { what: 'spans without a row', ...without, examples: [{ id: idAt(1), found }] },
      { what: 'log lines without a row', ...without, examples: [{ id: idAt(1), found }] },
      { what: 'requests of openai: 2 in the metrics, 1 in the ledger', ...without, examples: [] },
      { what: 'input tokens of openai: 16 in the metrics, 11 in the ledger', ...without, count: 5, examples: [] },
      { what: 'output tokens of openai: 10 in the metrics, 7 in the ledger', ...without, count: 3, examples: [] },
    ],
  ])
})

it('notices a row whose removal leaves the oldest one missing', async () => {
  const { folder, rows, lines } = complete()
  const { equal, differences } = await run(writeLedger(folder, rows.slice(1)), { lines })
  expect([equal, differences.map(({ what, count }) => [what, count])]).toEqual([false, [['log lines older than every row', 1]]])
})

it('lists spans that are missing, repeated, or tell other tokens', async () => {
  const { folder, rows, lines } = complete()
  const [first, second] = rows as [Row, Row]
  const spans = writeSpans(folder, [[{ ...first, output: 8 }], [second, second]])
  const { equal, differences } = await run(writeLedger(folder, rows), { spans: [spans], lines })
  expect([equal, differences.map(({ what, examples }) => [what, examples])]).toEqual([
    false,
    [
      ['rows without a span', [{ id: idAt(2) }]],
      [
        "spans whose tokens differ from the row's",
        [{ id: idAt(0), ledger: { inputTokens: 11, outputTokens: 7 }, found: { inputTokens: 11, outputTokens: 8 } }],
      ],
      ['spans delivered more than once', [{ id: idAt(1), times: 2 }]],
    ],
  ])
})

it('counts the rows above the mark as delivered later', async () => {
  const { folder, rows, lines } = complete()
  const spans = [writeSpans(folder, [rows.slice(0, 1)])]
  const { equal, spans: counted, differences } = await run(writeLedger(folder, rows, { mark: 1 }), { spans, lines })
  expect([equal, counted, differences]).toEqual([true, { exchanges: 1, records: 1, waiting: 2 }, []])
  const less = await run(writeLedger(temporaryFolder(), rows, { mark: 2 }), { spans, lines })
  expect([less.equal, less.differences.map(({ what, count }) => [what, count])]).toEqual([false, [['rows without a span', 1]]])
})

it('counts what waits in the spool as delivered later, in both encodings', async () => {
  const { folder, rows, lines } = complete()
  const [first, second, third] = rows as [Row, Row, Row]
  const spool = [
    { encoding: 'json', body: Buffer.from(JSON.stringify(requestOf([spanOf(second)]))) },
    { encoding: 'protobuf', body: protobufOf(third) },
  ] as const
  const { equal, spans, differences } = await run(writeLedger(folder, rows, { spool }), { spans: [writeSpans(folder, [[first]])], lines })
  expect([equal, spans, differences]).toEqual([true, { exchanges: 1, records: 1, waiting: 2 }, []])
})

it('takes what the sidecar itself has counted as lost for explained, and not one more', async () => {
  const { folder, rows, series, lines } = complete()
  const lost = [...series, { name: 'tokenweir.spool.dropped', labels: { signal: 'traces', reason: 'size' }, value: 1 }]
  const ledger = writeLedger(folder, rows, { series: lost })
  const one = await run(ledger, { spans: [writeSpans(folder, [rows.slice(1)])], lines })
  expect([one.equal, one.differences.map(({ what, count, explained, because }) => [what, count, explained, because])]).toEqual([
    true,
    [['rows without a span', 1, 1, '1 dropped and counted']],
  ])
  const two = await run(ledger, { spans: [writeSpans(folder, [rows.slice(2)])], lines })
  expect([two.equal, two.differences.map(({ count, explained }) => [count, explained])]).toEqual([false, [[2, 1]]])
})

it('takes a span sent twice for explained where exports failed or a process was killed', async () => {
  const { folder, rows, series } = complete()
  const replayed = [...series, { name: 'tokenweir.spool.replayed', labels: { signal: 'traces' }, value: 2 }]
  const spans = [writeSpans(folder, [rows, rows.slice(0, 2)])]
  expect((await run(writeLedger(folder, rows, { series: replayed }), { spans })).equal).toBe(true)
})

it('counts a line that was written again after a restart once', async () => {
  const { folder, rows, lines } = complete()
  const again = [...lines, lineOf(rows[0] as Row, { replayed: true }), 'a line of another program', '{"torn":']
  const { equal, log } = await run(writeLedger(folder, rows), { lines: again })
  expect([equal, log]).toEqual([true, { exchanges: 3, records: 4 }])
})

it('waits for nothing of what is still open, or has just ended while the sidecar runs', async () => {
  const { folder, rows } = complete()
  const all = [...rows, { id: idAt(3), ended: false } as const]
  const ledger = writeLedger(folder, all)
  const { equal, ledger: counted } = await run(ledger, { lines: [], isRunning: true, now: () => startedAt + 1000 })
  expect([equal, counted]).toEqual([true, { closed: 3, open: 1 }])
  expect((await run(ledger, { lines: [], isRunning: true, now: () => startedAt + 60_000 })).equal).toBe(false)
})

it('compares a range of time alone, by when requests arrived', async () => {
  const { folder, rows, lines } = complete()
  const range = { sinceMs: startedAt + 30_000, untilMs: startedAt + 90_000 }
  const { equal, ledger, log, notCompared } = await run(writeLedger(folder, rows), { lines, range })
  expect([equal, ledger, log, notCompared[1]]).toEqual([
    true,
    { closed: 1, open: 0 },
    { exchanges: 1, records: 1 },
    'Metrics: counters know no time range; leave --since and --until out.',
  ])
})

it('reads the metrics again while requests end between the scrape and the look into the ledger', async () => {
  const { folder, rows } = complete()
  const ledger = writeLedger(folder, rows)
  let scrapes = 0
  const metrics = async () => `tokenweir_requests_total{gen_ai_provider_name="openai"} ${scrapes++ < 2 ? 1 : 2}
tokenweir_requests_total{gen_ai_provider_name="anthropic",reason="a \\"quoted\\" one"} 1
gen_ai_client_token_usage_sum{gen_ai_provider_name="openai",gen_ai_token_type="input"} 16
gen_ai_client_token_usage_sum{gen_ai_provider_name="openai",gen_ai_token_type="output"} 10
`
  const { equal, metrics: total } = await run(ledger, { metrics, isRunning: true })
  expect([equal, total, scrapes]).toEqual([true, { requests: 3, inputTokens: 16, outputTokens: 10 }, 3])
})

it('reads files whose lines are longer than what is read at once', async () => {
  const { folder } = complete()
  const rows = Array.from({ length: 3000 }, (_, index) => ({ id: idAt(0, index), input: index, output: 1 }))
  const spans = writeSpans(folder, [rows])
  writeFileSync(join(folder, 'empty.jsonl'), '')
  const { equal, spans: seen } = await run(writeLedger(folder, rows), { spans: [spans, join(folder, 'empty.jsonl')] })
  expect([equal, seen?.exchanges]).toEqual([true, 3000])
})
