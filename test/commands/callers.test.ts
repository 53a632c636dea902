import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Io, runCli } from '../../src/cli/cli.ts'
import { loadConfig } from '../../src/config/config.ts'
import { writeLedger } from '../reading/ledger-of.ts'
import { exchangeOf, openingOf } from '../sinks/exchange-of.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-callers-'))
const ledger = join(folder, 'ledger.db')
const empty = join(folder, 'empty.db')
afterAll(() => rmSync(folder, { recursive: true }))

const began = Date.UTC(2026, 10, 22, 12)
let made = 0
function use(caller: string | undefined, hours: number, model: string, inputTokens?: number) {
  return exchangeOf({
    opening: { id: `id-${++made}`, startedAt: began + hours * 3_600_000 },
    caller,
    request: { operation: 'chat', usageExpected: true, model, stream: true },
    ...(inputTokens === undefined
      ? { response: {}, usageOutcome: 'missing' as const, cost: { status: 'unpriced' as const } }
      : {
          response: { usage: { inputTokens, outputTokens: 10 } },
          cost: { status: 'priced' as const, usd: inputTokens / 1000, source: 'table' as const },
        }),
  })
}

beforeAll(() => {
  const ended = [
    ...[
      use('key:7ce877b643', 2, 'gpt-4o', 5000),
      use('key:7ce877b643', 0, 'gpt-4o-mini', 100),
      use('key:7ce877b643', 1, 'gpt-4o-mini', 100),
    ],
    ...[use('key:7ce877b643', 5, 'o3', 100), use('key:7ce877b643', 6, 'o4-mini', 100), use('key:7ce877b643', 6, 'o4')],
    ...[use('key:0123456789', 3, 'claude-sonnet-4-5', 200), use('search-team', 20, 'claude-sonnet-4-5', 300)],
    ...[use('a "header" value\u001b[31m', 21, 'gpt-4o', 1), use(undefined, 22, 'gpt-4o')],
  ]
  writeLedger(ledger, { opened: [openingOf({ id: 'open', startedAt: began, caller: 'key:only-open' })], ended })
  writeLedger(empty, { opened: [], ended: [] })
})

/** Runs the command in this process, on a terminal of that many columns, or in a pipe. */
async function run(args: readonly string[], columns?: number, files: Readonly<Record<string, string>> = {}) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    ...{ isTTY: columns !== undefined, columns },
    write: (text: string) => void (written[name] += text),
  })
  const io: Io = {
    ...{ stdout: stream('stdout'), stderr: stream('stderr') },
    readFile: (path) => files[path] ?? '',
    start: () => Promise.reject(new Error('not expected')),
    ...{ onStopSignal: () => undefined, onUncaught: () => undefined, onHangup: () => undefined },
  }
  const code = await runCli(['callers', '--ledger', ledger, ...args], { NO_COLOR: '1' }, io)
  return { code, stdout: written.stdout, stderr: written.stderr.replaceAll(folder, '') }
}

const golden = (name: string) => join(import.meta.dirname, 'golden', `callers-${name}.txt`)

describe('the list of callers', () => {
  it.each([80, 160, undefined])('fits %s columns', async (columns) => {
    const { code, stdout, stderr } = await run([], columns)
    expect([code, stderr]).toEqual([0, ''])
    await expect(stdout).toMatchFileSnapshot(golden(String(columns ?? 'pipe')))
  })

  it('ends in lines that are a configuration as they stand', async () => {
    const { stdout } = await run([])
    const copied = stdout.slice(stdout.indexOf('callerNames:'))
    const loaded = await loadConfig({ flags: { config: 'c.yaml' }, env: {}, readFile: () => copied, upstreamNeeded: false })
    expect('config' in loaded && { ...loaded.config.callerNames }).toEqual({ 'key:7ce877b643': 'name-1', 'key:0123456789': 'name-2' })
  })

  it('has lines only for keys that neither the configuration nor its file names', async () => {
    const files = { 'c.yaml': 'callerNames: {key:0123456789: sales}\ncallerNamesFile: names.yaml\n', 'names.yaml': '{}' }
    const { stdout } = await run(['--config', 'c.yaml'], undefined, files)
    expect(stdout.slice(stdout.indexOf('callerNames:'))).toBe('callerNames:\n  key:7ce877b643: name-1\n')
    const all = await run(['--config', 'c.yaml'], undefined, { ...files, 'names.yaml': 'key:7ce877b643: search-team' })
    expect(all.stdout).not.toContain('callerNames')
  })

  it('is JSON for programs, from the time that is asked for', async () => {
    const { code, stdout } = await run(['--json', '--since', '2026-11-22T17:00:00Z'])
    const { callers, ...rest } = JSON.parse(stdout)
    expect([code, rest]).toEqual([0, { ledger, since: '2026-11-22T17:00:00.000Z', until: expect.any(String) }])
    expect(callers.map(({ caller }: { caller: string }) => caller)).toEqual([
      ...['search-team', 'key:7ce877b643', 'a "header" value\u001b[31m', null],
    ])
    expect(callers[1]).toMatchObject({
      ...{ firstUse: '2026-11-22T17:00:00.000Z', lastUse: '2026-11-22T18:00:00.000Z', requests: 3 },
      tokens: { input: { sum: 200, unreported: 1 } },
      cost: { usd: 0.2, unpriced: 1 },
      models: ['o3', 'o4-mini', 'o4'].map((model) => ({ model, requests: 1 })),
    })
  })

  it.each([
    [['now'], 2, 'tokenweir: "now" is one argument too many. See tokenweir --help.\n'],
    [['--since', 'yesterday'], 2, 'tokenweir: "yesterday" is no time. Write how long ago'],
    [['--ledger', join(folder, 'no.db')], 1, 'tokenweir: There is no ledger /no.db yet.'],
    [['--ledger', empty], 0, 'tokenweir: The ledger /empty.db is empty. Send a request through tokenweir, and ask again.\n'],
  ])('%j: exit code %d', async (args, code, stderr) => {
    const said = await run(args)
    expect([said.code, said.stdout, said.stderr.slice(0, stderr.length)]).toEqual([code, '', stderr])
  })
})
