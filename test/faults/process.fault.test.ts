/** Faults of the process itself: a recorder's thread that dies, too few file descriptors, a clock that jumps. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { checkLedger, checkReconciled } from './checks.ts'
import { inRecorder, inspectorEnv } from './inspector.ts'
import { drained, pause, startScene } from './scene.ts'
import { createRandom, pick, say, settings, skipLoudly, until } from './settings.ts'
import { createShim, shimMissing } from './shim.ts'

const perSecond = Math.min(settings.requestsPerSecond, 100)

/** What ends a thread: an exception that nobody catches, an exit, a heap that is full. */
const deaths = [
  "setTimeout(() => { throw new Error('made to fail') })",
  'setTimeout(() => process.exit(7))',
  'globalThis.hoard = []; setInterval(() => { for (let i = 0; i < 50; i++) hoard.push(new Array(1e5).fill({})) })',
]

it('goes on when its recorder dies, and records every request once', async () => {
  const random = createRandom('recorder')
  const scene = await startScene({ env: { NODE_OPTIONS: `${inspectorEnv.NODE_OPTIONS} --max-old-space-size=160` } })
  const { sidecar, clients, collector } = scene
  const admin = sidecar.adminUrl
  const load = clients.run(perSecond, ['sse', 'json', 'slow', 'slow'], random)
  const count = 4
  for (let death = 0; death < count; death++) {
    // An answer that comes late: the recorder dies while it waits for it, and its successor sends again what the collector has.
    collector.behave(death % 2 === 0 ? 'is slow' : 'takes')
    await pause(800 + random() * 500)
    await inRecorder(sidecar, deaths[death] ?? pick(random, deaths.slice(0, 2)))
    const restarts = () =>
      sidecar.metrics().then(
        (metrics) => metrics.total('tokenweir.recorder.restarts'),
        () => -1,
      )
    await until(`restart ${death + 1}`, restarts, (now) => now === death + 1)
    await until('it is ready', sidecar.ready, (status) => status === 200) // one that is still starting hears nothing
  }
  await load.stop()
  collector.behave('takes')
  await drained(scene, collector)
  const { rows } = checkLedger(sidecar, clients.sent)
  expect([rows, clients.sent.filter(({ leaves, wholeAt }) => !leaves && wholeAt === undefined)]).toEqual([clients.sent.length, []])
  expect(sidecar.adminUrl).toBe(admin)
  checkReconciled(sidecar, collector.files())
  say(`recorder: ${count} deaths, ${rows} requests`)
  expect((await sidecar.stop()).code).toBe(0)
})

it('is ready and alive while its recorder is blocked, says so, and loses nothing', async () => {
  const scene = await startScene({ env: inspectorEnv })
  const { sidecar, clients, collector } = scene
  const load = clients.run(perSecond, ['sse', 'json'], createRandom('blocked'))
  await pause(500)
  // The answer of the inspector comes when it is over.
  const blocked = inRecorder(sidecar, 'const until = Date.now() + 20000; while (Date.now() < until) {}')
  const problems = await until('it says so', sidecar.problems, (now) => now.length > 0)
  expect(problems).toEqual([
    expect.stringMatching(/^The recorder has taken nothing for \d+ s: it is blocked or too slow; \d+ records wait\.$/),
  ])
  const status = (path: string) => fetch(`${sidecar.adminUrl}${path}`).then((response) => response.status)
  expect([await sidecar.ready(), await status('/livez'), await status('/metrics')]).toEqual([200, 200, 503])
  await blocked
  await until('it goes on', sidecar.problems, (now) => now.length === 0)
  await load.stop()
  await drained(scene, collector)
  const { rows } = checkLedger(sidecar, clients.sent)
  expect([rows, clients.sent.filter(({ wholeAt }) => wholeAt === undefined)]).toEqual([clients.sent.length, []])
  checkReconciled(sidecar, collector.files())
  expect((await sidecar.stop()).code).toBe(0)
})

it('answers again after it had no file descriptor left, and has recorded what it refused', async ({ skip }) => {
  if (spawnSync('prlimit', ['--version']).status !== 0)
    return skipLoudly(skip, 'file descriptors cannot be limited, there is no prlimit here.')
  const scene = await startScene({ through: ['prlimit', '--nofile=128:128'] })
  const { sidecar, clients, collector } = scene
  const crowd = Array.from({ length: 200 }, () => clients.request('hold', { leavesAfterMs: 3000 }))
  await Promise.all(crowd)
  const after = await until(
    'it answers again',
    () => clients.request('json'),
    ({ status }) => status === 200,
  )
  expect(after.wholeAt).toBeDefined()
  await drained(scene, collector)
  checkLedger(sidecar, clients.sent)
  checkReconciled(sidecar, collector.files())
  const refused = clients.sent.filter(({ status }) => status === 502).length
  say(
    `descriptors: ${crowd.length} at once, ${crowd.filter((_, index) => clients.sent[index]?.status === 200).length} served, ${refused} refused`,
  )
  expect((await sidecar.stop()).code).toBe(0)
})

it('keeps order and durations while the wall clock jumps', async ({ skip }) => {
  const missing = shimMissing()
  if (missing !== undefined) return skipLoudly(skip, `no clock can be made to jump. ${missing}`)
  const random = createRandom('clock')
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-shim-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const shim = createShim(folder)
  const scene = await startScene({ env: shim.env })
  const { sidecar, clients, collector } = scene
  const load = clients.run(perSecond, ['sse', 'json', 'slow'], random)
  const hours = [2, -3, 0.5, -26, 0]
  for (const jump of hours) {
    await pause(1500)
    shim.jump(jump * 3_600_000)
  }
  await pause(1500)
  await load.stop()
  await drained(scene, collector)
  const { rows } = checkLedger(sidecar, clients.sent)
  expect(rows).toBe(clients.sent.length)
  const spread = sidecar.rows('SELECT (max(started_at) - min(started_at)) / 3600000 AS hours FROM exchanges')[0]?.['hours']
  expect(spread).toBeGreaterThan(20) // it did jump
  expect(sidecar.rows('SELECT count(*) AS count FROM exchanges WHERE duration_ms < 0 OR duration_ms > 60000')).toEqual([{ count: 0 }])
  checkReconciled(sidecar, collector.files())
  // A start in the past finds what the future has left.
  await sidecar.kill()
  shim.jump(-48 * 3_600_000)
  await sidecar.start(collector.env)
  await drained(scene, collector)
  checkReconciled(sidecar, collector.files())
  say(`clock: ${rows} requests over jumps of ${hours.join(', ')} hours`)
  expect((await sidecar.stop()).code).toBe(0)
})
