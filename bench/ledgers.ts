/**
 * `--ledger-rows`: ledgers of a month, and what it costs to ask them: CPU of the page's answers and of `report`, the start, and how long a commit
 * waits while a day's rows leave. The rows are made by SQLite; their rollups are made by the product, as for a ledger of an earlier version.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../src/ledger/file.ts'
import { keysUsualMax } from '../src/ledger/rollups/keys.ts'
import { createRollups } from '../src/ledger/rollups/rollups.ts'
import { openStore } from '../src/ledger/store.ts'
import { ledgerShape } from '../src/sinks/ledger.ts'
import { createMeter } from '../src/telemetry/meter.ts'
import { cpuOf, proxyCores, settled, spent, start, stop, until } from './processes.ts'

const dayMs = 86_400_000
const rangeMs = 30 * dayMs
/** Of a row, with its indexes and its part of the rollups. */
const bytesPerRow = 1100
const rowsPerInsert = 500_000

export interface LedgerFigures {
  readonly rows: number
  readonly gigabytes: number
  /** Rollups of all rows: seconds of work, and the longest step in milliseconds. */
  readonly rollups: { readonly seconds: number; readonly longestStepMs: number }
  readonly readyMs: number
  /** Milliseconds of CPU by path: medians. */
  readonly answers: Readonly<Record<string, number>>
  readonly report: { readonly cpuMs: number; readonly wallMs: number }
  /** A commit is made every 20 ms; how late the latest was done, in milliseconds. */
  readonly retention: { readonly expired: number; readonly latestMs: number }
}

/**
 * One row for each number of `n`: 200 callers in 10 teams, by a power law, each with three models of 24; a few errors and streams without usage.
 * SQLite would draw other random numbers for each mention of one that is not materialized.
 */
const insert = `
WITH RECURSIVE n(i) AS (SELECT :from UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :until),
drawn AS MATERIALIZED (
  SELECT i, :began + i * :everyMs + (random() & 1023) / 1024.0 AS at, (random() & 65535) / 65536.0 AS u, random() & 1023 AS luck,
    random() & 4095 AS size, random() & 255 AS which, 200 + (random() & 8191) AS took
  FROM n
),
chosen AS MATERIALIZED (
  SELECT *, CAST(200 * u * u * u AS INTEGER) AS caller, (CAST(200 * u * u * u AS INTEGER) * 7 + which % 3) % 24 AS model FROM drawn
)
INSERT INTO exchanges (id, started_at, trace_id, span_id, method, path, route, server_address, server_port, trace_flags, caller, ended_at, end_reason,
  status, streamed, framing, format, operation, provider, request_model, response_model, response_id, finish_reasons, input_tokens, output_tokens,
  cache_read_tokens, total_tokens, usage_outcome, usage_reason, error_type, request_bytes, response_bytes, request_sent_ms, response_head_ms,
  time_to_first_chunk_ms, duration_ms, cost, cost_status, cost_source, details, labels)
SELECT printf('01993c5c-0000-7000-8000-%012d', i), at, printf('%032x', i), printf('%016x', i), 'POST', '/v1/chat/completions',
  iif(which < 200, 'default', 'batch'), 'api.example.com', 443, 1, printf('key:%010x', caller), at + took, 'completed',
  iif(luck < 10, 429, 200), luck & 1, 'sse', 'openai-chat', 'chat', 'provider-' || (model % 6), 'model-' || model,
  printf('model-%d-2026-01-01', model), printf('chatcmpl-%024x', i), '["stop"]', iif(luck < 20, NULL, size), iif(luck < 20, NULL, size / 4),
  iif(luck < 20, NULL, size / 2), iif(luck < 20, NULL, size * 5 / 4), iif(luck < 10, NULL, iif(luck < 20, 'missing', 'reported')),
  iif(luck BETWEEN 10 AND 19, 'upstream_omitted', NULL), iif(luck < 10, '429', NULL), 2000, 4000, 1.5, took / 8.0, took / 7.0, took,
  iif(luck < 20, NULL, size / 1048576.0), iif(luck < 20, 'unpriced', 'priced'), iif(luck < 20, NULL, 'table'),
  '{"request":{"stream":true,"temperature":0.5,"openaiApiType":"chat_completions"}}', json_object('team', 'team-' || (caller % 10))
FROM chosen`

export async function measureLedger(rows: number, directory: string, say: (line: string) => void): Promise<LedgerFigures> {
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize < rows * bytesPerRow * 1.2)
    throw new Error(`a ledger of ${rows} rows needs ${Math.ceil((rows * bytesPerRow * 1.2) / 1e9)} GB free in ${directory}`)
  const path = join(directory, `ledger-${rows}.db`)
  const now = Date.now()
  const database = openDatabase({ path, shape: ledgerShape })
  database.exec('PRAGMA synchronous = OFF')
  fill(database, rows, now - rangeMs - dayMs, say)
  const rollups = rollUp(database, say)
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  const pages = database.prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size').get()
  database.close()
  try {
    const asked = await askProduct(path, directory)
    say(`${rows} rows: asked`)
    const report = reportOf(path, directory)
    const retention = await expireDay(path, now)
    return { rows, gigabytes: Number(pages?.['bytes']) / 1e9, rollups, ...asked, report, retention }
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-lock']) rmSync(path + suffix, { force: true })
  }
}

function fill(database: DatabaseSync, rows: number, began: number, say: (line: string) => void): void {
  const statement = database.prepare(insert)
  for (let from = 0; from < rows; from += rowsPerInsert) {
    statement.run({ from, until: Math.min(rows, from + rowsPerInsert), began, everyMs: (rangeMs + dayMs) / rows })
    say(`${Math.min(rows, from + rowsPerInsert)} rows`)
  }
  // Their log lines are out.
  database.exec("INSERT OR REPLACE INTO meta SELECT 'log_mark', max(rowid) FROM exchanges")
}

/** The last rows in steps as long as they are while the product runs, the others in longer ones. */
const steppedRows = 20_000

function rollUp(database: DatabaseSync, say: (line: string) => void): LedgerFigures['rollups'] {
  const began = performance.now()
  const last = Number(database.prepare('SELECT max(rowid) AS last FROM exchanges').get()?.['last'])
  let longestStepMs = 0
  for (const [upTo, stepMs] of [
    [last - steppedRows, 1000],
    [last, undefined],
  ] as const) {
    database.prepare("INSERT OR REPLACE INTO rollup_state VALUES ('upTo', ?)").run(upTo)
    const rollups = createRollups({
      ...{ shape: ledgerShape, meter: createMeter(Date.now), now: Date.now },
      ...{ labels: ['team'], keysMax: keysUsualMax, ageMsMax: () => 0, stepMs },
    })
    rollups.opened(database)
    for (let isMore = true, steps = 1; isMore; steps++) {
      const stepBegan = performance.now()
      isMore = rollups.maintenance.step()
      if (stepMs === undefined) longestStepMs = Math.max(longestStepMs, performance.now() - stepBegan)
      if (steps % 100 === 0) say(`${steps} steps of rolling up`)
    }
    rollups.closed()
  }
  return { seconds: (performance.now() - began) / 1000, longestStepMs }
}

const paths = [
  '/api/summary?since=30d&by=provider',
  '/api/summary?since=30d&by=provider&by=model&by=caller&by=label:team',
  '/api/summary?since=30d&by=day',
  '/api/summary?since=30d&by=model&where=label:team=team-3',
  '/api/latency?since=30d',
  '/api/series?since=30d',
  '/api/requests?since=30d',
  '/api/state',
]
/** Each is asked so often, a little later each time: an answer may be kept for a moment. */
const rounds = 3

async function askProduct(path: string, directory: string): Promise<Pick<LedgerFigures, 'readyMs' | 'answers'>> {
  const config = join(directory, 'ledger.yaml')
  const settings = ['upstream: http://127.0.0.1:9', 'listen: 127.0.0.1:0', 'admin: 127.0.0.1:0', `ledger: ${path}`]
  const labels = ['labels:', '  team: { from: header:x-team, metric: true }']
  writeFileSync(config, [...settings, 'retention: { bytes: 1099511627776 }', ...labels, ''].join('\n'))
  const stderr = join(directory, 'ledger.stderr')
  const began = performance.now()
  const command = [process.execPath, join(import.meta.dirname, '..', 'bin', 'tokenweir.js'), '--config', config]
  const product = start({ name: 'tokenweir', command, cores: proxyCores, stderr })
  const admin = () => /live page: (http:\/\/127\.0\.0\.1:\d+)/.exec(readFileSync(stderr, 'utf8'))?.[1] ?? ''
  await until(product, async () => (await fetch(`${admin()}/readyz`)).status === 200, 60)
  const readyMs = performance.now() - began
  const answers: Record<string, number> = {}
  for (const path of paths) {
    const costs: number[] = []
    for (let round = 0; round < rounds; round++) {
      await settled(product.pid)
      const before = cpuOf(product.pid)
      const response = await fetch(`${admin()}${path.replace('30d', `${30 + round / 1e6}d`)}`)
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${path}: ${response.status}`)
      costs.push(spent(before, cpuOf(product.pid)).totalMs)
      if (path === '/api/state') await sleep(2000)
    }
    answers[path] = costs.sort((a, b) => a - b)[Math.floor(rounds / 2)] as number
  }
  await stop(product)
  return { readyMs, answers }
}

function reportOf(path: string, directory: string): LedgerFigures['report'] {
  const began = performance.now()
  const program = join(import.meta.dirname, '..', 'bin', 'tokenweir.js')
  const { stdout, status, stderr } = spawnSync(
    'bash',
    ['-c', `"$0" "$1" report --since 30d --ledger "$2" > /dev/null && times`, process.execPath, program, path],
    {
      cwd: directory,
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`report: ${stderr}`)
  const [, children = ''] = stdout.trim().split('\n')
  const cpuMs = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  )
  return { cpuMs, wallMs: performance.now() - began }
}

/** Half a minute of the rows of a day that leave. */
const retentionMs = 30_000
const everyMs = 20

async function expireDay(path: string, now: number): Promise<LedgerFigures['retention']> {
  const meter = createMeter(Date.now)
  const limits = { ageMsMax: rangeMs, bytesMax: 2 ** 50, rollupAgeMsMax: 0 }
  const store = openStore({
    path,
    shape: ledgerShape,
    meter,
    report: () => undefined,
    retention: limits,
    rollupLabels: ['team'],
    now: () => now,
  })
  await sleep(3000) // until retention has begun
  let latestMs = 0
  let due = performance.now()
  const until = due + retentionMs
  for (let number = 0; due < until; number++) {
    due = performance.now() + everyMs
    await sleep(everyMs)
    store.remember('bench', number)
    store.commit()
    latestMs = Math.max(latestMs, performance.now() - due)
  }
  const expired = meter.total('tokenweir.ledger.expired')
  store.close()
  return { expired, latestMs }
}

export function ledgersText(all: readonly LedgerFigures[]): string {
  const row = (name: string, value: (figures: LedgerFigures) => string) => `| ${[name, ...all.map(value)].join(' | ')} |`
  const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0)
  return [
    row('', ({ rows }) => `${rows.toLocaleString('en-US')} rows`),
    row('---', () => '---'),
    row('file, GB', ({ gigabytes }) => gigabytes.toFixed(1)),
    row('rolling up all of it: s of work, longest step ms', ({ rollups }) => `${rollups.seconds.toFixed(0)}, ${ms(rollups.longestStepMs)}`),
    row('start to ready, ms', ({ readyMs }) => ms(readyMs)),
    ...paths.map((path) => row(`\`${path}\`, CPU ms`, ({ answers }) => ms(answers[path] ?? Number.NaN))),
    row('`report --since 30d`, CPU ms (wall)', ({ report }) => `${ms(report.cpuMs)} (${ms(report.wallMs)})`),
    row('latest commit while rows of a day leave, ms (rows)', ({ retention }) => `${ms(retention.latestMs)} (${retention.expired})`),
  ].join('\n')
}
