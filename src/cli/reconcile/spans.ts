/** Parses spans, as collectors write them to files and as an earlier version left them encoded, into what can be compared with a row. */
import { StringDecoder } from 'node:string_decoder'
import { at, type Json, number, parseJson, string } from '../../lib/json.ts'

/** One record of an exchange in one source. */
export interface Seen {
  /** `tokenweir.exchange.id`. */
  readonly id: string
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
}

const idName = 'tokenweir.exchange.id'
const inputName = 'gen_ai.usage.input_tokens'
const outputName = 'gen_ai.usage.output_tokens'

/** The spans of an export request in OTLP/JSON: a line of the file exporter, or a packet of the spool. Spans of other programs are skipped. */
export function spansOfJson(request: Json | undefined): Seen[] {
  const found: Seen[] = []
  for (const resource of listOf(at(request, 'resourceSpans'))) {
    for (const scope of listOf(at(resource, 'scopeSpans'))) {
      for (const span of listOf(at(scope, 'spans'))) {
        const values = new Map(listOf(at(span, 'attributes')).map((one) => [at(one, 'key'), at(one, 'value')]))
        const id = string(at(values.get(idName), 'stringValue'))
        // 64-bit integers are text in OTLP/JSON; older exporters write numbers.
        const tokens = (name: string) => countOf(at(values.get(name), 'intValue'))
        if (id !== undefined) found.push({ id, inputTokens: tokens(inputName), outputTokens: tokens(outputName) })
      }
    }
  }
  return found
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function countOf(value: Json | undefined): number | undefined {
  const count = number(value) ?? (typeof value === 'string' && value !== '' ? Number(value) : undefined)
  return Number.isSafeInteger(count) ? count : undefined
}

/** The spans of an export request in protobuf. Field numbers: opentelemetry-proto, trace/v1/trace.proto and common/v1/common.proto. */
export function spansOfProtobuf(request: Uint8Array): Seen[] {
  const found: Seen[] = []
  for (const resource of parts(request, 1)) {
    for (const scope of parts(resource, 2)) {
      for (const span of parts(scope, 2)) {
        const seen = seenOf(span)
        if (seen !== undefined) found.push(seen)
      }
    }
  }
  return found
}

function seenOf(span: Uint8Array): Seen | undefined {
  let id: string | undefined
  const counts = new Map<string, number>()
  for (const attribute of parts(span, 9)) {
    const name = textOf(parts(attribute, 1)[0])
    if (name === idName) id = textOf(parts(parts(attribute, 2)[0] ?? attribute, 1)[0])
    else if (name === inputName || name === outputName) {
      for (const { field, value } of fields(parts(attribute, 2)[0] ?? new Uint8Array(0))) {
        if (field === 3 && typeof value === 'bigint') counts.set(name, Number(value))
      }
    }
  }
  return id === undefined ? undefined : { id, inputTokens: counts.get(inputName), outputTokens: counts.get(outputName) }
}

interface Field {
  readonly field: number
  readonly value: bigint | Uint8Array
}

/** Stops without an error where the bytes are not valid protobuf. */
function* fields(bytes: Uint8Array): Generator<Field> {
  let position = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; position < bytes.length && shift < 70n; shift += 7n) {
      const byte = bytes[position++] as number
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return value
  }
  const take = (length: number): Uint8Array => bytes.subarray(position, (position += length))
  while (position < bytes.length) {
    const tag = Number(varint())
    const kind = tag & 7
    if (kind === 0) yield { field: tag >>> 3, value: varint() }
    else if (kind === 1) yield { field: tag >>> 3, value: take(8) }
    else if (kind === 2) yield { field: tag >>> 3, value: take(Number(varint())) }
    else if (kind === 5) yield { field: tag >>> 3, value: take(4) }
    else return
  }
}

function parts(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const { field, value } of fields(bytes)) if (field === wanted && typeof value !== 'bigint') found.push(value)
  return found
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}

/** The record of a line of the request log; undefined for any other line. */
export function seenInLog(line: string): Seen | undefined {
  if (!line.includes('"exchange_id"')) return undefined
  const entry = parseJson(line)
  const id = string(at(entry, 'exchange_id'))
  if (id === undefined) return undefined
  return { id, inputTokens: countOf(at(entry, 'input_tokens')), outputTokens: countOf(at(entry, 'output_tokens')) }
}

/** Line by line, however large the file. The last line needs no newline. Rejects with the stream's error. */
export async function eachLine(chunks: AsyncIterable<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8')
  let begun: string[] = []
  for await (const chunk of chunks) {
    const [first = '', ...lines] = decoder.write(chunk as Buffer).split('\n')
    begun.push(first)
    for (const next of lines) {
      const line = begun.join('')
      if (line !== '') onLine(line)
      begun = [next]
    }
  }
  const last = begun.join('')
  if (last !== '') onLine(last)
}
