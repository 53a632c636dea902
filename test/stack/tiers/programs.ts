/** Runs the tiers' programs on this machine: collectors with the very files of deploy/tiers, a Kafka broker, each to be killed and started again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { deployPrograms } from '../../../scripts/deploy-tools.ts'
import { toolPath } from '../../../scripts/stack-tools.ts'
import { freePorts } from '../../ports.ts'

const root = resolve(import.meta.dirname, '../../..')
/** Long: the machine may be busy with other tests. */
const startMsMax = 180_000

export interface Program {
  readonly name: string
  /** Resolves when it answers. */
  start(): Promise<void>
  /** SIGKILL: nothing is flushed, nobody is told. */
  kill(): Promise<void>
  /** The end of what it printed. */
  tail(): string
}

interface Recipe {
  readonly name: string
  readonly folder: string
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly ready: () => Promise<boolean>
}

function createProgram({ name, folder, command, environment, ready }: Recipe): Program {
  const log = join(folder, `${name}.log`)
  let child: ChildProcess | undefined
  const tail = () => readFileSync(log, 'utf8').split('\n').slice(-25).join('\n')
  process.once('exit', () => child?.kill('SIGKILL'))
  return {
    name,
    tail,
    async start() {
      const output = openSync(log, 'a')
      const [program = '', ...args] = command
      const started = spawn(program, args, {
        cwd: folder,
        stdio: ['ignore', output, output],
        env: { PATH: process.env['PATH'] ?? '', ...environment },
      })
      closeSync(output)
      child = started
      const until = performance.now() + startMsMax
      while (!(await ready())) {
        if (started.exitCode !== null || performance.now() > until) throw new Error(`${name} does not answer:\n${tail()}`)
        await setTimeout(100)
      }
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const answer = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false)
  socket.destroy()
  return answer
}

const answers = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )

/** One node of KRaft, broker and controller in one, in 384 MiB of heap. */
export async function createBroker(folder: string): Promise<Program & { readonly address: string }> {
  const [port = 0, controller = 0] = await freePorts(2)
  const settings = join(folder, 'server.properties')
  const java = ['java', '-Xms64m', '-Xmx384m', '-XX:+UseSerialGC', '-cp', `${deployPrograms.kafka}/*`]
  writeFileSync(
    settings,
    `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
controller.listener.names=CONTROLLER
log.dirs=${join(folder, 'kafka')}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
`,
  )
  const [program = '', ...args] = java
  execFileSync(program, [...args, 'kafka.tools.StorageTool', 'format', '-t', 'AAAAAAAAQACAAAAAAAAAAA', '-c', settings], { stdio: 'pipe' })
  const recipe = { name: 'broker', folder, command: [...java, 'kafka.Kafka', settings], environment: {}, ready: () => accepts(port) }
  return { ...createProgram(recipe), address: `127.0.0.1:${port}` }
}

export interface Collector extends Program {
  readonly grpcPort: number
  readonly httpPort: number
}

export async function createCollector(
  folder: string,
  tier: string,
  environment: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Promise<Collector> {
  const [grpcPort = 0, httpPort = 0, health = 0, metrics = 0] = await freePorts(4)
  const queue = join(folder, `${tier}-queue`)
  mkdirSync(queue)
  const configs = [join(root, `deploy/tiers/${tier}.yaml`), ...more]
  const program = createProgram({
    name: tier,
    folder,
    command: [toolPath('otelcol') as string, ...configs.map((path) => `--config=${path}`)],
    environment: {
      OTLP_GRPC: `127.0.0.1:${grpcPort}`,
      OTLP_HTTP: `127.0.0.1:${httpPort}`,
      OTEL_HEALTH: `127.0.0.1:${health}`,
      OTEL_METRICS_HOST: '127.0.0.1',
      OTEL_METRICS_PORT: String(metrics),
      OTEL_QUEUE_FOLDER: queue,
      ...environment,
    },
    ready: () => answers(`http://127.0.0.1:${health}/`),
  })
  return { ...program, grpcPort, httpPort }
}
