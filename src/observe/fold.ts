/**
 * messages → facts, for one streamed response: chooses the wire format among those spoken at the path, hands it message after message, and
 * can be read at any moment. A message that cannot be read is noted; nothing here throws.
 */

import type { RequestFacts, ResponseFacts, Side } from '../lib/exchange.ts'
import { at, type Json, type JsonObject, object, parseJson, string } from '../lib/json.ts'
import { createChoice } from './choice.ts'
import type { Headers } from './formats/format.ts'
import { formatsFor } from './formats/index.ts'
import { canSkim, errorOf, idText, namedError } from './formats/learn.ts'
import { createSketch } from './sketch.ts'
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
  /** A body of an error that stood outside of all messages. */
  failed(message: JsonObject): void
  /** A message of the client, where the format has them; `data` is only read during the call. */
  sent(data: Uint8Array): void
  /** JSON keys of which one stands in each message of the client that can teach something. */
  wantedSentKeys(): readonly string[]
  /** What was asked for by messages; undefined where the format has none. */
  request(): RequestFacts | undefined
  /** `parse_error` when a message looked like JSON and was none; `scanned` when one had too many values to be parsed here. */
  readonly notes: readonly string[]
}

/** Id and model come in the first messages or never. After this many the rest is skimmed, whatever is missing. */
const messagesBeforeSkimming = 16
/** A stream that none of so many messages gave away is only looked at where it may tell its usage. */
const messagesToRecognise = 64

/** Whether an answer in `application/json` at this path is a JSON array sent element by element. */
export function streamsArrays(method: string, path: string): boolean {
  return formatsFor(method, path).some((format) => format.arrayStream?.(path) === true)
}

/**
 * `queryModel` is the model that the query names, for formats whose requests are messages. With a collector every message is read, also those
 * that can teach nothing: for the text in them.
 */
export function createFold(method: string, path: string, responseHeaders: Headers, queryModel?: string, text?: TextCollector): Fold {
  const choice = createChoice(method, path, responseHeaders)
  let done = false
  let messages = 0
  const notes: string[] = []
  let request: RequestFacts | undefined
  /** Of an error event that the format made nothing of. */
  let failure: ResponseFacts['error']

  /** Everything is a lesson about what is asked for: an upstream tells what it took a message for. */
  function learnRequest(message: Json, from: Side): void {
    const format = choice.best()?.format
    if (format?.session === undefined) return
    request ??= withModel(format.readRequest(undefined, path), queryModel)
    request = format.session.readRequest(request, message, from)
  }

  function learnFrom(message: Json, event: string | undefined): void {
    choice.learn(message, event)
    fold.format = choice.best()?.format.name
    if (isFailure(event)) failure ??= errorOf(object(message) ?? {}) ?? failureOf(event, message)
    learnRequest(message, 'upstream')
  }

  // No getter: each of them would be a function of its own, and V8 makes a dictionary of an object with such a one, of 448 bytes for every stream.
  const fold: Fold & { format: string | undefined } = {
    format: choice.best()?.format.name,
    notes,
    facts() {
      const best = choice.best()
      if (best === undefined) return undefined
      const isError = failure !== undefined && best.facts.error === undefined
      const facts = isError ? { ...best.facts, error: failure } : best.facts
      return !done || facts.finished === true ? facts : { ...facts, finished: true }
    },
    message(event, data) {
      messages++
      if (choice.isHopeless()) return
      if (isDone(data)) {
        done = true
        return
      }
      const written = textOf(data)
      // A stream whose shape nobody has recognised so far is only read where it may tell its usage.
      if (messages > messagesToRecognise && !choice.isSure() && !isFailure(event) && !choice.wants(written)) return
      const isTooDense = data.length > denseBytesMin && isDense(data)
      if (isTooDense && !notes.includes('scanned')) notes.push('scanned')
      const message = parseJson(isTooDense ? sketchOf(data) : written)
      if (message !== undefined) {
        learnFrom(message, event)
        if (text !== undefined) addWritten(text, message)
      } else if (event === 'error' && written.trim() !== '') failure ??= namedError('error', written)
      else if (!choice.isByShape && isBroken(event, data) && !notes.includes('parse_error')) notes.push('parse_error')
    },
    failed(message) {
      failure ??= errorOf(message)
    },
    sent(data) {
      const message = parseJson(textOf(data))
      if (message !== undefined) learnRequest(message, 'client')
    },
    wantedSentKeys: () => choice.best()?.format.session?.wantedKeys ?? nothingWanted,
    request: () => request,
    wantedKeys() {
      const best = text === undefined ? choice.settled() : undefined
      if (best === undefined) return undefined
      return canSkim(best.facts) || messages >= messagesBeforeSkimming ? best.format.wantedKeys : undefined
    },
  }
  return fold
}

/** A shorter message is parsed in no time. */
const denseBytesMin = 256 * 1024
/** Parsing takes long where values are many, not where they are long. These take some 20 ms. */
const valuesMax = 100_000

function isDense(data: Uint8Array): boolean {
  let values = 0
  for (let at = 0; at < data.length; at++) {
    const byte = data[at]
    if (byte === 0x2c || byte === 0x7b || byte === 0x5b) values++
  }
  return values > valuesMax
}

function sketchOf(data: Uint8Array): string {
  const sketch = createSketch()
  sketch.push(data)
  return sketch.json() ?? ''
}

const nothingWanted: readonly string[] = []

/** Events that are named after a failure: `error`, `throttlingException`. */
function isFailure(event: string | undefined): event is string {
  return event !== undefined && /^(error|.*(Exception|Error))$/.test(event)
}

function failureOf(event: string, message: Json): ResponseFacts['error'] {
  const type = event === 'error' ? (idText(at(message, 'code')) ?? string(at(message, 'type')) ?? event) : event
  return namedError(type, string(at(message, 'message')) ?? string(message))
}

/** The facts of a request whose query names the model. */
export function withModel(request: RequestFacts, queryModel: string | undefined): RequestFacts {
  return request.model !== undefined || queryModel === undefined ? request : { ...request, model: queryModel }
}

function textOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')
}

/** OpenAI's end of a stream, also sent by many others; white space around it is read as around JSON. Coze quotes it. */
function isDone(data: Uint8Array): boolean {
  if (data.length > doneBytesMax) return false
  return /^"?\[DONE\]"?$/.test(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1').trim())
}

/** Most events are longer, and need not be looked at. */
const doneBytesMax = 32

/** Some streams send plain text under an event name (Replicate's `output`): only what begins like JSON, or has no name, is broken. */
function isBroken(event: string | undefined, data: Uint8Array): boolean {
  const first = data.find((byte) => byte > 0x20)
  return first !== undefined && (event === undefined || first === 0x7b || first === 0x5b)
}
