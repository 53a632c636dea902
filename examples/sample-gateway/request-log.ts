/**
 * The gateway's own request log, one JSON line per response. It has the bug of `examples/fastapi-gateway`, the one that tokenweir was made for:
 * a streamed response is logged after its yield loop, in code that never runs. Plain responses are logged well, so nobody notices.
 */
import { appendFileSync } from 'node:fs'
import type { Usage } from '../../src/lib/exchange.ts'
import type { Piece } from './script.ts'

export interface RequestLog {
  plain(status: number, usage: Usage | undefined): void
  /** The pieces of a streamed response, as they are given. */
  streamed(pieces: readonly Piece[], status: number): AsyncIterable<Piece>
}

/** Without a file nothing is written. */
export function createRequestLog(file: string | undefined): RequestLog {
  const write = (msg: string, status: number, usage: Usage | undefined) => {
    const line = { msg, status, input_tokens: usage?.inputTokens ?? 0, output_tokens: usage?.outputTokens ?? 0 }
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`)
  }
  return {
    plain: (status, usage) => write('Request logged', status, usage),
    async *streamed(pieces, status) {
      let usage: Usage | undefined
      for (const piece of pieces) {
        usage = piece.usage ?? usage
        yield piece
      }
      // THE BUG. The reader stops at the last event, or leaves before it: this generator is then closed at its `yield`, and what stands here never runs.
      write('Streaming request logged', status, usage)
    },
  }
}
