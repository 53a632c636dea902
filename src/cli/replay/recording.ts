/** A file with one recorded exchange → the exchange. Three kinds: JSON as this project records it, a HAR file, and HTTP messages as text. */
import { array, at, type Json, number, object, parseJson, string } from '../../lib/json.ts'

/** One exchange as it stood on the wire. */
export interface Recording {
  readonly method: string
  /** Including the query. */
  readonly path: string
  /** The upstream's, as far as it is known. */
  readonly host: string
  /** Lower-case names. */
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: Buffer
  readonly status: number
  readonly responseHeaders: Readonly<Record<string, string>>
  /** As recorded, which may be compressed. */
  readonly responseBody: Buffer
}

export class RecordingError extends Error {
  override readonly name = 'RecordingError'
}

const kinds =
  'A recording is JSON {"request": {"method", "path", "headers", "body"}, "response": {"status", "headers", "body" or "body_base64"}}, or a HAR file.'

/** Throws `RecordingError`, whose message says what is wrong with the text. `entry` is the number of a HAR file's entry, from 1. */
export function readRecording(text: string, entry: number | undefined): Recording {
  const json = parseJson(text.replace(/^\ufeff/, ''))
  if (json === undefined) throw new RecordingError(`This is no JSON${whereBroken(text)}. ${kinds}`)
  if (at(json, 'log', 'entries') !== undefined) return ofHar(json, entry)
  if (object(at(json, 'request')) === undefined || object(at(json, 'response')) === undefined) {
    throw new RecordingError(`There is no "request" and "response" in it. ${kinds}`)
  }
  return ofJson(json)
}

function whereBroken(text: string): string {
  try {
    JSON.parse(text)
  } catch (error) {
    return ` (${(error as Error).message.replace(/, "[\s\S]*/, '')})`
  }
  return ''
}

function ofJson(json: Json): Recording {
  const path = string(at(json, 'request', 'path')) ?? string(at(json, 'request', 'url'))
  if (path === undefined) throw new RecordingError('"request" has no "path".')
  const status = number(at(json, 'response', 'status'))
  if (status === undefined) throw new RecordingError('"response" has no "status", or it is no number.')
  const requestHeaders = headersOf(at(json, 'request', 'headers'))
  return {
    method: string(at(json, 'request', 'method')) ?? 'POST',
    ...targetOf(path, requestHeaders),
    requestHeaders,
    requestBody: bodyOf(at(json, 'request')),
    status,
    responseHeaders: headersOf(at(json, 'response', 'headers')),
    responseBody: bodyOf(at(json, 'response')),
  }
}

function targetOf(target: string, headers: Readonly<Record<string, string>>): Pick<Recording, 'path' | 'host'> {
  const url = URL.parse(target, `http://${headers['host'] ?? 'upstream'}`)
  if (url === null) throw new RecordingError(`The request's target ${JSON.stringify(target)} is neither a path nor a URL.`)
  return { path: url.pathname + url.search, host: headers['host'] === undefined && target.startsWith('/') ? '' : url.hostname }
}

/** An object of fields, or HAR's list of names and values. */
function headersOf(value: Json | undefined): Record<string, string> {
  const pairs = Array.isArray(value)
    ? value.map((one: Json) => [at(one, 'name'), at(one, 'value')] as const)
    : Object.entries(object(value) ?? {})
  return Object.fromEntries(pairs.map(([name, text]) => [String(name).toLowerCase(), Array.isArray(text) ? text.join(', ') : String(text)]))
}

function bodyOf(message: Json | undefined): Buffer {
  const base64 = string(at(message, 'body_base64'))
  if (base64 !== undefined) return Buffer.from(base64, 'base64')
  const body = at(message, 'body')
  return Buffer.from(typeof body === 'string' ? body : body === undefined || body === null ? '' : JSON.stringify(body))
}

/** https://w3c.github.io/web-performance/specs/HAR/Overview.html: bodies are decoded, whatever their headers say. */
function ofHar(json: Json, wanted: number | undefined): Recording {
  const entries = array(at(json, 'log', 'entries')) ?? []
  const posts = entries.flatMap((one, index) => (at(one, 'request', 'method') === 'POST' ? [index + 1] : []))
  const chosen = wanted ?? (entries.length === 1 ? 1 : posts[0])
  if (wanted === undefined && posts.length > 1) {
    throw new RecordingError(`The file has several requests with POST. Choose one with --entry: ${posts.slice(0, 20).join(', ')}.`)
  }
  const entry = chosen === undefined ? undefined : entries[chosen - 1]
  if (entry === undefined) throw new RecordingError(`The file has ${entries.length} entries; choose one with --entry.`)
  const url = URL.parse(string(at(entry, 'request', 'url')) ?? '')
  const status = number(at(entry, 'response', 'status'))
  if (url === null || status === undefined) throw new RecordingError(`Entry ${chosen} has no url or no status.`)
  const text = string(at(entry, 'response', 'content', 'text')) ?? ''
  const isBase64 = at(entry, 'response', 'content', 'encoding') === 'base64'
  const { 'content-encoding': _decoded, ...responseHeaders } = headersOf(at(entry, 'response', 'headers'))
  return {
    method: string(at(entry, 'request', 'method')) ?? 'POST',
    path: url.pathname + url.search,
    host: url.hostname,
    requestHeaders: headersOf(at(entry, 'request', 'headers')),
    requestBody: Buffer.from(string(at(entry, 'request', 'postData', 'text')) ?? ''),
    status,
    responseHeaders: { 'content-type': string(at(entry, 'response', 'content', 'mimeType')) ?? '', ...responseHeaders },
    responseBody: Buffer.from(text, isBase64 ? 'base64' : 'utf8'),
  }
}

/** Two HTTP messages as text, as `curl -i` prints the answer. Bodies are as they stand there: not chunked. */
export function recordingOfMessages(request: Buffer, response: Buffer): Recording {
  const asked = messageOf(request)
  const [method, target] = asked.start.split(' ')
  if (!/^[A-Z]+ \S+( HTTP\/[\d.]+)?$/.test(asked.start)) {
    throw new RecordingError('The first line is not a request line. Write for example: POST /v1/chat/completions HTTP/1.1')
  }
  const answered = messageOf(response)
  const status = Number(/^HTTP\/[\d.]+ (\d{3})\b/.exec(answered.start)?.[1])
  if (Number.isNaN(status)) throw new RecordingError('The first line is not a status line. Write for example: HTTP/1.1 200 OK')
  return {
    method: method as string,
    ...targetOf(target as string, asked.headers),
    requestHeaders: asked.headers,
    requestBody: asked.body,
    status,
    responseHeaders: answered.headers,
    responseBody: answered.body,
  }
}

function messageOf(bytes: Buffer): { readonly start: string; readonly headers: Record<string, string>; readonly body: Buffer } {
  const end = /\r?\n\r?\n/.exec(bytes.toString('latin1'))
  const head = bytes.toString('latin1', 0, end?.index ?? bytes.length)
  const [start = '', ...fields] = head.split(/\r?\n/)
  const pairs = fields.flatMap((field) => {
    const [, name, value] = /^([^\s:]+):\s*(.*?)\s*$/.exec(field) ?? []
    return name === undefined ? [] : [[name.toLowerCase(), value as string] as const]
  })
  return { start, headers: Object.fromEntries(pairs), body: end === null ? Buffer.alloc(0) : bytes.subarray(end.index + end[0].length) }
}
