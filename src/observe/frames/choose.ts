/** Which framing a response body has, and its framer. Adding a framing is one file and one entry in `framers`. */
import type { Framing } from '../../lib/exchange.ts'
import { asBuffer, isSpace } from './bytes.ts'
import { beginsEventstream, createEventstreamFramer } from './eventstream.ts'
import type { Framer, FramerOptions } from './framer.ts'
import { createJsonArrayFramer } from './json-array.ts'
import { createNdjsonFramer } from './ndjson.ts'
import { createSseFramer } from './sse.ts'
import { createWebSocketFramer } from './websocket.ts'
import { createWholeFramer } from './whole.ts'

const framers: Readonly<Record<Framing, (options: FramerOptions) => Framer>> = {
  sse: createSseFramer,
  ndjson: createNdjsonFramer,
  'json-array': createJsonArrayFramer,
  eventstream: createEventstreamFramer,
  websocket: createWebSocketFramer,
  whole: createWholeFramer,
  none: () => ({ push() {}, end() {} }),
}

export function createFramer(framing: Framing, options: FramerOptions): Framer {
  return framers[framing](options)
}

const lineTypes = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonl',
  'application/jsonlines',
  'application/x-jsonlines',
  'application/json-lines',
  'application/json-seq',
  'application/stream+json',
  'application/x-json-stream',
  'text/x-ndjson',
  'text/ndjson',
  'text/jsonl',
]

const binaryType = /^(?:audio|image|video|font|multipart)\/|^application\/(?:pdf|zip|gzip|x-tar|wasm)$/
const jsonType = /^(?:application|text)\/(?:[^/]+\+)?json$/

/**
 * The framing of a body by its Content-Type and the bytes it begins with (decoded, if it has a Content-Encoding; twelve are enough, none
 * are needed where the type is plain). `arrayStream` says that a JSON array at this path is sent element by element.
 *
 * The first bytes win where they leave no doubt, because some upstreams mislabel: `data:` begins no JSON, and `{` no event.
 * A type that says nothing (missing, `text/plain`, `application/octet-stream` …) is decided by the first bytes alone.
 */
export function chooseFraming(body: {
  readonly contentType: string | undefined
  readonly arrayStream: boolean
  readonly firstBytes: Uint8Array
}): Framing {
  const type = (body.contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/vnd.amazon.eventstream') return 'eventstream'
  if (binaryType.test(type)) return 'none'
  const beginning = beginningOf(body.firstBytes)
  if (beginning === 'event') return 'sse'
  if (lineTypes.includes(type)) return 'ndjson'
  if (beginning === 'object') return 'whole'
  // Bedrock's agents send theirs as `application/json`.
  if (beginning === 'other' && beginsEventstream(asBuffer(body.firstBytes))) return 'eventstream'
  const json = body.arrayStream ? 'json-array' : 'whole'
  if (beginning === 'array' || jsonType.test(type)) return json
  if (type === 'text/event-stream') return 'sse'
  return beginning === 'nothing' ? json : 'none'
}

const fieldNames = ['data:', 'event:', 'id:', 'retry:']

/** What the bytes after a byte order mark and white space look like. Also a part of a field's name counts: no JSON begins like one. */
function beginningOf(firstBytes: Uint8Array): 'event' | 'object' | 'array' | 'nothing' | 'other' {
  const bytes = asBuffer(firstBytes)
  let start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  while (isSpace(bytes[start])) start++
  const text = bytes.toString('latin1', start, start + 8)
  if (text === '') return 'nothing'
  if (text.startsWith('{')) return 'object'
  if (text.startsWith('[')) return 'array'
  if (text.startsWith(':')) return 'event'
  return fieldNames.some((name) => name.startsWith(text) || text.startsWith(name)) ? 'event' : 'other'
}
