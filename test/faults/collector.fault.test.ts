/** A collector that is absent, hangs, refuses, fails, rejects and is slow. */
import { expect, it } from 'vitest'
import { checkLedger, checkReconciled } from './checks.ts'
import { type Behaviour, type Collector, createOwnCollector, createRealCollector, realCollectorMissing } from './collector.ts'
import { createScene, drained, pause, startScene } from './scene.ts'
import { createRandom, say, settings, until } from './settings.ts'

const { outageSeconds, requestsPerSecond } = settings

/** Growth of resident memory over the second half of an outage that is no leak: heaps breathe. */
const growthMiBMax = 96

const missing = realCollectorMissing()
if (missing !== undefined) say(`SKIPPED with the real collector, tried with our own receiver only. ${missing}`)

async function outage(create: (folder: string) => Promise<Collector>): Promise<void> {
  const scene = await createScene()
  const { sidecar, clients } = scene
  const collector = await create(sidecar.folder)
  await sidecar.start(collector.env)
  clients.aim(sidecar.url)
  const load = clients.run(requestsPerSecond, ['sse', 'json'], createRandom('outage'))
  const memory: number[] = []
  for (let second = 0; second < outageSeconds; second++) {
    await pause(1000)
    memory.push(Math.round(sidecar.memory()))
  }
  const { length: during } = clients.sent
  await collector.start()
  await pause(2000)
  await load.stop()
  const memoryAtEnd = Math.round(sidecar.memory())
  await drained(scene, collector)
  await collector.stop() // what it has acknowledged it has written by then
  expect(clients.sent.filter(({ wholeAt }) => wholeAt === undefined)).toEqual([])
  const { rows } = checkLedger(sidecar, clients.sent)
  const { spans } = sidecar.reconcile(collector.files())
  expect({ rows, spans }).toEqual({ rows: clients.sent.length, spans: { exchanges: rows, records: rows, waiting: 0 } })
  checkReconciled(sidecar, collector.files())
  say(
    `outage: ${during} requests in ${outageSeconds} s without a collector, ${rows} in all; memory each second: ${memory.join(' ')}, then ${memoryAtEnd} MiB`,
  )
  // The heaps of a process under load take tens of thousands of requests to reach their size, whether or not there is a collector.
  const half = memory.slice(Math.floor(memory.length / 2))
  expect(Math.max(...half) - (half[0] as number)).toBeLessThan(growthMiBMax)
  expect((await sidecar.stop()).code).toBe(0)
}

const title = (whom: string) => `delivers every span exactly once to ${whom} that was absent for ${outageSeconds} s`
it(title('a receiver of our own'), () => outage(createOwnCollector))
it.skipIf(missing !== undefined)(title('a real OpenTelemetry Collector'), () => outage(createRealCollector))

it('keeps account of every span with a collector that misbehaves in every way, and clients and upstreams that do', async () => {
  const random = createRandom('misbehaving')
  const scene = await startScene()
  const { sidecar, clients, collector } = scene
  const dropped = async (reason: string) => (await sidecar.metrics()).total('tokenweir.spool.dropped', { signal: 'traces', reason })
  const load = clients.run(Math.min(requestsPerSecond, 100), ['sse', 'json', 'slow', 'refused', 'cut', 'reset', 'hold'], random)
  const behaviours: Behaviour[] = ['hangs', 'refuses', 'fails', 'rejects one', 'is slow', 'takes']
  behaviours.sort(() => random() - 0.5)
  for (const behaviour of behaviours) {
    collector.behave(behaviour)
    await until(
      `an export meets one that ${behaviour}`,
      () => collector.requests[behaviour],
      (count) => count > 0,
    )
    // What is refused is tried again in halves, until it is clear which packet is to blame.
    if (behaviour === 'refuses')
      await until(
        'one is given up',
        () => dropped('refused'),
        (count) => count > 0,
      )
    await pause(500)
  }
  collector.behave('takes')
  await load.stop()
  await drained(scene, collector)
  const { rows } = checkLedger(sidecar, clients.sent)
  expect(rows).toBe(clients.sent.length)
  say(`misbehaving: ${behaviours.join(', ')}; ${rows} requests, answered ${JSON.stringify(collector.requests)}`)
  const [refused, rejected] = [await dropped('refused'), await dropped('rejected')]
  expect([refused > 0 && refused <= collector.refused(), rejected]).toEqual([true, collector.rejected()])
  expect(rows - (sidecar.reconcile(collector.files()).spans?.exchanges ?? 0)).toBe(refused + rejected)
  checkReconciled(sidecar, collector.files())
  // And it is seen to disagree: one row less, and both spans and log lines have one too many.
  expect((await sidecar.stop()).code).toBe(0)
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(sidecar.ledger)
  database.exec('DELETE FROM exchanges WHERE id = (SELECT id FROM exchanges ORDER BY id LIMIT 1 OFFSET 3)')
  database.close()
  const { equal, differences } = sidecar.reconcile(collector.files())
  expect([equal, differences.map(({ what, count }) => [what, count])]).toEqual([
    false,
    expect.arrayContaining([['log lines without a row', 1]]),
  ])
})
