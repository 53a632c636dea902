/** Export as the recorder sets it up, over a ledger in a folder that goes away with the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import { openStore, type Store } from '../../src/ledger/store.ts'
import { createExport, type Export, planExport } from '../../src/recorder/export.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import { createMeter, type Meter } from '../../src/telemetry/meter.ts'
import type { exchangeOf } from '../sinks/exchange-of.ts'

export interface Started {
  readonly exported: Export
  readonly store: Store
  readonly path: string
  readonly meter: Meter
  readonly lines: readonly string[]
  /** Records, then exports everything; what shutdown said. */
  send(...exchanges: ReturnType<typeof exchangeOf>[]): Promise<readonly string[]>
}

/** Sets the variables for this test only: the exporters read `process.env` themselves. */
export async function start(
  env: Record<string, string>,
  { path, leftoverAgeMsMax = 0 }: { path?: string; leftoverAgeMsMax?: number } = {},
): Promise<Started> {
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  const lines: string[] = []
  const meter = createMeter(Date.now)
  const report = (line: string) => void lines.push(line)
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-sdk-'))
  const ledger = path ?? join(folder, 'ledger.db')
  const store = openStore({ path: ledger, shape: ledgerShape, meter, report, spool: { ageMsMax: 0 } })
  let lost: number | undefined
  const close = () => (lost ??= store.close())
  onTestFinished(() => {
    close()
    rmSync(folder, { recursive: true, force: true })
  })
  const plan = planExport(process.env, report)
  const exported = createExport({ plan, meter, store, generation: '1.41', version: '1.2.3', leftoverAgeMsMax, report })
  await exported.load()
  return {
    exported,
    store: { ...store, close },
    path: ledger,
    meter,
    lines,
    send(...exchanges) {
      const batch = { opened: [], ended: exchanges }
      createLedgerSink(store).record(batch)
      exported.sink.record(batch)
      store.commit()
      return exported.shutdown().then(({ lines }) => lines)
    },
  }
}
