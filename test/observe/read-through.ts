/** A recording through reader and conclusion, in pieces of a size that a test chooses: no sockets. */
import { conclude, readRequest } from '../../src/conclude/conclude.ts'
import type { Exchange, Outcome } from '../../src/lib/exchange.ts'
import { CopyBudget } from '../../src/observe/collected.ts'
import { ResponseReader } from '../../src/observe/response.ts'
import { ending, opening } from '../formats/exchanges.ts'
import type { Recording } from '../recordings/recording.ts'

export interface ReadOptions {
  readonly pieceBytes?: number
  readonly bodyBytesMax?: number
  readonly messageBytesMax?: number
  readonly copyBytesMax?: number
  readonly outcome?: Outcome
}

type Readable = Pick<Recording, 'method' | 'path' | 'requestHeaders' | 'requestBody' | 'status' | 'responseHeaders' | 'body'>

export async function readThrough(recording: Readable, options: ReadOptions = {}): Promise<Exchange> {
  const { method, requestHeaders, requestBody, status, responseHeaders, body } = recording
  const {
    pieceBytes = Math.max(1, body.length),
    bodyBytesMax = 1 << 26,
    messageBytesMax = 1 << 22,
    copyBytesMax = 1 << 26,
    outcome = { kind: 'answered' },
  } = options
  const open = opening({ method, path: recording.path.split('?', 1)[0] as string, requestHeaders })
  const notes = new Set<string>()
  const reader = new ResponseReader(
    open,
    status,
    responseHeaders,
    { bodyBytesMax, messageBytesMax, copies: new CopyBudget(copyBytesMax), estimates: false },
    notes,
  )
  for (let from = 0; from < body.length; from += pieceBytes) reader.push(body.subarray(from, from + pieceBytes))
  await new Promise<void>((resolve) => reader.end(resolve))
  const end = ending({
    outcome,
    status,
    responseHeaders,
    streamed: reader.streamed,
    framing: reader.framing,
    contentEncoding: reader.encoding,
    responseBytes: body.length,
    format: reader.format(),
    response: reader.facts(),
    notes: [...notes],
  })
  const whole = reader.wholeBody()
  return conclude(open, end, readRequest(open, requestBody), whole === undefined ? undefined : Buffer.concat(whole), {
    bodyBytes: bodyBytesMax,
  })
}
