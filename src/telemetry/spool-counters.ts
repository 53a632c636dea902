/** The counters of one signal's queue. They are there from the start, so that a rate sees the first event. */
import type { Counter, Meter } from './meter.ts'
import type { Signal } from './signal.ts'

export interface SpoolCounters {
  readonly written: Counter
  readonly delivered: Counter
  readonly replayed: Counter
  readonly failures: Counter
  dropped(reason: 'age' | 'size' | 'refused' | 'rejected' | 'unwritable', records: number): void
}

/** `failures` is made only where the signal is exported: whoever reads the metrics tells by it whether it is. */
export function createSpoolCounters(meter: Meter, signal: Signal, isExported: boolean): SpoolCounters {
  const dropped = (reason: string) => meter.counter('tokenweir.spool.dropped', { signal, reason })
  const reasons = {
    age: dropped('age'),
    size: dropped('size'),
    refused: dropped('refused'),
    rejected: dropped('rejected'),
    unwritable: dropped('unwritable'),
  }
  return {
    written: meter.counter('tokenweir.spool.written', { signal }),
    delivered: meter.counter('tokenweir.spool.delivered', { signal }),
    replayed: meter.counter('tokenweir.spool.replayed', { signal }),
    failures: isExported ? meter.counter('tokenweir.spool.failures', { signal }) : { add() {} },
    dropped: (reason, records) => reasons[reason].add(records),
  }
}
