/**
 * The cells behind the metrics of `catalog.ts`. The SDK's instruments hash and sort the attributes of every record (measured: 17–20 µs for
 * the nine records of one request, against 2 µs with a label set's cells looked up once), and while nobody scrapes, a storage
 * that two readers share grows with every export of the other. `producer.ts` hands these cells to the SDK's readers: resources,
 * intervals, temporality and the wire stay the SDK's. What has changed is known, so that counts can be saved on disk and go on after a restart.
 */
import { type CounterName, type HistogramName, type MetricEntry, type MetricName, metrics, type ReadingName } from './catalog.ts'

/** In the catalog's order. A label whose value is `undefined` is absent. */
export type Labels = { readonly [label: string]: string | number | undefined }

export interface Counter {
  add(value: number): void
}

/** The last value set. */
interface Reading {
  set(value: number): void
  /** Ends the series: what it said is not known any more. A later `set` begins it anew. */
  forget(): void
}

export interface Histogram {
  record(value: number): void
  /** Counts that were bucketed elsewhere; their sum is unknown, so the series is exported without one. */
  addToBucket(index: number, count: number): void
}

interface SeriesEntry {
  /** Without the absent ones. The same object for as long as the series lives. */
  readonly labels: { readonly [label: string]: string | number }
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

/** The part of a series that an earlier process had counted: a reader that takes deltas has been told of it. */
type Earlier<Counted> = Counted & {
  /** When it was taken over, in milliseconds since the epoch. */
  readonly untilMs: number
}

interface Sum {
  readonly value: number
}

export interface SumSeries extends SeriesEntry, Sum {
  readonly earlier?: Earlier<Sum>
}

export interface Distribution {
  /** Of each bucket alone, the last one above every bound. */
  readonly counts: readonly number[]
  readonly count: number
  /** Undefined once a count came in whose value is not known. */
  readonly sum: number | undefined
}

export interface HistogramSeries extends SeriesEntry, Distribution {
  readonly earlier?: Earlier<Distribution>
}

/** One metric with its series, as they stand; they go on changing. */
export type Family =
  | { readonly name: CounterName | ReadingName; readonly sums: readonly SumSeries[] }
  | { readonly name: HistogramName; readonly histograms: readonly HistogramSeries[] }

/** A series that lasts beyond the process: a counter or a histogram, no reading. The same object for as long as the series lives. */
export interface NamedSeries {
  readonly name: MetricName
  readonly cell: SumSeries | HistogramSeries
}

/** A series as an earlier process left it. */
export interface SavedSeries extends SeriesEntry {
  /** As it was written: the metric may be gone by now. */
  readonly name: string
  /** Of a counter. */
  readonly value: number | undefined
  /** Of a histogram, with the bounds of its buckets. */
  readonly histogram:
    | { readonly bounds: readonly number[]; readonly counts: readonly number[]; readonly sum: number | undefined }
    | undefined
}

export interface Meter {
  /** The series of that label set, made at zero when it is new. Callers keep it, and bound the label sets that they ask for. */
  counter(name: CounterName, labels: Labels): Counter
  reading(name: ReadingName, labels: Labels): Reading
  histogram(name: HistogramName, labels: Labels): Histogram
  /** `read` runs before every collection: the place to copy readings that live elsewhere. If it throws, they stay as they were. */
  beforeCollect(read: () => void): void
  /** Everything, after what `beforeCollect` was given has run. */
  collect(): readonly Family[]
  /** Sum over all series of a counter. */
  total(name: CounterName): number
  /** When the oldest counter began, in milliseconds since the epoch; `undefined` while there is none. */
  startedAt(): number | undefined
  /** Adds what an earlier process had counted, and its start. Undefined when the metric or its buckets are others by now. */
  restore(saved: SavedSeries): NamedSeries | undefined
  /** Series made or changed since they were last forgotten. */
  changed(): readonly NamedSeries[]
  /** They are on disk as they stand. */
  forgetChanges(): void
  /** Every series that is saved counts as changed: what held them is gone. */
  changeAll(): void
}

type Writable<Entry> = { -readonly [Key in keyof Entry]: Entry[Key] extends readonly number[] ? number[] : Entry[Key] }

interface Tracked<Cell> {
  readonly name: MetricName
  readonly cell: Cell
  isChanged: boolean
}

type Cells<Name, Cell> = Map<Name, Map<string, Tracked<Cell>>>
type SumCell = Writable<SumSeries>
type HistogramCell = Writable<HistogramSeries>

function addCounts(cell: Writable<Distribution>, { counts, sum }: NonNullable<SavedSeries['histogram']>): void {
  counts.forEach((count, index) => {
    cell.counts[index] = (cell.counts[index] as number) + count
    cell.count += count
  })
  cell.sum = cell.sum === undefined || sum === undefined ? undefined : cell.sum + sum
}

/** `now` gives milliseconds since the epoch. */
export function createMeter(now: () => number): Meter {
  const sums: Cells<CounterName | ReadingName, SumCell> = new Map()
  const histograms: Cells<HistogramName, HistogramCell> = new Map()
  const reads: (() => void)[] = []
  let changed: Tracked<SumCell | HistogramCell>[] = []

  function change(tracked: Tracked<SumCell | HistogramCell>): void {
    if (tracked.isChanged) return
    tracked.isChanged = true
    changed.push(tracked)
  }

  const sum = (name: CounterName | ReadingName, labels: Labels) => find(sums, name, labels, (entry): SumCell => ({ ...entry, value: 0 }))

  function find<Name extends MetricName, Cell extends SumCell | HistogramCell>(
    cells: Cells<Name, Cell>,
    name: Name,
    given: Labels,
    make: (entry: SeriesEntry) => Cell,
  ): Tracked<Cell> {
    const labels = present(given)
    const key = JSON.stringify(labels)
    let series = cells.get(name)
    if (series === undefined) cells.set(name, (series = new Map()))
    let tracked = series.get(key)
    if (tracked === undefined) {
      series.set(key, (tracked = { name, cell: make({ labels, startedAt: now() }), isChanged: false }))
      if (isSaved(name)) change(tracked)
    }
    return tracked
  }

  function findHistogram(name: HistogramName, labels: Labels): Tracked<HistogramCell> {
    const counts = () => new Array<number>(metrics[name].buckets.length + 1).fill(0)
    return find(histograms, name, labels, (entry) => ({ ...entry, counts: counts(), count: 0, sum: 0 }))
  }

  function restored({ name, labels, value, histogram }: SavedSeries): Tracked<SumCell> | Tracked<HistogramCell> | undefined {
    if (!(name in metrics)) return undefined
    const { kind, buckets }: MetricEntry = metrics[name as MetricName]
    if (kind === 'counter' && value !== undefined) {
      const tracked = sum(name as CounterName, labels)
      tracked.cell.value += value
      tracked.cell.earlier = { value: (tracked.cell.earlier?.value ?? 0) + value, untilMs: now() }
      return tracked
    }
    if (kind !== 'histogram' || histogram === undefined || histogram.bounds.join() !== buckets?.join()) return undefined
    const tracked = findHistogram(name as HistogramName, labels)
    const { earlier = { counts: histogram.counts.map(() => 0), count: 0, sum: 0 } } = tracked.cell
    const taken = { ...earlier, counts: [...earlier.counts], untilMs: now() }
    for (const counts of [tracked.cell, taken]) addCounts(counts, histogram)
    tracked.cell.earlier = taken
    return tracked
  }

  return {
    counter(name, labels) {
      const tracked = sum(name, labels)
      const { cell } = tracked
      return {
        add(value) {
          if (value === 0) return
          cell.value += value
          if (!tracked.isChanged) change(tracked)
        },
      }
    },
    reading(name, labels) {
      return readingOf(
        () => sum(name, labels).cell,
        () => sums.get(name)?.delete(JSON.stringify(present(labels))),
      )
    },
    histogram(name, labels) {
      const tracked = findHistogram(name, labels)
      return histogramOf(tracked, metrics[name].buckets, change)
    },
    beforeCollect(read) {
      reads.push(read)
    },
    collect() {
      for (const read of reads) attempt(read)
      return [
        ...[...sums].map(([name, series]): Family => ({ name, sums: [...series.values()].map(({ cell }) => cell) })),
        ...[...histograms].map(([name, series]): Family => ({ name, histograms: [...series.values()].map(({ cell }) => cell) })),
      ]
    },
    total(name) {
      let total = 0
      for (const { cell } of sums.get(name)?.values() ?? []) total += cell.value
      return total
    },
    startedAt() {
      let oldest: number | undefined
      for (const [name, series] of sums) {
        if (metrics[name].kind !== 'counter') continue
        for (const { cell } of series.values()) if (oldest === undefined || cell.startedAt < oldest) oldest = cell.startedAt
      }
      return oldest
    },
    restore(saved) {
      const tracked = restored(saved)
      if (tracked === undefined) return undefined
      tracked.cell.startedAt = Math.min(tracked.cell.startedAt, saved.startedAt)
      change(tracked)
      return tracked
    },
    changed: () => changed,
    forgetChanges() {
      for (const tracked of changed) tracked.isChanged = false
      changed = []
    },
    changeAll() {
      for (const series of sums.values()) for (const tracked of series.values()) if (isSaved(tracked.name)) change(tracked)
      for (const series of histograms.values()) for (const tracked of series.values()) change(tracked)
    },
  }
}

/** A reading is of now: it means nothing in the next process. */
function isSaved(name: MetricName): boolean {
  const { kind } = metrics[name]
  return kind === 'counter' || kind === 'histogram'
}

function attempt(read: () => void): void {
  try {
    read()
  } catch {
    // A reading that cannot be had is left as it was.
  }
}

function readingOf(make: () => SumCell, end: () => void): Reading {
  let cell: SumCell | undefined = make()
  return {
    set(value) {
      cell ??= make()
      cell.value = value
    },
    forget() {
      cell = undefined
      end()
    },
  }
}

function histogramOf(
  tracked: Tracked<HistogramCell>,
  buckets: readonly number[],
  change: (tracked: Tracked<HistogramCell>) => void,
): Histogram {
  const { cell } = tracked
  const { counts } = cell
  return {
    record(value) {
      let index = 0
      while (index < buckets.length && value > (buckets[index] as number)) index++
      counts[index] = (counts[index] as number) + 1
      cell.count++
      if (cell.sum !== undefined) cell.sum += value
      if (!tracked.isChanged) change(tracked)
    },
    addToBucket(index, count) {
      if (count === 0) return
      counts[index] = (counts[index] as number) + count
      cell.count += count
      cell.sum = undefined
      if (!tracked.isChanged) change(tracked)
    },
  }
}

function present(labels: Labels): SeriesEntry['labels'] {
  const found: { [label: string]: string | number } = {}
  for (const [label, value] of Object.entries(labels)) if (value !== undefined) found[label] = value
  return found
}
