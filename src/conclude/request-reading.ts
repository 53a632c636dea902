/**
 * What is kept of a request body until its answer has come: an outline without the conversation, small enough to hold for every open
 * request, from which any wire format can read its settings once it is known which one it is.
 */

import type { Opening } from '../lib/exchange.ts'
import { type Json, type JsonObject, parseJson } from '../lib/json.ts'
import { decodeWhole } from '../observe/decode/decode.ts'

export interface RequestReading {
  /** The body's settings; undefined when there was no body, or none that could be read. */
  readonly outline: Json | undefined
}

/** Request bodies are read up to this size, decoded. */
const bodyBytesMax = 64 * 1024 * 1024

export function readRequest(opening: Opening, body: Uint8Array | undefined): RequestReading {
  if (body === undefined || body.length === 0) return { outline: undefined }
  const decoded = decodeWhole(opening.requestHeaders['content-encoding'], body, bodyBytesMax)
  if (typeof decoded === 'string') return { outline: undefined }
  const contentType = opening.requestHeaders['content-type'] ?? ''
  const boundary = /^multipart\/form-data.*;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  if (boundary !== null) return { outline: formFields(decoded, boundary[1] ?? boundary[2] ?? '') }
  const json = parseJson(asBuffer(decoded).toString('utf8'))
  return { outline: json === undefined ? undefined : outlined(json) }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const depthMax = 3
const keysMax = 64
const listMax = 16
const textLengthMax = 512

/** Scalars, short texts, and lists of short texts; of anything else only that it was there. */
export function outlined(json: Json, depth = 0): Json {
  if (typeof json === 'string') return json.length > textLengthMax ? '' : json
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) {
    const short = json.length <= listMax && json.every((item) => typeof item === 'string' && item.length <= textLengthMax)
    return short ? json : []
  }
  const fields: Record<string, Json | undefined> = {}
  if (depth === depthMax) return fields
  for (const [key, value] of Object.entries(json as JsonObject).slice(0, keysMax)) {
    if (value !== undefined) fields[key] = outlined(value, depth + 1)
  }
  return fields
}

const partsMax = 64
const partHeaderBytesMax = 1024

/** The text fields of a form; files are stepped over. Source: RFC 7578. */
export function formFields(body: Uint8Array, boundary: string): Json {
  const buffer = asBuffer(body)
  const delimiter = Buffer.from(`--${boundary}`, 'latin1')
  const fields: Record<string, Json> = {}
  let at = buffer.indexOf(delimiter)
  for (let parts = 0; at >= 0 && parts < partsMax; parts++) {
    const head = at + delimiter.length
    const next = buffer.indexOf(delimiter, head)
    const headEnd = buffer.indexOf('\r\n\r\n', head, 'latin1')
    if (next < 0 || headEnd < 0) break
    if (headEnd < next && headEnd - head <= partHeaderBytesMax) {
      addField(fields, buffer.toString('latin1', head, headEnd), buffer.subarray(headEnd + 4, next - 2))
    }
    at = next
  }
  return fields
}

function addField(fields: Record<string, Json>, head: string, value: Buffer): void {
  const name = /;\s*name="([^"]*)"/i.exec(head)?.[1]
  if (name === undefined || /;\s*filename\*?=/i.test(head) || value.length > textLengthMax) return
  fields[name] = fieldValue(value.toString('utf8'))
}

/** Forms have texts only: what reads as a truth value or a plain number is one. */
function fieldValue(text: string): Json {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : text
}
