/** What `verify` and `doctor` find: one check a line, with what to do about it. */

/** `warned`: it works, and something should be looked at. `skipped`: there is nothing to check, and nothing is wrong. */
export type Status = 'ok' | 'failed' | 'warned' | 'skipped'

export interface Check {
  readonly name: string
  readonly status: Status
  readonly what: string
  /** What to do about it. */
  readonly mend?: string | undefined
}

export const ok = (name: string, what: string): Check => ({ name, status: 'ok', what })
export const failed = (name: string, what: string, mend: string): Check => ({ name, status: 'failed', what, mend })
export const warned = (name: string, what: string, mend: string): Check => ({ name, status: 'warned', what, mend })
export const skipped = (name: string, what: string): Check => ({ name, status: 'skipped', what })

export const isFailed = (checks: readonly Check[]) => checks.some(({ status }) => status === 'failed')

/** Clocks that differ by less are not worth a word. */
const aheadMsMax = 30_000

/** Undefined where the clocks agree, or it cannot be told. */
export function clockWarning(who: string, aheadMs: number | undefined): Check | undefined {
  if (aheadMs === undefined || Math.abs(aheadMs) <= aheadMsMax) return undefined
  const seconds = Math.round(Math.abs(aheadMs) / 1000)
  const apart = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
  return warned(
    'clock',
    `The clock of ${who} is ${apart} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's, which says ${new Date().toISOString()}.`,
    'Set the one that is wrong (NTP): signed requests and tokens are refused by it, and times in records do not match.',
  )
}
