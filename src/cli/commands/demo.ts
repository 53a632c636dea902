/** `tokenweir demo`: a gateway whose log loses streams, the sidecar in front of it, traffic that does not stop, and both records side by side. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Command } from 'commander'
import { terminalWidth } from '../../lib/terminal.ts'
import type { Parts, SampleGateway } from '../demo/parts.ts'
import type { Sidecar } from '../demo/sidecar.ts'
import { isRight, storyRows } from '../demo/story.ts'
import { type CommandContext, type Environment, exit, type Flags, type Io, painter } from './context.ts'
import { type Places, type Standing, standingText, welcomeText } from './demo-text.ts'

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
    .description('run a demo: a gateway that loses its streams, traffic of many providers, the live page')
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
  const logFile = join(folder, 'gateway.log')
  const gateway = await parts.startSampleGateway({ eventMs, logFile })
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
    show.welcome({ gateway: gateway.url, sidecar: sidecar.url, page: sidecar.adminUrl, readyMs: sidecar.ready })
    let verdict: Verdict = 'differs'
    try {
      verdict = await play({ parts, gateway, logFile, sidecar, ledger: places.ledger, seconds, signals, show })
    } finally {
      const code = await sidecar.stop()
      if (code !== 0) {
        io.stderr.write(`The sidecar ended with ${code}:\n${sidecar.stderr()}`)
        verdict = 'differs'
      }
    }
    show.verdict(verdict)
    return verdict === 'matches' ? exit.done : exit.failed
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
  io.onHangup(() => {
    // The terminal was closed: nobody waits for what is open.
    first.resolve()
    second.resolve()
  })
  return { first: first.promise, second: second.promise }
}

interface Play {
  readonly parts: Parts
  readonly gateway: SampleGateway
  /** The gateway's own request log. */
  readonly logFile: string
  readonly sidecar: Sidecar
  readonly ledger: string
  readonly seconds: number
  readonly signals: StopSignals
  readonly show: Show
}

/** `stopped`: a second Ctrl-C came before all responses. */
type Verdict = 'matches' | 'differs' | 'stopped'

async function play({ parts, gateway, logFile, sidecar, ledger: path, seconds, signals, show }: Play): Promise<Verdict> {
  const { openDemoLedger } = await import('../demo/ledger.ts')
  const { readGatewayLog } = await import('../demo/gateway-log.ts')
  const { startTraffic } = await import('../demo/traffic.ts')
  const ledger = openDemoLedger(path)
  const traffic = startTraffic({ url: sidecar.url, requests: parts.requests, send: parts.send, random: Math.random })
  const story = (isOver: boolean) =>
    storyRows(
      { log: readGatewayLog(logFile), ledger: ledger.recorded(), logged: sidecar.logged('Streaming request logged') },
      isOver ? { requests: traffic.sent, sent: gateway.sent, told: ledger.told() } : undefined,
    )
  const standing = (isOver: boolean): Standing => {
    const [totals, reasons, recorded] = [ledger.totals(), ledger.reasons(), ledger.recorded().requests]
    return { story: story(isOver), totals, reasons, sent: traffic.sent, recorded, isRunning: !isOver }
  }
  const redraw = setInterval(() => show.redraw(() => standing(false)), redrawMs)
  const late = new AbortController()
  const over = setTimeout(seconds * 1000, undefined, { signal: late.signal }).then(
    () => traffic.firstRound,
    () => undefined,
  )
  await Promise.race([signals.first, over])
  late.abort()
  clearInterval(redraw)
  show.stopping()
  const isRecorded = () => story(true).every(isRight)
  const isOver = await Promise.race([traffic.stop().then(() => settled(isRecorded)), signals.second.then(() => false)])
  show.last(standing(isOver))
  const verdict = !isOver ? 'stopped' : isRecorded() ? 'matches' : 'differs'
  ledger.close()
  return verdict
}

/** Waits for late records: rows come in batches, the log is buffered, and the gateway notices a disconnect later than the sidecar. */
async function settled(isRecorded: () => boolean): Promise<true> {
  const until = performance.now() + settleMsMax
  while (!isRecorded() && performance.now() < until) await setTimeout(50)
  return true
}

interface Show {
  welcome(places: Places): void
  /** In place on a terminal; elsewhere only the last text is printed. */
  redraw(standing: () => Standing): void
  last(standing: Standing): void
  stopping(): void
  verdict(verdict: Verdict): void
}

function createShow({ stdout }: Io, env: Environment): Show {
  const paint = painter(stdout, env)
  const isTerminal = stdout.isTTY === true
  let drawnLines = 0
  const draw = (standing: Standing) => {
    const text = standingText(standing, isTerminal ? terminalWidth(stdout, env) : undefined, paint)
    if (drawnLines > 0) stdout.write(`\u001b[${drawnLines}A\u001b[J`)
    stdout.write(text)
    drawnLines = text.split('\n').length - 1
  }
  return {
    welcome: (places) => void stdout.write(welcomeText(places, isTerminal, paint)),
    redraw: (standing) => isTerminal && draw(standing()),
    last: draw,
    stopping() {
      if (isTerminal) stdout.write('\u001b[2K\rStopping: responses under way may end …\n')
      drawnLines += isTerminal && drawnLines > 0 ? 1 : 0
    },
    verdict(verdict) {
      const text = sentences[verdict]
      stdout.write(`${verdict === 'matches' ? paint.green(text) : paint.red(text)}\n`)
    },
  }
}

const sentences: Readonly<Record<Verdict, string>> = {
  matches: 'Everything matches.',
  differs: 'Something does not match: see above.',
  stopped: 'Stopped while requests were in flight: nothing was compared.',
}
