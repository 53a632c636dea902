/** The product as people start it, over one folder: killed, stopped and started again on the same ledger. Each process has log and stderr files of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { type Counters, countersOfText } from '../../src/cli/reconcile/counters.ts'
import type { Reconciliation } from '../../src/cli/reconcile/reconcile.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { until } from './settings.ts'

export interface SidecarOptions {
  readonly upstream: string
  readonly env?: Readonly<Record<string, string>>
  /** A program that starts it: `prlimit --nofile=100`. */
  readonly through?: readonly string[]
  /** Arguments of Node. */
  readonly nodeArguments?: readonly string[]
  /** Where its ledger is; a folder of its own when not given. */
  readonly ledgerFolder?: string
}

export interface Sidecar {
  readonly folder: string
  readonly ledger: string
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  /** Resolves when it is ready. */
  start(more?: Readonly<Record<string, string>>): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** The exit code, or the signal that ended it, and how long that took. */
  stop(signal?: NodeJS.Signals): Promise<{ readonly code: number | string; readonly ms: number }>
  signal(signal: NodeJS.Signals): void
  isRunning(): boolean
  /** Of every process so far. */
  stderr(): string
  metrics(): Promise<Counters>
  /** Status of `/readyz`. */
  ready(): Promise<number>
  /** What `/readyz` says is wrong with the records. */
  problems(): Promise<readonly string[]>
  /** Resident memory, in MiB. */
  memory(): number
  rows(query: string): Record<string, unknown>[]
  /** What `tokenweir reconcile` says of ledger, metrics, log lines, and spans where their files are given. */
  reconcile(spans?: readonly string[]): Reconciliation
}

const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'bin/tokenweir.js')
const readyMsMax = 180_000
const endMsMax = 180_000

export function createSidecar({ upstream, env, through = [], nodeArguments = [], ledgerFolder }: SidecarOptions): Sidecar {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-faults-'))
  const ledger = join(ledgerFolder ?? folder, 'ledger.db')
  const logs: string[] = []
  const errors: string[] = []
  let child: ChildProcess | undefined
  let ended: Promise<number | string> = Promise.resolve(0)
  let url = ''
  let adminUrl = ''
  const text = (path: string) => readFileSync(path, 'utf8')
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null
  onTestFinished(async (context) => {
    if (isRunning()) child?.kill('SIGKILL')
    await ended
    // What a failure left behind is the best there is to look at.
    if (context.task.result?.state === 'fail') process.stderr.write(`Left for a look: ${folder}\n`)
    else rmSync(folder, { recursive: true, force: true })
  })

  async function becomesReady(stderr: string): Promise<void> {
    await until(
      'ready',
      async () => {
        if (!isRunning()) throw new Error(`It ended before it was ready: ${text(stderr)}`)
        const said = text(stderr) // once: it may be written between two looks
        url = /listens on (http:\S+)/.exec(said)?.[1] ?? ''
        adminUrl = /live page: (http:\S+)/.exec(said)?.[1] ?? ''
        return adminUrl === '' ? 0 : await sidecar.ready()
      },
      (status) => status === 200,
      readyMsMax,
      10,
    )
  }

  const sidecar: Sidecar = {
    folder,
    ledger,
    get url() {
      return url
    },
    get adminUrl() {
      return adminUrl
    },
    get pid() {
      return child?.pid ?? 0
    },
    async start(more = {}) {
      const [log, stderr] = [join(folder, `log-${logs.length}.jsonl`), join(folder, `stderr-${logs.length}.txt`)]
      logs.push(log)
      errors.push(stderr)
      const [out, error] = [openSync(log, 'a'), openSync(stderr, 'a')]
      const [command = process.execPath, ...args] = [...through, process.execPath, ...nodeArguments, program]
      const settings = {
        TOKENWEIR_LISTEN: '127.0.0.1:0',
        TOKENWEIR_ADMIN: '127.0.0.1:0',
        TOKENWEIR_LEDGER: ledger,
        TOKENWEIR_UPSTREAM: upstream,
      }
      const started = spawn(command, args, {
        cwd: folder,
        stdio: ['ignore', out, error],
        env: { ...cleanEnvironment(), ...settings, ...env, ...more },
      })
      closeSync(out)
      closeSync(error)
      child = started
      ended = once(started, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
      await becomesReady(stderr)
    },
    async kill() {
      child?.kill('SIGKILL')
      await ended
    },
    async stop(signal = 'SIGTERM') {
      const from = performance.now()
      child?.kill(signal)
      const late = setTimeout(() => child?.kill('SIGKILL'), endMsMax)
      const code = await ended
      clearTimeout(late)
      return { code, ms: performance.now() - from }
    },
    signal: (signal) => void child?.kill(signal),
    isRunning,
    stderr: () => errors.map(text).join(''),
    metrics: async () => countersOfText(await (await fetch(`${adminUrl}/metrics`)).text()),
    ready: () =>
      fetch(`${adminUrl}/readyz`).then(
        ({ status }) => status,
        () => 0,
      ),
    problems: async () => {
      const { records } = (await (await fetch(`${adminUrl}/readyz`)).json()) as { records: { problems: string[] } }
      return records.problems
    },
    memory: () => Number(/^VmRSS:\s+(\d+)/m.exec(text(`/proc/${child?.pid}/status`))?.[1]) / 1024,
    rows(query) {
      const database = new DatabaseSync(ledger, { readOnly: true, timeout: 60_000 })
      const found = database.prepare(query).all()
      database.close()
      return found.map((row) => ({ ...row }))
    },
    reconcile(spans = []) {
      const admin = isRunning() ? adminUrl.replace('http://', '') : '127.0.0.1:9'
      const given = [...(spans.length === 0 ? [] : ['--spans', ...spans]), '--log', ...logs]
      const { stdout, stderr, status } = spawnSync(
        process.execPath,
        [program, 'reconcile', '--json', '--ledger', ledger, '--admin', admin, ...given],
        { env: cleanEnvironment(), encoding: 'utf8', maxBuffer: 1 << 30, timeout: 300_000 },
      )
      if (status !== 0 && status !== 1) throw new Error(`reconcile ended with ${status}: ${stderr}`)
      return JSON.parse(stdout) as Reconciliation
    },
  }
  return sidecar
}
