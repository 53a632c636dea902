/** What must hold after every scenario. */
import { expect } from 'vitest'
import type { Kill } from '../e2e/waiting.ts'
import type { Sent } from './load.ts'
import type { Sidecar } from './sidecar.ts'
import { endReasons } from './upstream.ts'

/**
 * What a SIGKILL can lose: answers that ended less than this before it, not counting the time in which the process was kept from working:
 * on a machine with more work than cores, or on a slow disk, threads stand still for longer than this.
 */
export const commitWindowMs = 100

interface Row {
  readonly id: string
  readonly parent_span_id: string
  readonly end_reason: string | null
}

export interface LedgerVerdict {
  readonly rows: number
  /** Answers received in full inside the commit window before a kill whose rows are not there, or not whole. */
  readonly lostInWindow: number
  /** Of those, how many only because the process had to wait. */
  readonly lostWaiting: number
}

/** Every request whose answer its client has in full is one row that says so; nothing is twice, nothing open, the file is sound. */
export function checkLedger(sidecar: Sidecar, sent: readonly Sent[], kills: readonly Kill[] = []): LedgerVerdict {
  expect(sidecar.rows('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
  const rows = sidecar.rows('SELECT id, parent_span_id, end_reason FROM exchanges ORDER BY id') as unknown as Row[]
  expect(rows.filter(({ end_reason }) => end_reason === null)).toEqual([])
  const bySpan = new Map(rows.map((row) => [row.parent_span_id, row]))
  expect(rows.length - bySpan.size, 'rows of one request twice').toBe(0)
  const known = new Set(sent.map(({ span }) => span))
  expect(rows.filter(({ parent_span_id }) => !known.has(parent_span_id))).toEqual([])
  const wrong: object[] = []
  let lostInWindow = 0
  let lostWaiting = 0
  for (const one of sent) {
    const { kind, wholeAt } = one
    if (wholeAt === undefined || kind === 'hold' || kind === 'drip') continue
    const row = bySpan.get(one.span)
    const is = row?.end_reason
    // One that left may have had its whole answer by then.
    if (is === endReasons[kind] || one.status === 502 || (one.leaves && is === 'client-aborted')) continue
    // The kill that cut this process short: the first after the request had begun. Its client may read the answer's end after it.
    const kill = kills.find(({ at }) => at >= one.startedAt)
    const beforeMs = kill === undefined ? Number.POSITIVE_INFINITY : kill.at - wholeAt
    const waitedMs = kill?.waitedMsSince(wholeAt) ?? 0
    if (beforeMs - waitedMs >= commitWindowMs) wrong.push({ ...one, row, beforeMs, waitedMs })
    else lostInWindow++
    if (beforeMs >= commitWindowMs) lostWaiting++
  }
  expect(wrong).toEqual([])
  return { rows: rows.length, lostInWindow, lostWaiting }
}

/** How many rows ended in each way. */
export function endings(sidecar: Sidecar): Record<string, number> {
  const rows = sidecar.rows('SELECT end_reason, count(*) AS count FROM exchanges GROUP BY end_reason ORDER BY end_reason')
  return Object.fromEntries(rows.map((row) => [String(row['end_reason']), Number(row['count'])]))
}

/** `tokenweir reconcile` agrees; the differences are in the message when it does not. */
export function checkReconciled(sidecar: Sidecar, spans: readonly string[] = []): void {
  const { equal, differences, ledger } = sidecar.reconcile(spans)
  const shown = differences.map(({ examples, ...rest }) => ({ ...rest, examples: examples.slice(0, 3) }))
  expect({ equal, differences: equal ? [] : shown, ledger }).toEqual({
    equal: true,
    differences: [],
    ledger: { closed: ledger.closed, open: 0 },
  })
}
