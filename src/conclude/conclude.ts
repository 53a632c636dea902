/**
 * From what the proxying thread saw to the one record that every sink receives. Runs on the recorder thread: whole bodies are decoded,
 * parsed and folded here; streams arrive folded.
 */

import type { Ending, Exchange, Framing, Opening, RequestFacts, ResponseFacts } from '../lib/exchange.ts'
import { type Json, object, parseJson } from '../lib/json.ts'
import { chosenForBody } from '../observe/choice.ts'
import { decodeWhole } from '../observe/decode/decode.ts'
import { createFold, withModel } from '../observe/fold.ts'
import type { Format } from '../observe/formats/format.ts'
import { formatNamed, formatsFor } from '../observe/formats/index.ts'
import { isJsonRpc } from '../observe/formats/json-rpc.ts'
import { present } from '../observe/formats/learn.ts'
import { reportedCostOfHead } from '../observe/formats/reported-cost.ts'
import { toldError } from '../observe/formats/vendor-errors.ts'
import { rateLimitsOf, retryAfterOf } from '../observe/rate-limits.ts'
import { createSketch } from '../observe/sketch.ts'
import type { FirstSight } from './counted.ts'
import { endReasonOf, errorTypeOf } from './ending.ts'
import { type Attributor, createAttributor } from './providers/attribution.ts'
import type { Evidence } from './providers/evidence.ts'
import { type RequestReading, readRequest } from './request-reading.ts'
import { timePerOutputTokenMs } from './speed.ts'
import { contradictsItself, isAnswered, isCut, isUnfinished, verdictOf, writes } from './usage-verdict.ts'

export { type RequestReading, readRequest }

interface ConcludeLimits {
  /** Bytes of a whole response body, decoded. */
  readonly bodyBytes: number
}

/** Where providers come from. */
export interface AttributionContext {
  readonly attribute: Attributor['attribute']
  /** The base path of a route's upstream. */
  readonly basePathOf: (route: string) => string | undefined
  /** Whether a response made in the background is seen with its usage for the first time. */
  readonly isFirstSight: FirstSight
}

const builtIn: AttributionContext = { attribute: createAttributor().attribute, basePathOf: () => undefined, isFirstSight: () => true }

/** What was read of the answer. */
interface Answer {
  readonly format: Format | undefined
  readonly facts: ResponseFacts | undefined
  readonly notes: readonly string[]
  /** Only where the body turned out to be framed in another way than its head and first bytes said. */
  readonly framing?: Framing
}

/** The record of one ended exchange. Never throws: what cannot be read is noted. */
export function conclude(
  opening: Opening,
  seen: Ending,
  reading: RequestReading | undefined,
  responseBody: Uint8Array | undefined,
  limits: ConcludeLimits,
  attribution: AttributionContext = builtIn,
): Exchange {
  const answer = seen.streamed ? streamedAnswer(opening, seen) : wholeAnswer(opening, seen, responseBody, limits)
  const { format, notes } = answer
  const ending: Ending = answer.framing === undefined ? seen : { ...seen, framing: answer.framing, streamed: true }
  const asked = ending.session?.request ?? format?.readRequest(reading?.outline, opening.path, opening.requestHeaders)
  const request = asked === undefined ? undefined : withModel(asked, opening.queryModel)
  const told = countedOnce(settled(answer.facts, ending, request), answer, attribution.isFirstSight)
  const response = told === undefined ? undefined : withHead(told, ending, request)
  const inference = isInference(opening, ending, format, reading)
  const provider = inference ? providerOf(opening, ending, { format: format?.name, request, response }, attribution) : undefined
  const unfinished = isUnfinished({ ending, format, request, response: answer.facts })
  const headAt = opening.startedAt + (ending.responseHeadMs ?? ending.endMs)
  const verdict = inference ? verdictOf({ ending, format, request, response, notes, unfinished }) : undefined
  const isContradictory = contradictsItself(response?.usage, request?.operation)
  return {
    opening,
    ending,
    endReason: endReasonOf(ending, response),
    format: inference ? format?.name : undefined,
    inference,
    operation: inference ? (request?.operation ?? 'unknown') : undefined,
    provider,
    caller: ending.caller ?? opening.caller,
    request: inference ? request : undefined,
    response: inference ? response : undefined,
    usageOutcome: verdict?.outcome,
    usageReason: verdict?.reason,
    timePerOutputTokenMs: verdict?.outcome === 'reported' && !isContradictory ? timePerOutputTokenMs(ending, request, response) : undefined,
    rateLimits: rateLimitsOf(ending.responseHeaders, headAt),
    retryAfterMs: retryAfterOf(ending.responseHeaders, headAt),
    errorType: errorTypeOf(ending, response),
    notes: isContradictory ? [...notes, 'usage_contradictory'] : notes,
  }
}

/** A format that is one, or a stream to a POST; what is asked for or answered in JSON-RPC is none. */
function isInference(opening: Opening, ending: Ending, format: Format | undefined, reading: RequestReading | undefined): boolean {
  if (format?.isInference === false) return false
  if (format !== undefined) return true
  return ending.streamed && opening.method === 'POST' && isAnswered(ending) && !isJsonRpc(reading?.outline)
}

/** Facts come from the proxying thread; without a message the path says what it would have been. */
function streamedAnswer(opening: Opening, ending: Ending): Answer {
  const format = formatNamed(ending.format) ?? claimedFormat(opening)
  return { format, facts: ending.response, notes: ending.notes }
}

/** What the path says that it would have been. */
function claimedFormat({ method, path }: Opening): Format | undefined {
  return formatsFor(method, path).find((one) => one.isHint?.(path) !== true)
}

function wholeAnswer(opening: Opening, ending: Ending, body: Uint8Array | undefined, limits: ConcludeLimits): Answer {
  if (opening.method !== 'POST' && formatsFor(opening.method, opening.path).length === 0) {
    return { format: undefined, facts: undefined, notes: ending.notes }
  }
  const { json, note, lines } = readBody(ending, body, limits)
  if (lines !== undefined) return linesAnswer(opening, ending, lines)
  const notes = note === undefined || ending.notes.includes(note) ? ending.notes : [...ending.notes, note]
  const chosen = json === undefined ? undefined : chosenForBody(opening.method, opening.path, ending.responseHeaders, json)
  const format = chosen?.format ?? claimedFormat(opening)
  if (format === undefined) {
    const error = toldError(object(json) ?? {}, false)
    return { format, facts: error === undefined ? undefined : { error }, notes: ending.notes }
  }
  if (chosen === undefined) {
    const head = format.readHead?.({}, ending.responseHeaders) ?? {}
    return { format, facts: note === undefined && head.usage === undefined ? undefined : head, notes }
  }
  // A body that is JSON to its last brace is whole, also when the connection broke right after.
  return { format, facts: chosen.facts.finished !== true ? { ...chosen.facts, finished: true } : chosen.facts, notes }
}

/** A stream of lines under the name of one JSON text, which its first byte cannot belie. */
function linesAnswer(opening: Opening, ending: Ending, lines: readonly string[]): Answer {
  const fold = createFold(opening.method, opening.path, ending.responseHeaders)
  for (const line of lines) fold.message(undefined, Buffer.from(line))
  const format = formatNamed(fold.format)
  if (format === undefined) return { format, facts: undefined, notes: ending.notes }
  return { format, facts: fold.facts(), notes: [...new Set([...ending.notes, ...fold.notes])], framing: 'ndjson' }
}

/** The lines of a text of which the first two that are not blank are JSON objects. */
function linesOf(text: string): readonly string[] | undefined {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '')
  const isStream = lines.length > 1 && lines.slice(0, 2).every((line) => object(parseJson(line)) !== undefined)
  return isStream ? lines : undefined
}

interface DecodedBody {
  readonly json?: Json | undefined
  readonly note?: string
  readonly lines?: readonly string[]
}

/** The body as JSON. A note only where it should have been one: audio, and subtitles as plain text, are no broken JSON. */
function readBody(ending: Ending, body: Uint8Array | undefined, limits: ConcludeLimits): DecodedBody {
  if (ending.framing !== 'whole') return {}
  if (body === undefined || body.length === 0) return ending.responseBytes > 0 && body === undefined ? { note: 'limit_hit' } : {}
  // What was scanned is the sketch of a body that was too long, not encoded any more.
  const encoding = ending.notes.includes('scanned') ? undefined : ending.contentEncoding
  const decoded = decodeWhole(encoding, body, limits.bodyBytes)
  if (decoded === 'limit_hit') return sketched(decodeWhole(encoding, body, scannedPerKept * limits.bodyBytes))
  if (typeof decoded === 'string') return { note: decoded }
  const decodedText = Buffer.from(decoded.buffer, decoded.byteOffset, decoded.byteLength).toString('utf8')
  const text = decodedText.charCodeAt(0) === 0xfeff ? decodedText.slice(1) : decodedText
  const json = parseJson(text)
  if (json !== undefined || !/^\s*[[{]/.test(text)) return { json }
  const lines = linesOf(text)
  if (lines !== undefined) return { lines }
  return isCut(ending) ? {} : { note: 'parse_error' }
}

/** A body that is small as long as it is compressed is decoded up to so many times the limit, to be scanned. */
const scannedPerKept = 8

function sketched(decoded: Uint8Array | string): DecodedBody {
  if (typeof decoded === 'string') return { note: decoded }
  const sketch = createSketch()
  sketch.push(decoded)
  const json = parseJson(sketch.json())
  return json === undefined ? { note: 'limit_hit' } : { json, note: 'scanned' }
}

/** Facts as they stand in the record: no usage of a refused request, and finish reasons that say when one was due and never came. */
function settled(facts: ResponseFacts | undefined, ending: Ending, request: RequestFacts | undefined): ResponseFacts | undefined {
  if (facts === undefined || isSettled(facts, ending)) return facts
  const { usage: known, usageOfIterations, reportedCostUsd, finishReasons, startOutputTokens, calls, background, ...rest } = facts
  if (!isAnswered(ending)) return present({ ...rest, finishReasons })
  const isOutput = startOutputTokens !== undefined && known?.outputTokens === undefined && !isCut(ending)
  const usage = isOutput ? { ...known, outputTokens: startOutputTokens } : known
  const broken = isBroken(facts, ending)
  const reasons = ending.streamed ? settledReasons(finishReasons, broken) : finishReasons
  const due = reasons === undefined && broken && request !== undefined && writes.has(request.operation)
  return present({ ...rest, usage, usageOfIterations, reportedCostUsd, finishReasons: due ? ['error'] : reasons })
}

/** Nearly every answer: nothing is to be left out of its facts, or to be added. */
function isSettled(facts: ResponseFacts, ending: Ending): boolean {
  const { startOutputTokens, calls, background, finishReasons } = facts
  if (startOutputTokens !== undefined || calls !== undefined || background !== undefined) return false
  return isAnswered(ending) && !isBroken(facts, ending) && finishReasons?.includes('') !== true
}

/** What LiteLLM says beside the body: what the answer costs, and the model behind an alias that the body only repeats. */
function withHead(response: ResponseFacts, ending: Ending, request: RequestFacts | undefined): ResponseFacts {
  if (!isAnswered(ending)) return response
  const { model = request?.model, reportedCostUsd = reportedCostOfHead(ending.responseHeaders) } = response
  const real = model === request?.model ? litellmModel(ending.responseHeaders) : undefined
  if (real === undefined && reportedCostUsd === response.reportedCostUsd) return response
  return present({ ...response, model: real ?? response.model, reportedCostUsd })
}

/** Without the routing prefix. A deployment without a name of its own has a hash for an id. */
function litellmModel(headers: Readonly<Record<string, string>>): string | undefined {
  const named = [headers['x-litellm-model-name'], headers['x-litellm-model-id']].find(
    (name) => name !== undefined && !/^[0-9a-f-]{32,}$/.test(name),
  )
  return named?.replace(/^[a-z_]+\//, '')
}

/** Without the usage of a response that is read back, unless it was made in the background and nobody has counted it yet. */
function countedOnce(response: ResponseFacts | undefined, { facts, format }: Answer, isFirstSight: FirstSight): ResponseFacts | undefined {
  if (facts?.background !== true || response?.usage === undefined) return response
  const isFirst = response.id !== undefined && isFirstSight(response.id)
  if (isFirst || format?.name !== 'stored-response') return response
  return present({ ...response, usage: undefined, reportedCostUsd: undefined })
}

/** A choice that had not finished stands as an empty text. */
function settledReasons(reasons: readonly string[] | undefined, broken: boolean): readonly string[] | undefined {
  if (reasons === undefined || !reasons.includes('')) return reasons
  return broken ? reasons.map((reason) => reason || 'error') : reasons.filter((reason) => reason !== '')
}

/** The answer ended in an error or was cut by the upstream's side; a client that leaves is no error. */
function isBroken(facts: ResponseFacts, ending: Ending): boolean {
  if (facts.error !== undefined) return true
  return isCut(ending) && ending.outcome.kind !== 'client-aborted' && facts.finished !== true
}

interface Read {
  readonly format: string | undefined
  readonly request: RequestFacts | undefined
  readonly response: ResponseFacts | undefined
}

function providerOf(opening: Opening, ending: Ending, read: Read, attribution: AttributionContext): string {
  return attribution.attribute(evidenceOf({ opening, ending, ...read }, attribution.basePathOf(opening.route))).provider
}

/** What tells the provider of an exchange. `basePath` is the path of its route's upstream. */
export function evidenceOf(
  read: Partial<Read> & { readonly opening: Opening; readonly ending: Ending },
  basePath: string | undefined,
): Evidence {
  const { opening, ending, format, request, response } = read
  return {
    routeProvider: opening.routeProvider,
    format,
    requestModel: request?.model,
    responseModel: response?.model,
    bodyProvider: response?.provider,
    requestHeaders: opening.requestHeaders,
    responseHeaders: ending.responseHeaders,
    host: opening.serverAddress,
    path: opening.path,
    basePath,
  }
}
