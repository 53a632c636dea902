/** Counters and histograms that go on after a restart: what changed is written with the rows it counts. */
import type { Lasting, Meter } from '../telemetry/meter.ts'
import type { Tables } from './tables.ts'

/** Restored at most; a file in which each run left other label values would make every scrape longer for ever. */
const seriesMax = 20_000

export interface SeriesKeeper {
  /** Adds what the file has to the meter's counts, and forgets there what is no metric any more. */
  opened(tables: Tables): void
  /** Part of a transaction. */
  write(tables: Tables): void
  committed(): void
  /** The file is gone: all of it is written again. */
  lost(): void
}

export function createSeriesKeeper(meter: Meter): SeriesKeeper {
  let ids = new Map<Lasting, number>()
  let fresh = new Map<Lasting, number>()
  let nextId = 1
  return {
    opened(tables) {
      let restored = 0
      for (const { id, kept } of tables.series(seriesMax * 2)) {
        nextId = Math.max(nextId, id + 1)
        const lasting = restored < seriesMax ? meter.restore(kept) : undefined
        if (lasting === undefined || ids.has(lasting)) {
          tables.removeSeries(id)
          continue
        }
        restored++
        ids.set(lasting, id)
      }
    },
    write(tables) {
      fresh = new Map()
      let id = nextId
      for (const lasting of meter.changed()) {
        const known = ids.get(lasting)
        if (known !== undefined) {
          tables.updateSeries(known, lasting)
          continue
        }
        fresh.set(lasting, id)
        tables.addSeries(id++, lasting)
      }
    },
    committed() {
      for (const [lasting, id] of fresh) {
        ids.set(lasting, id)
        nextId = Math.max(nextId, id + 1)
      }
      fresh = new Map()
      meter.forgetChanges()
    },
    lost() {
      ids = new Map()
      nextId = 1
      meter.changeAll()
    },
  }
}
