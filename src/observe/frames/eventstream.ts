/**
 * Amazon's event-stream (`application/vnd.amazon.eventstream`), big-endian throughout:
 * total length (4) · headers length (4) · CRC-32 of those 8 bytes (4) · headers · payload · CRC-32 of all before it (4).
 * Source: Smithy, "Amazon Event Stream Specification".
 *
 * The payload is handed over as it is: Bedrock's invoke events hold `{"bytes":"<base64>"}`, in which no key can be seen, so that
 * `wantedKeys` is not asked. `messageBytesMax` counts the total length. After a checksum that does not match nothing can be trusted to be a length: `parse_error`, and no more is read.
 */
import { crc32 } from 'node:zlib'
import { asBuffer, gather } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'
import { createReporter } from './reporter.ts'

const lengthsBytes = 8
const preludeBytes = 12
const checksumBytes = 4

interface Prelude {
  readonly totalBytes: number
  readonly headersBytes: number
}

export function createEventstreamFramer(options: FramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const report = createReporter(options)
  const partial = gather(Math.max(messageBytesMax, preludeBytes))
  let prelude: Prelude | undefined
  let bytesToSkip = 0
  let broken = false

  function fail(): void {
    broken = true
    partial.clear()
    report.note('parse_error')
  }

  /** Reads one step (a prelude, the rest of a message, what is to be skipped) and returns the offset behind it. */
  function step(bytes: Buffer, from: number): number {
    if (bytesToSkip > 0) return skip(bytes, from)
    const needed = prelude?.totalBytes ?? preludeBytes
    const held = partial.length()
    const end = Math.min(bytes.length, from + needed - held)
    const whole = held + end - from === needed
    if (held > 0 || !whole) partial.append(bytes, from, end)
    if (!whole) return end
    const source = held > 0 ? partial.view() : bytes.subarray(from, end)
    if (prelude !== undefined) {
      message(source, prelude)
      return end
    }
    begin(source)
    // A prelude that stood in the chunk is read again as part of its message, which may stand there in one piece too.
    return held > 0 || bytesToSkip > 0 ? end : from
  }

  function begin(source: Buffer): void {
    prelude = readPrelude(source)
    if (prelude === undefined) fail()
    else if (prelude.totalBytes > messageBytesMax) {
      bytesToSkip = prelude.totalBytes - preludeBytes
      prelude = undefined
      partial.clear()
      report.note('limit_hit')
    }
  }

  function skip(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + bytesToSkip)
    bytesToSkip -= end - from
    return end
  }

  function message(source: Buffer, { headersBytes }: Prelude): void {
    prelude = undefined
    const payloadEnd = source.length - checksumBytes
    const event = eventOf(source, preludeBytes, preludeBytes + headersBytes)
    const intact = crc32(source.subarray(0, payloadEnd)) === source.readUInt32BE(payloadEnd)
    partial.clear()
    if (!intact || event === 'unreadable') fail()
    else options.onMessage({ event: event.name, data: source.subarray(preludeBytes + headersBytes, payloadEnd) })
  }

  return {
    push(chunk) {
      const bytes = asBuffer(chunk)
      let at = 0
      while (at < bytes.length && !broken) at = step(bytes, at)
    },
    end() {},
  }
}

/** Whether a message of this framing begins here: lengths with their own checksum leave no doubt. */
export function beginsEventstream(bytes: Buffer): boolean {
  return bytes.length >= preludeBytes && readPrelude(bytes) !== undefined
}

function readPrelude(source: Buffer): Prelude | undefined {
  if (crc32(source.subarray(0, lengthsBytes)) !== source.readUInt32BE(lengthsBytes)) return undefined
  const totalBytes = source.readUInt32BE(0)
  const headersBytes = source.readUInt32BE(4)
  return headersBytes + preludeBytes + checksumBytes <= totalBytes ? { totalBytes, headersBytes } : undefined
}

/** The value of `:event-type`, or of `:exception-type` where the stream reports an exception. */
function eventOf(source: Buffer, from: number, end: number): { readonly name: string | undefined } | 'unreadable' {
  let name: string | undefined
  let at = from
  while (at < end) {
    const keyEnd = at + 1 + source.readUInt8(at)
    if (keyEnd >= end) return 'unreadable'
    const key = source.toString('latin1', at + 1, keyEnd)
    const value = valueExtent(source, keyEnd)
    if (value === undefined || value.end > end) return 'unreadable'
    if (key === ':event-type' || key === ':exception-type') name = source.toString('utf8', value.start, value.end)
    at = value.end
  }
  return { name }
}

/** Bytes of the value of each header type; -1 where two bytes of length precede it: true, false, byte, short, int, long, bytes, text, time, UUID. */
const valueBytesByType = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]

/** Undefined for an unknown type. May reach beyond the headers, but is found without reading beyond the message: its checksum follows. */
function valueExtent(source: Buffer, typeAt: number): { readonly start: number; readonly end: number } | undefined {
  const fixed = valueBytesByType[source.readUInt8(typeAt)]
  const start = typeAt + 1
  if (fixed === undefined) return undefined
  return fixed >= 0 ? { start, end: start + fixed } : { start: start + 2, end: start + 2 + source.readUInt16BE(start) }
}
