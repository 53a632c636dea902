import type { HrTime } from '@opentelemetry/api'

/** Milliseconds since the epoch, with fraction → the SDK's seconds and nanoseconds. */
export function hrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000)
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)]
}
