/** Encoders of the framings, written from their specifications and apart from the framers. */
import { crc32 } from 'node:zlib'

const headerValues = {
  true: () => Buffer.of(0),
  false: () => Buffer.of(1),
  byte: () => Buffer.of(2, 7),
  short: () => Buffer.of(3, 1, 2),
  int: () => Buffer.of(4, 1, 2, 3, 4),
  long: () => Buffer.of(5, 1, 2, 3, 4, 5, 6, 7, 8),
  bytes: () => Buffer.of(6, 0, 3, 0xff, 0x3a, 0x00),
  timestamp: () => Buffer.of(8, 0, 0, 1, 2, 3, 4, 5, 6),
  uuid: () => Buffer.concat([Buffer.of(9), Buffer.alloc(16, 0xab)]),
}

/** A header with a text value, or with a fixed value of another type. */
export type Header = readonly [name: string, text: string] | readonly [name: string, type: { readonly of: keyof typeof headerValues }]

function header([name, value]: Header): Buffer {
  const key = Buffer.concat([Buffer.of(Buffer.byteLength(name)), Buffer.from(name)])
  if (typeof value !== 'string') return Buffer.concat([key, headerValues[value.of]()])
  const text = Buffer.alloc(3)
  text.writeUInt8(7)
  text.writeUInt16BE(Buffer.byteLength(value), 1)
  return Buffer.concat([key, text, Buffer.from(value)])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** One message of Amazon's event-stream. */
export function eventstreamMessage(headers: readonly Header[], payload: string): Buffer {
  const block = Buffer.concat(headers.map(header))
  const lengths = Buffer.concat([uint32(16 + block.length + Buffer.byteLength(payload)), uint32(block.length)])
  const unsigned = Buffer.concat([lengths, uint32(crc32(lengths)), block, Buffer.from(payload)])
  return Buffer.concat([unsigned, uint32(crc32(unsigned))])
}

/** The headers that Bedrock sends with an event. */
export function event(type: string, payload: string): Buffer {
  const headers: Header[] = [
    [':event-type', type],
    [':content-type', 'application/json'],
    [':message-type', 'event'],
  ]
  return eventstreamMessage(headers, payload)
}

export interface SseSpelling {
  /** Line ends, used in turn. */
  readonly lineEnds: readonly string[]
  readonly space: boolean
  readonly byteOrderMark: boolean
  /** Comments, ids, retry, unknown fields and fields without a colon around every event. */
  readonly extras: boolean
  /** The blank line after the last event: whole, missing, or missing together with the line end before it. */
  readonly ending: 'whole' | 'no blank line' | 'no line end'
}

/** An event stream of `[event, data]` pairs; LF in data makes several `data` lines. */
export function sse(events: readonly (readonly [string | undefined, string])[], spelling: SseSpelling): Buffer {
  const gap = spelling.space ? ' ' : ''
  const lines = events.flatMap(([name, data], index) => [
    ...(spelling.extras ? [`: comment ${index}`, `id:${gap}${index}`, 'retry: 10', 'nonsense: "usage":{}', 'no colon', 'data2: no'] : []),
    ...(name === undefined ? [] : [`event:${gap}${name}`]),
    ...data.split('\n').map((line) => `data:${gap}${line}`),
    ...(spelling.extras ? ['id', ':'] : []),
    '',
  ])
  if (spelling.ending !== 'whole') lines.pop()
  const last = spelling.ending === 'no line end' ? lines.length - 1 : lines.length
  const text = lines.map((line, index) => (index < last ? line + spelling.lineEnds[index % spelling.lineEnds.length] : line)).join('')
  return Buffer.from((spelling.byteOrderMark ? '\ufeff' : '') + text)
}

export interface FrameSpelling {
  /** 1 text, 2 binary, 0 continuation, 8 close, 9 ping, 10 pong. */
  readonly opcode?: number
  /** Another frame of the same message follows. */
  readonly more?: boolean
  readonly mask?: readonly [number, number, number, number]
  /** RSV1, and 2 and 4 for the other reserved bits. */
  readonly reserved?: number
  /** How the length is written; the shortest way when not given. */
  readonly lengthBits?: 7 | 16 | 64
}

/** One WebSocket frame (RFC 6455 §5.2); text when nothing else is said. */
export function webSocketFrame(payload: string | Buffer, spelling: FrameSpelling = {}): Buffer {
  const { opcode = 1, more = false, mask, reserved = 0 } = spelling
  const bytes = Buffer.from(payload)
  const lengthBits = spelling.lengthBits ?? (bytes.length < 126 ? 7 : bytes.length < 65536 ? 16 : 64)
  const first =
    (more ? 0 : 0x80) + ((reserved & 1) !== 0 ? 0x40 : 0) + ((reserved & 2) !== 0 ? 0x20 : 0) + ((reserved & 4) !== 0 ? 0x10 : 0)
  const short = lengthBits === 7 ? bytes.length : lengthBits === 16 ? 126 : 127
  const length = Buffer.alloc(lengthBits === 7 ? 0 : lengthBits / 8)
  if (lengthBits === 16) length.writeUInt16BE(bytes.length)
  if (lengthBits === 64) length.writeBigUInt64BE(BigInt(bytes.length))
  const head = Buffer.concat([Buffer.of(first + opcode, short + (mask === undefined ? 0 : 0x80)), length])
  if (mask === undefined) return Buffer.concat([head, bytes])
  return Buffer.concat([head, Buffer.from(mask), Buffer.from(bytes.map((byte, at) => byte ^ (mask[at % 4] as number)))])
}

/** A Close frame. */
export function webSocketClose(code?: number, reason = '', spelling: FrameSpelling = {}): Buffer {
  const payload = code === undefined ? '' : Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)])
  return webSocketFrame(payload, { ...spelling, opcode: 8 })
}
