/** A batch is recorded whole: every sink gathers, then one commit, then its log lines. What an earlier process left goes the same way. */

import { exchangeOfRow, recoveredExchange } from '../ledger/rows.ts'
import type { Leftover, Store } from '../ledger/store.ts'
import type { LogSink } from '../sinks/log.ts'
import type { Batch, Sink } from '../sinks/sink.ts'
import type { Meter } from '../telemetry/meter.ts'
import type { Packed } from './batch.ts'

export interface KeeperOptions {
  readonly fanOut: Sink
  readonly store: Pick<Store, 'commit'>
  readonly log: Pick<LogSink, 'letOut'>
}

export interface Keeper {
  /** Gives a batch to every sink. */
  gather(batch: Batch): void
  /** Writes all that was gathered; log lines go out also where that failed, and is tried again. */
  commit(): void
}

export function createKeeper({ fanOut, store, log }: KeeperOptions): Keeper {
  return {
    gather: fanOut.record,
    commit() {
      store.commit()
      log.letOut(0)
    },
  }
}

export interface RecoveryOptions extends Pick<Keeper, 'gather'> {
  readonly log: Pick<LogSink, 'replay'>
  readonly meter: Meter
  /** The rows that are open belong to living requests. */
  readonly restarted: boolean
}

/** Open rows are closed, with their span, metrics and log line, all in one commit; closed rows whose log line may be missing are logged again. */
export function recoverWith({ gather, log, meter, restarted }: RecoveryOptions): (leftover: Leftover) => void {
  const recovered = meter.counter('tokenweir.ledger.recovered', {})
  return ({ openRows, lastSignOfLife, rowsAfterMark }) => {
    for (const rows of rowsAfterMark()) log.replay(rows.map(exchangeOfRow))
    if (restarted || openRows.length === 0) return
    recovered.add(openRows.length)
    gather({ opened: [], ended: openRows.map((row) => recoveredExchange(row, lastSignOfLife)) })
  }
}

/** A batch that comes a second time, without what the first recorder had committed before it died. */
export function withoutClosed(packed: Packed, isClosed: (id: string) => boolean): Packed {
  return {
    ...packed,
    opened: packed.opened.filter(({ id }) => !isClosed(id)),
    ended: packed.ended.filter(({ ending }) => !isClosed(ending.id)),
  }
}
