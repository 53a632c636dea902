/** What `tokenweir report` can be asked: time zones, conditions, the range before, and the forms of its answer. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { afterAll, describe, expect, it } from 'vitest'
import type { Exchange } from '../../src/lib/exchange.ts'
import { runOn, visible } from '../cli/terminal.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { writeLedger } from '../reading/ledger-of.ts'
import { exchangeOf, failedExchangeOf } from '../sinks/exchange-of.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-questions-'))
const ledger = join(folder, 'ledger.db')
afterAll(() => rmSync(folder, { recursive: true }))

const pipe = { columns: undefined, colour: false }
const run = (args: readonly string[], terminal: { columns: number | undefined; colour: boolean } = pipe, env = {}) =>
  runOn(terminal, ['report', '--ledger', ledger, ...args], env)

/** Every 30 minutes from 22 October to 3 November: the clock of Berlin goes back on the 25th, that of New York on the 1st. */
const first = Date.UTC(2026, 9, 22)
const last = Date.UTC(2026, 10, 3)
const requests = Array.from({ length: (last - first) / 1_800_000 }, (_, index): Exchange => {
  const opening = { id: `id-${index}`, startedAt: first + index * 1_800_000 }
  if (index % 10 === 9) return failedExchangeOf(503, { opening })
  return exchangeOf({
    opening,
    provider: index % 3 === 0 ? 'anthropic' : 'openai',
    caller: index < 288 ? 'before' : 'after',
    response: { usage: { inputTokens: 100 + index, outputTokens: index % 7 }, finished: true },
    cost: { status: 'priced', usd: (index % 13) / 1000, source: 'table' },
  })
})
writeLedger(ledger, { opened: [], ended: requests })

const whole = ['--since', '2026-10-22T00:00Z', '--until', '2026-11-03T00:00Z']

interface Json {
  readonly since: string
  readonly total: { readonly requests: number; readonly tokens: { readonly input: { readonly sum: number } } }
  readonly groups: readonly { readonly key: Readonly<Record<string, string>>; readonly requests: number }[]
}

async function json(args: readonly string[]): Promise<Json> {
  const { stdout, stderr } = await run([...args, '--json'])
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

/** As a clock on the wall of that zone names the moment: worked out apart from the code. */
function nameOf(at: number, zone: string, period: string): string {
  const text = new Date(at).toLocaleString('sv-SE', { timeZone: zone })
  if (period === 'month') return text.slice(0, 7)
  if (period === 'day') return text.slice(0, 10)
  const day = new Date(`${text.slice(0, 10)}T00:00Z`)
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7))
  return day.toISOString().slice(0, 10)
}

describe('by time', () => {
  it.each(
    ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu'].flatMap((zone) =>
      ['day', 'week', 'month'].map((period) => [zone, period] as const),
    ),
  )('has every request in its own place: in %s, by %s', async (zone, period) => {
    const expected = Map.groupBy(requests, ({ opening }) => nameOf(opening.startedAt, zone, period))
    const { groups, total } = await json([...whole, '--by', period, '--timezone', zone])
    expect(groups.map(({ key, requests }) => [key[period], requests])).toEqual([...expected].map(([name, all]) => [name, all.length]))
    expect(total.requests).toBe(requests.length)
  })

  it('has the hour that comes twice, twice', async () => {
    const range = ['--since', '2026-10-25T01:15', '--until', '2026-10-25T03:30', '--timezone', 'Europe/Berlin']
    const { groups, since } = await json([...range, '--by', 'hour'])
    expect(since).toBe('2026-10-24T23:15:00.000Z')
    expect(groups.map(({ key, requests }) => [key['hour'], requests])).toEqual([
      ['2026-10-25T01:00+02:00', 1],
      ['2026-10-25T02:00+02:00', 2],
      ['2026-10-25T02:00+01:00', 2],
      ['2026-10-25T03:00+01:00', 1],
    ])
  })

  it('goes by a name within each time, and --top counts within each', async () => {
    const by = ['--by', 'provider,day', '--timezone', 'UTC']
    const { groups } = await json([...whole, ...by])
    const top = await json([...whole, ...by, '--top', '1'])
    expect(groups.slice(0, 3).map(({ key, requests }) => [key, requests])).toEqual([
      [{ provider: 'openai', day: '2026-10-22' }, 34],
      [{ provider: 'anthropic', day: '2026-10-22' }, 14],
      [{ provider: 'openai', day: '2026-10-23' }, 33],
    ])
    expect(top.groups).toEqual(groups.filter(({ key }) => key['provider'] === 'openai'))
    expect(top.total).toEqual((await json(whole)).total)
  })

  it('takes dates for those of the zone', async () => {
    const { since } = await json(['--since', '2026-10-25', '--until', '2026-10-26 00:00', '--timezone', 'America/New_York'])
    expect(since).toBe('2026-10-25T04:00:00.000Z')
  })
})

describe('only some', () => {
  it.each([
    [['status>=500'], 57],
    [['caller=before', 'input_tokens<110'], 9],
  ])('%j', async (conditions, count) => {
    const { total } = await json([...whole, ...conditions.flatMap((one) => ['--where', one])])
    expect(total.requests).toBe(count)
  })
})

it('Says when nothing meets the conditions.', async () => {
  const { code, stderr } = await run([...whole, '--where', 'status=418'])
  expect([code, stderr]).toEqual([0, 'tokenweir: No request in this range meets the conditions of --where.\n'])
})

describe('beside the range before', () => {
  const later = ['--since', '2026-10-28T00:00Z', '--until', '2026-11-03T00:00Z', '--compare']

  it('has both, and the change', async () => {
    const compared = JSON.parse((await run([...later, '--json'])).stdout)
    const before = await json(['--since', '2026-10-22T00:00Z', '--until', '2026-10-28T00:00Z'])
    const now = await json(later.slice(0, 4))
    expect(compared.before).toEqual({ since: '2026-10-22T00:00:00.000Z', until: '2026-10-28T00:00:00.000Z', total: before.total })
    expect(compared.total).toMatchObject(now.total)
    expect(compared.groups.map(({ before: one }: { before: unknown }) => one)).toEqual(
      compared.groups.map(({ key }: Json['groups'][number]) => {
        return before.groups.find((group) => group.key['provider'] === key['provider'])
      }),
    )
    const change = (now.total.tokens.input.sum / before.total.tokens.input.sum - 1) * 100
    expect(compared.total.changePercent.input_tokens).toBeCloseTo(change, 1)
    expect(compared.total.changePercent.requests).toBe(0)
  })

  it.each([
    ['160', { columns: 160, colour: false }],
    ['80-colour', { columns: 80, colour: true }],
  ])('as a table: %s', async (name, terminal) => {
    const { stdout } = await run([...later, '--by', 'caller'], terminal)
    const text = visible(stdout)
      .replaceAll(ledger, 'ledger.db')
      .replace(/prices of [\d-]+/, 'prices of DATE')
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, `golden/report-compare-${name}.txt`))
  })

  it('as CSV', async () => {
    const { stdout } = await run([...later, '--by', 'caller', '--csv'])
    const [header = '', ...lines] = stdout.trimEnd().split('\n')
    const names = header.split(',')
    const rows = lines.map((line) => Object.fromEntries(line.split(',').map((value, at) => [names[at], value])))
    expect(rows).toEqual([
      expect.objectContaining({ caller: 'after', requests: '259', requests_before: '0', requests_change_percent: '' }),
      expect.objectContaining({ caller: '', requests: '29', requests_before: '28', requests_change_percent: '3.6' }),
      expect.objectContaining({ caller: 'before', requests: '0', requests_before: '260', requests_change_percent: '-100' }),
    ])
  })
})

describe('Parquet', () => {
  it('has the columns of CSV with their types, and the same numbers', async () => {
    const args = [...whole, '--by', 'caller,day', '--timezone', 'UTC']
    const { stdout } = spawnSync(
      process.execPath,
      [join(root, 'src/tokenweir.ts'), 'report', '--ledger', ledger, ...args, '--format', 'parquet'],
      { env: cleanEnvironment() },
    )
    const file = new Uint8Array(stdout).buffer
    const rows = await parquetReadObjects({ file })
    const csv = (await run([...args, '--csv'])).stdout.trimEnd().split('\n')
    const lines = rows.map((row) =>
      Object.values(row)
        .map((value) => value ?? '')
        .join(','),
    )
    expect([Object.keys(rows[0] ?? {}).join(','), ...lines]).toEqual(csv)
    expect(rows[0]).toMatchObject({ caller: 'before', requests: 44n, cost_usd: expect.any(Number) })
  })
})

describe('what is refused', () => {
  const zone = '--timezone "Mars" is no time zone. Write a name such as Europe/Berlin or UTC.'
  it.each([
    [['--by', 'day,hour'], 'goes by one of hour, day, week and month. Take day or hour away.'],
    [['--by', 'day', '--compare'], '--compare and --by day contradict each other'],
    [['--timezone', 'Mars'], zone],
    [['--format', 'xml'], '--format "xml" is none of table, json, csv, parquet.'],
    [['--format', 'parquet', '--csv'], 'The formats parquet and csv contradict each other.'],
    [['--by', 'hour', '--since', '2024-01-01'], '--by hour has too many parts in this range. Take a shorter range, or day.'],
    [['--where', 'status~=4'], 'status is a number.'],
  ])('%j: exit code 2', async (args, sentence) => {
    const { code, stdout, stderr } = await run(args)
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(sentence)])
  })

  it('is Parquet on a terminal', async () => {
    const { code, stdout, stderr } = await run(['--format', 'parquet'], { columns: 80, colour: false })
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining('Parquet is no text for a terminal.')])
  })
})

describe('the width', () => {
  const widest = (text: string) =>
    Math.max(
      ...text
        .split('\n')
        .slice(2)
        .map((line) => line.length),
    )
  it('is that of COLUMNS, in a pipe too', async () => {
    const widthIn = async (columns: number | undefined, env: Readonly<Record<string, string>>) =>
      widest((await run([...whole, '--compare'], { columns, colour: false }, env)).stdout)
    const [terminal, wider, piped, whole_] = [
      await widthIn(80, {}),
      await widthIn(80, { COLUMNS: '200' }),
      await widthIn(undefined, { COLUMNS: '80' }),
      await widthIn(undefined, { COLUMNS: 'wide' }),
    ]
    expect([terminal <= 80, wider > 80, piped, whole_]).toEqual([true, true, terminal, wider])
  })
})
