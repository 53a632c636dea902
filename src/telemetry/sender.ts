/**
 * The spool → the collector: the oldest first, one request under way for each signal, several packets in one request. What fails is sent
 * again, for ever and ever less often; what the collector refuses is halved until one packet is left, and that one dropped.
 */
import type { Meter } from './meter.ts'
import { merged, type Signal, type Spool, type TakeLimits, type Taken } from './packet.ts'
import type { Attempt, Transport } from './transport.ts'

export interface SenderOptions {
  readonly signal: Signal
  readonly transport: Transport
  readonly spool: Spool
  readonly meter: Meter
  /** A line for stderr; the same one comes with every attempt. */
  readonly report: (line: string) => void
  /** Records in one request. */
  readonly recordsMax: number
  /** How long records wait for company. */
  readonly delayMs: number
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }
  /** From 0 to 1. */
  readonly random?: () => number
}

export interface Sender {
  /** Sends all that waits, at once; gives up at the first failure. Resolves when nothing is under way, with the records left. */
  finish(): Promise<number>
}

const usualBackoff = { firstMs: 1000, maxMs: 30_000 }
const bytesMax = 2 ** 20
const packetsMax = 256

export function createSender(options: SenderOptions): Sender {
  const { signal, transport, spool, meter, report, recordsMax, delayMs, random = Math.random } = options
  const backoff = options.backoff ?? usualBackoff
  const failures = meter.counter('tokenweir.spool.failures', { signal })
  const what = signal === 'traces' ? 'spans' : 'log records'
  const usual: TakeLimits = { packetsMax, recordsMax, bytesMax }
  let limits = usual
  let attempts = 0
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> | undefined
  let isFinishing = false
  let isFailing = false

  function wake(ms: number): void {
    if (timer !== undefined || working !== undefined || isFinishing) return
    timer = setTimeout(() => {
      timer = undefined
      work()
    }, ms).unref()
  }

  function work(): void {
    working = drain().finally(() => {
      working = undefined
      if (spool.depth(signal) > 0) wake(isFailing ? pauseMs : delayMs)
    })
  }

  let pauseMs = 0

  /** Until nothing waits that is worth a request, or one fails. */
  async function drain(): Promise<void> {
    do {
      const taken = spool.take(signal, limits)
      if (taken === undefined) return
      if (!(await sendOne(taken))) return
      // Batches of live traffic go between two requests.
      await new Promise(setImmediate)
    } while (isFinishing || spool.depth(signal) >= recordsMax || limits !== usual)
  }

  async function sendOne(taken: Taken): Promise<boolean> {
    const sent = transport.send(taken.encoding, merged(taken.encoding, taken.bodies))
    if (sent === undefined) {
      spool.putBack(taken)
      failed(
        `were written as ${taken.encoding}, which this protocol cannot carry; set OTEL_EXPORTER_OTLP_PROTOCOL=http/json to send them`,
        undefined,
      )
      return false
    }
    const attempt = await sent.catch((error: Error): Attempt => ({ kind: 'failed', message: error.message }))
    switch (attempt.kind) {
      case 'delivered':
        spool.settle(taken, attempt)
        if (attempt.rejected > 0) report(`The collector rejected ${attempt.rejected} ${what}: ${attempt.message ?? 'it did not say why'}`)
        succeeded()
        return true
      case 'refused':
        refused(taken, attempt.message)
        return true
      case 'failed':
        spool.putBack(taken)
        failures.add(1)
        failed(`cannot be exported: ${attempt.message}. They wait in the spool`, attempt.retryAfterMs)
        return false
    }
  }

  function succeeded(): void {
    if (isFailing) report(`The ${what} can be exported again.`)
    isFailing = false
    attempts = 0
    // After a refusal the rest of the halves is tried in ever larger parts.
    limits = limits.packetsMax * 2 >= packetsMax ? usual : { ...limits, packetsMax: limits.packetsMax * 2 }
  }

  function refused(taken: Taken, message: string): void {
    failures.add(1)
    if (taken.bodies.length === 1) {
      spool.settle(taken, { kind: 'refused' })
      report(`The collector refused ${what}: ${message}. They are dropped and counted.`)
      succeeded()
      return
    }
    spool.putBack(taken)
    limits = { ...usual, packetsMax: Math.ceil(taken.bodies.length / 2) }
  }

  function failed(sentence: string, retryAfterMs: number | undefined): void {
    isFailing = true
    report(`The ${what} ${sentence}.`)
    const most = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempts++, 20))
    pauseMs = Math.max(retryAfterMs ?? 0, most * (0.5 + random() / 2))
  }

  spool.onArrival((arrived) => {
    if (arrived !== signal || isFailing) return
    if (spool.depth(signal) >= recordsMax && working === undefined) {
      clearTimeout(timer)
      timer = undefined
      wake(0)
    } else wake(delayMs)
  })
  if (spool.depth(signal) > 0) wake(0)

  return {
    async finish() {
      clearTimeout(timer)
      timer = undefined
      isFinishing = true
      if (working !== undefined) await working
      // Where the last attempt failed, that was it: no stop waits for a collector that is away.
      if (!isFailing) await drain()
      return spool.depth(signal)
    },
  }
}
