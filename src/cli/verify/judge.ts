/** Turns observations into checks: passed, failed with an actionable message, or skipped. Pure. All text that `verify` prints about a check is here. */

import type { Mistake } from '../../conclude/mistakes.ts'
import { type Check, failed, ok, skipped, warned } from '../checks.ts'
import type { Counters, Readiness } from './admin.ts'
import type { Answered, Api, Reply } from './ask.ts'
import type { Lookup, VerifiedRow } from './ledger-row.ts'

export function judgeSidecar(admin: URL, seen: Readiness | undefined | { readonly failure: string }): Check {
  const name = 'sidecar'
  if (seen === undefined) {
    return failed(
      name,
      `What answers at ${admin.origin} is not tokenweir.`,
      'Name its admin address with --admin URL (the setting admin, 127.0.0.1:4142 by default).',
    )
  }
  if ('failure' in seen) {
    return failed(
      name,
      `Nothing answers at ${admin.origin} (${seen.failure}).`,
      'Start the sidecar (tokenweir --upstream URL), or name its admin address with --admin URL.',
    )
  }
  const { problems } = seen
  if (seen.ready)
    return ok(name, [`ready at ${admin.origin}`, ...(problems.length === 0 ? [] : ['of its records it says:']), ...problems].join(' '))
  const reasons = seen.reasons.join(' ')
  return failed(name, `It says that it is not ready: ${reasons}`, readinessMend(reasons))
}

/** Where a row did not come. */
export function judgeRecording({ problems }: Readiness): Check {
  return failed('sidecar', `It says that its records are in trouble: ${problems.join(' ')}`, readinessMend(problems.join(' ')))
}

/** Beside the checks of what was sent; undefined when it is the ledger of that sidecar, as far as can be told. */
export function judgeLedgerFile(other: string | undefined): Check | undefined {
  return other === undefined
    ? undefined
    : skipped('ledger file', `${other} The rows are asked of the sidecar; name its own ledger with --ledger FILE.`)
}

function readinessMend(reasons: string): string {
  return /ledger/i.test(reasons)
    ? 'Give its user write access to the ledger file and its folder, and room on the disk; what it said on stderr names the cause. The rows wait, and are written then.'
    : 'Look at what it said on stderr.'
}

export function judgeAnswer(name: string, streamed: boolean, sidecar: URL, reply: Reply): Check {
  if ('failure' in reply) return unanswered(name, sidecar, reply)
  const { status, facts } = reply
  if (status < 200 || status > 299) return refused(name, reply)
  if (/html/i.test(reply.contentType)) return failed(name, saying(reply), 'Is the address of the upstream that of a model API?')
  if (streamed !== reply.streamed) {
    return streamed
      ? failed(
          name,
          `200, but not as a stream: ${reply.contentType || 'no content type'}.`,
          'Does something in between gather streams? Or choose another --api or --path.',
        )
      : failed(name, `200, but as a stream that nobody asked for: ${reply.contentType}.`, 'Choose another --path.')
  }
  if (facts?.error !== undefined) return failed(name, `An error came inside the answer: ${facts.error.type}.`, 'Ask the upstream why.')
  if (streamed && facts?.finished !== true) {
    return failed(
      name,
      `The stream ended after ${reply.messages} events without its last one.`,
      'Something cut it: a time limit of the upstream or of a proxy in between.',
    )
  }
  const took = `${Math.round(reply.durationMs)} ms`
  return ok(name, streamed ? `${status}, ${reply.messages} events in ${took}` : `${status}, ${reply.bytes} bytes in ${took}`)
}

/** The answer in the upstream's own words. */
function saying({ status, said, facts }: Answered): string {
  const words = said ?? facts?.error?.message
  return `${status}${words === undefined ? '' : `: ${words.replace(/\.?$/, '.')}`}`
}

/** A failed answer with its reason. */
export function withMistake(check: Check, reply: Answered, { what, mend }: Mistake): Check {
  return { ...check, what: `${saying(reply)} ${what}`, mend }
}

/** The plain request failed as the stream did. */
export const theSame = (name: string): Check => ({ name, status: 'failed', what: 'The same as of the stream.' })

/** Undefined where clients have sent something before. */
export function judgeClients({ requests = 0, logWritten }: Counters, sidecar: URL): Check | undefined {
  if (requests > 0 || logWritten === undefined) return undefined // without any counter nothing could be read
  return warned(
    'clients',
    'No client has sent a request to this sidecar yet.',
    `If yours are running, they talk to the gateway itself: set their base URL to ${sidecar.origin}/v1 (Anthropic's clients: ${sidecar.origin}).`,
  )
}

/** Most clients send even requests to this machine through such a proxy. */
export function judgeProxy(env: Readonly<Record<string, string | undefined>>, sidecar: URL): Check | undefined {
  const set = ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'].find((name) => (env[name] ?? '') !== '')
  const exempt = (env['no_proxy'] || env['NO_PROXY'] || '').split(/[\s,]+/)
  const host = sidecar.hostname.replace(/^\[|\]$/g, '')
  if (set === undefined || exempt.includes('*') || exempt.includes(host)) return undefined
  return warned(
    'client proxy',
    `${set} is set here: clients that obey it, such as curl and Python's, send requests for ${host} to that proxy.`,
    `Add ${host} to NO_PROXY of the clients.`,
  )
}

export function judgeTelemetry(problems: readonly string[]): Check | undefined {
  if (problems.length === 0) return undefined
  return warned('telemetry', problems.join(' '), 'Write the variable as http://host:4318 (gRPC: http://host:4317).')
}

function unanswered(name: string, sidecar: URL, { failure, detail }: Exclude<Reply, Answered>): Check {
  switch (failure) {
    case 'refused':
      return failed(
        name,
        `Nothing answers at ${sidecar.origin} (${detail}).`,
        'Start the sidecar (tokenweir --upstream URL), or name where it listens with --sidecar URL.',
      )
    case 'timeout':
      return failed(name, 'No whole answer in time.', 'Ask a faster model with --model, or wait longer with --timeout SECONDS.')
    case 'broken':
      return /WRONG_VERSION_NUMBER|PACKET_LENGTH/.test(detail)
        ? failed(name, `${sidecar.host} speaks plain HTTP, and was spoken to by TLS.`, `Write --sidecar http://${sidecar.host}.`)
        : failed(
            name,
            `The connection broke (${detail}).`,
            'Is it the sidecar that listens there? If it speaks TLS, write --sidecar https://HOST.',
          )
  }
}

/** The admin port's 404 message. */
const adminNotFound = 'There is no such page.'

function refused(name: string, reply: Answered): Check {
  const { status, ownError } = reply
  if (reply.said === adminNotFound) return failed(name, 'That is an admin address.', 'Name the address for clients with --sidecar URL.')
  const what = saying(reply)
  if (ownError?.startsWith('upstream_') === false) {
    return failed(name, `${what} The sidecar itself says so (${ownError}).`, 'docs/troubleshooting.md says of each such answer what to do.')
  }
  if (ownError !== undefined) {
    return failed(
      name,
      `${what} The sidecar itself says so (${ownError}).`,
      'Is the upstream running, and is --upstream of the sidecar its address? In a container 127.0.0.1 is the container itself: for a gateway on the host write host.docker.internal.',
    )
  }
  switch (status) {
    case 401:
    case 403:
      return failed(
        name,
        `${what} The upstream does not let this request in.`,
        "Name the variable that holds its key with --key-env NAME, or send a header with --header 'NAME: VALUE'.",
      )
    case 404:
      return failed(
        name,
        `${what} The upstream does not know the path or the model.`,
        'Name a model that it has with --model, or its path with --path.',
      )
    case 429:
      return failed(name, `${what} The upstream has had enough requests.`, 'Try again later, or with another key.')
    default:
      return failed(
        name,
        what,
        status < 500 ? 'Name another --model, --api or --path; the upstream refuses what it was asked.' : 'Ask the upstream why.',
      )
  }
}

export interface LedgerView {
  readonly path: string
  readonly lookup: Lookup
  readonly readiness: Readiness | undefined
  /** The sidecar has counted at least as many requests more as were sent. */
  readonly counted: boolean
}

export function judgeRow(name: string, api: Api, streamed: boolean, { path, lookup, readiness, counted }: LedgerView): Check {
  if ('unreadable' in lookup) {
    return failed(
      name,
      `The ledger ${path} cannot be read here: ${lookup.unreadable}.`,
      'Name the file of the running sidecar with --ledger FILE; of a container, run verify inside it.',
    )
  }
  const { row } = lookup
  if (row !== undefined) return judgeUsage(name, api, streamed, row)
  const trouble = [...(readiness?.reasons ?? []), ...(readiness?.problems ?? [])].join(' ')
  if (trouble !== '') return failed(name, `No row: ${trouble}`, readinessMend(trouble))
  return counted
    ? failed(name, `No row in ${path}.`, 'Is that the ledger of this sidecar? Name it with --ledger FILE.')
    : failed(
        name,
        'No row, and the sidecar at the admin address has counted no such request.',
        'The request did not pass through it: is --sidecar its own address, and not that of the gateway?',
      )
}

function judgeUsage(name: string, api: Api, streamed: boolean, row: VerifiedRow): Check {
  const tokens = (row.input_tokens ?? 0) + (row.output_tokens ?? 0)
  const outcome = row.usage_outcome ?? 'none'
  if (outcome === 'reported' && tokens > 0 && row.end_reason === 'completed') {
    return ok(
      name,
      `${row.input_tokens ?? '–'} input, ${row.output_tokens ?? '–'} output tokens of ${row.provider ?? 'unknown'} (row ${row.id})`,
    )
  }
  if (outcome === 'reported')
    return failed(name, `The row says ${row.end_reason}, with ${tokens} tokens.`, 'Send another request; see docs for the end reasons.')
  const told = row.usage_reason === null ? outcome : `${outcome} (${row.usage_reason})`
  return failed(name, `A row, without usage: ${told}.`, usageMend(api, streamed, row))
}

/** Messages by usage outcome and reason; the ledger's column descriptions say what each means. */
function usageMend(api: Api, streamed: boolean, { usage_outcome: outcome, usage_reason: reason, status }: VerifiedRow): string {
  if (outcome === null) return `The upstream answered ${status}: there was no answer to carry usage.`
  if (outcome === 'zero') return 'The upstream itself says 0 tokens. Ask it why; a mock or a cache may do so.'
  switch (reason) {
    case 'not_requested':
      return 'Nobody asked the upstream for it: start the sidecar with --capture inject (the default), or have clients send stream_options.include_usage.'
    case 'upstream_omitted':
      return streamed && api === 'chat'
        ? 'The upstream leaves it out although it was asked. Switch usage on there (LiteLLM: general_settings.always_include_stream_usage; other servers: look for include_usage), or ask for another model.'
        : 'The upstream leaves it out. Switch usage on there, or ask for another model.'
    case 'unknown_format':
      return 'The answer has no known wire format: is --path one of a model API?'
    case 'unsupported_encoding':
      return 'The answer is compressed in a way that is not read. Have the upstream send gzip, br, zstd or plain text.'
    case 'limit_hit':
      return 'The answer is longer than limits.bodyBytes or limits.messageBytes.'
    case 'parse_error':
      return 'The answer says something of usage that cannot be read. Record it, and look with tokenweir replay.'
    default:
      return 'The answer was cut before its usage came.'
  }
}

export interface LogView {
  /** The file of --log, and whether it contains the expected lines; undefined without --log. */
  readonly file: { readonly path: string; readonly found: number; readonly unreadable?: string | undefined } | undefined
  readonly before: Counters
  readonly after: Counters
  readonly sent: number
}

export function judgeLog({ file, before, after, sent }: LogView): Check {
  const name = 'log line'
  if (file?.unreadable !== undefined)
    return failed(
      name,
      `${file.path} cannot be read: ${file.unreadable}.`,
      'Name the file to which the standard output of the sidecar goes.',
    )
  if (file !== undefined) {
    return file.found >= sent
      ? ok(name, `${file.found} of ${sent} in ${file.path}, the stream as "Streaming request logged"`)
      : failed(name, `${file.found} of ${sent} in ${file.path}.`, 'Does the standard output of this sidecar go to that file?')
  }
  const dropped = (after.logDropped ?? 0) - (before.logDropped ?? 0)
  if (dropped > 0)
    return failed(
      name,
      `The sidecar dropped ${plural(dropped, 'line')}: nobody reads its standard output.`,
      'Mend what reads it (a pipe that closed, a full disk), and restart.',
    )
  if (after.logWritten === undefined) return skipped(name, 'This version does not count its lines; give --log FILE to look for them.')
  const written = after.logWritten - (before.logWritten ?? 0)
  return written >= sent
    ? ok(name, `${written} lines written to standard output, by its own count (--log FILE looks for the very ones)`)
    : failed(name, `${written} of ${sent} lines were written.`, 'What reads the standard output of the sidecar is slow or stopped.')
}

export interface SpanView {
  readonly before: Counters
  readonly after: Counters
  readonly sent: number
  readonly waitedMs: number
}

/** Whether waiting longer can change the verdict. */
export function spansSettled({ before, after, sent }: Omit<SpanView, 'waitedMs'>): boolean {
  return (
    delta(before, after, 'spansDelivered') >= sent || delta(before, after, 'spansDropped') > 0 || delta(before, after, 'spanFailures') > 0
  )
}

const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`

const delta = (before: Counters, after: Counters, name: Exclude<keyof Counters, 'exportsSpans'>) => (after[name] ?? 0) - (before[name] ?? 0)

export function judgeSpans(view: SpanView): Check {
  const name = 'span'
  const { before, after, sent, waitedMs } = view
  const delivered = delta(before, after, 'spansDelivered')
  const failures = delta(before, after, 'spanFailures')
  const dropped = delta(before, after, 'spansDropped')
  const waiting = after.spansWaiting ?? 0
  const look =
    'Is OTEL_EXPORTER_OTLP_ENDPOINT of the sidecar the address of a collector that is up, takes traces by that protocol, and lets it in? What it said on stderr names the answer.'
  if (dropped > 0) return failed(name, `The collector refuses: ${plural(dropped, 'span')} given up.`, look)
  if (delivered >= sent) return ok(name, `${delivered} taken by the collector`)
  if (failures > 0)
    return failed(
      name,
      `The collector refuses or cannot be reached: ${plural(failures, 'attempt')} failed; ${plural(waiting, 'span')} waiting.`,
      look,
    )
  if (after.exportsSpans) {
    return failed(
      name,
      `${plural(waiting, 'span')} still waiting after ${Math.round(waitedMs / 1000)} s, and the collector took ${delivered}.`,
      `${look} If it only sends rarely (OTEL_BSP_SCHEDULE_DELAY), wait longer with --wait SECONDS.`,
    )
  }
  return skipped(name, 'no collector is configured (OTEL_EXPORTER_OTLP_ENDPOINT); spans are not exported')
}
