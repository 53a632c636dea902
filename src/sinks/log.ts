/**
 * exchange → one line of JSON on standard output. Lines are let out after the commit of their rows, and written asynchronously; a slow or
 * closed reader costs lines, never memory. A mark says up to which row the lines are out, so that the next start can write what is missing.
 */
import { write as writeFile } from 'node:fs'
import type { Exchange } from '../lib/exchange.ts'
import { printable } from '../lib/printable.ts'
import type { Meter } from '../telemetry/meter.ts'
import type { Sink } from './sink.ts'

export interface LogOptions {
  readonly meter: Meter
  /** Writes some of the bytes and says how many. Standard output when not given. */
  readonly write?: Write
  /** Bytes that may wait for the reader; lines beyond are dropped and counted. */
  readonly waitingBytesMax?: number
  /** Told when the lines of all rows up to that rowid are out, or given up and counted. */
  readonly onMark?: (rowid: number) => void
  /** An exchange's line; `logLine` when not given. */
  readonly line?: typeof logLine
}

export type Write = (bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void

const waitingBytesUsualMax = 16 * 1024 * 1024
/** A pipe that takes nothing now (EAGAIN) is asked again after this long. */
const againMs = 10

const writeStdout: Write = (bytes, done) => writeFile(1, bytes, 0, bytes.length, null, done)

interface Chunk {
  readonly bytes: Uint8Array
  readonly lines: number
  /** Rowid of the last row whose line is in it or before it. */
  readonly mark: number
}

export interface LogSink extends Sink {
  /** Lets out the lines gathered since the last time. `mark`: rowid of the last row whose line they bring, 0 when it is not written yet. */
  letOut(mark: number): void
  /** Lines of rows that an earlier process may have left without one. */
  replay(exchanges: readonly Exchange[]): void
}

export function createLogSink(options: LogOptions): LogSink {
  const { meter, write = writeStdout, waitingBytesMax = waitingBytesUsualMax, onMark, line = logLine } = options
  const written = meter.counter('tokenweir.log.written', {})
  const dropped = meter.counter('tokenweir.log.dropped', {})
  let waiting: Chunk[] = []
  let waitingBytes = 0
  let underWay: Chunk | undefined
  let closed = false
  let onIdle: (() => void) | undefined

  function next(): void {
    const lines = waiting.reduce((sum, chunk) => sum + chunk.lines, 0)
    const mark = waiting.reduce((last, chunk) => chunk.mark || last, 0)
    underWay = lines === 0 ? undefined : { bytes: Buffer.concat(waiting.map(({ bytes }) => bytes)), lines, mark }
    waiting = []
    if (underWay !== undefined) {
      attempt(underWay)
      return
    }
    out(mark)
    onIdle?.()
  }

  function attempt(chunk: Chunk): void {
    write(chunk.bytes, (error, bytesWritten) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(attempt, againMs, chunk)
        return
      }
      if (error === null && bytesWritten < chunk.bytes.length) {
        waitingBytes -= bytesWritten
        attempt({ ...chunk, bytes: chunk.bytes.subarray(bytesWritten) })
        return
      }
      waitingBytes -= chunk.bytes.length
      if (error === null) written.add(chunk.lines)
      else dropped.add(chunk.lines)
      // Nobody will ever read again. Any other error (a full disk) may pass, and only costs this chunk.
      if (error?.code === 'EPIPE' || error?.code === 'EBADF') giveUp()
      out(chunk.mark)
      next()
    })
  }

  function giveUp(): void {
    closed = true
    dropped.add(waiting.reduce((sum, { lines }) => sum + lines, 0))
    waiting = []
    waitingBytes = 0
  }

  function out(mark: number): void {
    if (mark > 0) onMark?.(mark)
  }

  function push(text: string, lines: number, mark: number): void {
    const bytes = Buffer.from(text)
    if (closed || waitingBytes + bytes.length > waitingBytesMax) {
      dropped.add(lines)
      waiting.push({ bytes: new Uint8Array(0), lines: 0, mark })
    } else {
      waiting.push({ bytes, lines, mark })
      waitingBytes += bytes.length
    }
    if (underWay === undefined) next()
  }

  let gathered = ''
  let gatheredLines = 0

  return {
    name: 'log',
    record({ ended }) {
      for (const exchange of ended) gathered += `${line(exchange)}\n`
      gatheredLines += ended.length
    },
    letOut(mark) {
      if (gatheredLines === 0 && mark === 0) return
      const [text, lines] = [gathered, gatheredLines]
      gathered = ''
      gatheredLines = 0
      push(text, lines, mark)
    },
    replay: (exchanges) => push(exchanges.map((exchange) => `${line(exchange, true)}\n`).join(''), exchanges.length, 0),
    close() {
      if (underWay === undefined) return Promise.resolve()
      return new Promise((resolve) => {
        onIdle = resolve
      })
    },
  }
}

/** The request log of DESIGN §1: this sentence, for each streamed answer, whatever way it ended. */
const streamedMessage = 'Streaming request logged'
const otherMessage = 'Request logged'

/** The `msg` of an exchange's line. */
export function logMessage({ ending }: Exchange): string {
  return ending.streamed && ending.status !== undefined && ending.status < 400 ? streamedMessage : otherMessage
}

/**
 * One JSON object. What is not known is left out; there are no headers, no query and no content in it. `replayed`: made of the row after a
 * kill, when the first line may be out or not.
 */
export function logLine(exchange: Exchange, replayed?: boolean): string {
  const { opening, ending, request, response } = exchange
  const usage = response?.usage
  const line = JSON.stringify({
    time: new Date(opening.startedAt + ending.endMs).toISOString(),
    level: levelOf(exchange),
    msg: logMessage(exchange),
    replayed,
    trace_id: opening.traceId,
    span_id: opening.spanId,
    exchange_id: opening.id,
    method: opening.method,
    path: opening.path,
    route: opening.route,
    caller: exchange.caller,
    labels: exchange.labels,
    status: ending.status,
    end_reason: exchange.endReason,
    error_type: exchange.errorType,
    operation: exchange.operation,
    provider: exchange.provider,
    request_model: request?.model,
    response_model: response?.model,
    response_id: response?.id,
    input_tokens: usage?.inputTokens,
    output_tokens: usage?.outputTokens,
    cache_read_tokens: usage?.cacheReadTokens,
    cache_write_tokens: usage?.cacheWriteTokens,
    reasoning_tokens: usage?.reasoningTokens,
    total_tokens: usage?.totalTokens,
    responses: response?.responses?.ended,
    usage_outcome: exchange.usageOutcome,
    usage_reason: exchange.usageReason,
    estimated_input_tokens: exchange.estimatedInputTokens,
    estimated_output_tokens: exchange.estimatedOutputTokens,
    cost: costOf(exchange),
    cost_status: exchange.cost?.status,
    cache_saved: cacheSavedOf(exchange),
    time_to_first_chunk_ms: rounded(ending.firstChunkMs),
    time_per_output_token_ms: rounded(exchange.timePerOutputTokenMs),
    output_tokens_per_second: rounded(perSecond(exchange.timePerOutputTokenMs)),
    duration_ms: exchange.endUnseen === true ? undefined : rounded(ending.endMs),
    request_bytes: ending.requestBytes,
    response_bytes: ending.responseBytes,
    notes: exchange.notes.length === 0 ? undefined : exchange.notes,
  })
  return printable(line)
}

/** USD; absent when it is not known. */
function costOf({ cost }: Exchange): number | undefined {
  return cost === undefined || cost.status === 'unpriced' ? undefined : cost.usd
}

/** USD; below zero where caching made the request dearer. */
function cacheSavedOf({ cost }: Exchange): number | undefined {
  return cost === undefined || cost.status === 'unpriced' ? undefined : cost.cacheSavedUsd
}

function perSecond(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : 1000 / milliseconds
}

/** A caller's mistake is a warning, everything that failed on the upstream's side an error. */
export function levelOf({ errorType, ending }: Exchange): 'info' | 'warn' | 'error' {
  if (errorType === undefined) return 'info'
  return ending.status !== undefined && ending.status >= 400 && ending.status < 500 ? 'warn' : 'error'
}

/** Milliseconds to the microsecond, and what is counted to a thousandth. */
function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 1000) / 1000
}
