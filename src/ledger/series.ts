/** Counters and histograms that go on after a restart: what changed is written with the rows it counts. */
import type { Meter, NamedSeries } from '../telemetry/meter.ts'
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
  let ids = new Map<NamedSeries, number>()
  let fresh = new Map<NamedSeries, number>()
  let nextId = 1
  return {
    opened(tables) {
      let restored = 0
      for (const { id, saved } of tables.series(seriesMax * 2)) {
        nextId = Math.max(nextId, id + 1)
        const series = restored < seriesMax ? meter.restore(saved) : undefined
        if (series === undefined || ids.has(series)) {
          tables.removeSeries(id)
          continue
        }
        restored++
        ids.set(series, id)
      }
    },
    write(tables) {
      fresh = new Map()
      let id = nextId
      for (const series of meter.changed()) {
        const known = ids.get(series)
        if (known !== undefined) {
          tables.updateSeries(known, series)
          continue
        }
        fresh.set(series, id)
        tables.addSeries(id++, series)
      }
    },
    committed() {
      for (const [series, id] of fresh) {
        ids.set(series, id)
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
