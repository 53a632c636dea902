/** The real sidecar as a child process of the demo, with ports that the system chooses. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { ownCommand } from '../../lib/program.ts'

export interface Sidecar {
  readonly url: string
  readonly adminUrl: string
  readonly ready: number
  /** The number of lines of its request log that contain this text. */
  logged(text: string): number
  stderr(): string
  /** The exit code, or the name of the signal that ended it. */
  stop(): Promise<number | string>
}

export interface SidecarOptions {
  readonly upstream: string
  readonly ledger: string
  readonly listen: string
  readonly admin: string
  readonly env: Readonly<Record<string, string | undefined>>
}

const readyMsMax = 60_000
const stopMsMax = 30_000

/** Rejects with the sidecar's stderr when it does not become ready. */
export async function startSidecar({ upstream, ledger, listen, admin, env }: SidecarOptions): Promise<Sidecar> {
  const [program, ...first] = ownCommand()
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TOKENWEIR_')))
  const begun = performance.now()
  const child = spawn(program, [...first, '--upstream', upstream, '--ledger', ledger, '--listen', listen, '--admin', admin], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // Ctrl-C is for the demo, which ends its traffic first
    env: { ...own, NO_COLOR: '1' },
  })
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const said = { stderr: '' }
  const counts = new Map<string, number>()
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    const lines = (rest + part).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message = /"msg":"([^"]*)"/.exec(line)?.[1] ?? ''
      counts.set(message, (counts.get(message) ?? 0) + 1)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    said.stderr = (said.stderr + part).slice(-16_384)
  })
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  const { url, adminUrl } = await becomesReady(said, exited).catch((error) => {
    kill()
    throw error
  })
  return {
    url,
    adminUrl,
    ready: performance.now() - begun,
    logged: (text) => counts.get(text) ?? 0,
    stderr: () => said.stderr,
    async stop() {
      child.kill('SIGTERM')
      const ended = await Promise.race([exited, setTimeout(stopMsMax, 'late', { ref: false })])
      kill()
      process.off('exit', kill)
      return ended
    },
  }
}

async function becomesReady(said: { readonly stderr: string }, exited: Promise<number | string>) {
  const until = performance.now() + readyMsMax
  let ended: number | string | undefined
  exited.then((code) => {
    ended = code
  })
  while (performance.now() < until && ended === undefined) {
    const url = /listens on (http:\S+)/.exec(said.stderr)?.[1]
    const adminUrl = /live page: (http:\S+)/.exec(said.stderr)?.[1]
    if (url !== undefined && adminUrl !== undefined) return { url, adminUrl }
    await setTimeout(20)
  }
  throw new Error(`The sidecar ${ended === undefined ? `was not ready after ${readyMsMax} ms` : `ended with ${ended}`}:\n${said.stderr}`)
}
