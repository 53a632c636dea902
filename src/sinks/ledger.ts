/**
 * exchange → one row of the table `exchanges`. A row is put when its request starts and put again, whole, when it ends; one that starts and
 * ends in the same batch is written once. The store writes it, with all else that the batch makes.
 */

import { endColumns, startColumns } from '../ledger/columns.ts'
import type { RowShape } from '../ledger/row.ts'
import { startRow, wholeRow } from '../ledger/rows.ts'
import type { Store } from '../ledger/store.ts'
import type { Batch, Sink } from './sink.ts'

export const ledgerShape: RowShape = { start: startColumns, end: endColumns }

export function createLedgerSink(store: Pick<Store, 'put'>): Sink {
  return {
    name: 'ledger',
    record({ opened, ended }: Batch) {
      const over = ended.length === 0 || opened.length === 0 ? undefined : new Set(ended.map(({ opening }) => opening.id))
      for (const opening of opened) if (over?.has(opening.id) !== true) store.put(opening.id, startRow(opening))
      for (const exchange of ended) store.put(exchange.opening.id, wholeRow(exchange))
    },
    async close() {},
  }
}
