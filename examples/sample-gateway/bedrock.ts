/** Bedrock Converse and ConverseStream, as bedrock-runtime answers them: Amazon's binary event-stream, the usage in its last event. */
import { crc32 } from 'node:zlib'
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type JsonObject } from '../../src/lib/json.ts'
import { idFrom } from './numbers.ts'
import { type Asked, type Incoming, jsonScript, type Piece, type Script, streamScript, tellsUsage, understand } from './script.ts'

const method = /^\/model\/([^/]+)\/(converse|converse-stream)$/

export function isBedrock(path: string): boolean {
  return method.test(path)
}

const failed = (status: number): Script =>
  jsonScript(
    undefined,
    undefined,
    { message: status === 429 ? 'Too many requests, please wait before trying again.' : 'Internal error.' },
    { status },
  )

export function converse(incoming: Incoming): Script {
  const [, model = '', verb] = method.exec(incoming.path) ?? []
  const { body } = incoming
  const asked = understand(incoming, {
    model: decodeURIComponent(model),
    streamed: verb === 'converse-stream',
    prompt: at(body, 'messages'),
    maxTokens: at(body, 'inferenceConfig', 'maxTokens'),
  })
  const { behaviour, words } = asked
  if (behaviour.kind === 'error') return failed(behaviour.status)
  if (behaviour.kind === 'broken' && !asked.streamed) return failed(500)
  const headers = { 'x-amzn-requestid': idFrom(asked.random, '', 32, true) }
  const stopReason = asked.counts.limited ? 'max_tokens' : 'end_turn'
  const { wire, usage } = usageOf(asked)
  if (!asked.streamed) {
    const output = { message: { role: 'assistant', content: [{ text: words.join('') }] } }
    return jsonScript(
      asked,
      undefined,
      { output, stopReason, ...wire },
      { usage, headers: { 'content-type': 'application/json', ...headers } },
    )
  }
  const pieces = [
    event('messageStart', { role: 'assistant' }),
    ...words.map((text) => event('contentBlockDelta', { contentBlockIndex: 0, delta: { text } })),
    event('contentBlockStop', { contentBlockIndex: 0 }),
    event('messageStop', { stopReason }),
    event('metadata', { ...wire, metrics: { latencyMs: 1234 } }, usage),
  ]
  const failure = [
    event('internalServerException', { message: 'The system encountered an unexpected error during processing.' }, undefined, true),
  ]
  return streamScript(asked, undefined, pieces, failure, { 'content-type': 'application/vnd.amazon.eventstream', ...headers })
}

/** `inputTokens` leaves the cached tokens out. */
function usageOf(asked: Asked): { readonly wire: JsonObject; readonly usage: Usage | undefined } {
  if (!tellsUsage(asked)) return { wire: {}, usage: undefined }
  const { input, output, cacheRead, cacheWrite } = asked.counts
  const wire = {
    inputTokens: input - cacheRead - cacheWrite,
    outputTokens: output,
    totalTokens: input + output,
    cacheReadInputTokens: cacheRead,
    cacheWriteInputTokens: cacheWrite,
  }
  const usage = {
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: cacheRead,
    cacheWriteTokens: cacheWrite,
    totalTokens: input + output,
  }
  return { wire: { usage: wire }, usage }
}

function event(type: string, payload: JsonObject, usage?: Usage, isException = false): Piece {
  const kind = isException ? 'exception' : 'event'
  return {
    text: frame(
      [
        [`:${kind}-type`, type],
        [':content-type', 'application/json'],
        [':message-type', kind],
      ],
      JSON.stringify(payload),
    ),
    usage,
  }
}

/** One message: https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html */
function frame(headers: readonly (readonly [name: string, value: string])[], payload: string): Buffer {
  const block = Buffer.concat(
    headers.map(([name, value]) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(Buffer.byteLength(value))
      return Buffer.concat([Buffer.of(name.length), Buffer.from(name), Buffer.of(7), length, Buffer.from(value)])
    }),
  )
  const body = Buffer.from(payload)
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32BE(16 + block.length + body.length, 0)
  lengths.writeUInt32BE(block.length, 4)
  const unsigned = Buffer.concat([lengths, checksum(lengths), block, body])
  return Buffer.concat([unsigned, checksum(unsigned)])
}

function checksum(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return sum
}
