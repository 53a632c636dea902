/** The form of the request log: JSON for programs, short lines for who looks at a terminal. */
import { join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import type { WriteStream } from 'node:tty'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { Cell, cellCount, watchTerminal } from '../../src/lib/shared-counters.ts'
import { logLine } from '../../src/sinks/log.ts'
import { createLogLine } from '../../src/sinks/log-line.ts'
import { runOn, visible } from '../cli/terminal.ts'
import { startProduct } from '../e2e/product.ts'
import { exchangeOf, failedExchangeOf } from './exchange-of.ts'

const root = resolve(import.meta.dirname, '../..')
const exchange = exchangeOf()
const lineOf = (format: 'auto' | 'json' | 'short', columns: number, env = {}) =>
  createLogLine({ format, terminalColumns: () => columns, env })

describe('a line of the log', () => {
  it('is the same JSON wherever standard output is no terminal, and with json everywhere', () => {
    expect([lineOf('auto', 0), lineOf('json', 100), lineOf('json', 0)].map((line) => line(exchange, true))).toEqual(
      Array(3).fill(logLine(exchange, true)),
    )
  })

  it('is short on a terminal, in its colours, below a title', () => {
    const line = lineOf('auto', 100, { TERM: 'xterm' })
    const [title, first] = visible(line(exchange)).split('\n')
    expect(title).toMatch(/^␛\[1mENDED {8}PROVIDER {4}MODEL/)
    expect(first).toMatch(/^\d\d:\d\d:\d\d 200 openai {6}gpt-4o-2024-08-… {6}20 {7}7 {9}– {2}261 ms$/)
    expect(visible(line(failedExchangeOf(503)))).toMatch(/^␛\[31m\d\d:\d\d:\d\d 503 openai/)
  })

  it('fits the terminal as it is now, and has no colours with NO_COLOR', () => {
    let columns = 100
    const line = createLogLine({ format: 'auto', terminalColumns: () => columns, env: { NO_COLOR: '1' } })
    line(exchange)
    columns = 50
    const text = line(failedExchangeOf(503))
    expect([text.length <= 50, text.includes('\u001b')]).toEqual([true, false])
  })

  it('is short and whole in a pipe where that is asked for', () => {
    expect(lineOf('short', 0)(exchange)).toMatch(/gpt-4o-2024-08-06 {16}–/)
  })
})

it('The recorder is shown the width of the terminal, as it changes.', () => {
  const cells = new Int32Array(cellCount)
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 120 }) as unknown as WriteStream
  const width = () => cells[Cell.terminalColumns]
  const unwatch = watchTerminal(stdout, cells)
  const widths = [width()]
  for (const columns of [60, 0]) {
    stdout.columns = columns
    stdout.emit('resize')
    widths.push(width())
  }
  unwatch()
  expect([widths, stdout.listenerCount('resize')]).toEqual([[120, 60, 80], 0])
})

it('A sidecar prints the lines that tail prints.', async () => {
  const gateway = await startSampleGateway()
  onTestFinished(() => gateway.close())
  const product = await startProduct({ upstream: gateway.url, args: ['--log-format', 'short'] })
  onTestFinished(async () => void (await product.stop()))
  for (const model of ['gpt-5', 'error-503']) {
    const body = JSON.stringify({ model, stream: true, messages: [] })
    const headers = { 'content-type': 'application/json' }
    await (await fetch(`${product.url}/v1/chat/completions`, { method: 'POST', body, headers })).text()
  }
  await product.closedRows(2)
  const tail = await runOn({ columns: undefined, colour: false }, ['tail', '--ledger', product.ledger, '--no-follow'])
  expect(tail.stdout).toMatch(/gpt-5.*\n.*error-503.*\n$/)
  await expect.poll(product.stdout, { timeout: 10_000 }).toBe(tail.stdout)
})

it('A sidecar whose standard output is a terminal prints short lines.', async () => {
  const gateway = await startSampleGateway()
  onTestFinished(() => gateway.close())
  const terminal = 'data:text/javascript,Object.assign(process.stdout,{isTTY:true,columns:90})'
  const product = await startProduct({ upstream: gateway.url, program: ['--import', terminal, join(root, 'src/tokenweir.ts')] })
  onTestFinished(async () => void (await product.stop()))
  await (await fetch(`${product.url}/v1/models`)).text()
  await expect.poll(product.stdout, { timeout: 10_000 }).toMatch(/ENDED .*\n.*\d\d:\d\d:\d\d \d\d\d .*\/v1\/models/)
})
