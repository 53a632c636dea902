/** A ledger as the product writes it, with what a test says. */
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import type { Batch } from '../../src/sinks/sink.ts'
import { openStore } from '../../src/store/store.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

export function writeLedger(path: string, batch: Batch): void {
  const store = openStore({ path, shape: ledgerShape, meter: createMeter(Date.now), report: () => undefined })
  createLedgerSink(store).record(batch)
  store.commit()
  store.close()
}
