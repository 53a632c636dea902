import { expect, it } from 'vitest'
import { createShutdown } from '../src/proxy/shutdown.ts'

function startShutdown(graceMs: number) {
  const calls: string[] = []
  const idle = Promise.withResolvers<void>()
  const finished = Promise.withResolvers<void>()
  const stop = createShutdown({
    stopAccepting() {
      calls.push('stop accepting')
      return idle.promise
    },
    cut: () => calls.push('cut'),
    finish() {
      calls.push('finish')
      return finished.promise
    },
    hurry: () => calls.push('hurry'),
    graceMs: () => graceMs,
  })
  return { calls, idle, finished, stop }
}

it('stops accepting, waits until nothing is open, cuts, finishes', async () => {
  const { calls, idle, finished, stop } = startShutdown(60_000)
  const stopped = stop()
  expect(calls).toEqual(['stop accepting'])
  idle.resolve()
  finished.resolve()
  await stopped
  expect(calls).toEqual(['stop accepting', 'cut', 'finish'])
})

it('cuts what is open when the grace is over', async () => {
  const { calls, finished, stop } = startShutdown(1)
  finished.resolve()
  await stop()
  expect(calls).toEqual(['stop accepting', 'cut', 'finish'])
})

it('cuts at once and hurries when it is called again, and no further when it is called once more', async () => {
  const { calls, finished, stop } = startShutdown(60_000)
  const all = [stop(), stop(), stop()]
  finished.resolve()
  await Promise.all(all)
  expect(calls).toEqual(['stop accepting', 'hurry', 'cut', 'finish'])
})

it('hurries what finishes when it is called again meanwhile', async () => {
  const { calls, idle, finished, stop } = startShutdown(60_000)
  idle.resolve()
  const stopped = stop()
  await expect.poll(() => calls.at(-1)).toBe('finish')
  void stop()
  finished.resolve()
  await stopped
  expect(calls).toEqual(['stop accepting', 'cut', 'finish', 'hurry'])
})
