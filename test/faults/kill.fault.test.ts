/** kill -9 at random moments under load, again and again on one ledger. */
import { expect, it, onTestFinished } from 'vitest'
import { beforeOthers, type Kill, watchWaiting } from '../e2e/waiting.ts'
import { checkLedger, checkReconciled, commitWindowMs } from './checks.ts'
import { createOwnCollector } from './collector.ts'
import { createClients } from './load.ts'
import { createRandom, say, settings, until } from './settings.ts'
import { createSidecar } from './sidecar.ts'
import { startUpstream } from './upstream.ts'

it(`loses nothing but what ended less than ${commitWindowMs} ms before a SIGKILL`, async () => {
  const random = createRandom('kill')
  const upstream = await startUpstream()
  onTestFinished(upstream.stop)
  const sidecar = createSidecar({ upstream: upstream.url, through: beforeOthers })
  const collector = await createOwnCollector(sidecar.folder)
  await collector.start()
  const clients = createClients()
  onTestFinished(clients.close)
  const kills: Kill[] = []
  say(`kill: ${settings.rounds} rounds`)
  for (let round = 0; round < settings.rounds; round++) {
    await sidecar.start(collector.env)
    checkLedger(sidecar, clients.sent, kills) // each time, so that the round that broke it is known
    clients.aim(sidecar.url)
    const load = clients.run(settings.requestsPerSecond, ['sse', 'sse', 'json', 'slow', 'refused', 'cut', 'hold'], random)
    const watch = watchWaiting(sidecar.pid)
    await new Promise((resolve) => setTimeout(resolve, 200 + random() * 1500))
    kills.push(watch.end())
    await Promise.all([sidecar.kill(), load.stop()])
    if (round % 20 === 19) say(`kill: round ${round + 1}, ${clients.sent.length} requests`)
  }
  await sidecar.start(collector.env)
  const { rows, lostInWindow, lostWaiting } = checkLedger(sidecar, clients.sent, kills)
  const waiting = async () => sidecar.reconcile(collector.files()).spans?.waiting
  await until('the spool is empty', waiting, (count) => count === 0, 180_000, 500)
  checkReconciled(sidecar, collector.files())
  expect((await sidecar.stop()).code).toBe(0)
  checkReconciled(sidecar, collector.files())
  const whole = clients.sent.filter(({ wholeAt }) => wholeAt !== undefined).length
  say(`kill: ${whole} whole answers, ${rows} rows, ${lostInWindow} answers lost inside the window (${lostWaiting} of them waiting)`)
})
