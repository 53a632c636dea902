/** Thousands of idle connections, open streams, and one hostile client of each kind: what the others feel of them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { constants, getPriority, setPriority } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { perRequest, placesMax } from '../../src/proxy/descriptors.ts'
import { beforeOthers } from '../e2e/waiting.ts'
import type { Order } from './crowd-process.ts'
import type { Clients } from './load.ts'
import { pause, startScene } from './scene.ts'
import { say, settings, skipLoudly, until } from './settings.ts'

/** What most systems allow, and less. */
const limits = [65_536, 20_000, 16_384] as const
/** Clients beside the idle ones and the streams: measured, hostile, and those whose connections are closing. */
const othersMax = 500
/** Idle connections of one process. */
const idleMax = 5000
/** The least priority there is, whatever that of this process. */
const behindOthers = ['nice', '-n', '39'] as const
/** Arguments of Node in the image's command (Dockerfile). */
const asTheImage = ['--max-semi-space-size=16']
const perSecond = 50
/** Each measured beside the hostile clients and without them. */
const rounds = 3

async function startCrowd(through: readonly [string, ...string[]]): Promise<(order: Order) => Promise<{ idle: number }>> {
  const [command, ...args] = through
  const child: ChildProcess = spawn(command, [...args, process.execPath, join(import.meta.dirname, 'crowd-process.ts')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return async (order) => {
    child.send(order)
    const [answer] = await once(child, 'message')
    return answer as { idle: number }
  }
}

/** Milliseconds to the first byte of short streams that begin at an even pace. */
async function firstBytes(clients: Clients, seconds: number): Promise<number[]> {
  const asked: ReturnType<Clients['request']>[] = []
  const from = performance.now()
  while (performance.now() - from < seconds * 1000) {
    asked.push(clients.request('sse'))
    await pause(Math.max(0, from + asked.length * (1000 / perSecond) - performance.now()))
  }
  return (await Promise.all(asked)).map(({ headAt, startedAt }) => (headAt ?? Number.POSITIVE_INFINITY) - startedAt)
}

/** This thread, and the upstream that it starts. */
function measureBeforeOthers(): void {
  const usual = getPriority()
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST)
    onTestFinished(() => setPriority(usual))
  } catch {
    // This user may not.
  }
}

const quantile = (values: readonly number[], q: number) => values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN

it(`serves others beside up to ${settings.idleConnections} idle connections, ${settings.openStreams} streams and hostile clients`, async ({
  skip,
}) => {
  const limit = limits.find((one) => spawnSync('prlimit', [`--nofile=${one}:${one}`, 'true']).status === 0)
  if (limit === undefined) return skipLoudly(skip, `a process may not have ${limits.at(-1)} file descriptors here.`)
  const through = ['prlimit', `--nofile=${limit}:${limit}`] as const
  // Beyond its room the sidecar closes idle connections, so that it can go on answering.
  const idleCount = Math.min(
    settings.idleConnections,
    (placesMax(limit) ?? Number.POSITIVE_INFINITY) - (1 + perRequest) * (settings.openStreams + othersMax),
  )
  // What others cost this machine is not the sidecar's to answer for: it goes before them, where the user may, and so do those who measure it.
  measureBeforeOthers()
  const { sidecar, clients } = await startScene({ through: [...beforeOthers, ...through], nodeArguments: asTheImage })
  const port = Number(new URL(sidecar.url).port)
  const streams = Array.from({ length: settings.openStreams }, () => clients.request('drip'))
  const begun = () => clients.sent.filter(({ status }) => status === 200).length
  await until('the streams are open', begun, (count) => count === streams.length)
  const crowds = await Promise.all(Array.from({ length: Math.ceil(idleCount / idleMax) }, () => startCrowd([...behindOthers, ...through])))
  const idle = await Promise.all(
    crowds.map((crowd, index) => crowd({ kind: 'idle', port, count: Math.min(idleMax, idleCount - index * idleMax) })),
  )
  const idleAtFirst = idle.reduce((sum, one) => sum + one.idle, 0)
  const hostile = await startCrowd([...behindOthers, ...through])
  await firstBytes(clients, 2) // everything is warm
  const quiet: number[] = []
  const beside: number[] = []
  for (let round = 0; round < rounds; round++) {
    quiet.push(...(await firstBytes(clients, settings.crowdSeconds / rounds)))
    await hostile({ kind: 'hostile', port })
    await pause(1000)
    beside.push(...(await firstBytes(clients, settings.crowdSeconds / rounds)))
    await hostile({ kind: 'leave' })
    await pause(1000)
  }
  const [p99Quiet, p99Beside] = [quantile(quiet, 0.99), quantile(beside, 0.99)]
  const openStreams = clients.open()
  const idleAtLast = (await Promise.all(crowds.map((crowd) => crowd({ kind: 'leave' })))).reduce((sum, one) => sum + one.idle, 0)
  say(
    `crowd: ${idleAtFirst} idle connections, of which ${idleAtLast} are left, ${openStreams} streams, ${limit} descriptors; first byte p50 ${quantile(quiet, 0.5).toFixed(1)} ms, p99 ${p99Quiet.toFixed(1)} ms; ` +
      `beside hostile clients p50 ${quantile(beside, 0.5).toFixed(1)} ms, p99 ${p99Beside.toFixed(1)} ms (× ${(p99Beside / p99Quiet).toFixed(2)}); ` +
      `RSS ${sidecar.memory().toFixed(0)} MiB`,
  )
  const unanswered = [...quiet, ...beside].filter((ms) => !Number.isFinite(ms)).length
  expect([idleAtFirst, openStreams, unanswered]).toEqual([idleCount, settings.openStreams, 0])
  // On a machine that has nothing else to do it is at most twice; here it must not be another order.
  expect(p99Beside).toBeLessThan(Math.max(10 * p99Quiet, 1000))
  expect(await sidecar.ready()).toBe(200)
})
