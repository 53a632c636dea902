/** Starts the real product as a child process, with its own folder and ports that the system chooses. For end-to-end tests and the demo. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { Agent, request } from 'undici'

/** Only whether it is ready is asked. */
const anyCertificate = new Agent({ connect: { rejectUnauthorized: false } })

export interface ProductOptions {
  /** Base URL of the gateway behind it; `undefined` when `args` or `env` say where requests go. */
  readonly upstream?: string
  readonly capture?: 'observe' | 'inject'
  readonly env?: Readonly<Record<string, string>>
  /** A file that outlives the product, to start another one on; in the product's own folder when not given. */
  readonly ledger?: string
  readonly args?: readonly string[]
  /** What Node runs; the sources' entry when not given. */
  readonly program?: readonly string[]
  /** The single-file program, in place of Node and what it runs. */
  readonly executable?: string
  /** A program that starts it: `nice -n -20`. */
  readonly through?: readonly string[]
  /** Each part of its stderr, from the start on. */
  readonly onStderr?: (part: string) => void
}

/** A row of the table `exchanges`, column by column. */
export type LedgerRow = Readonly<Record<string, number | string | null>>

export interface Product {
  /** Where clients connect: `http://127.0.0.1:PORT`. */
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  /** A folder of its own, gone after `stop`. */
  readonly folder: string
  /** Path of the ledger. */
  readonly ledger: string
  /** Milliseconds from the start of the process until `/readyz` answered 200. */
  readonly readyMs: number
  stdout(): string
  stderr(): string
  /** Every row so far, oldest first. */
  ledgerRows(): readonly LedgerRow[]
  /** Waits until at least `count` rows are closed (their `end_reason` is there), and gives all of them. Throws after a minute. */
  closedRows(count: number): Promise<readonly LedgerRow[]>
  /** Sends the signal, waits for the end, and gives the exit code, or the signal's name when it was killed. */
  stop(signal?: NodeJS.Signals): Promise<number | string>
}

const root = resolve(import.meta.dirname, '../..')
const readyMsMax = 60_000
/** Less than the time a test has, so that nothing is left running by one that fails. */
const stopMsMax = 60_000
const rowsMsMax = 60_000

export async function startProduct(options: ProductOptions): Promise<Product> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-'))
  const ledger = options.ledger ?? join(folder, 'ledger.db')
  const started = performance.now()
  const { executable, through = [], program = [join(root, 'src/tokenweir.ts')] } = options
  const ran = executable === undefined ? [process.execPath, ...program] : [executable]
  const [command = process.execPath, ...args] = [...through, ...ran, ...(options.args ?? [])]
  const child = spawn(command, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own: a launcher dies together with what it launched
    env: { ...cleanEnvironment(), ...settingsOf(options, ledger), ...options.env },
  })
  const kill = () => killGroup(child)
  process.once('exit', kill)
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (part: string) => (text[name] += part))
  if (options.onStderr !== undefined) child.stderr.on('data', options.onStderr)
  const exited = once(child, 'exit').then(([code, signal]) => {
    process.off('exit', kill)
    return (code ?? signal) as number | string
  })
  /** Everything that it wrote has been read: its end may be known before that. */
  const closed = once(child, 'close')
  const { url, adminUrl } = await becomesReady(child, text).catch((error) => {
    kill()
    rmSync(folder, { recursive: true, force: true })
    throw error
  })
  const ledgerRows = () => readLedger(ledger)
  return {
    url,
    adminUrl,
    pid: child.pid ?? 0,
    folder,
    ledger,
    readyMs: performance.now() - started,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    ledgerRows,
    async closedRows(count) {
      const until = performance.now() + rowsMsMax
      for (;;) {
        const rows = ledgerRows().filter((row) => row['end_reason'] !== null)
        if (rows.length >= count) return rows
        if (performance.now() > until) throw new Error(`${rows.length} of ${count} rows were closed after ${rowsMsMax} ms.\n${text.stderr}`)
        await setTimeout(20)
      }
    },
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const late = new AbortController()
      const ended = await Promise.race([exited, setTimeout(stopMsMax, 'late', { signal: late.signal }).catch(() => 'late')])
      late.abort()
      kill()
      await closed
      rmSync(folder, { recursive: true, force: true })
      return ended === 'late' ? `not stopped ${stopMsMax} ms after ${signal}` : ended
    },
  }
}

/** Nothing happens when all of it has ended. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // no such group any more
  }
}

/** The environment without what would steer the product: only the test's own settings count. */
export function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(TOKENWEIR_|OTEL_|NODE_OPTIONS$|VITEST|NODE_ENV$|NO_COLOR$|FORCE_COLOR$)|^(https?|all|no)_proxy$/i.test(name),
  )
  const compileCache = process.env['NODE_COMPILE_CACHE'] ?? join(root, 'node_modules/.cache/compile')
  return { ...(Object.fromEntries(kept) as Record<string, string>), NODE_COMPILE_CACHE: compileCache }
}

function settingsOf({ upstream, capture }: ProductOptions, ledger: string): Record<string, string> {
  return {
    TOKENWEIR_LISTEN: '127.0.0.1:0',
    TOKENWEIR_ADMIN: '127.0.0.1:0',
    TOKENWEIR_LEDGER: ledger,
    ...(upstream === undefined ? {} : { TOKENWEIR_UPSTREAM: upstream }),
    ...(capture === undefined ? {} : { TOKENWEIR_CAPTURE: capture }),
  }
}

/** Reads the ports from the welcome on stderr, then asks `/readyz` until it says 200. */
async function becomesReady(child: ChildProcess, text: { readonly stderr: string }): Promise<{ url: string; adminUrl: string }> {
  const until = performance.now() + readyMsMax
  while (performance.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`The product ended with ${child.exitCode ?? child.signalCode} before it was ready:\n${text.stderr}`)
    }
    const url = /listens on ((?:https?|unix):[^\s,]+)/.exec(text.stderr)?.[1]
    const adminUrl = /live page: (https?:\S+)/.exec(text.stderr)?.[1]
    if (url !== undefined && adminUrl !== undefined) {
      const ready = await request(`${adminUrl}/readyz`, { dispatcher: anyCertificate }).then(
        async ({ statusCode, body }) => body.dump().then(() => statusCode === 200),
        () => false,
      )
      if (ready) return { url, adminUrl }
    }
    await setTimeout(10)
  }
  throw new Error(`The product was not ready after ${readyMsMax} ms:\n${text.stderr}`)
}

function readLedger(path: string): readonly LedgerRow[] {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return database.prepare('SELECT * FROM exchanges ORDER BY id').all() as unknown as LedgerRow[]
  } finally {
    database.close()
  }
}
