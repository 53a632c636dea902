/** Sends the demo's traffic again and again until it is stopped: `node examples/traffic/main.js --to http://127.0.0.1:4141`. */
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { send } from '../sample-gateway/send.ts'
import { demoRequests } from '../sample-gateway/traffic.ts'

const help = `Usage: node examples/traffic/main.js --to URL [options]

Sends the demo's requests to URL, one after the other, from the first again after the last.

Options:
  --to <url>          a tokenweir in front of the sample gateway
  --every-ms <number> milliseconds between two requests (default 400)
  --rounds <number>   how often to send them all; 0, the default, until it is stopped
  --help              print this help
`

function readOptions() {
  try {
    return parseArgs({
      options: {
        to: { type: 'string' },
        'every-ms': { type: 'string', default: '400' },
        rounds: { type: 'string', default: '0' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    process.stderr.write(`traffic: ${(error as Error).message}. See --help.\n`)
    process.exit(2)
  }
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  process.stderr.write(`traffic: --${name} ${JSON.stringify(text)} is not a whole number. See --help.\n`)
  process.exit(2)
}

const values = readOptions()
if (values.help) {
  process.stdout.write(help)
} else if (values.to === undefined) {
  process.stderr.write('traffic: --to says where requests go, for instance --to http://127.0.0.1:4141. See --help.\n')
  process.exitCode = 2
} else {
  const everyMs = wholeNumber('every-ms', values['every-ms'])
  const rounds = wholeNumber('rounds', values.rounds) || Number.POSITIVE_INFINITY
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))
  for (let round = 0; round < rounds; round++) {
    for (const request of demoRequests) {
      await Promise.all([send(values.to, request), setTimeout(everyMs)])
    }
  }
}
