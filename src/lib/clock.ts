/** The clock, passed in wherever time is needed. Durations come from a monotonic clock, dates from the wall clock. */

export interface Clock {
  /** Milliseconds, monotonic, with fraction; the origin is arbitrary. */
  now(): number
  /** The wall-clock time, in milliseconds since the epoch with fraction, at a moment that `now` gave. */
  epochAt(moment: number): number
}

/** How far the wall clock may be from its extrapolation before it is read again. NTP slews stay below this, jumps do not. */
const driftMsMax = 20

export function createClock(): Clock {
  const now = performance.now.bind(performance)
  let offset = performance.timeOrigin
  let checkedAt = 0
  return {
    now,
    epochAt(moment) {
      if (moment - checkedAt > 1000) {
        checkedAt = moment
        const measured = Date.now() - now()
        if (Math.abs(measured - offset) > driftMsMax) offset = measured
      }
      return offset + moment
    },
  }
}
