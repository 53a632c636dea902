/** What systemd is told by the running product, through a program that stands in for systemd-notify and writes down its arguments. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startProduct } from '../e2e/product.ts'

async function start(program: string | undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-notify-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const told = join(folder, 'told')
  writeFileSync(told, '')
  if (program !== undefined) {
    writeFileSync(join(folder, 'systemd-notify'), program)
    chmodSync(join(folder, 'systemd-notify'), 0o755)
  }
  const env = { NOTIFY_SOCKET: join(folder, 'socket'), WATCHDOG_USEC: '200000', TOLD: told, PATH: folder }
  const product = await startProduct({ upstream: 'http://127.0.0.1:9', env })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return {
    product,
    told: () =>
      readFileSync(told, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
  }
}

it('tells systemd that it is ready, not stuck, and stopping, in this order', async () => {
  const { product, told } = await start('#!/bin/sh\necho "$* $NOTIFY_SOCKET" >> "$TOLD"\n')
  await expect.poll(() => told().length, { timeout: 30_000 }).toBeGreaterThan(3)
  process.kill(product.pid, 'SIGTERM')
  await expect.poll(() => told().some((line) => line.startsWith('STOPPING=1 ')), { timeout: 30_000 }).toBe(true)
  expect(await product.stop()).toBe(0)
  const words = told().map((line) => line.split(' ')[0] as string)
  expect([words[0], [...new Set(words.slice(1))].sort()]).toEqual(['READY=1', ['STOPPING=1', 'WATCHDOG=1']])
  expect(told()[0]).toMatch(/\/socket$/)
})

it('goes on where systemd-notify fails once, and while a thread that serves nothing says nothing', async () => {
  const { product, told } = await start('#!/bin/sh\necho "$*" >> "$TOLD"\nexit 1\n')
  await expect.poll(() => told().length, { timeout: 30_000 }).toBeGreaterThan(3)
  process.kill(product.pid, 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 2000)) // what was on its way
  const before = told().length
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(told().length).toBe(before)
  process.kill(product.pid, 'SIGCONT')
  await expect.poll(() => told().length, { timeout: 30_000 }).toBeGreaterThan(before)
  expect(product.stderr()).not.toContain('systemd')
})

it('says what to install where systemd-notify is missing, and serves', async () => {
  const { product } = await start(undefined)
  await expect.poll(() => product.stderr(), { timeout: 30_000 }).toContain('the program systemd-notify is missing. Install it')
  expect((await fetch(`${product.adminUrl}/readyz`)).status).toBe(200)
})
