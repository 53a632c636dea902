/** A store in a folder that goes away with the test; and the copy of its files that a killed process would leave. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Leftover, openStore, type Store, type StoreOptions } from '../../src/ledger/store.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { createMeter, type Meter } from '../../src/telemetry/meter.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'

export interface OpenedStore {
  readonly path: string
  readonly store: Store
  readonly ledger: Sink
  readonly meter: Meter
  readonly lines: readonly string[]
  /** Prometheus text of what lasts: counters and histograms, sorted. */
  counts(): readonly string[]
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tokenweir-store-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export function open(path = join(folder(), 'ledger.db'), options: Partial<StoreOptions> = {}): OpenedStore {
  const meter = options.meter ?? createMeter(Date.now)
  const lines: string[] = []
  const store = openStore({ path, shape: ledgerShape, report: (line) => lines.push(line), ...options, meter })
  let lost: number | undefined
  const close = () => (lost ??= store.close())
  onTestFinished(() => void close())
  const counts = () => {
    const lasting = meter.collect().filter(({ name }) => !/writable|depth|bytes|oldest_age/.test(name))
    return prometheusText(lasting).split('\n').sort()
  }
  return { path, store: { ...store, close }, ledger: createLedgerSink(store), meter, lines, counts }
}

/** The files as they are on disk now, at another path. */
export function copied(path: string): string {
  const to = join(folder(), 'ledger.db')
  for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, to + suffix)
  return to
}

export const id = (index: number) => `01993c5c-0000-7000-8000-${String(index).padStart(12, '0')}`

/** What was left by an earlier process, as it was found. */
export function leftoverOf(store: { recover(take: (leftover: Leftover) => void): void }) {
  let found: { open: unknown[]; afterMark: unknown[]; lastSignOfLife: number } | undefined
  store.recover(({ openRows, rowsAfterMark, lastSignOfLife }) => {
    const afterMark = [...rowsAfterMark()].flat().map((row) => row['id'])
    found = { open: openRows.map((row) => row['id']), afterMark, lastSignOfLife }
  })
  return found
}
