/** Starts the programs of the stack as child processes, and waits for what they do. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { type Tool, toolPath } from '../../scripts/stack-tools.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { freePorts } from '../ports.ts'

export interface Program {
  /** What it said last, on both outputs. */
  said(): string
  /** SIGTERM, and SIGKILL after a minute. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

export interface ProgramOptions {
  readonly tool: Tool
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly folder: string
  /** Answers 200 when it is ready. */
  readonly readyUrl: string
}

const readyMsMax = 120_000
const stopMsMax = 60_000

export async function startProgram({ tool, args, env, folder, readyUrl }: ProgramOptions): Promise<Program> {
  const path = toolPath(tool)
  if (path === undefined) throw new Error(`${tool} is not there; run: npm run stack:install`)
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder, env: { ...cleanEnvironment(), ...env } })
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const exited = once(child, 'exit').then(() => process.off('exit', kill))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (said = (said + part).slice(-50_000)))
  const stop = async () => {
    child.kill('SIGTERM')
    const waiting = new AbortController()
    void setTimeout(stopMsMax, undefined, { signal: waiting.signal }).then(kill, () => undefined)
    await exited
    waiting.abort()
  }
  try {
    await until(`${tool} is ready`, readyMsMax, async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Ended(`${tool} ended with ${child.exitCode ?? child.signalCode}`)
      return (
        (await fetch(readyUrl).then(
          ({ status }) => status,
          () => 0,
        )) === 200
      )
    })
  } catch (error) {
    kill()
    throw new Error(`${(error as Error).message}; it said:\n${said}`)
  }
  return {
    ...{ said: () => said, stop },
    async kill() {
      kill()
      await exited
    },
  }
}

/** Not a condition that may still come true. */
class Ended extends Error {}

/** Asks every 100 ms until the answer is neither undefined nor false, and gives it. What the question throws counts as no, and is told at the end. */
export async function until<Answer>(what: string, msMax: number, ask: () => Promise<Answer | undefined | false>): Promise<Answer> {
  const end = performance.now() + msMax
  for (let last: unknown; ; ) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
    } catch (error) {
      if (error instanceof Ended) throw error
      last = error
    }
    if (performance.now() > end) throw new Error(`Not within ${msMax} ms: ${what}${last === undefined ? '' : ` (${String(last)})`}`)
    await setTimeout(100)
  }
}

/** A loopback address for each name, with a port that is free: these programs cannot tell which port the system chose for them. */
export async function freeAddresses<Name extends string>(...names: readonly Name[]): Promise<Readonly<Record<Name, string>>> {
  const ports = await freePorts(names.length)
  return Object.fromEntries(names.map((name, index) => [name, `127.0.0.1:${ports[index]}`])) as Record<Name, string>
}
