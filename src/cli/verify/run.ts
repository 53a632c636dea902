/** The checks of `tokenweir verify`, without its output: sends a streamed and a plain request through a running sidecar, and looks for their records. */
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Route } from '../../config/config.ts'
import { containerOf } from '../../lib/container.ts'
import type { Ids } from '../../lib/ids.ts'
import { at, parseJson } from '../../lib/json.ts'
import { planTelemetry } from '../../telemetry/environment.ts'
import { type Check, clockWarning } from '../checks.ts'
import { otherSidecar } from '../instance.ts'
import { type Counters, type Readiness, readCounters, readiness, rowOfTrace } from './admin.ts'
import { type Api, ask, type Reply } from './ask.ts'
import { diagnose } from './diagnose.ts'
import {
  judgeAnswer,
  judgeClients,
  judgeLedgerFile,
  judgeLog,
  judgeProxy,
  judgeRecording,
  judgeRow,
  judgeSidecar,
  judgeSpans,
  judgeTelemetry,
  spansSettled,
  theSame,
  withMistake,
} from './judge.ts'
import { findRow, type Lookup, type VerifiedRow } from './ledger-row.ts'

export interface VerifyOptions {
  readonly sidecar: URL
  readonly admin: URL
  readonly ledger: string
  /** The admin token, where the sidecar has one. */
  readonly adminToken: string | undefined
  /** The file to which the sidecar's standard output goes, if there is one. */
  readonly log: string | undefined
  readonly api: Api
  readonly path: string
  readonly model: string
  readonly headers: Readonly<Record<string, string>>
  /** Time limit for one response. */
  readonly timeoutMs: number
  /** Time limit for records to appear after the responses. */
  readonly waitMs: number
  /** As far as this command's configuration names them. */
  readonly routes: readonly Route[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly ids: Pick<Ids, 'traceId' | 'spanId'>
  /** Called with the current step, for a progress line. */
  readonly onStep: (what: string) => void
}

const pollMs = 100
const unchangedWaitMs = 2000
/** Only the last bytes of a log are searched. */
const logBytesMax = 64 * 1024 * 1024

interface Sent {
  readonly streamed: boolean
  readonly traceId: string
  readonly sinceMs: number
  readonly reply: Reply
  readonly check: Check
}

/** Runs every check, in the order of a request's path. Never rejects because of a peer. */
export async function verify(options: VerifyOptions): Promise<readonly Check[]> {
  options.onStep('Asking the sidecar whether it is ready')
  const ready = await readiness(options.admin).catch(failure)
  const sidecar = judgeSidecar(options.admin, ready)
  if (ready === undefined || 'failure' in ready) return [sidecar]
  const other = await otherSidecar(options.admin, options.ledger)
  return [
    ...(sidecar.status === 'ok' ? [sidecar] : []),
    ...[judgeLedgerFile(other) ?? []].flat(),
    ...(await verifySent({ ...options, other }, sidecar)),
  ]
}

/** Whether the ledger's file is for certain that of another sidecar: a sentence. */
type Asked = VerifyOptions & { readonly other: string | undefined }

async function verifySent(options: Asked, sidecar: Check): Promise<readonly Check[]> {
  options.onStep('Sending a streamed request')
  const first = await readCounters(options.admin).catch(() => nothingCounted)
  const { before, stream } = await sendStream(options)
  if ('failure' in stream.reply) return [...(sidecar.status === 'ok' ? [] : [sidecar]), stream.check, ...warnings(options, stream, first)]
  options.onStep('Sending a plain request')
  const sent = [stream, await send(options, false, stream)]
  options.onStep('Waiting for the records')
  return [...(await recorded(options, sent, before)), ...warnings(options, stream, first)]
}

/** What may be wrong around the sidecar; nothing where nothing is. */
function warnings({ env, sidecar }: VerifyOptions, { reply }: Sent, first: Counters): readonly Check[] {
  const answered = 'failure' in reply || reply.ownError !== undefined ? undefined : reply
  return [
    clockWarning('the upstream', answered?.aheadMs),
    judgeClients(first, sidecar),
    judgeProxy(env, sidecar),
    judgeTelemetry(planTelemetry(env).problems.filter((problem) => problem.includes('_ENDPOINT'))),
  ].filter((check) => check !== undefined)
}

/** Of an upstream's first streams, those that may pass unchanged: see `proxy/inject/capabilities`. */
const unchangedMax = 2

/** The first stream that the sidecar does not let pass unchanged in order to learn what the upstream does; `before` is what was counted before it. */
async function sendStream(options: Asked): Promise<{ readonly before: Counters; readonly stream: Sent }> {
  for (let unchanged = 0; ; unchanged++) {
    const before = await readCounters(options.admin).catch(() => nothingCounted)
    const stream = await send(options, true)
    if (unchanged === unchangedMax || stream.check.status !== 'ok' || !(await wasUnchanged(options, stream))) return { before, stream }
    options.onStep('Sending another streamed request: the sidecar let the last one pass unchanged, to see what the upstream does')
  }
}

async function wasUnchanged(options: Asked, sent: Sent): Promise<boolean> {
  const begun = performance.now()
  let lookup = await lookUp(options, sent)
  while ('row' in lookup && lookup.row === undefined && performance.now() - begun < Math.min(options.waitMs, unchangedWaitMs)) {
    await setTimeout(pollMs)
    lookup = await lookUp(options, sent)
  }
  if (!('row' in lookup) || lookup.row === undefined) return false
  const { usage_reason: reason, notes } = lookup.row
  return reason === 'not_requested' && (notes === undefined || notes?.includes('usage_probe') === true)
}

const failure = (error: Error) => ({ failure: ((error.cause ?? error) as NodeJS.ErrnoException).code ?? error.message })

const nothingCounted: Counters = {
  requests: undefined,
  logWritten: undefined,
  logDropped: undefined,
  spansDelivered: undefined,
  spansDropped: undefined,
  spanFailures: undefined,
  spansWaiting: undefined,
  exportsSpans: false,
}

/** `before`: the other request, which may have failed in the same way. */
async function send({ ids, sidecar, ...options }: VerifyOptions, streamed: boolean, before?: Sent): Promise<Sent> {
  const traceId = ids.traceId()
  const sinceMs = Date.now()
  const question = { ...options, sidecar, streamed, traceId, spanId: ids.spanId() }
  const reply = await ask(question)
  const judged = judgeAnswer(nameOf('answer', streamed), streamed, sidecar, reply)
  const sent = (check: Check): Sent => ({ streamed, traceId, sinceMs, reply, check })
  if (judged.status !== 'failed' || 'failure' in reply) return sent(judged)
  if (before?.check.status === 'failed' && !('failure' in before.reply) && before.reply.status === reply.status)
    return sent(theSame(judged.name))
  const base = sidecar.pathname.replace(/\/+$/, '')
  const askAt = (path: string) => ask({ ...question, sidecar: new URL(sidecar.origin), path, traceId: ids.traceId(), spanId: ids.spanId() })
  const { routes, path, env } = options
  const mistake = await diagnose({ routes, path: (base + path).split('?', 1)[0] as string, container: containerOf(env), askAt }, reply)
  return sent(mistake === undefined ? judged : withMistake(judged, reply, mistake))
}

const nameOf = (what: string, streamed: boolean) => `${streamed ? 'stream' : 'plain'}: ${what}`

interface Seen {
  readonly lookups: readonly Lookup[]
  readonly logFound: number | { readonly unreadable: string } | undefined
  readonly after: Counters
  readonly ready: Readiness | undefined
}

/** Looks in the ledger file. Where that is unreadable or belongs to another sidecar, asks the sidecar. */
async function lookUp({ ledger, admin, adminToken, other }: Asked, { traceId, sinceMs, reply }: Sent): Promise<Lookup> {
  const inFile: Lookup =
    other !== undefined
      ? { unreadable: 'it is the ledger of another sidecar' }
      : findRow(ledger, { traceId, sinceMs, responseId: 'failure' in reply ? undefined : reply.facts?.id })
  if ('row' in inFile && inFile.row !== undefined) return inFile
  const told = await rowOfTrace(admin, adminToken, traceId, sinceMs)
  return told === 'refused' ? inFile : { row: told as unknown as VerifiedRow | undefined }
}

async function recorded(options: Asked, sent: readonly Sent[], before: Counters): Promise<readonly Check[]> {
  const begun = performance.now()
  const look = async (): Promise<Seen> => ({
    lookups: await Promise.all(sent.map((one) => lookUp(options, one))),
    logFound: options.log === undefined ? undefined : foundInLog(options.log, sent),
    after: await readCounters(options.admin).catch(() => nothingCounted),
    ready: await readiness(options.admin).catch(() => undefined),
  })
  let seen = await look()
  while (!isSettled(seen, before, sent.length) && performance.now() - begun < options.waitMs) {
    await setTimeout(pollMs)
    seen = await look()
  }
  return judged(options, sent, { ...seen, before, waitedMs: performance.now() - begun })
}

/** Whether every expected record has arrived. A sidecar that exports no spans has none to wait for. */
function isSettled({ lookups, logFound, after, ready }: Seen, before: Counters, sent: number): boolean {
  const rows = lookups.every((lookup) => 'unreadable' in lookup || lookup.row !== undefined) || ready?.ready === false
  const lines = logFound === undefined ? (after.logWritten ?? sent) - (before.logWritten ?? 0) >= sent : logFound === sent
  return rows && lines && (!after.exportsSpans || spansSettled({ before, after, sent }))
}

interface Judged extends Seen {
  readonly before: Counters
  readonly waitedMs: number
}

function judged(options: Asked, sent: readonly Sent[], { lookups, logFound, before, after, ready, waitedMs }: Judged): readonly Check[] {
  const count = sent.length
  const counted = (after.requests ?? 0) - (before.requests ?? 0) >= count
  const answers = sent.flatMap(({ streamed, check }, index) => {
    const name = nameOf('ledger row', streamed)
    const lookup = lookups[index] as Lookup
    const found = 'row' in lookup && lookup.row !== undefined
    const skipped: Check = { name, status: 'skipped', what: `${found ? 'a row' : 'no row'}; without its answer there is no usage` }
    const view = { path: options.ledger, lookup, readiness: ready, counted }
    return [check, check.status === 'ok' ? judgeRow(name, options.api, streamed, view) : skipped]
  })
  const file =
    options.log === undefined || logFound === undefined
      ? undefined
      : {
          path: options.log,
          found: typeof logFound === 'number' ? logFound : 0,
          unreadable: typeof logFound === 'number' ? undefined : logFound.unreadable,
        }
  const log: Check =
    file === undefined && !counted
      ? { name: 'log line', status: 'skipped', what: 'the sidecar at the admin address counted no such requests' }
      : judgeLog({ file, before, after, sent: count })
  const span: Check = counted
    ? judgeSpans({ before, after, sent: count, waitedMs })
    : { name: 'span', status: 'skipped', what: 'the sidecar at the admin address counted no such requests' }
  const isMissing = lookups.some((lookup) => !('row' in lookup && lookup.row !== undefined))
  const sidecar =
    ready?.ready === false ? [judgeSidecar(options.admin, ready)] : isMissing && ready?.problems.length ? [judgeRecording(ready)] : []
  return [...answers, log, span, ...sidecar]
}

/** How many of these requests have their line in the log, with the `msg` of a stream for the streamed one. */
function foundInLog(path: string, sent: readonly Sent[]): number | { readonly unreadable: string } {
  try {
    const text = readFileSync(path).subarray(-logBytesMax).toString('utf8')
    return sent.filter(({ traceId, streamed, reply }) => {
      const line = text.split('\n').find((one) => one.includes(traceId))
      const isStream = streamed && !('failure' in reply) && reply.status < 400
      return line !== undefined && (at(parseJson(line), 'msg') === 'Streaming request logged') === isStream
    }).length
  } catch (error) {
    return { unreadable: (error as Error).message }
  }
}
