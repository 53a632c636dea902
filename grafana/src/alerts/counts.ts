/** The counts that conditions are made of. Prometheus records them, so that conditions can be read and each count is made once. */
import { duration, type Label, list, total, type Window, windowOf } from '../promql.ts'
import type { Recording } from '../recordings.ts'

export interface Counts {
  /** The events of a counter in a window of so many seconds, by labels. `name` tells the counter apart from all others. */
  of(name: string, selector: string, seconds: number, ...labels: readonly Label[]): string
  /** Those asked for since the last call. */
  take(): readonly Recording[]
}

/** Named as Prometheus advises, by labels, what is counted, and how: `gen_ai_provider_name_http_route_reason:tokenweir_zero_usage:increase1h`. */
export function recordedCounts(): Counts {
  let asked = new Map<string, string>()
  return {
    of(name, selector, seconds, ...labels) {
      const record = `${list(labels).replaceAll(', ', '_')}:tokenweir_${name}:increase${duration(seconds)}`
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
