/**
 * Mixed traffic for a while: nothing grows, and every request has its row. Garbage is collected every few seconds in each thread: without memory
 * pressure V8 lets it lie for minutes, and a busy machine's more of it; what is still in use is all that a leak could be in.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { talk } from '../conformance/client.ts'
import { checkReconciled } from './checks.ts'
import { drained, startScene } from './scene.ts'
import { createRandom, pick, say, settings, until } from './settings.ts'

const perSecond = Math.min(settings.requestsPerSecond, 200)
const tickMs = 50
const openMax = 200
const upload = Buffer.from(JSON.stringify({ model: 'made-up-1', messages: [{ role: 'user', content: 'x'.repeat(300_000) }] }))
const masked = Buffer.concat([Buffer.from([0x81, 0x82, 0, 0, 0, 0]), Buffer.from('{}')]).toString('latin1')

/** Loaded into every thread. */
const collecting = `
require('node:v8').setFlagsFromString('--expose-gc')
const collect = require('node:vm').runInNewContext('gc')
setInterval(collect, 5000).unref()
`

interface Sample {
  readonly seconds: number
  readonly memoryMiB: number
  readonly descriptors: number
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

it(`neither grows nor loses a row in ${settings.soakSeconds} seconds of mixed traffic`, async () => {
  const random = createRandom('soak')
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-soak-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'collecting.cjs'), collecting)
  const scene = await startScene({ env: { NODE_OPTIONS: `--require ${join(folder, 'collecting.cjs')}` } })
  const { sidecar, clients, collector } = scene
  const port = Number(new URL(sidecar.url).port)
  /** Of requests that went over raw connections. */
  const spans: string[] = []
  let malformed = 0

  const head = (line: string, more = '') => {
    const span = randomBytes(8).toString('hex')
    spans.push(span)
    return `${line} HTTP/1.1\r\nHost: a\r\ntraceparent: 00-${randomBytes(16).toString('hex')}-${span}-01\r\n${more}\r\n`
  }
  const raw = (parts: readonly (string | number)[], answersMin: number) =>
    talk({ port, parts, isDone: ({ answers }) => answers.length >= answersMin, quietMs: 60_000, settleMs: 100 })
  const post = () => `${head('POST /v1/chat/completions?as=json', 'Content-Length: 2\r\n')}{}`
  const webSocket = () =>
    head(
      'GET /v1/realtime',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
    )
  const kinds: readonly (() => Promise<unknown>)[] = [
    ...(['json', 'json', 'sse', 'sse', 'slow', 'refused', 'cut', 'reset'] as const).map((kind) => () => clients.request(kind)),
    () => clients.request('slow', { leavesAtHead: true }),
    () => clients.request('json', { content: upload }),
    () => raw([post() + post() + post()], 3),
    () => raw([webSocket(), 100, masked, 50, masked], 1),
    () => {
      malformed++
      return raw(['GARBAGE\r\n\r\n'], 1)
    },
  ]

  const samples: Sample[] = []
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1000
  const open = new Set<Promise<unknown>>()
  let due = 0
  let last = performance.now()
  const traffic = setInterval(() => {
    const now = performance.now()
    due = Math.min(due + ((now - last) / 1000) * perSecond, openMax)
    last = now
    for (; due >= 1 && open.size < openMax; due--) {
      const one = pick(random, kinds)()
      open.add(one)
      void one.then(() => open.delete(one))
    }
  }, tickMs)
  const watch = setInterval(() => {
    samples.push({ seconds: seconds(), memoryMiB: sidecar.memory(), descriptors: readdirSync(`/proc/${sidecar.pid}/fd`).length })
  }, 500)
  await until('time is over', seconds, (now) => now >= settings.soakSeconds, (settings.soakSeconds + 600) * 1000, 500)
  clearInterval(traffic)
  clearInterval(watch)
  await Promise.all(open)

  /** Of the tenth of the time that ends there: of ten minutes, one. */
  const tenthBefore = (end: number) => samples.filter((one) => one.seconds <= end && one.seconds > end - settings.soakSeconds / 10)
  const ofTenth = (end: number) => ({
    memoryMiB: median(tenthBefore(end).map((one) => one.memoryMiB)),
    descriptors: median(tenthBefore(end).map((one) => one.descriptors)),
  })
  const [early, late] = [ofTenth(settings.soakSeconds * 0.3), ofTenth(settings.soakSeconds)]
  const growth = late.memoryMiB / early.memoryMiB
  await drained(scene, collector)
  const sent = [...clients.sent.map(({ span }) => span), ...spans]
  const rows = sidecar.rows('SELECT parent_span_id AS span FROM exchanges').map(({ span }) => String(span))
  say(
    `soak: ${settings.soakSeconds} s, ${sent.length} requests, ${malformed} malformed; RSS after three tenths ${early.memoryMiB.toFixed(1)} MiB, ` +
      `at the end ${late.memoryMiB.toFixed(1)} MiB (× ${growth.toFixed(3)}); descriptors ${early.descriptors}, then ${late.descriptors}; ` +
      `RSS of each tenth ${Array.from({ length: 10 }, (_, index) => ofTenth((settings.soakSeconds * (index + 1)) / 10).memoryMiB.toFixed(0)).join(' ')}`,
  )
  expect(rows.toSorted()).toEqual(sent.toSorted())
  checkReconciled(sidecar, collector.files())
  // A short run still warms up: its heap and compiled code grow on.
  expect(growth).toBeLessThan(settings.soakSeconds >= 600 ? 1.1 : 1.6)
  expect(late.descriptors).toBeLessThan(early.descriptors * 1.5 + 20)
  expect((await sidecar.stop()).code).toBe(0)
})
