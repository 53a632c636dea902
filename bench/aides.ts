/** The bench's own processes: mock upstream, load client and OTLP sink, each asked over IPC. */
import { once } from 'node:events'
import { join } from 'node:path'
import type { Job, Result, Way } from './jobs.ts'
import { loadCores, type Started, start, until } from './processes.ts'

async function startAide(file: string, directory: string, ...args: string[]): Promise<{ process: Started; hello: { port?: number } }> {
  const name = file.replace('.ts', '')
  const command = [process.execPath, join(import.meta.dirname, file), ...args]
  const started = start({ name, command, cores: loadCores, stderr: join(directory, `${name}-${performance.now()}.stderr`), ipc: true })
  let hello: { port?: number } | undefined
  started.child.once('message', (message) => {
    hello = message as { port?: number }
  })
  await until(started, async () => hello !== undefined)
  return { process: started, hello: hello ?? {} }
}

/** Sends a message and takes the next one as its answer: aides answer in order and never speak unasked. */
async function ask(aide: Started, message: object): Promise<unknown> {
  const answer = once(aide.child, 'message').then(([reply]) => reply as unknown)
  const gone = aide.exited.then((code) => Promise.reject(new Error(`${aide.name} ended: ${code}`)))
  aide.child.send(message)
  return Promise.race([answer, gone])
}

export interface Upstream {
  readonly process: Started
  readonly port: number
  /** Requests it has answered. */
  requests(): Promise<number>
}

export async function startUpstream(directory: string, port = 0): Promise<Upstream> {
  const { process, hello } = await startAide('upstream.ts', directory, String(port))
  const requests = async () => ((await ask(process, {})) as { requests: number }).requests
  return { process, port: hello.port ?? 0, requests }
}

export interface Load {
  readonly process: Started
  /** Rejects when the job could not be done at all. */
  run(job: Job): Promise<Result>
  /** Requests sent to that port since the start. */
  sent(port: number): number
  /** Says how the target on that port is spoken to. */
  reach(port: number, way: Way | undefined): void
}

export async function startLoad(directory: string): Promise<Load> {
  const { process } = await startAide('load.ts', directory)
  const sent = new Map<number, number>()
  const ways = new Map<number, Way | undefined>()
  return {
    process,
    async run(job) {
      const answer = (await ask(process, job.kind === 'release' ? job : { ...job, way: ways.get(job.port) })) as {
        result?: Result
        error?: string
      }
      if (answer.result === undefined) throw new Error(answer.error ?? 'the load client gave no result')
      if (job.kind !== 'release') sent.set(job.port, (sent.get(job.port) ?? 0) + answer.result.requests)
      return answer.result
    },
    sent: (port) => sent.get(port) ?? 0,
    reach: (port, way) => void ways.set(port, way),
  }
}

export interface SinkCounts {
  readonly spans: number
  readonly distinctSpans: number
  readonly requests: number
  /** Requests whose body it could not read. */
  readonly unread: number
}

export interface OtlpSink {
  readonly process: Started
  readonly port: number
  counts(): Promise<SinkCounts>
}

export async function startSink(directory: string): Promise<OtlpSink> {
  const { process, hello } = await startAide('sink.ts', directory)
  return { process, port: hello.port ?? 0, counts: async () => (await ask(process, {})) as SinkCounts }
}
