/** `tokenweir report`, held to its golden output: 80 and 200 columns, with and without colour, in a pipe, as JSON and as CSV. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Io, runCli } from '../../src/cli/cli.ts'
import { builtInPrices } from '../../src/conclude/pricing/table.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import { printable, printableLine, printableLines } from '../../src/lib/printable.ts'
import { widthOf } from '../../src/lib/terminal.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { writeLedger } from '../reading/ledger-of.ts'
import { exchangeOf, failedExchangeOf, openingOf } from '../sinks/exchange-of.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-report-'))
const ledger = join(folder, 'ledger.db')
const empty = join(folder, 'empty.db')
afterAll(() => rmSync(folder, { recursive: true }))

const began = Date.UTC(2026, 10, 22, 12)
const range = ['--since', '2026-11-22T00:00:00Z', '--until', '2026-11-24T00:00:00Z']
let made = 0
const next = (hours: number) => ({ opening: { id: `id-${++made}`, startedAt: began + hours * 3_600_000 } })

function several(count: number, make: () => Exchange): Exchange[] {
  return Array.from({ length: count }, make)
}

const model = (name: string) => ({ operation: 'chat', usageExpected: true, model: name, stream: true })

const ended: readonly Exchange[] = [
  ...several(12, () =>
    exchangeOf({
      ...next(0),
      response: { usage: { inputTokens: 123_456, outputTokens: 7_890, cacheReadTokens: 1000, reasoningTokens: 12 }, finished: true },
      cost: { status: 'priced', usd: 0.387_54, source: 'table', cacheSavedUsd: 0.001_25 },
      timePerOutputTokenMs: 12.5,
    }),
  ),
  ...several(3, () =>
    exchangeOf({ ...next(1), response: {}, usageOutcome: 'missing', usageReason: 'not_requested', cost: { status: 'unpriced' } }),
  ),
  exchangeOf({
    ...next(20),
    provider: 'anthropic',
    request: model('claude-sonnet-4-5'),
    response: { usage: { inputTokens: 0, outputTokens: 0 } },
    usageOutcome: 'zero',
    cost: { status: 'free', usd: 0, source: 'custom' },
  }),
  exchangeOf({
    ...next(21),
    provider: 'self.hosted',
    request: model('organisation/模型-large-with-a-very-long-name-that-nobody-would-type-by-hand-but-somebody-did'),
    response: {},
    usageOutcome: 'missing',
    usageReason: 'upstream_omitted',
  }),
  exchangeOf({ ...next(22), provider: 'self.hosted', request: model('=cmd|"calc"\u001b[31m\u202e'), caller: 'team, "a"' }),
  failedExchangeOf(503, next(23)),
]

beforeAll(async () => {
  for (const [path, rows] of [
    [ledger, ended],
    [empty, []],
  ] as const) {
    writeLedger(path, { opened: rows.length === 0 ? [] : [openingOf({ id: 'open', startedAt: began })], ended: rows })
  }
})

/** Runs the command in this process, on a terminal of that many columns, or in a pipe. */
async function run(args: readonly string[], columns?: number, env: Readonly<Record<string, string>> = { NO_COLOR: '1' }) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY: columns !== undefined,
    columns,
    write: (text: string) => void (written[name] += text),
  })
  const io: Io = {
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    readFile: () => '',
    start: () => Promise.reject(new Error('not expected')),
    onStopSignal: () => undefined,
    onHangup: () => undefined,
    onUncaught: () => undefined,
  }
  const code = await runCli(['report', '--ledger', ledger, ...args], env, io)
  return {
    code,
    stdout: written.stdout.replaceAll(ledger, 'ledger.db').replaceAll(pricesDate, 'DATE'),
    stderr: written.stderr.replaceAll(folder, ''),
  }
}

const { date: pricesDate } = builtInPrices()
const golden = (name: string) => join(import.meta.dirname, 'golden', `${name}.txt`)
const widest = (text: string) =>
  Math.max(
    ...text
      .split('\n')
      .slice(2)
      .map((line) => widthOf(line)),
  )

describe('the table', () => {
  it.each([80, 200])('fits %d columns', async (columns) => {
    const { code, stdout, stderr } = await run([...range, '--by', 'provider,model'], columns)
    expect([code, stderr, widest(stdout) <= columns]).toEqual([0, '', true])
    await expect(stdout).toMatchFileSnapshot(golden(`report-${columns}`))
  })

  it('is coloured on a terminal', async () => {
    const { stdout } = await run(range, 80, {})
    expect(stdout).toContain('\u001b[1mProvider')
    await expect(stdout).toMatchFileSnapshot(golden('report-colour'))
  })

  it('is whole and plain in a pipe', async () => {
    const { stdout } = await run([...range, '--by', 'provider', '--by', 'model'], undefined, {})
    expect(stdout).not.toContain('\u001b')
    await expect(stdout).toMatchFileSnapshot(golden('report-pipe'))
  })

  it.each(['caller', 'route', 'model'])('goes by %s', async (by) => {
    const { stdout } = await run([...range, '--by', by], 100)
    await expect(stdout).toMatchFileSnapshot(golden(`report-${by}`))
  })
})

describe('for programs', () => {
  it('prints JSON', async () => {
    const { code, stdout } = await run([...range, '--json'])
    const { total, groups, ...rest } = JSON.parse(stdout)
    expect([code, rest]).toEqual([
      0,
      {
        ledger: 'ledger.db',
        pricesDate: 'DATE',
        since: '2026-11-22T00:00:00.000Z',
        until: '2026-11-24T00:00:00.000Z',
        by: ['provider'],
        zeroUsage: [
          { reason: 'not_requested', streams: 3 },
          { reason: 'upstream_omitted', streams: 1 },
          { reason: 'zero', streams: 1 },
        ],
      },
    ])
    expect(groups.map(({ key, requests }: { key: object; requests: number }) => [key, requests])).toEqual([
      [{ provider: 'openai' }, 16],
      [{ provider: 'self.hosted' }, 2],
      [{ provider: 'anthropic' }, 1],
      [{ provider: null }, 1],
    ])
    expect(total).toMatchObject({
      requests: 20,
      open: 1,
      errors: 1,
      streams: 18,
      zeroUsage: 5,
      cost: { usd: 4.65048, priced: 13, unpriced: 3 },
    })
  })

  it('prints CSV, in which no name is a formula', async () => {
    const { stdout } = await run([...range, '--by', 'provider,model,caller', '--csv'])
    await expect(stdout).toMatchFileSnapshot(golden('report-csv'))
  })

  it('prints CSV in which no name is a formula, however it begins', async () => {
    const signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠']
    const before = ['', ' ', '\u00a0', '\u3000', '\t', '\r', '\n', '\u0000', '\u200b', '\ufeff', '\u202e', ' \t ']
    const names = before.flatMap((blank) => signs.map((sign) => `${blank}${sign}1`))
    const path = join(folder, 'formulas.db')
    writeLedger(path, { opened: [], ended: names.map((caller) => exchangeOf({ ...next(0), caller })) })
    const { stdout } = await run([...range, '--ledger', path, '--by', 'caller', '--csv'])
    const cells = stdout
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(',')[0] ?? '')
    expect([cells.length, cells.filter((cell) => !cell.startsWith("'"))]).toEqual([names.length, []])
    expect(['\t', '\r', '\u0000'].filter((control) => stdout.includes(control))).toEqual([])
  })
})

describe('what is refused, and what is empty', () => {
  it.each([
    [
      ['--by', 'planet'],
      'tokenweir: --by "planet" is none of provider, model, caller, route, hour, day, week, month or label:NAME. See tokenweir --help.\n',
    ],
    [['--json', '--csv'], 'tokenweir: The formats json and csv contradict each other. Take one away. See tokenweir --help.\n'],
    [
      ['--since', 'yesterday'],
      'tokenweir: "yesterday" is no time. Write how long ago (15m, 24h, 30d) or a date (2026-11-23, 2026-11-23T08:00:00Z). See tokenweir --help.\n',
    ],
    [['now'], 'tokenweir: "now" is one argument too many. See tokenweir --help.\n'],
    [['--sinse', '1h'], "tokenweir: unknown option '--sinse'. Did you mean --since?\n"],
  ])('%j: exit code 2', async (args, stderr) => {
    expect(await run(args)).toEqual({ code: 2, stdout: '', stderr })
  })

  it('says what to do about a ledger that is not there: exit code 1', async () => {
    const { code, stderr } = await run(['--ledger', join(folder, 'no.db')])
    expect([code, stderr]).toEqual([
      1,
      'tokenweir: There is no ledger /no.db yet. Start tokenweir and send a request through it, or name the file with --ledger FILE.\n',
    ])
  })

  it('says what to do about one without requests, and about a range without: exit code 0', async () => {
    expect(await run(['--ledger', empty])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'tokenweir: The ledger /empty.db is empty. Send a request through tokenweir, and ask again.\n',
    })
    const past = await run(['--since', '2026-11-01', '--until', '2026-11-02'])
    expect(past).toEqual({
      code: 0,
      stdout: '',
      stderr:
        'tokenweir: No request in this range. The last one began 2026-11-23T11:00:00.000Z; move the range with --since and --until.\n',
    })
    const later = await run(['--since', '2026-12-01', '--until', '2026-12-02', '--json'])
    expect([JSON.parse(later.stdout).total.requests, later.stderr]).toEqual([
      0,
      'tokenweir: No request in this range: the last one began 2026-11-23T11:00:00.000Z. Look further back with --since, for example --since 30d.\n',
    ])
  })
})

describe('the process', () => {
  it('takes the ledger from the environment and needs no upstream', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'src/tokenweir.ts'), 'report', ...range, '--by', 'day', '--csv'],
      {
        cwd: folder,
        env: { ...cleanEnvironment(), TOKENWEIR_LEDGER: ledger, TZ: 'UTC' },
        encoding: 'utf8',
      },
    )
    expect([
      status,
      stderr,
      stdout
        .split('\n')
        .slice(1)
        .map((line) => line.split(',').slice(0, 2)),
    ]).toEqual([0, '', [['2026-11-22', '16'], ['2026-11-23', '4'], ['']]])
  })

  it('takes a date without a time for midnight in its own time zone', () => {
    const args = ['report', '--since', '2026-11-23', '--until', '2026-11-23T08:00Z', '--json']
    const { stdout } = spawnSync(process.execPath, [join(root, 'src/tokenweir.ts'), ...args], {
      env: { ...cleanEnvironment(), TOKENWEIR_LEDGER: ledger, TZ: 'America/New_York' },
      encoding: 'utf8',
    })
    expect(JSON.parse(stdout)).toMatchObject({ since: '2026-11-23T05:00:00.000Z', until: '2026-11-23T08:00:00.000Z' })
  })
})

describe('text of the terminal', () => {
  it.each([
    ['plain', 5],
    ['模型', 4],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
  ])('%j is as wide as %d columns', (text, width) => {
    expect(widthOf(text)).toBe(width)
  })

  it('steers no terminal', () => {
    const text = 'a\u001b[31mb\nc\u202ed\u0085\u061c\u009b2Je\t\u007f模'
    expect([printableLine(text), printableLines(text), printable(text)]).toEqual([
      'a\\u001b[31mb\\nc\\u202ed\\u0085\\u061c\\u009b2Je\\u0009\\u007f模',
      'a\\u001b[31mb\nc\\u202ed\\u0085\\u061c\\u009b2Je\\u0009\\u007f模',
      'a\u001b[31mb\nc\\u202ed\\u0085\\u061c\\u009b2Je\t\\u007f模',
    ])
  })
})
