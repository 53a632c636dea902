/**
 * OpenAI Realtime (text only) and Responses over a WebSocket, as api.openai.com speaks them: one connection, many responses, the usage of
 * each in its last event.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type Json, type JsonObject, object, parseJson, string } from '../../src/lib/json.ts'
import { countsOf, idFrom, randomFrom, seedOf, wordsOf } from './numbers.ts'
import { responses } from './responses.ts'

/** What went over one connection. */
export interface Talk {
  readonly id: string | undefined
  readonly model: string | undefined
  /** The sum over its responses. */
  readonly usage: Usage | undefined
  /** The client said goodbye, or was just gone. */
  readonly ended: 'whole' | 'client-left'
}

export interface Realtime {
  claims(path: string): boolean
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, index: number, onEnd: (talk: Talk) => void): void
  close(): void
}

interface Event {
  readonly data: JsonObject
  readonly usage?: Usage | undefined
}

export function createRealtime(eventMs: number): Realtime {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 } })
  return {
    claims: (path) => path === '/v1/realtime' || path === '/v1/responses',
    accept(request, socket, head, index, onEnd) {
      server.handleUpgrade(request, socket, head, (connection) => talk(connection, request, { index, eventMs }, onEnd))
    },
    close() {
      for (const connection of server.clients) connection.terminate()
    },
  }
}

interface Setting {
  readonly index: number
  readonly eventMs: number
}

function talk(connection: WebSocket, request: IncomingMessage, { index, eventMs }: Setting, onEnd: (talk: Talk) => void): void {
  const url = new URL(request.url ?? '/', 'http://gateway')
  const isRealtime = url.pathname === '/v1/realtime'
  const random = randomFrom(seedOf(url.href, String(index)))
  const session = { id: idFrom(random, 'sess_', 21), object: 'realtime.session', type: 'realtime', output_modalities: ['text'] }
  let model = url.searchParams.get('model') ?? undefined
  let usage: Usage | undefined
  let heard = ''
  let turns = Promise.resolve()
  const send = (data: JsonObject) => connection.readyState === connection.OPEN && connection.send(JSON.stringify(data))
  const play = async (events: readonly Event[]) => {
    for (const event of events) {
      if (connection.readyState !== connection.OPEN) return
      send(event.data)
      usage = sumOf(usage, event.usage)
      await (eventMs > 0 ? setTimeout(eventMs) : setImmediate())
    }
  }
  connection.on('message', (data) => {
    const message = object(parseJson(data.toString())) ?? {}
    const type = string(message['type'])
    model = string(at(message, 'session', 'model')) ?? string(message['model']) ?? model
    if (type === 'session.update') send({ type: 'session.updated', session: { ...session, model } })
    else if (type === 'conversation.item.create') heard = JSON.stringify(message['item'] ?? '')
    else if (type === 'response.create') {
      const asked = isRealtime ? spoken(model ?? 'unnamed', heard, random) : written(message, index)
      turns = turns.then(() => play(asked))
    }
  })
  connection.on('error', () => undefined)
  connection.on('close', (code) => {
    onEnd({ id: isRealtime ? session.id : undefined, model, usage, ended: code === 1006 ? 'client-left' : 'whole' })
  })
  if (isRealtime) send({ type: 'session.created', session: { ...session, model } })
}

/** The events of a response on a Realtime connection. */
function spoken(model: string, prompt: string, random: () => number): readonly Event[] {
  const counts = countsOf(model, prompt, undefined)
  const id = idFrom(random, 'resp_', 21)
  const response = { id, object: 'realtime.response', status: 'in_progress', output: [] }
  const place = { response_id: id, item_id: idFrom(random, 'item_', 21), output_index: 0, content_index: 0 }
  const totalTokens = counts.input + counts.output
  const wire = {
    total_tokens: totalTokens,
    input_tokens: counts.input,
    output_tokens: counts.output,
    input_token_details: { text_tokens: counts.input, audio_tokens: 0, image_tokens: 0, cached_tokens: counts.cacheRead },
    output_token_details: { text_tokens: counts.output, audio_tokens: 0 },
  }
  const usage = { inputTokens: counts.input, outputTokens: counts.output, cacheReadTokens: counts.cacheRead, totalTokens }
  return [
    { data: { type: 'response.created', response } },
    ...wordsOf(model, prompt, counts).map((delta) => ({ data: { type: 'response.output_text.delta', ...place, delta } })),
    { data: { type: 'response.done', response: { ...response, status: 'completed', usage: wire } }, usage },
  ]
}

/** The events of a streamed answer to `POST /v1/responses`, each as a message. */
function written({ type: _type, ...body }: JsonObject, index: number): readonly Event[] {
  const incoming = { path: '/v1/responses', query: new URLSearchParams(), body: { ...body, stream: true }, index, now: 1_790_000_000 }
  return responses(incoming).pieces.map(({ text, usage }) => ({ data: dataOf(String(text)), usage }))
}

function dataOf(event: string): JsonObject {
  const data: Json | undefined = parseJson(/^data: (.*)$/m.exec(event)?.[1] ?? event)
  return object(data) ?? {}
}

function sumOf(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  if (one === undefined || other === undefined) return one ?? other
  const sum = { ...one } as Record<string, number>
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + (count ?? 0)
  return sum
}
