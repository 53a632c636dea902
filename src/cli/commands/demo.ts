/** `tokenweir demo`: a sample gateway, the sidecar in front of it, traffic that does not stop, and what is recorded of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Command } from 'commander'
import { terminalWidth } from '../../lib/terminal.ts'
import type { Comparison, DemoLedger } from '../demo/ledger.ts'
import type { Parts, SampleGateway } from '../demo/parts.ts'
import type { Sidecar } from '../demo/sidecar.ts'
import type { Traffic } from '../demo/traffic.ts'
import { type CommandContext, type Environment, exit, type Flags, type Io, painter } from './context.ts'
import { comparisonsText, isEqual, totalsText } from './demo-text.ts'

/** The demo has a maximum duration, because the list of sent requests grows. */
const secondsMax = 3600
/** The default without a terminal, where nobody can press Ctrl-C. */
const unattendedSeconds = 8
const eventMs = 25
const redrawMs = 1000
const settleMsMax = 60_000

export function demoCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('demo')
    .description('run a demo: a sample gateway, traffic of many providers, the live page')
    .option(
      '--seconds <number>',
      `end after so long (default: on a terminal at Ctrl-C, at the latest after ${secondsMax}; else ${unattendedSeconds})`,
    )
    .addHelpText(
      'after',
      '\nNothing leaves this machine, and no key is needed. --listen, --admin and --ledger set addresses and file. Without --ledger, the ledger is removed at the end.',
    )
    .action(async (options: { readonly seconds?: string }, { args }: Command) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const seconds = Number(options.seconds ?? (io.stdout.isTTY === true ? secondsMax : unattendedSeconds))
      if (!(seconds > 0 && seconds <= secondsMax))
        return refuseUse(`--seconds ${JSON.stringify(options.seconds)} is no number up to ${secondsMax}.`)
      end(await demo(flags(), env, io, seconds, stopSignals(io)))
    })
}

async function demo(flags: Flags, env: Environment, io: Io, seconds: number, signals: StopSignals): Promise<number> {
  const { loadParts } = await import('../demo/parts.ts')
  const { startSidecar } = await import('../demo/sidecar.ts')
  const parts = await loadParts()
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-demo-'))
  const gateway = await parts.startSampleGateway({ eventMs })
  const undo = async () => {
    await gateway.close()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const places = {
      ledger: flags['ledger'] ?? join(folder, 'demo.db'),
      listen: flags['listen'] ?? '127.0.0.1:0',
      admin: flags['admin'] ?? '127.0.0.1:0',
    }
    const sidecar = await startSidecar({ upstream: gateway.url, ...places, env })
    const show = createShow(io, env)
    show.welcome(gateway, sidecar)
    let matches = false
    try {
      matches = await play({ parts, gateway, sidecar, ledger: places.ledger, seconds, signals, show })
    } finally {
      const code = await sidecar.stop()
      if (code !== 0) io.stderr.write(`The sidecar ended with ${code}:\n${sidecar.stderr()}`)
      matches = matches && code === 0
    }
    show.verdict(matches)
    return matches ? exit.done : exit.failed
  } finally {
    await undo()
  }
}

interface StopSignals {
  readonly first: Promise<void>
  /** The user pressed Ctrl-C again. */
  readonly second: Promise<void>
}

function stopSignals(io: Io): StopSignals {
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let count = 0
  io.onStopSignal(() => (++count === 1 ? first : second).resolve())
  return { first: first.promise, second: second.promise }
}

interface Play {
  readonly parts: Parts
  readonly gateway: SampleGateway
  readonly sidecar: Sidecar
  readonly ledger: string
  readonly seconds: number
  readonly signals: StopSignals
  readonly show: Show
}

async function play({ parts, gateway, sidecar, ledger: path, seconds, signals, show }: Play): Promise<boolean> {
  const { openDemoLedger } = await import('../demo/ledger.ts')
  const { startTraffic } = await import('../demo/traffic.ts')
  const ledger = openDemoLedger(path)
  const traffic = startTraffic({ url: sidecar.url, requests: parts.requests, send: parts.send, random: Math.random })
  const redraw = setInterval(() => show.totals(ledger, traffic, false), redrawMs)
  const late = new AbortController()
  const over = setTimeout(seconds * 1000, undefined, { signal: late.signal }).then(
    () => traffic.firstRound,
    () => undefined,
  )
  await Promise.race([signals.first, over])
  late.abort()
  clearInterval(redraw)
  show.stopping()
  await Promise.race([traffic.stop().then(() => settled(ledger, traffic, gateway, sidecar)), signals.second])
  show.totals(ledger, traffic, true)
  const comparisons = ledger.compare(traffic.sent, gateway.sent, sidecar.logged(streamedMessage))
  ledger.close()
  return show.comparisons(comparisons)
}

const streamedMessage = 'Streaming request logged'

/** Waits for late records: rows come in batches, the log is buffered, and the gateway notices a disconnect later than the sidecar. */
async function settled(ledger: DemoLedger, traffic: Traffic, gateway: SampleGateway, sidecar: Sidecar): Promise<void> {
  const until = performance.now() + settleMsMax
  const isSettled = () => {
    const compared = ledger.compare(traffic.sent, gateway.sent, sidecar.logged(streamedMessage))
    return compared.every(({ recorded, sent }) => recorded === sent)
  }
  while (!isSettled() && performance.now() < until) await setTimeout(50)
}

interface Show {
  welcome(gateway: SampleGateway, sidecar: Sidecar): void
  /** Redraws in place on a terminal; elsewhere only the last text is printed. */
  totals(ledger: DemoLedger, traffic: Traffic, isLast: boolean): void
  stopping(): void
  /** Whether all are equal. */
  comparisons(comparisons: readonly Comparison[]): boolean
  verdict(matches: boolean): void
}

function createShow({ stdout }: Io, env: Environment): Show {
  const paint = painter(stdout, env)
  const isTerminal = stdout.isTTY === true
  const width = () => (isTerminal ? terminalWidth(stdout, env) : undefined)
  let drawnLines = 0
  const draw = (text: string) => {
    if (drawnLines > 0) stdout.write(`\u001b[${drawnLines}A\u001b[J`)
    stdout.write(text)
    drawnLines = text.split('\n').length - 1
  }
  return {
    welcome(gateway, sidecar) {
      stdout.write(`${paint.bold('tokenweir demo')}
  sample gateway  ${gateway.url}
  tokenweir       ${sidecar.url}  ${paint.dim(`ready after ${Math.round(sidecar.ready)} ms`)}
  live page       ${paint.bold(sidecar.adminUrl)}
${isTerminal ? '  Ctrl-C ends it.\n' : ''}
`)
    },
    totals(ledger, traffic, isLast) {
      if (isTerminal || isLast)
        draw(
          totalsText(
            { totals: ledger.totals(), reasons: ledger.reasons(), sent: traffic.sent, recorded: ledger.closed() },
            isLast,
            width(),
            paint,
          ),
        )
    },
    stopping() {
      if (isTerminal) stdout.write('\u001b[2K\rStopping: answers under way may end …\n')
      drawnLines += isTerminal && drawnLines > 0 ? 1 : 0
    },
    comparisons(comparisons) {
      stdout.write(comparisonsText(comparisons, paint))
      return comparisons.every(isEqual)
    },
    verdict(matches) {
      stdout.write(matches ? `${paint.green('Everything matches.')}\n` : `${paint.red('Something does not match: see above.')}\n`)
    },
  }
}
