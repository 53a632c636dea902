/**
 * What is read of an upgraded connection: of a WebSocket the text messages of both sides, on a copy; of every other protocol nothing. Its
 * state is bounded however long the connection lives.
 */

import type { Framing, Opening, Outcome, ResponseFacts, Session, Side } from '../lib/exchange.ts'
import { pickHeaders } from '../proxy/headers.ts'
import { type ClosableInflater, createInflater } from './decode/inflater.ts'
import { createFold, type Fold } from './fold.ts'
import { formatNamed } from './formats/index.ts'
import type { Framer } from './frames/framer.ts'
import { createWebSocketFramer, type Inflater, type InflaterSink } from './frames/websocket.ts'

export interface SessionOptions {
  readonly opening: Opening
  /** Of the answer that upgraded the connection: flat list, as received. */
  readonly rawHeaders: readonly string[]
  readonly messageBytesMax: number
  /** Milliseconds since the connection was asked for. */
  readonly elapsedMs: () => number
  readonly note: (text: string) => void
}

/** Settings are short. A longer message of the client (a whole conversation, a picture) is not parsed on this thread. */
const sentBytesMax = 256 * 1024

const handshakeFields: ReadonlySet<string> = new Set(['upgrade', 'sec-websocket-extensions'])

export class SessionReader {
  readonly framing: Framing
  readonly encoding = undefined
  readonly streamed: boolean
  readonly #options: SessionOptions
  #fold: Fold | undefined
  #framers: Record<Side, Framer> | undefined
  readonly #inflaters: ClosableInflater[] = []
  #close: Session['close']
  #closedBy: Record<Side, boolean> = { client: false, upstream: false }
  #responseEndMs: readonly number[] = []

  constructor(options: SessionOptions) {
    this.#options = options
    const { upgrade, 'sec-websocket-extensions': extensions } = pickHeaders(options.rawHeaders, handshakeFields)
    this.streamed = upgrade?.toLowerCase() === 'websocket'
    this.framing = this.streamed ? 'websocket' : 'none'
    if (!this.streamed) return
    const { method, path, queryModel } = options.opening
    this.#fold = createFold(method, path, {}, queryModel)
    const coding = codingOf(extensions)
    if (coding === 'unknown') options.note('unsupported_encoding')
    else this.#framers = { client: this.#createFramer('client', coding), upstream: this.#createFramer('upstream', coding) }
  }

  format(): string | undefined {
    return this.#fold?.format
  }

  facts(): ResponseFacts | undefined {
    return this.#fold?.facts()
  }

  wholeBody(): undefined {
    return undefined
  }

  session(): Session | undefined {
    if (this.#fold === undefined) return undefined
    return { request: this.#fold.request(), responseEndMs: this.#responseEndMs, close: this.#close }
  }

  push(chunk: Uint8Array): void {
    this.#framers?.upstream.push(chunk)
  }

  pushSent(chunk: Uint8Array): void {
    this.#framers?.client.push(chunk)
  }

  /** Calls back when everything that was received has been read: at once, unless a message is still being inflated. */
  end(onEnd: () => void): void {
    let open = this.#inflaters.length
    if (open === 0) onEnd()
    for (const inflater of this.#inflaters) inflater.close(() => --open === 0 && onEnd())
  }

  /**
   * A close handshake, or one side's Close frame with a normal code, is a connection that came whole, whatever the sockets did next. Without
   * either, the side that ended it first has left (RFC 6455 §7.1.5: code 1006).
   */
  outcomeOf(outcome: Outcome): Outcome {
    if (outcome.kind === 'sidecar-stopped' || this.#framers === undefined) return plain(outcome)
    const { code } = this.#close ?? {}
    const isNormal = this.#close !== undefined && (code === undefined || code === 1000 || code === 1001)
    if (isNormal || (this.#closedBy.client && this.#closedBy.upstream)) return { kind: 'answered' }
    if (outcome.kind !== 'answered' || outcome.endedBy === undefined) return outcome
    return { kind: outcome.endedBy === 'client' ? 'client-aborted' : 'upstream-aborted' }
  }

  #createFramer(side: Side, coding: Coding): Framer {
    const fold = this.#fold as Fold
    const { messageBytesMax, note } = this.#options
    const bytesMax = side === 'client' ? Math.min(messageBytesMax, sentBytesMax) : messageBytesMax
    const read = (data: Uint8Array) => (side === 'client' ? fold.sent(data) : this.#received(fold, data))
    return createWebSocketFramer({
      onMessage: ({ data }) => this.#guarded(() => read(data)),
      onNote: (text) => note(side === 'client' ? `request_${text}` : text),
      onClose: (code) => {
        this.#closedBy[side] = true
        this.#close ??= { by: side, ...(code === undefined ? {} : { code }) }
      },
      messageBytesMax: bytesMax,
      readsBinary: formatNamed(fold.format)?.session?.inBinary === true,
      wantedKeys: () => (side === 'client' ? fold.wantedSentKeys() : fold.wantedKeys()),
      createInflater: coding === 'plain' ? undefined : (sink) => this.#createInflater(sink, bytesMax),
    })
  }

  /** Nothing is inflated that no format would read. */
  #createInflater(sink: InflaterSink, messageBytesMax: number): Inflater {
    if (this.#fold?.format === undefined) return { push() {}, end() {}, pass() {} }
    const inflater = createInflater(sink, { messageBytesMax })
    this.#inflaters.push(inflater)
    return inflater
  }

  #received(fold: Fold, data: Uint8Array): void {
    const before = fold.facts()?.responses?.ended ?? 0
    fold.message(undefined, data)
    const responses = fold.facts()?.responses
    if (responses === undefined || responses.ended === before) return
    this.#responseEndMs = [...this.#responseEndMs, this.#options.elapsedMs()].slice(-responses.last.length)
  }

  /** Messages that were inflated come outside every guard of the proxy path. */
  #guarded(read: () => void): void {
    try {
      read()
    } catch {
      this.#framers = undefined
      this.#options.note('observer_failed')
    }
  }
}

function plain(outcome: Outcome): Outcome {
  return outcome.kind === 'answered' ? { kind: 'answered' } : outcome
}

type Coding = 'plain' | 'deflate' | 'unknown'

/** What the two sides have agreed on (RFC 6455 §9.1). The parameters of permessage-deflate change nothing for one who only reads. */
function codingOf(extensions: string | undefined): Coding {
  const names = (extensions ?? '').split(',').map((one) => one.split(';', 1)[0]?.trim().toLowerCase() ?? '')
  const agreed = names.filter((name) => name !== '')
  if (agreed.length === 0) return 'plain'
  return agreed.length === 1 && agreed[0] === 'permessage-deflate' ? 'deflate' : 'unknown'
}
