/**
 * The recorder gives way to the thread that proxies: on a shared core its bursts are what delays events (decision: docs/decisions/recorder-priority.md).
 * Where it falls behind, it takes its full share again. Only where a thread may also raise its priority (root, CAP_SYS_NICE, on Linux); else
 * nothing is changed: a recorder that could never catch up would lose records.
 */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** Niceness while it keeps up. */
const niceness = 10
/** Endings that are not yet recorded: above the first it has fallen behind, below the second it has caught up. */
const behindMin = 400
const caughtUpMax = 100

export interface Priority {
  /** `unrecorded`: endings that wait for the recorder. */
  adapt(unrecorded: number): void
}

/** For the thread that calls it. */
export function createPriority(): Priority {
  const thread = threadId()
  if (thread === undefined || !isAdjustable(thread)) return { adapt() {} }
  let isLow = true
  return {
    adapt(unrecorded) {
      const next = isLow ? unrecorded < behindMin : unrecorded <= caughtUpMax
      if (next === isLow) return
      isLow = next
      change(thread, isLow ? niceness : 0)
    },
  }
}

/** Linux takes a thread's id where a process's is meant. */
function threadId(): number | undefined {
  try {
    const id = Number(readlinkSync('/proc/thread-self').split('/').pop())
    return id > 0 ? id : undefined
  } catch {
    return undefined
  }
}

/** Lowers it, to see whether it could be raised again. */
function isAdjustable(thread: number): boolean {
  return change(thread, 1) && change(thread, 0) && change(thread, niceness)
}

function change(thread: number, to: number): boolean {
  try {
    setPriority(thread, to)
    return true
  } catch {
    return false
  }
}
