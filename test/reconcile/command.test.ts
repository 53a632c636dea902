import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'
import { idAt, lineOf, temporaryFolder, writeLedger, writeSpans } from './ledger.ts'

const program = resolve(import.meta.dirname, '../../src/tokenweir.ts')

/** The real command, with an admin port on which nothing listens. */
function run(folder: string, args: readonly string[], input = '', env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, 'reconcile', '--ledger', 'ledger.db', '--admin', '127.0.0.1:9', ...args],
    {
      cwd: folder,
      env: { ...cleanEnvironment(), ...env },
      encoding: 'utf8',
      input,
      timeout: 20_000,
    },
  )
  return { status, stdout, stderr }
}

const rows = [
  { id: idAt(0), input: 11, output: 7 },
  { id: idAt(1), input: 5, output: 3 },
  { id: idAt(2), ended: false },
] as const

it('prints a table and exits 0 where all agree; the log may come on standard input', () => {
  const folder = temporaryFolder()
  writeLedger(folder, rows, { series: [{ name: 'tokenweir.requests', labels: { 'gen_ai.provider.name': 'openai' }, value: 2 }] })
  writeSpans(folder, [[rows[0]], [rows[1]]])
  const log = rows.slice(0, 2).map((row) => `${lineOf(row)}\n`)
  writeFileSync(
    join(folder, 'metrics.txt'),
    `tokenweir_requests_total{gen_ai_provider_name="openai"} 2
gen_ai_client_token_usage_sum{gen_ai_provider_name="openai",gen_ai_token_type="input"} 16
gen_ai_client_token_usage_sum{gen_ai_provider_name="openai",gen_ai_token_type="output"} 10
`,
  )
  expect(run(folder, ['--spans', 'spans.jsonl', '--log', '-', '--metrics', 'metrics.txt'], log.join(''))).toEqual({
    status: 0,
    stdout: `ledger     2  and 1 still open, not yet due
spans      2
log lines  2
metrics    2  16 input and 10 output tokens

They agree.
`,
    stderr: '',
  })
})

it('lists what differs and exits 1', () => {
  const folder = temporaryFolder()
  writeLedger(folder, rows)
  writeSpans(folder, [[rows[0]]])
  expect(run(folder, ['--spans', 'spans.jsonl', '--since', '2026-11-23T00:00Z'])).toEqual({
    status: 1,
    stdout: `ledger  2  and 1 still open, not yet due
spans   1

Not compared:
  Log lines: give the sidecar's standard output, with --log FILE…
  Metrics: counters know no time range; leave --since and --until out.

1 rows without a span
  ${idAt(1)}

They differ.
`,
    stderr: '',
  })
})

it.each([
  ['Etc/GMT+8', 2],
  ['Etc/GMT+9', 0],
])('takes a date for local midnight, as report does: %s', (TZ, closed) => {
  const folder = temporaryFolder()
  writeLedger(folder, rows) // from 08:00 in UTC on
  const { stdout } = run(folder, ['--since', '2026-11-23', '--json'], '', { TZ })
  expect(JSON.parse(stdout).ledger.closed).toBe(closed)
})

it('gives everything as JSON', () => {
  const folder = temporaryFolder()
  writeLedger(folder, rows)
  writeSpans(folder, [[rows[0]]])
  const { status, stdout } = run(folder, ['--spans', 'spans.jsonl', '--json'])
  expect([status, JSON.parse(stdout)]).toMatchObject([1, { equal: false, ledger: { closed: 2, open: 1 }, spans: { exchanges: 1 } }])
})

it.each([
  [
    ['--since', 'yesterday'],
    'tokenweir: "yesterday" is no time. Write how long ago (15m, 24h, 30d) or a date (2026-11-23, 2026-11-23T08:00:00Z). See tokenweir --help.\n',
  ],
  [['--spans', 'absent.jsonl'], 'tokenweir: The file "absent.jsonl" does not exist.\n'],
  [['--ledger', 'absent.db'], 'tokenweir: --ledger: The file "absent.db" does not exist.\n'],
])('refuses %j with a sentence and exit code 2', (args, stderr) => {
  const folder = temporaryFolder()
  writeLedger(folder, rows)
  expect(run(folder, args)).toEqual({ status: 2, stdout: '', stderr })
})

it('says that a ledger is none', () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'ledger.db'), 'no database, and long enough to be looked at. '.repeat(20))
  const { status, stderr } = run(folder, [])
  expect([status, stderr]).toEqual([
    1,
    'tokenweir: The ledger ledger.db cannot be read: file is not a database. Choose another file with --ledger FILE.\n',
  ])
})

it('does not compare a ledger with the metrics of a sidecar that writes another', async () => {
  const [one, other] = await Promise.all([
    startProduct({ upstream: 'http://127.0.0.1:9' }),
    startProduct({ upstream: 'http://127.0.0.1:9' }),
  ])
  onTestFinished(async () => void (await Promise.all([one.stop(), other.stop()])))
  await fetch(`${one.url}/v1/messages`)
  await fetch(`${other.url}/v1/messages`)
  await Promise.all([one.closedRows(1), other.closedRows(1)])
  const admin = other.adminUrl.replace('http://', '')
  const wrong = run(one.folder, ['--admin', admin])
  expect([wrong.status, wrong.stdout]).toEqual([
    0,
    expect.stringMatching(
      new RegExp(
        `Metrics of a running sidecar: The sidecar at ${other.adminUrl} writes another ledger \\(instance .*\\) than ledger.db \\(instance .*\\)\\. Name its own with --admin`,
      ),
    ),
  ])
  expect(run(one.folder, ['--metrics', `${other.adminUrl}/metrics`])).toEqual({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^tokenweir: The sidecar at .* writes another ledger .*Name the metrics of its own sidecar with --metrics URL/,
    ),
  })
  const right = run(one.folder, ['--admin', one.adminUrl.replace('http://', '')])
  expect([right.status, right.stdout]).toEqual([0, expect.not.stringContaining('another ledger')])
})

it('finds the sidecar by its admin address as the other commands do: a wildcard, and a URL', async () => {
  const product = await startProduct({ upstream: 'http://127.0.0.1:9', env: { TOKENWEIR_ADMIN: '[::1]:0' } })
  onTestFinished(async () => void (await product.stop()))
  await fetch(`${product.url}/v1/messages`)
  await product.closedRows(1)
  const { port } = new URL(product.adminUrl)
  for (const admin of [`[::]:${port}`, product.adminUrl]) {
    const { status, stdout } = run(product.folder, ['--admin', admin])
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^metrics +1 /m)])
  }
})
