/** What the page explores with is the same out of rollups as out of rows. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { readDistribution } from '../../src/ledger/queries/distribution.ts'
import { readGroups } from '../../src/ledger/queries/groups.ts'
import { readHeatmap } from '../../src/ledger/queries/heatmap.ts'
import type { Condition, Dimension, GroupSort } from '../../src/ledger/queries/queries.ts'
import { openStore } from '../../src/ledger/store.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-rollups-and-rows-'))
const path = join(folder, 'ledger.db')
const rowsPath = join(folder, 'rows.db')
/** It has rollups alone: no question that they know the answer to may need its rows. */
const rollupsPath = join(folder, 'rollups.db')
const quartersPath = join(folder, 'quarters.db')
const began = Date.UTC(2026, 9, 24)
const hourMs = 3_600_000
/** Clocks change in it, on 25 October and 1 November. */
const range = { sinceMs: began, untilMs: began + 10 * 24 * hourMs }
const cut = { sinceMs: began + 12_345_678, untilMs: range.untilMs - 98_765_432 }
const where: readonly Condition[] = [{ dimension: 'provider', operator: '!=', values: ['groq'] }]

beforeAll(() => {
  vi.useFakeTimers()
  let now = began
  const store = openStore({
    ...{ path, shape: ledgerShape, meter: createMeter(() => now), report: () => undefined, now: () => now },
    retention: { ageMsMax: 0, bytesMax: 2 ** 40, rollupAgeMsMax: 0 },
  })
  const sink = createLedgerSink(store)
  for (let number = 0; number < 600; number++) {
    now = began + number * 0.4 * hourMs
    const [outcome, reason] = ([['reported'], ['zero'], ['missing', 'not_requested'], ['missing']] as const)[number % 13] ?? ['reported']
    const exchange = exchangeOf({
      opening: { id: `id-${number}`, startedAt: now, route: 'default' },
      ending: { endMs: 1000 + number, firstChunkMs: 1 + (number % 97) },
      provider: ['openai', 'anthropic', 'groq'][number % 3] as string,
      ...(number % 5 === 0 ? {} : { caller: `caller-${number % 7}` }),
      response: { usage: outcome === 'reported' ? { inputTokens: number, outputTokens: number % 11 } : {} },
      ...{ usageOutcome: outcome, usageReason: reason, timePerOutputTokenMs: 1 + (number % 89) / 7 },
      cost: number % 4 === 0 ? { status: 'unpriced' } : { status: 'priced', usd: number / 1024, source: 'table' },
    })
    sink.record({ opened: [], ended: [exchange] })
    store.commit()
    if (number % 10 === 0) vi.advanceTimersByTime(4000) // hours and days are added up
  }
  vi.advanceTimersByTime(60_000)
  store.close()
  vi.useRealTimers()
  copyFileSync(path, rowsPath)
  copyFileSync(path, rollupsPath)
  change(rowsPath, 'DROP TABLE rollup_state')
  change(rollupsPath, 'DELETE FROM exchanges')
})
afterAll(() => rmSync(folder, { recursive: true }))

function change(file: string, sql: string): void {
  const database = new DatabaseSync(file)
  database.exec(sql)
  database.close()
}

function inFile<T>(file: string, read: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return read(database)
  } finally {
    database.close()
  }
}

function expectSame(read: (database: DatabaseSync, within: typeof range) => unknown, needsRows = false): void {
  const ofRows = (within: typeof range) => inFile(rowsPath, (database) => read(database, within))
  expect(inFile(path, (database) => read(database, range))).toEqual(ofRows(range))
  expect(inFile(path, (database) => read(database, cut))).toEqual(ofRows(cut))
  if (!needsRows) expect(inFile(rollupsPath, (database) => read(database, range))).toEqual(ofRows(range))
}

it.each<[Dimension, GroupSort]>([
  ['caller', 'cost'],
  ['model', 'tokens'],
  ['outcome', 'firstP95'],
  ['reason', 'speed'],
  ['day', 'requests'],
])('groups by %s, sorted by %s', (by, sort) => {
  const page = { kind: 'groups', by, search: '', sort, order: 'desc', offset: 0, limit: 25 } as const
  for (const conditions of [[], where, [{ dimension: 'outcome', operator: '=', values: ['reported'] } as const]])
    expectSame((database, within) => readGroups(database, { ...page, range: within, where: conditions }))
})

it('groups of few of many combinations', () => {
  const few: readonly Condition[] = [
    { dimension: 'caller', operator: '=', values: ['caller-3'] },
    { dimension: 'reason', operator: '=', values: ['not_requested'] },
  ]
  for (const by of ['provider', 'caller', 'model'] as const) {
    const page = { kind: 'groups', by, search: '', sort: 'requests', order: 'desc', offset: 0, limit: 25, where: few } as const
    expectSame((database, within) => readGroups(database, { ...page, range: within }))
    expect(inFile(path, (database) => readGroups(database, { ...page, range })).total.requests).toBeGreaterThan(0)
  }
})

it('groups of a column that only rows have', () => {
  const conditions: readonly Condition[] = [{ dimension: 'column:duration_ms', operator: '>', values: [1200] }]
  const page = { kind: 'groups', by: 'caller', search: '', sort: 'tokens', order: 'asc', offset: 0, limit: 25 } as const
  expectSame((database, within) => readGroups(database, { ...page, range: within, where: conditions }), true)
})

it.each(['UTC', 'Asia/Kathmandu', 'America/St_Johns', 'Australia/Lord_Howe', 'Europe/Berlin'])('hours of the week in %s', (timeZone) => {
  expectSame((database, within) => readHeatmap(database, { kind: 'heatmap', range: within, where, timeZone }))
  const { days } = inFile(rowsPath, (database) => readHeatmap(database, { kind: 'heatmap', range, where: [], timeZone }))
  expect(days.flat().reduce((sum, { requests }) => sum + requests, 0)).toBe(600)
})

it('hours of the week in a zone of quarters of an hour need no minutes', () => {
  const heatmap = (database: DatabaseSync) => readHeatmap(database, { kind: 'heatmap', range, where: [], timeZone: 'Asia/Kathmandu' })
  const whole = inFile(rowsPath, heatmap)
  copyFileSync(rollupsPath, quartersPath)
  change(quartersPath, `DELETE FROM rollups WHERE grain = 0 AND period < ${(range.untilMs - hourMs) / 60_000}`)
  expect(inFile(quartersPath, heatmap)).toEqual(whole)
})

it('groups of callers need no other combinations', () => {
  const page = { kind: 'groups', by: 'caller', search: '', sort: 'tokens', order: 'desc', offset: 0, limit: 25, range, where: [] } as const
  const whole = inFile(rowsPath, (database) => readGroups(database, page))
  copyFileSync(rollupsPath, quartersPath)
  change(quartersPath, `DELETE FROM rollups WHERE grain NOT IN (9, 11, 12, 15) AND period < ${(range.untilMs - hourMs) / 60_000}`)
  expect(inFile(quartersPath, (database) => readGroups(database, page))).toEqual(whole)
})

it('distributions', () => {
  expectSame((database, within) => readDistribution(database, { kind: 'distribution', range: within, where }))
})
