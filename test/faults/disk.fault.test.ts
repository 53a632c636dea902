/** A disk that is full, one that is slow, and a ledger that another program has locked. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { checkLedger, checkReconciled } from './checks.ts'
import { drained, pause, startScene } from './scene.ts'
import { createRandom, say, settings, skipLoudly, until } from './settings.ts'
import { createShim, shimMissing } from './shim.ts'

const { fullSeconds, requestsPerSecond } = settings

/** A disk of its own, in memory. Undefined, and loudly so, where this user may not mount one. */
function mountDisk(mebibytes: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-disk-'))
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder], { encoding: 'utf8' })
  if (status !== 0) {
    rmSync(folder, { recursive: true })
    say(`SKIPPED: no disk can be filled here, mounting one takes root. ${stderr.trim()}`)
    return undefined
  }
  onTestFinished(() => {
    spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** Takes every byte that is left. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let size = 1 << 20; size >= 1; size = Math.floor(size / 4)) {
      const block = Buffer.alloc(size)
      try {
        for (;;) writeSync(file, block)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(file)
  }
}

it(`serves every client while the disk is full for ${fullSeconds} s, counts what it drops, and recovers by itself`, async ({ skip }) => {
  // Room for what waits meanwhile: row, span and indexes of a request are about 4 KiB.
  const folder = mountDisk(24 + Math.ceil((requestsPerSecond * (fullSeconds + 10) * 6) / 1024))
  if (folder === undefined) return skip('mounting a disk takes root')
  // With the collector away as well, spans have nowhere to go but a memory that is small: some are lost, and each of them is counted.
  const scene = await startScene({ ledgerFolder: folder, env: { OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50' } })
  const { sidecar, clients, collector } = scene
  const load = clients.run(requestsPerSecond, ['sse', 'json'], createRandom('full'))
  await pause(1000)
  await collector.stop()
  const filler = join(folder, 'filler')
  fill(filler)
  const from = performance.now()
  // The ledger's log keeps the room that it has: it takes some commits until that is used up.
  const problems = await until(
    'it says so',
    async () => {
      fill(join(folder, `filler-${Math.round(performance.now())}`))
      return sidecar.problems()
    },
    (now) => now.length > 0,
    180_000,
    200,
  )
  await pause(fullSeconds * 1000 - (performance.now() - from))
  const spansLost = async () => (await sidecar.metrics()).total('tokenweir.spool.dropped', { signal: 'traces', reason: 'unwritable' })
  await until('spans are dropped', spansLost, (count) => count > 0)
  spawnSync('sh', ['-c', `rm -f ${join(folder, 'filler')}*`])
  expect(await sidecar.ready()).toBe(200)
  await until('it can be written again', sidecar.problems, (now) => now.length === 0)
  await collector.start()
  await pause(500)
  await load.stop()
  await drained(scene, collector)
  expect(problems).toEqual([expect.stringMatching(/^The ledger ledger\.db cannot be written: .* rows wait in memory\.$/)])
  const metrics = await sidecar.metrics()
  const dropped = metrics.total('tokenweir.ledger.dropped')
  const rows = Number(sidecar.rows('SELECT count(*) AS count FROM exchanges')[0]?.['count'])
  say(
    `full disk: ${clients.sent.length} requests, ${rows} rows, ${dropped} rows dropped, ${metrics.total('tokenweir.ledger.failures')} failed commits`,
  )
  expect(clients.sent.filter(({ wholeAt, status }) => wholeAt === undefined || status !== 200)).toEqual([])
  expect(rows + dropped).toBe(clients.sent.length)
  const spansDropped = await spansLost()
  const spans = sidecar.reconcile(collector.files()).spans?.exchanges
  say(`full disk: ${spans} spans delivered, ${spansDropped} dropped and counted`)
  expect([spansDropped > 0, (spans ?? 0) + spansDropped]).toEqual([true, clients.sent.length])
  if (dropped === 0) checkLedger(sidecar, clients.sent)
  checkReconciled(sidecar, collector.files())
  expect((await sidecar.stop()).code).toBe(0)
})

it('loses nothing on a disk that takes 20 ms for each write', async ({ skip }) => {
  const missing = shimMissing()
  if (missing !== undefined) return skipLoudly(skip, `no slow disk. ${missing}`)
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-shim-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const shim = createShim(folder)
  const scene = await startScene({ env: shim.env })
  const { sidecar, clients, collector } = scene
  const load = clients.run(Math.min(requestsPerSecond, 100), ['sse', 'json', 'slow'], createRandom('slow'))
  await pause(500)
  shim.slow(20_000)
  await pause(4000)
  const slowest = Math.max(
    ...clients.sent.map(({ startedAt, wholeAt, kind }) => (kind === 'slow' || wholeAt === undefined ? 0 : wholeAt - startedAt)),
  )
  shim.slow(0)
  await load.stop()
  await drained(scene, collector)
  const { rows } = checkLedger(sidecar, clients.sent)
  expect(rows).toBe(clients.sent.length)
  checkReconciled(sidecar, collector.files())
  say(`slow disk: ${rows} requests, the slowest answer after ${Math.round(slowest)} ms`)
})

it('waits for a ledger that another program has locked, and loses nothing', async () => {
  const scene = await startScene()
  const { sidecar, clients, collector } = scene
  const load = clients.run(Math.min(requestsPerSecond, 100), ['sse', 'json'], createRandom('locked'))
  const failures = async () => (await sidecar.metrics()).total('tokenweir.ledger.failures')
  const database = new DatabaseSync(sidecar.ledger, { timeout: 60_000 })
  for (let round = 0; round < 3; round++) {
    const before = await failures()
    database.exec('BEGIN IMMEDIATE')
    await pause(1200)
    await until('a commit has failed', failures, (count) => count > before)
    database.exec('ROLLBACK')
    await pause(300)
  }
  database.close()
  await load.stop()
  await drained(scene, collector)
  const { rows } = checkLedger(sidecar, clients.sent)
  expect([rows, clients.sent.filter(({ wholeAt }) => wholeAt === undefined)]).toEqual([clients.sent.length, []])
  checkReconciled(sidecar, collector.files())
})
