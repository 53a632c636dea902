/**
 * What waits → the collector: the oldest first, one request under way for each signal. What fails is sent again, for ever and ever less often; what
 * the collector refuses is halved until one record is left, and that one dropped.
 */
import type { Attempt } from './attempt.ts'
import { recordsOf, type Signal } from './signal.ts'
import type { SpoolCounters } from './spool-counters.ts'

/** What one request carries. */
export interface Batch {
  /** Of that many parts; a batch of one cannot be halved. */
  readonly size: number
  /** Spans or log records. Nothing is sent for a batch without any. */
  readonly records: number
  /** Of the records, those that an earlier process or recorder left. */
  readonly replayed: number
  send(): Promise<Attempt>
  /** It waits no more. */
  settle(): void
}

/** Where batches come from. */
export interface Source {
  /** The oldest that waits, of that many parts at most. */
  take(limit: number): Batch | undefined
  /** Records that wait. */
  depth(): number
}

export interface SenderOptions {
  readonly signal: Signal
  /** The first that has something is taken from. */
  readonly sources: readonly Source[]
  readonly counters: SpoolCounters
  /** A line for stderr; the same one comes with every attempt. */
  readonly report: (line: string) => void
  /** Records in one request. */
  readonly recordsMax: number
  /** How long records wait for company. */
  readonly delayMs: number
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }
  /** How long one request may take at a stop. */
  readonly stopMsMax?: number
  /** From 0 to 1. */
  readonly random?: () => number
}

export interface Sender {
  /** Records have come, or may have. */
  arrived(): void
  /** An earlier process may have left some: they have waited long enough. */
  leftover(): void
  /** A request is under way. */
  isSending(): boolean
  /** Sends all that waits, at once; gives up at the first failure. Resolves when nothing is under way, with the records left. */
  finish(): Promise<number>
}

const usualBackoff = { firstMs: 1000, maxMs: 30_000 }
/** The SDK's exporter tries again by itself for about ten seconds: no stop waits that long for a collector that is away. */
const stopUsualMsMax = 2000

/** `idle`: a timer may run, until records have had company. `pausing`: the last request failed. `stopped`: what waits is for the next process. */
type State = 'idle' | 'sending' | 'pausing' | 'finishing' | 'stopped'

interface Inside {
  readonly options: SenderOptions
  state: State
  timer: NodeJS.Timeout | undefined
  working: Promise<void> | undefined
  /** Gives the request under way the time of a stop. */
  hurry: (() => void) | undefined
  /** Of parts; less than usual after a refusal. */
  limit: number
  failuresInTurn: number
}

export function createSender(options: SenderOptions): Sender {
  const inside: Inside = {
    options,
    state: 'idle',
    timer: undefined,
    working: undefined,
    hurry: undefined,
    limit: options.recordsMax,
    failuresInTurn: 0,
  }
  return {
    arrived: () => arrived(inside),
    leftover() {
      if (inside.state === 'idle' && depthOf(inside) > 0) wake(inside, 0)
    },
    isSending: () => inside.working !== undefined,
    finish: () => finish(inside),
  }
}

const depthOf = ({ options }: Inside) => options.sources.reduce((sum, source) => sum + source.depth(), 0)

function arrived(inside: Inside): void {
  const depth = depthOf(inside)
  if (inside.state !== 'idle' || depth === 0) return
  wake(inside, depth >= inside.options.recordsMax ? 0 : inside.options.delayMs)
}

/** In that time, or earlier where a timer runs already that ends before. */
function wake(inside: Inside, ms: number): void {
  if (ms === 0) clearTimer(inside)
  inside.timer ??= setTimeout(() => {
    inside.timer = undefined
    inside.state = 'sending'
    inside.working = drain(inside).finally(() => {
      inside.working = undefined
      if (inside.state === 'sending') inside.state = 'idle'
      if (inside.state === 'idle') arrived(inside)
      else if (inside.state === 'pausing') wake(inside, pauseMs(inside))
    })
  }, ms).unref()
}

function clearTimer(inside: Inside): void {
  clearTimeout(inside.timer)
  inside.timer = undefined
}

/** Until nothing waits that is worth a request, or one fails. */
async function drain(inside: Inside): Promise<void> {
  const { sources, recordsMax } = inside.options
  do {
    const batch = takeFrom(inside, sources)
    if (batch === undefined || !(await sendOne(inside, batch))) return
    // Batches of live traffic go between two requests.
    await new Promise(setImmediate)
  } while (inside.state === 'finishing' || depthOf(inside) >= recordsMax || inside.limit < recordsMax)
}

function takeFrom(inside: Inside, sources: readonly Source[]): Batch | undefined {
  try {
    for (const source of sources) {
      const batch = source.take(inside.limit)
      if (batch !== undefined) return batch
    }
  } catch (error) {
    failed(inside, `the ledger cannot be read (${(error as Error).message})`)
  }
  return undefined
}

async function sendOne(inside: Inside, batch: Batch): Promise<boolean> {
  const { counters, report, signal } = inside.options
  const what = recordsOf[signal]
  const attempt: Attempt = batch.records === 0 ? { kind: 'delivered', rejected: 0 } : await bounded(inside, batch.send())
  if (attempt.kind === 'failed') {
    failed(inside, attempt.message)
    return false
  }
  if (attempt.kind === 'refused' && batch.size > 1) {
    counters.failures.add(1)
    inside.limit = Math.ceil(batch.size / 2)
    return true
  }
  if (attempt.kind === 'refused') {
    counters.failures.add(1)
    counters.dropped('refused', batch.records)
    report(`The collector refused ${what}: ${attempt.message}. They are dropped and counted.`)
  } else {
    const rejected = Math.min(attempt.rejected, batch.records)
    counters.dropped('rejected', rejected)
    counters.delivered.add(batch.records - rejected)
    counters.replayed.add(Math.max(0, batch.replayed - rejected))
    if (rejected > 0) report(`The collector rejected ${rejected} ${what}: ${attempt.message ?? 'it did not say why'}`)
  }
  batch.settle()
  succeeded(inside)
  return true
}

/** From the stop on, a request has less time than the SDK would give it. */
function bounded(inside: Inside, sent: Promise<Attempt>): Promise<Attempt> {
  const { stopMsMax = stopUsualMsMax } = inside.options
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const hurry = () => {
      timer ??= setTimeout(resolve, stopMsMax, { kind: 'failed', message: `no answer within ${stopMsMax} ms of the stop` })
    }
    inside.hurry = hurry
    if (inside.state === 'finishing') hurry()
    void sent.then((attempt) => {
      clearTimeout(timer)
      resolve(attempt)
    })
  })
}

function succeeded(inside: Inside): void {
  const { report, signal, recordsMax } = inside.options
  if (inside.failuresInTurn > 0) report(`The ${recordsOf[signal]} can be exported again.`)
  inside.failuresInTurn = 0
  // After a refusal the rest of the halves is tried in ever larger parts.
  inside.limit = Math.min(recordsMax, inside.limit * 2)
}

function failed(inside: Inside, message: string): void {
  const { counters, report, signal } = inside.options
  counters.failures.add(1)
  inside.failuresInTurn++
  if (inside.state === 'sending') inside.state = 'pausing'
  report(`The ${recordsOf[signal]} cannot be exported: ${message}. They wait in the spool.`)
}

/** Twice as long after each failure, and spread, so that sidecars do not come back all at once. */
function pauseMs({ options, failuresInTurn }: Inside): number {
  const { backoff = usualBackoff, random = Math.random } = options
  return Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(failuresInTurn - 1, 20)) * (0.5 + random() / 2)
}

async function finish(inside: Inside): Promise<number> {
  clearTimer(inside)
  const wasFailing = inside.failuresInTurn > 0
  inside.state = 'finishing'
  // Where the last request failed, that was it: no stop waits for a collector that is away.
  inside.hurry?.()
  await inside.working
  if (!wasFailing && inside.failuresInTurn === 0) await drain(inside)
  inside.state = 'stopped'
  return depthOf(inside)
}
