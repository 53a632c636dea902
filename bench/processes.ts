/** Processes of a run: started pinned to a core, remembered by id, stopped by id; and what the kernel says they used. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const coreCount = availableParallelism()
const havePinning = coreCount > 1 && spawnSync('taskset', ['--version']).status === 0

/** The proxy has the last core to itself; everything else shares the others. */
export const proxyCores = havePinning ? String(coreCount - 1) : undefined
/** Wherever the kernel puts it; the runner's own pin would be inherited. */
export const allCores = havePinning ? `0-${coreCount - 1}` : undefined
export const loadCores = havePinning ? `0-${coreCount - 2}` : undefined

export interface Started {
  readonly name: string
  readonly pid: number
  readonly child: ChildProcess
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>
}

const running = new Set<Started>()
let ending = false

/** What a program started itself ends with it. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
}

// Whatever ends the runner, nothing that it started stays.
process.once('exit', () => {
  for (const { pid } of running) killGroup(pid)
})

export interface StartOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly cores: string | undefined
  /** Added to the environment, from which OTEL_* and TOKENWEIR_* were taken away. */
  readonly env?: Readonly<Record<string, string>>
  /** Files for stdout and stderr. */
  readonly stdout?: string
  readonly stderr: string
  readonly ipc?: boolean
  readonly cwd?: string
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OTEL|TOKENWEIR|NODE_OPTIONS)/.test(name)))
}

/** In a process group of its own: Ctrl-C at a terminal reaches the runner alone, which stops the others in order. */
export function start(options: StartOptions): Started {
  if (ending) throw new Error(`${options.name}: not started, the run is ending`)
  const pinned = options.cores === undefined ? options.command : ['taskset', '-c', options.cores, ...options.command]
  const [program = '', ...args] = pinned
  const out = options.stdout === undefined ? 'ignore' : openSync(options.stdout, 'w')
  const child = spawn(program, args, {
    stdio: ['ignore', out, openSync(options.stderr, 'w'), ...(options.ipc ? (['ipc'] as const) : [])],
    env: { ...cleanEnvironment(), ...options.env },
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  if (child.pid === undefined) throw new Error(`${options.name}: could not start ${program}`)
  const exited = new Promise<number | string>((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')))
  const started = { name: options.name, pid: child.pid, child, exited }
  running.add(started)
  exited.then(() => {
    running.delete(started)
    killGroup(started.pid)
  })
  return started
}

/** SIGTERM, and SIGKILL after `patienceMs`. */
export async function stop(process: Started, patienceMs = 5_000): Promise<number | string> {
  if (!running.has(process)) return process.exited
  process.child.kill('SIGTERM')
  const timer = setTimeout(() => process.child.kill('SIGKILL'), patienceMs)
  const code = await process.exited
  clearTimeout(timer)
  return code
}

/** Waits for `check` to be true; fails when the process ends first or the time is up. */
export async function until(process: Started, check: () => Promise<boolean>, secondsMax = 20): Promise<void> {
  const deadline = performance.now() + secondsMax * 1_000
  while (!(await check().catch(() => false))) {
    if (!running.has(process)) throw new Error(`${process.name} ended before it was ready: ${await process.exited}`)
    if (performance.now() > deadline) throw new Error(`${process.name} was not ready within ${secondsMax} s`)
    await sleep(5)
  }
}

/** Nothing can be started afterwards. */
export async function stopAll(): Promise<void> {
  ending = true
  await Promise.all([...running].map((process) => stop(process)))
}

/** The runner itself must not run on the proxy's core. */
export function pinSelf(): void {
  if (loadCores !== undefined) spawnSync('taskset', ['-acp', loadCores, String(process.pid)])
}

/** Milliseconds of CPU per thread id. */
export type Cpu = ReadonlyMap<number, { readonly name: string; readonly main: boolean; readonly ms: number }>

const ticksPerSecond = Number(spawnSync('getconf', ['CLK_TCK']).stdout?.toString() || 100)

/** `schedstat` counts nanoseconds; `stat` (fields 14 and 15) counts ticks, mostly of 10 ms. */
function threadMs(directory: string): number {
  try {
    return Number(readFileSync(`${directory}/schedstat`, 'latin1').split(' ')[0]) / 1e6
  } catch {
    const stat = readFileSync(`${directory}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond
  }
}

/** The process and its descendants. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const list = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').trim()
    return list === '' ? [] : list.split(' ').map(Number)
  })
  return [pid, ...children.flatMap(family)]
}

export function cpuOf(pid: number): Cpu {
  const threads = new Map<number, { name: string; main: boolean; ms: number }>()
  for (const member of family(pid)) {
    for (const thread of readdirSync(`/proc/${member}/task`)) {
      const directory = `/proc/${member}/task/${thread}`
      try {
        const name = readFileSync(`${directory}/comm`, 'latin1').trim()
        threads.set(Number(thread), { name, main: Number(thread) === pid, ms: threadMs(directory) })
      } catch {
        // It ended between the listing and the reading.
      }
    }
  }
  return threads
}

export interface CpuSpent {
  readonly totalMs: number
  /** The first thread: in tokenweir the one that forwards. */
  readonly mainMs: number
  readonly threadsMs: Readonly<Record<string, number>>
}

export function spent(before: Cpu, after: Cpu): CpuSpent {
  let totalMs = 0
  let mainMs = 0
  const threadsMs: Record<string, number> = {}
  for (const [id, thread] of after) {
    const ms = thread.ms - (before.get(id)?.ms ?? 0)
    totalMs += ms
    if (thread.main) mainMs += ms
    const name = thread.main ? 'main' : `${thread.name} ${id}`
    if (ms >= 1) threadsMs[name] = Math.round(ms)
  }
  return { totalMs, mainMs, threadsMs }
}

/** Milliseconds of CPU that the whole machine has spent so far, whoever spent it; stolen time too. */
export function machineMs(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return ((user + nice + system + irq + softirq + steal) * 1_000) / ticksPerSecond
}

/** Waits until the process is quiet: what it does after the load (exports, commits) belongs to the load. */
export async function settled(pid: number): Promise<void> {
  const sliceMs = 100
  let before = cpuOf(pid)
  for (let quiet = 0, slices = 0; quiet < 2 && slices < 60; slices += 1) {
    await sleep(sliceMs)
    const after = cpuOf(pid)
    quiet = spent(before, after).totalMs < sliceMs * 0.03 ? quiet + 1 : 0
    before = after
  }
}

export function rssKiB(pid: number): number {
  return family(pid).reduce((sum, member) => {
    const status = readFileSync(`/proc/${member}/status`, 'latin1')
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0)
  }, 0)
}

/** Descriptors a process may open: Node raises its soft limit to the hard one. */
export function descriptorsMax(): number {
  return Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 1_024)
}
