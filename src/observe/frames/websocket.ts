/**
 * WebSocket frames (RFC 6455 §5), one direction of a connection after its handshake. Whole text messages are handed over; binary ones are
 * stepped over, and nothing is read behind a Close frame. Masking is undone wherever a frame says that it is masked.
 *
 * After bytes that are no frame, the places where frames begin are lost: `parse_error`, and no more is read.
 */
import { asBuffer, gather } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'
import { createReporter } from './reporter.ts'

/** Undoes permessage-deflate (RFC 7692) for one direction. It may take its time, but keeps the order. */
export interface Inflater {
  /** A piece of the compressed message under way. It is not changed afterwards. */
  push(piece: Uint8Array): void
  /** That message is whole. Binary ones are read, because later ones may refer to them, and dropped. */
  end(isText: boolean): void
  /** A text message that was not compressed, to be handed on in its turn. `data` is valid only during the call. */
  pass(data: Buffer): void
}

export interface InflaterSink {
  readonly onMessage: (data: Buffer) => void
  readonly onNote: (note: 'limit_hit' | 'parse_error') => void
}

export interface WebSocketFramerOptions extends FramerOptions {
  /** Given when permessage-deflate was agreed. Without it a compressed message is a parse error. */
  /** Binary messages are handed over as text is: some APIs send their JSON in them. */
  readonly readsBinary?: boolean
  readonly createInflater?: ((sink: InflaterSink) => Inflater) | undefined
  /** The Close frame; undefined when it has no code. */
  readonly onClose?: ((code: number | undefined) => void) | undefined
}

const continuation = 0x0
const text = 0x1
const binary = 0x2
const close = 0x8
const opcodes: ReadonlySet<number> = new Set([continuation, text, binary, close, 0x9, 0xa])
const controlBytesMax = 125
/** Two bytes, eight of length, four of mask. */
const headBytesMax = 14

interface Head {
  readonly opcode: number
  readonly isLast: boolean
  /** RSV1: the message is compressed. */
  readonly isCompressed: boolean
  readonly bytes: number
  readonly mask: Buffer | undefined
}

/** The data message under way. */
interface Message {
  readonly isText: boolean
  readonly isCompressed: boolean
  isTooLong: boolean
}

export function createWebSocketFramer(options: WebSocketFramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const report = createReporter(options)
  const inflater = options.createInflater?.({ onMessage: (data) => report.message(undefined, data), onNote: report.note })
  const headPart = gather(headBytesMax)
  const control = gather(controlBytesMax)
  const held = gather(messageBytesMax)
  let head: Head | undefined
  let bytesRead = 0
  let message: Message | undefined
  let over = false

  function fail(): void {
    over = true
    held.clear()
    report.note('parse_error')
  }

  /** Reads a part of a frame's head and returns the offset behind it. */
  function readHead(bytes: Buffer, from: number): number {
    const needed = headPart.length() < 2 ? 2 : headLength(headPart.view())
    const end = Math.min(bytes.length, from + needed - headPart.length())
    headPart.append(bytes, from, end)
    const part = headPart.view()
    if (part.length < 2 || part.length < headLength(part)) return end
    const found = parseHead(part)
    headPart.clear()
    if (found === undefined || !isInOrder(found)) fail()
    else begin(found)
    return end
  }

  /** Whether this frame may stand here (RFC 6455 §5.4, §5.5; RFC 7692 §6.1: only a message's first frame says that it is compressed). */
  function isInOrder({ opcode, isLast, isCompressed, bytes }: Head): boolean {
    if (opcode >= close) return isLast && !isCompressed && bytes <= controlBytesMax
    if (isCompressed && (inflater === undefined || opcode === continuation)) return false
    return (opcode === continuation) === (message !== undefined)
  }

  function begin(found: Head): void {
    head = found
    bytesRead = 0
    if (found.opcode === text || found.opcode === binary) {
      message = { isText: found.opcode === text || options.readsBinary === true, isCompressed: found.isCompressed, isTooLong: false }
    }
    if (found.opcode < close && message?.isText && !message.isCompressed && held.length() + found.bytes > messageBytesMax) {
      message.isTooLong = true
      held.clear()
      report.note('limit_hit')
    }
    if (found.bytes === 0) endFrame(found)
  }

  function readPayload(bytes: Buffer, from: number, of: Head): number {
    const end = Math.min(bytes.length, from + of.bytes - bytesRead)
    if (of.opcode >= close) append(control, bytes, from, end, of)
    else if (message !== undefined && readsAtOnce(message, of, end - from)) {
      bytesRead = of.bytes
      hand(bytes.subarray(from, end))
      message = undefined
      head = undefined
      return end
    } else readData(bytes, from, end, of)
    bytesRead += end - from
    if (bytesRead === of.bytes) endFrame(of)
    return end
  }

  /** A whole message in one piece: nothing is copied. */
  function readsAtOnce({ isText, isCompressed, isTooLong }: Message, { isLast, mask, bytes }: Head, bytesHere: number): boolean {
    return isText && !isCompressed && !isTooLong && isLast && mask === undefined && bytesHere === bytes && held.length() === 0
  }

  function readData(bytes: Buffer, from: number, end: number, of: Head): void {
    if (message?.isCompressed)
      inflater?.push(of.mask === undefined ? bytes.subarray(from, end) : unmasked(bytes.subarray(from, end), of.mask, bytesRead))
    else if (message?.isText && !message.isTooLong) append(held, bytes, from, end, of)
  }

  function append(block: ReturnType<typeof gather>, bytes: Buffer, from: number, end: number, { mask }: Head): void {
    const start = block.length()
    block.append(bytes, from, end)
    if (mask !== undefined) unmask(block.view(), start, mask, bytesRead)
  }

  function endFrame({ opcode, isLast }: Head): void {
    head = undefined
    if (opcode >= close) {
      if (opcode === close) endAll(control.view())
      control.clear()
    } else if (isLast && message !== undefined) {
      if (message.isCompressed) inflater?.end(message.isText)
      else if (message.isText && !message.isTooLong) hand(held.view())
      held.clear()
      message = undefined
    }
  }

  function hand(data: Buffer): void {
    if (inflater === undefined) report.message(undefined, data)
    else inflater.pass(data)
  }

  function endAll(payload: Buffer): void {
    over = true
    held.clear()
    options.onClose?.(payload.length >= 2 ? payload.readUInt16BE(0) : undefined)
  }

  return {
    push(chunk) {
      const bytes = asBuffer(chunk)
      report.readWanted()
      let at = 0
      while (at < bytes.length && !over) at = head === undefined ? readHead(bytes, at) : readPayload(bytes, at, head)
    },
    end() {},
  }
}

/** A copy without its mask; the payload before it had `bytesBefore`. */
function unmasked(bytes: Buffer, mask: Buffer, bytesBefore: number): Buffer {
  const copy = Buffer.from(bytes)
  unmask(copy, 0, mask, bytesBefore)
  return copy
}

/** Bytes of the head that begins with these two. */
function headLength(part: Buffer): number {
  const second = part.readUInt8(1)
  const lengthBytes = (second & 0x7f) === 126 ? 2 : (second & 0x7f) === 127 ? 8 : 0
  return 2 + lengthBytes + ((second & 0x80) === 0 ? 0 : 4)
}

/** Undefined when it is none: an opcode or a reserved bit without meaning, a length beyond 2^53. */
function parseHead(part: Buffer): Head | undefined {
  const first = part.readUInt8(0)
  const short = part.readUInt8(1) & 0x7f
  const isMasked = (part.readUInt8(1) & 0x80) !== 0
  const opcode = first & 0x0f
  const bytes = short === 126 ? part.readUInt16BE(2) : short === 127 ? part.readUInt32BE(2) * 2 ** 32 + part.readUInt32BE(6) : short
  if (!opcodes.has(opcode) || (first & 0x30) !== 0 || !Number.isSafeInteger(bytes)) return undefined
  return {
    opcode,
    isLast: (first & 0x80) !== 0,
    isCompressed: (first & 0x40) !== 0,
    bytes,
    mask: isMasked ? Buffer.from(part.subarray(part.length - 4)) : undefined,
  }
}

/** In place, from `start`; `offset` is the place of that byte in the frame's payload (RFC 6455 §5.3). */
function unmask(bytes: Buffer, start: number, mask: Buffer, offset: number): void {
  for (let at = start; at < bytes.length; at++) bytes[at] = (bytes[at] as number) ^ (mask[(offset + at - start) & 3] as number)
}
