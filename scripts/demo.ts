/**
 * `npm run demo`: a sample gateway, the real product in front of it, about forty requests over real sockets, and what the ledger has to say
 * about them, compared with what the gateway knows it sent. Exit code 1 when one number differs.
 */
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type SampleGateway, startSampleGateway } from '../examples/sample-gateway/gateway.ts'
import { send } from '../examples/sample-gateway/send.ts'
import { demoRequests } from '../examples/sample-gateway/traffic.ts'
import { type Product, startProduct } from '../test/e2e/product.ts'
import { compare, logMessages, paint, say, showChecks, showOutcomes, showRows, showTotals } from './demo-report.ts'

const help = `Usage: npm run demo [-- --keep]

Sends the traffic of the demo through tokenweir and shows what it recorded.

  --keep   leave everything running afterwards, to look at /metrics; Ctrl-C stops it
  --help   print this help
`

const { stdout } = process

/** Requests at a time. */
const concurrency = 6
const eventMs = 8

async function sendAll(base: string): Promise<void> {
  const waiting = [...demoRequests]
  let done = 0
  progress(done)
  const worker = async () => {
    for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) {
      await send(base, request)
      progress(++done)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  say()
}

function progress(done: number): void {
  const total = demoRequests.length
  const width = 30
  const filled = Math.round((done / total) * width)
  const text = `Sending requests  ${'█'.repeat(filled)}${'░'.repeat(width - filled)}  ${done} of ${total}`
  if (stdout.isTTY) stdout.write(`\r${text}`)
  else if (done === 0) stdout.write(`Sending ${total} requests `)
  else if (done % 5 === 0 || done === total) stdout.write(done === total ? ' done' : '.')
}

async function show(gateway: SampleGateway, product: Product): Promise<boolean> {
  await sendAll(product.url)
  const rows = await product.closedRows(demoRequests.length)
  // The log is written in its own time, and the gateway notices a client that left a little later than the sidecar.
  const settled = () => logMessages(product.stdout()).length >= rows.length && gateway.sent.length >= rows.length
  for (let tries = 0; tries < 100 && !settled(); tries++) await setTimeout(20)
  say()
  say(paint('bold', 'What the ledger recorded, one row per request'))
  showRows(rows)
  say()
  say(paint('bold', 'Tokens per provider'))
  showTotals(rows)
  say()
  say(paint('bold', 'How the usage of each answer came out'))
  showOutcomes(rows)
  say()
  say(paint('bold', 'Compared with what clients asked and the gateway knows it sent'))
  return showChecks(compare(demoRequests.length, rows, gateway.sent, product.stdout()))
}

async function demo(keep: boolean): Promise<number> {
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve('interrupted'))
  })
  const gateway = await startSampleGateway({ eventMs })
  try {
    const product = await startProduct({ upstream: gateway.url })
    say(paint('bold', 'tokenweir demo'))
    say(`  sample gateway  ${gateway.url}`)
    say(`  tokenweir       ${product.url}  ${paint('dim', `ready after ${Math.round(product.readyMs)} ms`)}`)
    say(`  live metrics    ${product.adminUrl}/metrics`)
    say()
    let outcome: boolean | 'interrupted' = false
    try {
      outcome = await Promise.race([show(gateway, product), interrupted])
      if (keep && outcome !== 'interrupted') {
        say(`\nLook at ${product.adminUrl}/metrics; Ctrl-C stops everything.`)
        await interrupted
      }
    } finally {
      const code = await product.stop()
      if (code !== 0) say(paint('red', `tokenweir ended with ${code}:\n${product.stderr()}`))
      if (code !== 0) outcome = false
    }
    return conclude(outcome, keep)
  } finally {
    await gateway.close()
  }
}

function conclude(outcome: boolean | 'interrupted', keep: boolean): number {
  if (outcome === 'interrupted') return 130
  say()
  say(outcome ? paint('green', 'Everything matches.') : paint('red', 'Something does not match: see above.'))
  if (!keep) say('npm run demo -- --keep leaves it running, to look at the live metrics.')
  return outcome ? 0 : 1
}

function keepAsked(): boolean {
  try {
    const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
    if (values.help) {
      stdout.write(help)
      process.exit(0)
    }
    return values.keep
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}. See npm run demo -- --help.\n`)
    process.exit(2)
  }
}

try {
  process.exitCode = await demo(keepAsked())
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`)
  process.exitCode = 1
}
