/** Runs a recorded exchange through the same framer, format, attribution and prices as a live one, and reports which message brought which fact. */
import { evidenceOf } from '../../conclude/conclude.ts'
import type { Pricer } from '../../conclude/pricing/pricer.ts'
import { createAttributor } from '../../conclude/providers/attribution.ts'
import type { Config } from '../../config/config.ts'
import type { Ending, Exchange, Framing, Opening, Outcome, ResponseFacts } from '../../lib/exchange.ts'
import { CopyBudget } from '../../observe/collected.ts'
import { decodeWhole } from '../../observe/decode/decode.ts'
import { createFold, streamsArrays } from '../../observe/fold.ts'
import { formatsFor } from '../../observe/formats/index.ts'
import { chooseFraming, createFramer } from '../../observe/frames/choose.ts'
import { ResponseReader } from '../../observe/response.ts'
import { createAssessment } from '../../recorder/assess.ts'
import type { Recording } from './recording.ts'

export interface Lesson {
  /** Counted from 1. */
  readonly message: number
  readonly event: string | undefined
  /** Facts that this message brought or changed, by name. */
  readonly facts: Partial<ResponseFacts>
}

export interface Replayed {
  readonly exchange: Exchange
  readonly framing: { readonly name: Framing; readonly why: string }
  readonly format: { readonly name: string | undefined; readonly why: string }
  readonly provider: { readonly name: string | undefined; readonly rule: string | undefined }
  /** Messages that the framer found; 0 where there was no body to frame. */
  readonly messages: number
  readonly lessons: readonly Lesson[]
}

export interface ReplayOptions {
  readonly config: Pick<Config, 'limits' | 'providers' | 'routes' | 'estimates'>
  /** Already loaded. */
  readonly pricer: Pricer
  /** How the exchange ended, which a recording does not say. */
  readonly outcome: Outcome
  /** Milliseconds since the epoch: prices change. */
  readonly at: number
}

/** Never throws, whatever the recording contains. */
export async function replay(recording: Recording, options: ReplayOptions): Promise<Replayed> {
  const opening = openingOf(recording, options)
  const notes = new Set<string>()
  const { bodyBytes: bodyBytesMax, messageBytes: messageBytesMax } = options.config.limits
  const copies = new CopyBudget(Number.POSITIVE_INFINITY)
  const limits = { bodyBytesMax, messageBytesMax, copies, estimates: false }
  const reader = new ResponseReader(opening, recording.status, recording.responseHeaders, limits, notes)
  if (recording.responseBody.length > 0) reader.push(recording.responseBody)
  await new Promise<void>((resolve) => reader.end(resolve))
  const ending = endingOf(recording, reader, notes, options.outcome)
  const assessment = createAssessment({ config: options.config, pricer: options.pricer, estimator: undefined })
  const asked = assessment.readRequest(opening, recording.requestBody)
  const exchange = assessment.conclude(opening, ending, asked, reader.streamed ? undefined : recording.responseBody)
  const trace = traced(recording, opening.path, reader.framing, messageBytesMax)
  return {
    exchange,
    framing: { name: reader.framing, why: whyFraming(recording, opening.path, reader.framing) },
    format: { name: exchange.format, why: whyFormat(recording.method, opening.path, exchange.format) },
    provider: { name: exchange.provider, rule: exchange.provider === undefined ? undefined : ruleOf(exchange, options) },
    ...trace,
  }
}

function openingOf({ method, path, host, requestHeaders }: Recording, { config, at }: ReplayOptions): Opening {
  const route = config.routes[0]
  return {
    id: '00000000-0000-7000-8000-000000000000',
    traceId: '0'.repeat(32),
    spanId: '0'.repeat(16),
    traceFlags: 0,
    startedAt: at,
    method,
    path: path.split('?', 1)[0] as string,
    route: route?.name ?? 'default',
    serverAddress: route?.upstream.hostname ?? host,
    serverPort: 0,
    routeProvider: route?.provider,
    requestHeaders,
  }
}

function endingOf(recording: Recording, reader: ResponseReader, notes: ReadonlySet<string>, outcome: Outcome): Ending {
  return {
    id: '00000000-0000-7000-8000-000000000000',
    outcome,
    status: recording.status,
    responseHeaders: recording.responseHeaders,
    streamed: reader.streamed,
    framing: reader.framing,
    contentEncoding: reader.encoding,
    requestBytes: recording.requestBody.length,
    responseBytes: recording.responseBody.length,
    endMs: 0,
    chunkCount: recording.responseBody.length > 0 ? 1 : 0,
    format: reader.format(),
    response: reader.facts(),
    notes: [...notes],
  }
}

const factNames = [
  'id',
  'model',
  'finishReasons',
  'usage',
  'usageOfIterations',
  'finished',
  'error',
  'serviceTier',
  'systemFingerprint',
  'provider',
  'reportedCostUsd',
  'usageNotUnderstood',
] as const satisfies readonly (keyof ResponseFacts)[]

/** Folds message by message, and lists the facts that are new after each. */
function traced({ method, responseHeaders, responseBody }: Recording, path: string, framing: Framing, messageBytesMax: number) {
  const decoded = decodeWhole(responseHeaders['content-encoding'], responseBody, 256 * 1024 * 1024)
  const fold = createFold(method, path, responseHeaders)
  const lessons: Lesson[] = []
  let messages = 0
  let before: ResponseFacts = {}
  const learn = (event: string | undefined) => {
    const after = fold.facts() ?? {}
    const facts = Object.fromEntries(
      factNames.flatMap((name) =>
        after[name] !== undefined && JSON.stringify(after[name]) !== JSON.stringify(before[name]) ? [[name, after[name]]] : [],
      ),
    )
    before = after
    if (Object.keys(facts).length > 0) lessons.push({ message: messages, event, facts })
  }
  learn('the headers')
  const framer = createFramer(framing, {
    onMessage({ event, data }) {
      messages++
      fold.message(event, data)
      learn(event)
    },
    onNote: () => undefined,
    messageBytesMax,
  })
  if (typeof decoded !== 'string') framer.push(decoded)
  framer.end()
  return { messages, lessons }
}

function whyFraming({ method, status, responseHeaders, responseBody }: Recording, path: string, framing: Framing): string {
  if (responseBody.length === 0) return 'there is no body'
  const contentType = responseHeaders['content-type']
  const arrayStream = status < 400 && streamsArrays(method, path)
  const nothing = new Uint8Array(0)
  const decoded = decodeWhole(responseHeaders['content-encoding'], responseBody, 64 * 1024 * 1024)
  const firstBytes = typeof decoded === 'string' ? nothing : decoded.subarray(0, 64)
  const byType = contentType !== undefined && chooseFraming({ contentType, arrayStream, firstBytes: nothing }) === framing
  const byBytes = chooseFraming({ contentType: undefined, arrayStream, firstBytes }) === framing
  const type = `Content-Type ${contentType ?? '(none)'}`
  const bytes = `the first bytes ‹${Buffer.from(firstBytes.subarray(0, 12)).toString('latin1')}›`
  const said = byType && byBytes ? `by ${type} and ${bytes}` : byType ? `by ${type}` : `by ${bytes}, whatever the ${type} says`
  return arrayStream && framing === 'json-array' ? `${said}; a JSON array at this path is a stream` : said
}

function whyFormat(method: string, path: string, format: string | undefined): string {
  const claiming = formatsFor(method, path).map(({ name }) => name)
  if (format === undefined) return `no format claims ${method} ${path}, and the answer looks like none`
  if (claiming.length === 0) return `no format claims ${method} ${path}; recognised by the shape of the answer`
  if (claiming.length === 1) return `it alone claims ${method} ${path}`
  return `one of ${claiming.join(', ')}, which claim ${method} ${path}; recognised by the shape of the answer`
}

function ruleOf(exchange: Exchange, { config }: ReplayOptions): string {
  const { attribute } = createAttributor({ own: config.providers })
  return attribute(evidenceOf(exchange, config.routes[0]?.upstream.pathname.replace(/\/+$/, ''))).rule
}
