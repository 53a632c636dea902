/** How long a process was kept from working. What a busy machine does to it is no fault of its own, and no promise covers it. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Kill {
  /** Milliseconds of `performance.now()`. */
  readonly at: number
  /** How long the process was kept from working between that moment and the kill, in milliseconds. */
  readonly waitedMsSince: (moment: number) => number
}

/** Starts a program before all others on the machine, where this user may; the program is started all the same where not. */
export const beforeOthers: readonly string[] = ['nice', '-n', '-20']

const watchMs = 10
/** Of the counts in /proc/stat. */
const tickMs = 10

/** Notes how long the process waits, until `end`. */
export function watchWaiting(pid: number): { end(): Kill } {
  let diskMs = 0
  let last = { at: performance.now(), waitedMs: coresWaitedMs(pid) }
  const look = () => {
    const now = performance.now()
    if (waitsForDisk(pid)) diskMs += now - last.at
    last = { at: now, waitedMs: coresWaitedMs(pid) + diskMs }
    return last
  }
  const seen = [last]
  const timer = setInterval(() => seen.push(look()), watchMs)
  return {
    end() {
      clearInterval(timer)
      const { at, waitedMs } = look()
      return { at, waitedMsSince: (moment) => waitedMs - ((seen.findLast((one) => one.at <= moment) ?? seen[0])?.waitedMs ?? 0) }
    },
  }
}

/** The threads that forward and record. */
function ownTasks(pid: number): string[] {
  const tasks = names(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`)
  return tasks.filter((task) => /^(MainThread|recorder)$/m.test(text(`${task}/comm`)))
}

/** They waited for a core, or the machine's host gave its cores to others (the eighth figure of /proc/stat). 0 where the system does not tell. */
function coresWaitedMs(pid: number): number {
  const stolenMs = Number(text('/proc/stat').split('\n')[0]?.split(/\s+/)[8] ?? 0) * tickMs
  // The second figure of schedstat, in nanoseconds.
  return ownTasks(pid).reduce((sum, task) => sum + Number(text(`${task}/schedstat`).split(' ')[1] ?? 0) / 1e6, stolenMs)
}

/** One of them stands still in the kernel, which is what a write to a slow disk looks like. */
function waitsForDisk(pid: number): boolean {
  return ownTasks(pid).some((task) => /^\d+ \(.*\) D /s.test(text(`${task}/stat`)))
}

/** Threads come and go between two looks. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
