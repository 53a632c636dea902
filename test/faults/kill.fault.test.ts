/** kill -9 at random moments under load, again and again on one ledger. */
import { expect, it, onTestFinished } from 'vitest'
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
  const sidecar = createSidecar({ upstream: upstream.url })
  const collector = await createOwnCollector(sidecar.folder)
  await collector.start()
  const clients = createClients()
  onTestFinished(clients.close)
  const killedAt: number[] = []
  say(`kill: ${settings.rounds} rounds`)
  let lostInWindow = 0
  for (let round = 0; round < settings.rounds; round++) {
    await sidecar.start(collector.env)
    clients.aim(sidecar.url)
    const load = clients.run(settings.requestsPerSecond, ['sse', 'sse', 'json', 'slow', 'refused', 'cut', 'hold'], random)
    await new Promise((resolve) => setTimeout(resolve, 200 + random() * 1500))
    killedAt.push(performance.now())
    await sidecar.kill()
    await load.stop()
    // The next start mends what this kill has left; the ledger is looked at each time, so that the round that broke it is known.
    await sidecar.start(collector.env)
    ;({ lostInWindow } = checkLedger(sidecar, clients.sent, killedAt))
    killedAt.push(performance.now())
    await sidecar.kill()
    if (round % 20 === 19) say(`kill: round ${round + 1}, ${clients.sent.length} requests`)
  }
  await sidecar.start(collector.env)
  const { rows } = checkLedger(sidecar, clients.sent, killedAt)
  const waiting = async () => sidecar.reconcile(collector.files()).spans?.waiting
  await until('the spool is empty', waiting, (count) => count === 0, 60_000, 500)
  checkReconciled(sidecar, collector.files())
  expect((await sidecar.stop()).code).toBe(0)
  checkReconciled(sidecar, collector.files())
  say(`kill: ${clients.sent.length} requests, ${rows} rows, ${lostInWindow} answers lost inside the window`)
}, 3_600_000)
