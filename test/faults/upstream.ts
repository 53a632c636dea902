/** Starts the gateway behind the sidecar, see `upstream-process.ts`. */
import { fork } from 'node:child_process'
import { once } from 'node:events'

export interface Upstream {
  readonly url: string
  stop(): void
}

export async function startUpstream(): Promise<Upstream> {
  const child = fork(new URL('./upstream-process.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { url: `http://127.0.0.1:${port}`, stop: () => void child.kill('SIGKILL') }
}

/** How the row of each kind of answer ends, where its client stays. */
export const endReasons = {
  sse: 'completed',
  json: 'completed',
  slow: 'completed',
  long: 'completed',
  refused: 'completed',
  cut: 'upstream-aborted',
  reset: 'unreachable',
} as const

export type Kind = keyof typeof endReasons | 'hold' | 'drip'
