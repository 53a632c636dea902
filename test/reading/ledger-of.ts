/** A ledger as the product writes it, with what a test says. */

import { openStore } from '../../src/ledger/store.ts'
import { createLedgerSink, ledgerShape } from '../../src/sinks/ledger.ts'
import type { Batch } from '../../src/sinks/sink.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

export function writeLedger(path: string, batch: Batch): void {
  const store = openStore({ path, shape: ledgerShape, meter: createMeter(Date.now), report: () => undefined })
  createLedgerSink(store).record(batch)
  store.commit()
  store.close()
}
