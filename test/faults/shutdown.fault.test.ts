/** SIGTERM while streams are open. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { checkLedger, checkReconciled, endings } from './checks.ts'
import { createOwnCollector } from './collector.ts'
import type { Sent } from './load.ts'
import { createScene, drained, type Scene } from './scene.ts'
import { say, settings, until } from './settings.ts'

const graceMs = 6000
const flushMs = 3000
/** What a busy machine may add to grace and deadline. */
const toleranceMs = 30_000

async function openStreams({ sidecar, clients }: Scene, count: number): Promise<Promise<Sent>[]> {
  const streams = Array.from({ length: count }, () => clients.request('hold'))
  const open = async () => sidecar.rows('SELECT count(*) AS count FROM exchanges WHERE end_reason IS NULL')[0]?.['count']
  await until(`${count} streams are open`, open, (now) => now === count)
  await until(
    'their first bytes are there',
    () => clients.sent.filter(({ status }) => status === 200).length,
    (now) => now === count,
  )
  return streams
}

async function start(grace = graceMs): Promise<Scene & { readonly config: Record<string, string> }> {
  const scene = await createScene()
  const file = join(scene.sidecar.folder, 'tokenweir.yaml')
  writeFileSync(file, `timeouts: { graceMs: ${grace}, flushMs: ${flushMs} }\n`)
  return { ...scene, config: { TOKENWEIR_CONFIG: file } }
}

it(`records each of ${settings.openStreams} streams that SIGTERM finds open, exits 0 in time, and its next start delivers the rest`, async () => {
  const scene = await start()
  const { sidecar, clients, config } = scene
  const collector = await createOwnCollector(sidecar.folder)
  await sidecar.start({ ...collector.env, ...config }) // the collector is away
  clients.aim(sidecar.url)
  const streams = await openStreams(scene, settings.openStreams)
  const ending = Array.from({ length: 50 }, () => clients.request('long')) // these end within the grace
  const begun = () => clients.sent.filter(({ status }) => status === 200).length
  await until('all have begun', begun, (now) => now === streams.length + ending.length)
  const { code, ms } = await sidecar.stop()
  await Promise.all([...streams, ...ending])
  say(`shutdown: ${settings.openStreams} streams cut, exit ${code} after ${Math.round(ms)} ms`)
  expect(code).toBe(0)
  expect(ms).toBeLessThan(graceMs + flushMs + toleranceMs)
  expect(endings(sidecar)).toEqual({ completed: ending.length, 'sidecar-stopped': settings.openStreams })
  checkReconciled(sidecar)
  await collector.start()
  await sidecar.start(collector.env)
  await drained(scene, collector)
  checkReconciled(sidecar, collector.files())
  const { rows } = checkLedger(sidecar, clients.sent)
  expect(sidecar.reconcile(collector.files()).spans).toEqual({ exchanges: rows, records: rows, waiting: 0 })
  expect((await sidecar.stop()).code).toBe(0)
})

it('records what is open at a second signal, at once, while the collector hangs', async () => {
  const scene = await start(600_000) // longer than the end is waited for
  const { sidecar, clients, config } = scene
  const collector = await createOwnCollector(sidecar.folder)
  await collector.start()
  collector.behave('hangs')
  await sidecar.start({ ...collector.env, ...config })
  clients.aim(sidecar.url)
  const streams = await openStreams(scene, 100)
  sidecar.signal('SIGTERM')
  await until('the first has been heard', sidecar.ready, (status) => status !== 200) // two in one go may arrive as one
  const { code, ms } = await sidecar.stop('SIGTERM')
  await Promise.all(streams)
  say(`second signal: exit ${code} after ${Math.round(ms)} ms`)
  expect([code, endings(sidecar)]).toEqual([0, { 'sidecar-stopped': 100 }])
  checkReconciled(sidecar)
})

it('records what is open, says why, and exits 1 after a mistake of its own', async () => {
  const scene = await start()
  const { sidecar, clients, config } = scene
  const file = join(sidecar.folder, 'mistake.cjs')
  // Loaded into the proxying thread: throws where nobody catches, at a signal.
  writeFileSync(
    file,
    "if (require('node:worker_threads').isMainThread) process.on('SIGUSR2', () => setImmediate(() => { throw new Error('a mistake') }))",
  )
  await sidecar.start({ ...config, NODE_OPTIONS: `--require ${file}` })
  clients.aim(sidecar.url)
  const streams = await openStreams(scene, 50)
  const { code } = await sidecar.stop('SIGUSR2')
  await Promise.all(streams)
  expect([code, endings(sidecar)]).toEqual([1, { 'sidecar-stopped': 50 }])
  expect(sidecar.stderr()).toContain("tokenweir: This is a mistake of tokenweir's own, which ends it: a mistake")
  checkReconciled(sidecar)
})
