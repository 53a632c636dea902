/** The counts that conditions are made of. Prometheus records them, so that conditions can be read and each count is made once. */
import { duration, type Label, total, type Window, windowOf } from '../promql.ts'

export interface Recording {
  readonly record: string
  readonly expr: string
}

export interface Counts {
  /** The events of a counter in a window of so many seconds, by labels. `name` tells the counter and the labels apart from all others. */
  of(name: string, selector: string, seconds: number, ...labels: readonly Label[]): string
  /** Those asked for since the last call. */
  take(): readonly Recording[]
}

/** `tokenweir:zero_usage:events_1h`. */
export function recordedCounts(): Counts {
  let asked = new Map<string, string>()
  return {
    of(name, selector, seconds, ...labels) {
      const record = `tokenweir:${name}:events_${duration(seconds)}`
      const expr = count(selector, windowOf(seconds), labels)
      const before = asked.get(record)
      if (before !== undefined && before !== expr) throw new Error(`${record} is the name of two counts; give one another name.`)
      asked.set(record, expr)
      return record
    },
    take() {
      const recordings = [...asked].map(([record, expr]) => ({ record, expr }))
      asked = new Map()
      return recordings
    },
  }
}

/** In place: for an evaluator that has no recordings. */
export function inlineCounts(): Counts {
  return { of: (_name, selector, seconds, ...labels) => count(selector, windowOf(seconds), labels), take: () => [] }
}

const count = (selector: string, window: Window, labels: readonly Label[]): string => total(selector, window, ...labels)
