/**
 * messages → facts, for one streamed response: chooses the wire format among those spoken at the path, hands it message after message, and
 * can be read at any moment. A message that cannot be read is noted; nothing here throws.
 */

import type { RequestFacts, ResponseFacts, Side } from '../lib/exchange.ts'
import { type Json, parseJson } from '../lib/json.ts'
import type { Format, Headers } from './formats/format.ts'
import { formats, formatsFor } from './formats/index.ts'
import { canSkim } from './formats/learn.ts'
import { addWritten, type TextCollector } from './texts.ts'

export interface Fold {
  /** Name of the wire format, as soon as it is known. */
  readonly format: string | undefined
  /** What is known so far; undefined while no format has been recognised. */
  facts(): ResponseFacts | undefined
  /** `data` is only read during the call. */
  message(event: string | undefined, data: Uint8Array): void
  /** JSON keys of which one stands in each message that can still teach something; undefined while every message is wanted. */
  wantedKeys(): readonly string[] | undefined
  /** A message of the client, where the format has them; `data` is only read during the call. */
  sent(data: Uint8Array): void
  /** JSON keys of which one stands in each message of the client that can teach something. */
  wantedSentKeys(): readonly string[]
  /** What was asked for by messages; undefined where the format has none. */
  request(): RequestFacts | undefined
  /** `parse_error` when a message looked like JSON and was none. */
  readonly notes: readonly string[]
}

/** Id and model come in the first messages or never. After this many the rest is skimmed, whatever is missing. */
const messagesBeforeSkimming = 16
/** A stream at an unknown path that none of so many messages gave away is not looked at any more. */
const messagesToRecognise = 64

interface Candidate {
  readonly format: Format
  facts: ResponseFacts
}

/** Whether an answer in `application/json` at this path is a JSON array sent element by element. */
export function streamsArrays(method: string, path: string): boolean {
  return formatsFor(method, path).some((format) => format.arrayStream?.(path) === true)
}

/**
 * `queryModel` is the model that the query names, for formats whose requests are messages. With a collector every message is read, also those
 * that can teach nothing: for the text in them.
 */
export function createFold(method: string, path: string, responseHeaders: Headers, queryModel?: string, text?: TextCollector): Fold {
  const claimed = formatsFor(method, path)
  let candidates: readonly Candidate[] = claimed.map((format) => ({ format, facts: format.readHead?.({}, responseHeaders) ?? {} }))
  let chosen = candidates.length === 1 ? candidates[0] : undefined
  const byShape = candidates.length === 0 && method === 'POST'
  let done = false
  let messages = 0
  const notes: string[] = []
  let request: RequestFacts | undefined

  /** Everything is a lesson about what is asked for: an upstream tells what it took a message for. */
  function learnRequest(message: Json, from: Side): void {
    const format = (chosen ?? candidates[0])?.format
    if (format?.session === undefined) return
    request ??= withModel(format.readRequest(undefined, path), queryModel)
    request = format.session.readRequest(request, message, from)
  }

  /** While several formats are possible each folds for itself, so that the one that turns out right has missed nothing. */
  function choose(message: Json, event: string | undefined): void {
    if (byShape) {
      const format = formats.find((one) => one.recognises(message, event))
      if (format !== undefined) chosen = { format, facts: {} }
    } else {
      chosen = candidates.find((candidate) => candidate.format.recognises(message, event))
    }
    if (chosen !== undefined) candidates = [chosen]
  }

  function learnFrom(message: Json, event: string | undefined): void {
    if (chosen === undefined) choose(message, event)
    for (const candidate of chosen === undefined ? candidates : [chosen]) {
      candidate.facts = candidate.format.readResponse(candidate.facts, message, event)
    }
    learnRequest(message, 'upstream')
  }

  return {
    get format() {
      return (chosen ?? candidates[0])?.format.name
    },
    notes,
    facts() {
      const facts = (chosen ?? candidates[0])?.facts
      return facts === undefined || !done || facts.finished === true ? facts : { ...facts, finished: true }
    },
    message(event, data) {
      messages++
      if (chosen === undefined && (byShape ? messages > messagesToRecognise : candidates.length === 0)) return
      if (isDone(data)) {
        done = true
        return
      }
      const message = read(data)
      if (message !== undefined) {
        learnFrom(message, event)
        if (text !== undefined) addWritten(text, message)
      } else if (!byShape && isBroken(event, data) && notes.length === 0) notes.push('parse_error')
    },
    sent(data) {
      const message = read(data)
      if (message !== undefined) learnRequest(message, 'client')
    },
    wantedSentKeys: () => (chosen ?? candidates[0])?.format.session?.wantedKeys ?? nothingWanted,
    request: () => request,
    wantedKeys() {
      if (chosen === undefined || text !== undefined) return undefined
      return canSkim(chosen.facts) || messages >= messagesBeforeSkimming ? chosen.format.wantedKeys : undefined
    },
  }
}

const nothingWanted: readonly string[] = []

/** The facts of a request whose query names the model. */
export function withModel(request: RequestFacts, queryModel: string | undefined): RequestFacts {
  return request.model !== undefined || queryModel === undefined ? request : { ...request, model: queryModel }
}

function read(data: Uint8Array): Json | undefined {
  return parseJson(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'))
}

/** OpenAI's end of a stream, also sent by many others; white space around it is read as around JSON. */
function isDone(data: Uint8Array): boolean {
  if (data.length > doneBytesMax) return false
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1').trim() === '[DONE]'
}

/** Most events are longer, and need not be looked at. */
const doneBytesMax = 32

/** Some streams send plain text under an event name (Replicate's `output`): only what begins like JSON, or has no name, is broken. */
function isBroken(event: string | undefined, data: Uint8Array): boolean {
  const first = data.find((byte) => byte > 0x20)
  return first !== undefined && (event === undefined || first === 0x7b || first === 0x5b)
}
