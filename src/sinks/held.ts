/** Stands for a sink that is still being loaded: keeps what has ended until the sink is there. */
import type { Exchange } from '../exchange.ts'
import type { Meter } from '../telemetry/meter.ts'
import type { Sink } from './sink.ts'

export interface HeldSink extends Sink {
  /** Hands over what was kept, and everything from now on. Without a sink (it could not be loaded) all of it is dropped and counted. */
  release(sink: Sink | undefined): void
}

export interface HeldOptions {
  readonly name: string
  /** Exchanges kept; more are dropped and counted. */
  readonly exchangesMax: number
  readonly meter: Meter
}

export function createHeldSink({ name, exchangesMax, meter }: HeldOptions): HeldSink {
  const queueFull = meter.counter('tokenweir.spans.dropped', { reason: 'queue_full' })
  const notLoaded = meter.counter('tokenweir.spans.dropped', { reason: 'export_failed' })
  const nowhere: Sink = { name, record: ({ ended }) => notLoaded.add(ended.length), close: async () => {} }
  let held: Exchange[] = []
  let real: Sink | undefined
  return {
    name,
    record(batch) {
      if (real !== undefined) real.record(batch)
      else if (held.length + batch.ended.length <= exchangesMax) held.push(...batch.ended)
      else queueFull.add(batch.ended.length)
    },
    async close() {
      await real?.close()
    },
    release(sink) {
      real = sink ?? nowhere
      const ended = held
      held = []
      if (ended.length > 0) real.record({ opened: [], ended })
    },
  }
}
