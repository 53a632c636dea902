/**
 * permessage-deflate (RFC 7692 §7.2.2), undone for one direction of a WebSocket. One inflater lives as long as the connection, because a
 * message may refer to the ones before it; it serves connections without context takeover and with smaller windows as well, which only
 * refer to less. Works on zlib's thread pool; messages come out in the order in which they came in.
 */
import { constants, createInflateRaw, type InflateRaw } from 'node:zlib'
import { asBuffer, gather } from '../frames/bytes.ts'
import type { Inflater, InflaterSink } from '../frames/websocket.ts'

export interface InflaterLimits {
  /** Bytes of one message, inflated; a longer one is dropped and noted as `limit_hit`. */
  readonly messageBytesMax: number
  /** Bytes that wait to be inflated; more give `limit_hit` and end the reading. Default 8 MiB. */
  readonly queuedBytesMax?: number
}

export interface ClosableInflater extends Inflater {
  /** Calls back when everything that came has been handed on: at once when nothing is under way. Nothing may come after it. */
  close(onClosed: () => void): void
}

/** What the sender took off the end of each message. */
const tail: Uint8Array = Buffer.from([0x00, 0x00, 0xff, 0xff])

/** A trip to the thread pool costs more than inflating a usual message: so many bytes go together. */
const tripBytes = 64 * 1024

/** A message that waits for its turn: being inflated, or plain and behind one that is. */
type Waiting = { readonly isText: boolean } | { readonly plain: Buffer }

export function createInflater(
  sink: InflaterSink,
  { messageBytesMax, queuedBytesMax = 8 * 1024 * 1024 }: InflaterLimits,
): ClosableInflater {
  const inflated = gather(messageBytesMax)
  const waiting: Waiting[] = []
  let engine: InflateRaw | undefined
  /** Of the message under way, not yet handed to zlib. */
  let pieces: Uint8Array[] = []
  let piecesBytes = 0
  let queuedBytes = 0
  let isTooLong = false
  let stopped = false
  let onClosed: (() => void) | undefined

  /** What is still to come in this direction cannot be read. */
  function stop(note: 'limit_hit' | 'parse_error'): void {
    if (stopped) return
    stopped = true
    sink.onNote(note)
    for (const one of waiting) if ('plain' in one) sink.onMessage(one.plain)
    waiting.length = 0
    pieces = []
    inflated.clear()
    finish()
  }

  function finish(): void {
    if (waiting.length > 0 || (onClosed === undefined && !stopped)) return
    engine?.destroy()
    engine = undefined
    const call = onClosed
    onClosed = undefined
    call?.()
  }

  function start(): InflateRaw {
    const made = createInflateRaw({ flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH })
    made.on('data', (piece: Buffer) => {
      if (isTooLong || stopped || inflated.append(piece, 0, piece.length)) return
      isTooLong = true
      inflated.clear()
      sink.onNote('limit_hit')
    })
    made.on('error', () => stop('parse_error'))
    // A block that is marked as the last one is allowed (RFC 7692 §7.2.3.4), but nobody sends it, and zlib keeps no window behind it.
    made.on('end', () => stop('parse_error'))
    return made
  }

  function write(piece: Uint8Array, onWritten?: () => void): void {
    queuedBytes += piece.length
    if (queuedBytes > queuedBytesMax) {
      stop('limit_hit')
      return
    }
    engine ??= start()
    engine.write(piece, () => {
      queuedBytes -= piece.length
      if (!stopped) onWritten?.()
    })
  }

  function takePieces(): Buffer {
    const taken = Buffer.concat(pieces)
    pieces = []
    piecesBytes = 0
    return taken
  }

  /** The first of those that wait is whole, and with it the plain ones right behind it. */
  function endFirst(): void {
    engine?.read() // what the stream holds back for its next tick
    const first = waiting.shift()
    if (first !== undefined && 'isText' in first && first.isText && !isTooLong) sink.onMessage(inflated.view())
    inflated.clear()
    isTooLong = false
    for (let next = waiting[0]; next !== undefined && 'plain' in next; next = waiting[0]) {
      sink.onMessage(next.plain)
      queuedBytes -= next.plain.length
      waiting.shift()
    }
    finish()
  }

  return {
    push(piece) {
      if (stopped) return
      pieces.push(piece)
      piecesBytes += piece.length
      if (piecesBytes > tripBytes) write(takePieces())
    },
    end(isText) {
      if (stopped) return
      waiting.push({ isText })
      pieces.push(tail)
      write(takePieces(), endFirst)
    },
    pass(data) {
      if (waiting.length === 0) sink.onMessage(data)
      else if ((queuedBytes += data.length) > queuedBytesMax) stop('limit_hit')
      else waiting.push({ plain: Buffer.from(asBuffer(data)) })
    },
    close(whenClosed) {
      onClosed = whenClosed
      finish()
    },
  }
}
