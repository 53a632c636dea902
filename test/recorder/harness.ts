/** A recorder thread in a process of its own, with a ledger in a folder that goes away with the test. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { cellCount } from '../../src/lib/shared-counters.ts'
import type { Packed, ToRecorder } from '../../src/recorder/batch.ts'
import { cloneableConfig } from '../../src/recorder/data.ts'
import type { FromHost, ToHost } from './host.ts'

/** Each test starts a process of its own; without this each would strip and compile everything again. */
const compileCache = join(tmpdir(), 'tokenweir-compile-cache')

export interface Recorder {
  readonly child: ChildProcess
  /** The next message of that kind, also one that came before. */
  next<Kind extends FromHost['kind']>(kind: Kind): Promise<Extract<FromHost, { kind: Kind }>>
  post(message: ToRecorder): void
  record(batch: Partial<Packed>): Promise<void>
  /** Standard output so far, as lines. */
  lines(): readonly string[]
  errors(): string
}

export function temporaryLedger(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-recorder-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'ledger.db')
}

export function configOf(overrides: Partial<Config> = {}): Config {
  const route = { name: 'default', prefix: '/', stripPrefix: false, upstream: new URL('http://127.0.0.1:9'), provider: undefined } as const
  return {
    listen: { host: '127.0.0.1', port: 0 },
    listeners: [],
    admin: { host: '127.0.0.1', port: 0 },
    ledger: ':memory:',
    capture: 'inject',
    requestIdHeader: true,
    logFormat: 'auto',
    semconv: '1.41',
    trace: 'child',
    caller: [],
    callerNames: {},
    labels: [],
    budgets: [],
    routes: [{ ...route, host: 'upstream', disconnect: 'cancel', trace: 'child' }],
    providers: [],
    timeouts: {
      connectMs: 1000,
      headMs: 1000,
      idleMs: 1000,
      clientBodyMs: 60_000,
      clientReadMs: 60_000,
      drainMs: 1000,
      graceMs: 1000,
      flushMs: 1000,
    },
    limits: { bodyBytes: 1 << 20, heldBytes: 1 << 26, messageBytes: 1 << 20, drainBytes: 1 << 20, headerBytes: 1 << 16, labelValues: 100 },
    retention: { days: 90, bytes: 2 ** 30, spoolBytes: 2 ** 28, spoolDays: 0 },
    prices: [],
    estimates: { enabled: false },
    ...overrides,
  }
}

export function startRecorder(config: Config, env: Record<string, string> = {}, options: { readStdout?: boolean } = {}): Recorder {
  const child = fork(new URL('./host.ts', import.meta.url), {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  if (options.readStdout !== false) child.stdout?.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text))
  const came: FromHost[] = []
  const waiting: (() => void)[] = []
  child.on('message', (message) => {
    came.push(message as FromHost)
    for (const look of waiting) look()
  })
  const cells = new Array(cellCount).fill(0)
  const tell = (message: ToHost) => void child.send(message)
  tell({ kind: 'start', data: { config: cloneableConfig(config), env }, cells })

  const recorder: Recorder = {
    child,
    next(kind) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const index = came.findIndex((message) => message.kind === kind)
          if (index < 0) return
          waiting.splice(waiting.indexOf(look), 1)
          resolve(came.splice(index, 1)[0] as never)
        }
        waiting.push(look)
        child.once('exit', () => reject(new Error(`The recorder's process is gone: ${stderr}`)))
        look()
      })
    },
    post: (message) => tell({ kind: 'post', message }),
    async record(batch) {
      tell({
        kind: 'post',
        message: { kind: 'batch', batch: { opened: [], requests: [], ended: [], bytes: new Uint8Array(0), ...batch } },
      })
      await recorder.next('recorded')
    },
    lines: () => stdout.split('\n').filter((line) => line !== ''),
    errors: () => stderr,
  }
  return recorder
}
