/** Sends a script as an HTTP answer: paced, compressed when asked, cut when told to. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import type { Usage } from '../../src/lib/exchange.ts'
import type { Piece, Script } from './script.ts'

export interface Played {
  /** `failed`: with an error event after 200. `client-left`: the client closed before the last byte was written. */
  readonly ended: 'whole' | 'failed' | 'cut' | 'client-left'
  /** What a reader of everything that was sent knows. */
  readonly usage: Usage | undefined
}

export interface Pace {
  /** Milliseconds between two events of a stream. */
  readonly eventMs: number
  /** Whether to honour `Accept-Encoding: gzip`. */
  readonly gzip: boolean
}

/** `pieces` are those of the script, one after the other. */
export async function play(
  script: Script,
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
  request: IncomingMessage,
  response: ServerResponse,
  pace: Pace,
): Promise<Played> {
  const compressed = pace.gzip && /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(String(request.headers['accept-encoding'] ?? ''))
  const encoding: Record<string, string> = compressed ? { 'content-encoding': 'gzip', vary: 'accept-encoding' } : {}
  const plainLength = script.streamed || compressed ? {} : { 'content-length': String(Buffer.byteLength(textOf(script))) }
  response.writeHead(script.status, { ...script.headers, ...encoding, ...plainLength })
  let left = false
  response.once('close', () => {
    left = !response.writableFinished
  })
  const body = compressed ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : response
  if (body !== response) body.pipe(response)

  let usage: Usage | undefined
  const until = script.cutAfter ?? script.pieces.length
  let written = 0
  for await (const piece of until > 0 ? pieces : []) {
    if (written > 0) await (pace.eventMs > 0 ? setTimeout(pace.eventMs) : setImmediate())
    if (left) return { ended: 'client-left', usage }
    await write(body, piece.text)
    usage = piece.usage ?? usage
    if (++written === until) break // that was the last event: nobody waits for more
  }
  if (script.cutAfter !== undefined) return await cut(script, body, response, usage)
  body.end()
  if (!response.writableFinished && !response.closed) await Promise.race([once(response, 'finish'), once(response, 'close')])
  return { ended: !response.writableFinished ? 'client-left' : script.failed === true ? 'failed' : 'whole', usage }
}

/** Breaks the connection so that everything written before has arrived. */
async function cut(script: Script, body: Writable, response: ServerResponse, usage: Usage | undefined): Promise<Played> {
  if (!script.streamed) {
    const text = textOf(script)
    await write(body, text.slice(0, text.length / 2))
  }
  await setTimeout(20)
  response.destroy()
  return { ended: 'cut', usage }
}

async function write(body: Writable, text: string | Buffer): Promise<void> {
  if (body.destroyed) return
  if (!body.write(text) && !body.destroyed) await Promise.race([once(body, 'drain'), once(body, 'close')])
}

function textOf(script: Script): string {
  return script.pieces.map(({ text }) => text).join('')
}
