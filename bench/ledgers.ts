/**
 * `--ledger-rows`: ledgers of a month, and what it costs to ask them: CPU of the page's answers and of `report`, the start, what recording costs, and how
 * long a commit waits while a day's rows leave. The rows are made by SQLite; their rollups are made by the product, as for a ledger of an earlier version.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../src/ledger/file.ts'
import { inTransaction } from '../src/ledger/migrations.ts'
import { dayMs, grain, hourMs, levels, minuteMs } from '../src/ledger/rollups/grains.ts'
import { keysUsualMax } from '../src/ledger/rollups/keys.ts'
import { createRollups } from '../src/ledger/rollups/rollups.ts'
import type { RowValues, SqlValue } from '../src/ledger/row.ts'
import { openStore } from '../src/ledger/store.ts'
import { createTablesOf } from '../src/ledger/tables.ts'
import { ledgerShape } from '../src/sinks/ledger.ts'
import { createMeter } from '../src/telemetry/meter.ts'
import { cpuOf, proxyCores, settled, spent, start, stop, until } from './processes.ts'

const rangeMs = 30 * dayMs
const daysBefore = 31
/** At the end of a day, so that what began in it ends in it. */
const quietMs = 10_000
/** Of a row, with its indexes and its part of the rollups. */
const bytesPerRow = 1500
const idForm = '01993c5c-0000-7000-8000-%012d'
/** The log lines of all rows are out. */
const markLogged = "INSERT OR REPLACE INTO meta SELECT 'log_mark', max(rowid) FROM exchanges"
const names = [...ledgerShape.start, ...ledgerShape.end].map(({ name }) => name)

/** A commit is made every 20 ms; in milliseconds. */
interface Lateness {
  /** How long after it was due the latest was done, and the latest but one in a hundred. */
  readonly latestMs: number
  readonly lateP99Ms: number
  /** The most CPU of the thread from one to the next: what is done between two commits holds up the second. */
  readonly busyMsMax: number
}

export interface LedgerFigures {
  readonly rows: number
  readonly gigabytes: number
  /** Rows of an older ledger: seconds of CPU, and the longest step in milliseconds. Undefined when the ledger was there. */
  readonly rollups: { readonly rows: number; readonly seconds: number; readonly longestStepMs: number } | undefined
  readonly readyMs: number
  /** Milliseconds of CPU by path: medians. */
  readonly answers: Readonly<Record<string, number>>
  readonly report: { readonly cpuMs: number; readonly wallMs: number }
  readonly retention: { readonly expired: number; readonly before: Lateness; readonly leaving: Lateness }
  readonly recording: { readonly withoutUs: number; readonly withUs: number }
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
SELECT printf('${idForm}', i + 1), at, printf('%032x', i), printf('%016x', i), 'POST', '/v1/chat/completions',
  iif(which < 200, 'default', 'batch'), 'api.example.com', 443, 1, printf('key:%010x', caller), at + took, 'completed',
  iif(luck < 10, 429, 200), luck & 1, 'sse', 'openai-chat', 'chat', 'provider-' || (model % 6), 'model-' || model,
  printf('model-%d-2026-01-01', model), printf('chatcmpl-%024x', i), '["stop"]', iif(luck < 20, NULL, size), iif(luck < 20, NULL, size / 4),
  iif(luck < 20, NULL, size / 2), iif(luck < 20, NULL, size * 5 / 4), iif(luck < 10, NULL, iif(luck < 20, 'missing', 'reported')),
  iif(luck BETWEEN 10 AND 19, 'upstream_omitted', NULL), iif(luck < 10, '429', NULL), 2000, 4000, 1.5, took / 8.0, took / 7.0, took,
  iif(luck < 20, NULL, size / 1048576.0), iif(luck < 20, 'unpriced', 'priced'), iif(luck < 20, NULL, 'table'),
  '{"request":{"stream":true,"temperature":0.5,"openaiApiType":"chat_completions"}}', json_object('team', 'team-' || (caller % 10))
FROM chosen`

/** The ledgers are asked in turns, so that what else the machine does meanwhile is the same for all. */
export async function measureLedgers(
  sizes: readonly number[],
  { directory, keep }: { readonly directory: string; readonly keep?: string | undefined },
  say: (line: string) => void,
): Promise<LedgerFigures[]> {
  const now = Date.now()
  const ledgers: Ledger[] = []
  try {
    for (const rows of sizes) {
      const path = join(keep ?? directory, `ledger-${rows}.db`)
      ledgers.push({ rows, path, rollups: existsSync(path) ? undefined : await build(path, rows, now, say) })
    }
    const asked = await askProducts(ledgers, directory, say)
    const figures: LedgerFigures[] = []
    for (const [at, { rows, path, rollups }] of ledgers.entries()) {
      const report = reportOf(path, directory)
      const recording = measureRecording(path, directory)
      const retention = await expireDay(path, now)
      figures.push({ rows, gigabytes: statSync(path).size / 1e9, rollups, ...(asked[at] as Asked), report, recording, retention })
    }
    return figures
  } finally {
    if (keep === undefined)
      for (const { path } of ledgers) for (const suffix of ['', '-wal', '-shm', '-lock']) rmSync(path + suffix, { force: true })
  }
}

interface Ledger extends Pick<LedgerFigures, 'rows' | 'rollups'> {
  readonly path: string
}

type Asked = Pick<LedgerFigures, 'readyMs' | 'answers'>

/**
 * A day of rows is made and rolled up, and stands for each of 31 days, with its rollups; today is rolled up again. To roll up each day would take an
 * hour for 20,000,000 rows, and give the same cells.
 */
async function build(path: string, rows: number, now: number, say: (line: string) => void): Promise<LedgerFigures['rollups']> {
  const { bavail, bsize } = statfsSync(dirname(path))
  if (bavail * bsize < rows * bytesPerRow * 1.2)
    throw new Error(`a ledger of ${rows} rows needs ${Math.ceil((rows * bytesPerRow * 1.2) / 1e9)} GB free in ${dirname(path)}`)
  const midnight = Math.floor(now / dayMs) * dayMs
  const began = midnight - daysBefore * dayMs
  const perDay = Math.floor(rows / (daysBefore + (now - midnight) / dayMs))
  const database = openDatabase({ path, shape: ledgerShape })
  try {
    // Nobody needs it if this ends before it is whole.
    database.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -500000')
    database.prepare(insert).run({ from: 0, until: perDay, began, everyMs: (dayMs - quietMs) / perDay })
    const rollups = rollUp(database, began + 2 * dayMs, say)
    for (let day = 1; day < daysBefore; day++) {
      copyDay(database, day, perDay, Number.MAX_SAFE_INTEGER)
      copyRollups(database, day)
      say(`${perDay * (day + 1)} rows`)
    }
    const movedMs = (daysBefore - 1) * dayMs
    const weeks = Object.values(grain.week).join(', ')
    database.exec(`UPDATE rollup_keys SET used = used + ${daysBefore - 1};
      UPDATE rollup_state SET value = value + ${movedMs} WHERE key IN (${levels.map(({ until }) => `'${until}'`).join(', ')});
      UPDATE rollup_state SET value = value * ${daysBefore} WHERE key = 'rows';
      DELETE FROM rollups WHERE grain IN (${weeks});
      DELETE FROM rollup_sketches WHERE grain IN (${weeks});
      DELETE FROM rollup_state WHERE key IN ('weeksUntil', 'weeksKey');
      INSERT OR REPLACE INTO rollup_state SELECT 'after', max(rowid) FROM exchanges`)
    copyDay(database, daysBefore, perDay, now)
    rollUp(database, now, say)
    // Their log lines are out.
    database.exec(`${markLogged}; PRAGMA journal_mode = WAL`)
    return rollups
  } finally {
    database.close()
  }
}

function copyDay(database: DatabaseSync, day: number, perDay: number, before: number): void {
  const moved: Readonly<Record<string, string>> = {
    id: `printf('${idForm}', rowid + ${day * perDay})`,
    started_at: `started_at + ${day * dayMs}`,
    ended_at: `ended_at + ${day * dayMs}`,
  }
  database
    .prepare(
      `INSERT INTO exchanges (${names.join(', ')}) SELECT ${names.map((name) => moved[name] ?? name).join(', ')} FROM exchanges
       WHERE rowid <= ${perDay} AND ended_at + ${day * dayMs} < ?`,
    )
    .run(before)
}

function copyRollups(database: DatabaseSync, day: number): void {
  const moved: Readonly<Record<string, string>> = {
    period: `period + ${(day * dayMs) / minuteMs}`,
    first_at: `first_at + ${day * dayMs}`,
    last_at: `last_at + ${day * dayMs}`,
  }
  const first = Number(database.prepare('SELECT min(period) AS first FROM rollups WHERE grain = 0').get()?.['first'])
  const next = Math.floor((first * minuteMs) / dayMs + 1) * (dayMs / minuteMs)
  for (const table of ['rollups', 'rollup_sketches']) {
    const columns = database.prepare(`SELECT * FROM ${table} LIMIT 0`).columns()
    const those = columns.map(({ name }) => moved[name] ?? name).join(', ')
    for (const { grain: one } of database.prepare(`SELECT DISTINCT grain FROM ${table}`).all())
      database.exec(`INSERT INTO ${table} SELECT ${those} FROM ${table} WHERE grain = ${one} AND period < ${next}`)
  }
}

/** The last rows in steps as long as they are while the product runs, the others in longer ones. */
const steppedRows = 20_000

/** Of the rows that are in no rollup yet. */
function rollUp(
  database: DatabaseSync,
  now: number,
  say: (line: string) => void,
): { readonly rows: number; readonly seconds: number; readonly longestStepMs: number } {
  const began = process.cpuUsage()
  const last = Number(database.prepare('SELECT max(rowid) AS last FROM exchanges').get()?.['last'])
  let longestStepMs = 0
  let rows = 0
  for (const [upTo, stepMs] of [
    [last - steppedRows, 1000],
    [last, undefined],
  ] as const) {
    database.prepare("INSERT OR REPLACE INTO rollup_state VALUES ('upTo', ?)").run(upTo)
    const after = Number(database.prepare("SELECT value FROM rollup_state WHERE key = 'after'").get()?.['value'] ?? 0)
    rows += upTo - after
    const rollups = createRollups({
      ...{ shape: ledgerShape, meter: createMeter(Date.now), now: () => now },
      ...{ labels: ['team'], keysMax: keysUsualMax, ageMsMax: () => 0, stepMs },
    })
    rollups.opened(database)
    for (let isMore = true, steps = 1; isMore; steps++) {
      const before = process.cpuUsage()
      isMore = rollups.maintenance.step()
      if (stepMs === undefined) longestStepMs = Math.max(longestStepMs, msOf(process.cpuUsage(before)))
      if (steps % 100 === 0) say(`${steps} steps of rolling up`)
    }
    rollups.closed()
  }
  return { rows, seconds: msOf(process.cpuUsage(began)) / 1000, longestStepMs }
}

const msOf = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000

/** What the page asks for 30 days, and programs: by every column, with conditions, sorted, beside the range before. */
const paths = [
  '/api/summary?since=30d&by=provider',
  '/api/summary?since=30d&by=provider&by=model&by=caller&by=label:team',
  '/api/summary?since=30d&by=day',
  '/api/summary?since=30d&by=model&where=label:team=team-3',
  '/api/latency?since=30d',
  '/api/series?since=30d',
  '/api/series?since=30d&where=caller=CALLER',
  ...['provider', 'model', 'caller', 'route', 'day', 'outcome', 'reason', 'label:team'].map((by) => `/api/groups?since=30d&by=${by}`),
  '/api/groups?since=30d&by=caller&compare=1',
  '/api/groups?since=30d&by=caller&sort=firstP95',
  '/api/groups?since=30d&by=caller&sort=cost&search=1&offset=25',
  '/api/groups?since=30d&by=caller&where=provider=provider-1',
  '/api/groups?since=30d&by=model&where=caller=CALLER',
  '/api/groups?since=30d&by=model&where=reason=upstream_omitted',
  '/api/heatmap?since=30d&zone=Europe/Berlin',
  '/api/heatmap?since=30d&zone=Asia/Kathmandu',
  '/api/heatmap?since=30d&zone=Asia/Kolkata&where=caller=CALLER',
  '/api/distribution?since=30d',
  '/api/distribution?since=30d&where=caller=CALLER',
  '/api/requests?since=30d',
  '/api/requests?since=30d&outcome=errors',
  '/api/requests?since=30d&where=caller=CALLER',
  '/api/requests?since=30d&where=label:team=team-3',
  '/api/requests?since=30d&where=duration_ms>100000',
  '/api/requests?since=30d&text=nothing-has-this',
  '/api/requests?since=30d&sort=cost',
  '/api/request?id=ID',
  '/api/state',
]
const starts = 3
/** Each is asked so often, a little later each time: an answer may be kept for a moment. */
const rounds = 7

async function askProducts(ledgers: readonly Ledger[], directory: string, say: (line: string) => void): Promise<Asked[]> {
  const all: {
    readonly ready: number[]
    readonly answers: Record<string, number>
    readonly ask: (path: string, round: number) => Promise<number>
  }[] = []
  const products: Awaited<ReturnType<typeof startProduct>>['product'][] = []
  for (const ledger of ledgers) {
    const ready: number[] = []
    for (let number = 1; number < starts; number++) {
      const { product, readyMs } = await startProduct(ledger, directory)
      ready.push(readyMs)
      await stop(product)
    }
    const { product, readyMs, admin } = await startProduct(ledger, directory)
    products.push(product)
    all.push({ ready: [...ready, readyMs], answers: {}, ask: asker(product.pid, admin, oneRow(ledger.path)) })
  }
  for (const path of paths) {
    const costs = all.map((): number[] => [])
    for (let round = 0; round < rounds; round++) for (const [at, { ask }] of all.entries()) costs[at]?.push(await ask(path, round))
    for (const [at, { answers }] of all.entries()) answers[path] = medianOf(costs[at] ?? [])
    say(`asked ${path}`)
  }
  for (const product of products) await stop(product)
  return all.map(({ ready, answers }) => ({ readyMs: medianOf(ready), answers }))
}

/** Milliseconds of CPU that an answer takes. */
function asker(pid: number, admin: string, { id, caller }: ReturnType<typeof oneRow>): (path: string, round: number) => Promise<number> {
  return async (path, round) => {
    await settled(pid)
    const before = cpuOf(pid)
    const asked = path
      .replace('30d', `${30 + round / 1e6}d`)
      .replace('CALLER', caller)
      .replace('ID', id)
    const response = await fetch(`${admin}${asked}`)
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`${path}: ${response.status}`)
    const { totalMs } = spent(before, cpuOf(pid))
    if (path === '/api/state') await sleep(2000)
    return totalMs
  }
}

async function startProduct({ rows, path }: Ledger, directory: string) {
  const config = join(directory, `ledger-${rows}.yaml`)
  const settings = ['upstream: http://127.0.0.1:9', 'listen: 127.0.0.1:0', 'admin: 127.0.0.1:0', `ledger: ${path}`]
  const labels = ['labels:', '  team: { from: header:x-team, metric: true }']
  writeFileSync(config, [...settings, 'retention: { bytes: 1099511627776 }', ...labels, ''].join('\n'))
  const stderr = join(directory, `ledger-${rows}.stderr`)
  const began = performance.now()
  const command = [process.execPath, join(import.meta.dirname, '..', 'bin', 'tokenweir.js'), '--config', config]
  const product = start({ name: 'tokenweir', command, cores: proxyCores, stderr })
  const admin = () => /live page: (http:\/\/127\.0\.0\.1:\d+)/.exec(readFileSync(stderr, 'utf8'))?.[1] ?? ''
  await until(product, async () => (await fetch(`${admin()}/readyz`)).status === 200, 60)
  return { product, readyMs: performance.now() - began, admin: admin() }
}

const medianOf = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number

/** Of the middle of the ledger, by a caller that is one of many. */
function oneRow(path: string): { readonly id: string; readonly caller: string } {
  const database = new DatabaseSync(path, { readOnly: true })
  const row = database
    .prepare('SELECT id, caller FROM exchanges WHERE rowid >= (SELECT max(rowid) / 2 FROM exchanges) AND caller = ? LIMIT 1')
    .get('key:0000000064')
  database.close()
  return row as { id: string; caller: string }
}

function reportOf(path: string, directory: string): LedgerFigures['report'] {
  const began = performance.now()
  const program = join(import.meta.dirname, '..', 'bin', 'tokenweir.js')
  const { stdout, status, stderr } = spawnSync(
    'bash',
    ['-c', `"$0" "$1" report --since 30d --ledger "$2" > /dev/null && times`, process.execPath, program, path],
    { cwd: directory, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`report: ${stderr}`)
  const [, children = ''] = stdout.trim().split('\n')
  const cpuMs = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  )
  return { cpuMs, wallMs: performance.now() - began }
}

/** Four minutes of 1,000 requests a second, in batches of 50 ms, by the callers of the month: these rows, again and again. */
const recordedRows = 240_000
const sampledRows = 40_000
const recordings = 3
const batchRows = 50
const batchMs = 50
/** So often added rows are written, and minutes are added up. */
const stepEveryMs = 10_000

/** Microseconds of CPU for each row, with their rollups and all that is added up later, and without. */
function measureRecording(path: string, directory: string): LedgerFigures['recording'] {
  const rows = sampleRows(path, sampledRows)
  const costs = { withoutUs: [] as number[], withUs: [] as number[] }
  for (let round = 0; round < recordings; round++) {
    costs.withoutUs.push(recordingUs(join(directory, 'recorded.db'), rows, false))
    costs.withUs.push(recordingUs(join(directory, 'recorded.db'), rows, true))
  }
  return { withoutUs: medianOf(costs.withoutUs), withUs: medianOf(costs.withUs) }
}

const [idAt, startedAtAt, endedAtAt, durationAt] = ['id', 'started_at', 'ended_at', 'duration_ms'].map((name) => names.indexOf(name)) as [
  number,
  number,
  number,
  number,
]

/** That row as one that ends then. */
function endedAt(moment: number, row: RowValues, id = row[idAt] as SqlValue): RowValues {
  const values = [...row]
  values[idAt] = id
  values[startedAtAt] = moment - Number(row[durationAt])
  values[endedAtAt] = moment
  return values
}

function recordingUs(path: string, rows: readonly RowValues[], hasRollups: boolean): number {
  let now = Math.floor(Date.now() / dayMs) * dayMs
  const database = openDatabase({ path, shape: ledgerShape })
  const tables = createTablesOf(database, ledgerShape)
  const rollups = createRollups({
    ...{ shape: ledgerShape, meter: createMeter(Date.now), now: () => now, labels: ['team'], keysMax: keysUsualMax, ageMsMax: () => 0 },
  })
  rollups.opened(database)
  const before = process.cpuUsage()
  for (let number = 0; number < recordedRows; ) {
    now += batchMs
    inTransaction(database, () => {
      if (hasRollups) rollups.begin()
      for (const until = number + batchRows; number < until; number++) {
        const values = endedAt(now, rows[number % rows.length] as RowValues, idForm.replace('%012d', String(number).padStart(12, '0')))
        const rowid = tables.putRow(values)
        if (hasRollups) rollups.add(values, rowid)
      }
      if (hasRollups) rollups.write()
    })
    if (hasRollups) rollups.committed()
    while (hasRollups && now % stepEveryMs === 0 && rollups.maintenance.step());
  }
  // Until its quarters and its hour have been added up.
  now += hourMs
  while (hasRollups && rollups.maintenance.step());
  const us = (msOf(process.cpuUsage(before)) / recordedRows) * 1000
  database.close()
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  return us
}

function sampleRows(path: string, count: number): readonly RowValues[] {
  const database = new DatabaseSync(path, { readOnly: true })
  const rows = database.prepare(`SELECT ${names.join(', ')} FROM exchanges ORDER BY rowid LIMIT ?`).all(count)
  database.close()
  return rows.map((row) => names.map((name) => row[name] as SqlValue))
}

/** Half a minute of the rows of a day that leave, while 500 requests a second are recorded; and as long before, while none leave. */
const retentionMs = 30_000
const everyMs = 20
const rowsPerCommit = 10

async function expireDay(path: string, now: number): Promise<LedgerFigures['retention']> {
  const before = await recordFor(path, now, 0)
  const { expired, ...leaving } = await recordFor(path, now, rangeMs)
  // Nobody writes the log lines of these rows, and the next start should not either.
  const database = openDatabase({ path, shape: ledgerShape })
  database.exec(markLogged)
  database.close()
  return { expired, before, leaving }
}

async function recordFor(path: string, now: number, ageMsMax: number): Promise<Lateness & { readonly expired: number }> {
  const meter = createMeter(Date.now)
  const sample = sampleRows(path, 5000)
  const store = openStore({
    ...{ path, shape: ledgerShape, meter, report: () => undefined, rollupLabels: ['team'] },
    retention: { ageMsMax, bytesMax: 2 ** 50, rollupAgeMsMax: 0 },
  })
  await sleep(3000) // until retention has begun
  const late: number[] = []
  let busyMsMax = 0
  const until = performance.now() + retentionMs
  for (let number = 0, due = performance.now(); due < until; number++) {
    due = performance.now() + everyMs
    const cpu = process.threadCpuUsage()
    await sleep(everyMs)
    for (let index = 0; index < rowsPerCommit; index++) {
      const id = `bench-${now}-${ageMsMax}-${number * rowsPerCommit + index}`
      store.put(id, endedAt(Date.now(), sample[(number * rowsPerCommit + index) % sample.length] as RowValues, id))
    }
    store.commit()
    busyMsMax = Math.max(busyMsMax, msOf(process.threadCpuUsage(cpu)))
    late.push(performance.now() - due)
  }
  const expired = meter.total('tokenweir.ledger.expired')
  store.close()
  late.sort((a, b) => a - b)
  return { expired, latestMs: late.at(-1) ?? 0, lateP99Ms: late[Math.floor(late.length * 0.99)] ?? 0, busyMsMax }
}

export function ledgersText(all: readonly LedgerFigures[]): string {
  const [first, last] = [all[0], all.at(-1)]
  const isPair = all.length > 1
  const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0)
  const line = (name: string, cells: readonly string[]) => `| ${[name, ...cells].join(' | ')} |`
  const row = (name: string, text: (figures: LedgerFigures) => string, value?: (figures: LedgerFigures) => number) => {
    const ratio = first === undefined || last === undefined || value === undefined ? '' : (value(last) / value(first)).toFixed(2)
    return line(name, [...all.map(text), ...(isPair ? [ratio] : [])])
  }
  const ofMs = (name: string, value: (figures: LedgerFigures) => number) => row(name, (figures) => ms(value(figures)), value)
  return [
    line('', [...all.map(({ rows }) => `${rows.toLocaleString('en-US')} rows`), ...(isPair ? ['ratio'] : [])]),
    row('---', () => '---', undefined).replace(/\| \|$/, '| --- |'),
    row('file, GB', ({ gigabytes }) => gigabytes.toFixed(1)),
    row('rolling up an older ledger: CPU µs a row, longest step ms', ({ rollups }) =>
      rollups === undefined ? '–' : `${((rollups.seconds / rollups.rows) * 1e6).toFixed(0)}, ${ms(rollups.longestStepMs)}`,
    ),
    row('recording without rollups and with them: CPU µs a row', ({ recording }) => `${ms(recording.withoutUs)}, ${ms(recording.withUs)}`),
    ofMs('start to ready, ms', ({ readyMs }) => readyMs),
    ofMs('`report --since 30d`, CPU ms', ({ report }) => report.cpuMs),
    ...paths.map((path) =>
      ofMs(`\`${path.replace('since=30d&', '').replace(/\?since=30d$/, '')}\`, CPU ms`, ({ answers }) => answers[path] ?? Number.NaN),
    ),
    row('rows that left in 30 s while 500 a second were recorded', ({ retention }) => `${retention.expired}`),
    ...(['before', 'leaving'] as const).map((when) =>
      row(
        `${when === 'before' ? 'while none leave' : 'while they leave'}: latest commit, ms after it was due; 99 of 100; most CPU until one is done`,
        ({ retention }) => {
          const { latestMs, lateP99Ms, busyMsMax } = retention[when]
          return [latestMs, lateP99Ms, busyMsMax].map(ms).join(', ')
        },
      ),
    ),
  ].join('\n')
}
