/** One batch to every sink. A sink that throws is counted, and the others do not notice. */
import type { Meter } from '../telemetry/meter.ts'
import type { Batch, Sink } from './sink.ts'

/** Receives what a sink threw, for stderr. */
export type SinkReport = (line: string) => void

export function createFanOut(sinks: readonly Sink[], meter: Meter, report: SinkReport): Sink {
  const guarded = sinks.map((sink) => ({ sink, failures: meter.counter('tokenweir.sink.failures', { sink: sink.name }) }))
  return {
    name: 'fan-out',
    record(batch: Batch) {
      for (const { sink, failures } of guarded) {
        try {
          sink.record(batch)
        } catch (error) {
          failures.add(1)
          report(`The ${sink.name} sink failed on a batch: ${error instanceof Error ? error.message : String(error)}`)
        }
      }
    },
    async close() {
      const results = await Promise.allSettled(guarded.map(({ sink }) => sink.close()))
      results.forEach((result, index) => {
        if (result.status === 'rejected') report(`The ${sinks[index]?.name} sink failed to close: ${result.reason}`)
      })
    },
  }
}
