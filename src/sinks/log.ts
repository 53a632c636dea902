/** exchange → one line of JSON on standard output. Batches are written asynchronously; a slow or closed reader costs lines, never memory. */
import { write as writeFile } from 'node:fs'
import type { Exchange } from '../exchange.ts'
import type { Meter } from '../telemetry/meter.ts'
import type { Sink } from './sink.ts'

export interface LogOptions {
  readonly meter: Meter
  /** Writes some of the bytes and says how many. Standard output when not given. */
  readonly write?: Write
  /** Bytes that may wait for the reader; lines beyond are dropped and counted. */
  readonly waitingBytesMax?: number
}

export type Write = (bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void

const waitingBytesUsualMax = 16 * 1024 * 1024
/** A pipe that takes nothing now (EAGAIN) is asked again after this long. */
const againMs = 10

const writeStdout: Write = (bytes, done) => writeFile(1, bytes, 0, bytes.length, null, done)

interface Chunk {
  readonly bytes: Uint8Array
  readonly lines: number
}

export function createLogSink({ meter, write = writeStdout, waitingBytesMax = waitingBytesUsualMax }: LogOptions): Sink {
  const written = meter.counter('tokenweir.log.written', {})
  const dropped = meter.counter('tokenweir.log.dropped', {})
  let waiting: Chunk[] = []
  let waitingBytes = 0
  let underWay: Chunk | undefined
  let closed = false
  let onIdle: (() => void) | undefined

  function next(): void {
    const lines = waiting.reduce((sum, chunk) => sum + chunk.lines, 0)
    underWay = waiting.length === 0 ? undefined : { bytes: Buffer.concat(waiting.map(({ bytes }) => bytes)), lines }
    waiting = []
    if (underWay === undefined) onIdle?.()
    else attempt(underWay)
  }

  function attempt(chunk: Chunk): void {
    write(chunk.bytes, (error, bytesWritten) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(attempt, againMs, chunk)
        return
      }
      if (error === null && bytesWritten < chunk.bytes.length) {
        waitingBytes -= bytesWritten
        attempt({ bytes: chunk.bytes.subarray(bytesWritten), lines: chunk.lines })
        return
      }
      waitingBytes -= chunk.bytes.length
      if (error === null) written.add(chunk.lines)
      else dropped.add(chunk.lines)
      // Nobody will ever read again. Any other error (a full disk) may pass, and only costs this chunk.
      if (error?.code === 'EPIPE' || error?.code === 'EBADF') giveUp()
      next()
    })
  }

  function giveUp(): void {
    closed = true
    dropped.add(waiting.reduce((sum, { lines }) => sum + lines, 0))
    waiting = []
    waitingBytes = 0
  }

  return {
    name: 'log',
    record({ ended }) {
      if (ended.length === 0) return
      let text = ''
      for (const exchange of ended) text += `${logLine(exchange)}\n`
      const bytes = Buffer.from(text)
      if (closed || waitingBytes + bytes.length > waitingBytesMax) {
        dropped.add(ended.length)
        return
      }
      waiting.push({ bytes, lines: ended.length })
      waitingBytes += bytes.length
      if (underWay === undefined) next()
    },
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

/** One JSON object. What is not known is left out; there are no headers, no query and no content in it. */
export function logLine(exchange: Exchange): string {
  const { opening, ending, request, response } = exchange
  const usage = response?.usage
  return JSON.stringify({
    time: new Date(opening.startedAt + ending.endMs).toISOString(),
    level: levelOf(exchange),
    msg: ending.streamed && ending.status !== undefined && ending.status < 400 ? streamedMessage : otherMessage,
    trace_id: opening.traceId,
    span_id: opening.spanId,
    exchange_id: opening.id,
    method: opening.method,
    path: opening.path,
    route: opening.route,
    caller: exchange.caller,
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
    time_to_first_chunk_ms: rounded(ending.firstChunkMs),
    duration_ms: rounded(ending.endMs),
    request_bytes: ending.requestBytes,
    response_bytes: ending.responseBytes,
    notes: exchange.notes.length === 0 ? undefined : exchange.notes,
  })
}

/** USD; absent when it is not known. */
function costOf({ cost }: Exchange): number | undefined {
  return cost === undefined || cost.status === 'unpriced' ? undefined : cost.usd
}

/** A caller's mistake is a warning, everything that failed on the upstream's side an error. */
function levelOf({ errorType, ending }: Exchange): 'info' | 'warn' | 'error' {
  if (errorType === undefined) return 'info'
  return ending.status !== undefined && ending.status >= 400 && ending.status < 500 ? 'warn' : 'error'
}

/** Milliseconds to the microsecond. */
function rounded(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.round(milliseconds * 1000) / 1000
}
