/**
 * A sample LLM gateway: it answers as OpenAI, Anthropic, Gemini, Bedrock, Cohere and Ollama do on the wire, with token counts that depend on the request alone,
 * misbehaves for models named after their fault (`silent-1`, `cut-1`, `broken-1`, `strict-1`, `zero-1`, `error-429`), and keeps a list of
 * what it really sent, to compare records with.
 *
 * @example
 * const gateway = await startSampleGateway({ port: 0 })
 * await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body: '{"model":"gpt-4o","messages":[]}' })
 * console.log(gateway.sent[0].usage)
 * await gateway.close()
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Usage } from '../../src/lib/exchange.ts'
import { at, object, parseJson } from '../../src/lib/json.ts'
import { anthropicError, messages } from './anthropic.ts'
import { converse, isBedrock } from './bedrock.ts'
import { cohereChat } from './cohere.ts'
import { geminiError, generateContent, isGemini } from './gemini.ts'
import { ollamaChat } from './ollama.ts'
import { chat, completions, embeddings, models, openaiError } from './openai.ts'
import { type Pace, type Played, play } from './play.ts'
import { createRequestLog, type RequestLog } from './request-log.ts'
import { responses } from './responses.ts'
import type { Incoming, Script } from './script.ts'

export interface SampleGatewayOptions {
  /** 0, the default, lets the system choose. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Milliseconds between two events of a stream; default 0: as fast as it goes, each event by itself. */
  readonly eventMs?: number
  /** Compress for clients that accept gzip; default true. */
  readonly gzip?: boolean
  /** Where the gateway's own request log goes, with its bug (`request-log.ts`); default nowhere. */
  readonly logFile?: string
}

/** One answer as it left the gateway. */
export interface Sent {
  /** The answer's own id (`chatcmpl-…`, `msg_…`); `undefined` for errors and formats without one. */
  readonly id: string | undefined
  readonly path: string
  readonly model: string | undefined
  readonly streamed: boolean
  readonly status: number
  /** What the bytes that were sent say, input including cached tokens; `undefined` when they say nothing. */
  readonly usage: Usage | undefined
  readonly ended: Played['ended']
  /** Request headers as they arrived. */
  readonly requestHeaders: IncomingMessage['headers']
  /** Request body as it arrived. */
  readonly requestBody: string
}

export interface SampleGateway {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string
  readonly port: number
  /** In the order in which the answers ended. */
  readonly sent: readonly Sent[]
  /** Stops listening and breaks what is open. */
  close(): Promise<void>
}

/** Longest request body that is read. */
const bodyBytesMax = 32 * 1024 * 1024

type Route = (incoming: Incoming) => Script

const routes: Readonly<Record<string, Route>> = {
  'GET /v1/models': models,
  'POST /v1/chat/completions': chat,
  'POST /v1/completions': completions,
  'POST /v1/embeddings': embeddings,
  'POST /v1/responses': responses,
  'POST /v1/messages': messages,
  'POST /v2/chat': cohereChat,
  'POST /api/chat': ollamaChat,
}

export async function startSampleGateway(options: SampleGatewayOptions = {}): Promise<SampleGateway> {
  const { port = 0, host = '127.0.0.1', eventMs = 0, gzip = true } = options
  const sent: Sent[] = []
  const log = createRequestLog(options.logFile)
  let index = 0
  const server = createServer((request, response) => {
    answer({ request, response, pace: { eventMs, gzip }, index: index++, sent, log }).catch(() => response.destroy())
  })
  const realtime = await loadRealtime(eventMs)
  server.on('upgrade', (request, socket, head) => {
    const path = new URL(request.url ?? '/', 'http://gateway').pathname
    const { headers: requestHeaders } = request
    if (realtime?.claims(path) !== true) {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    realtime.accept(request, socket, head, index++, (talk) => {
      sent.push({ ...talk, path, streamed: true, status: 101, requestHeaders, requestBody: '' })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const bound = (server.address() as AddressInfo).port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    sent,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        realtime?.close()
        server.closeAllConnections()
      }),
  }
}

/** It needs the package `ws`, which is not there where tokenweir is installed as a package and only shows its demo. */
async function loadRealtime(eventMs: number) {
  try {
    return (await import('./realtime.ts')).createRealtime(eventMs)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

interface Answering {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly pace: Pace
  /** How many requests came before. */
  readonly index: number
  readonly sent: Sent[]
  readonly log: RequestLog
}

async function answer({ request, response, pace, index, sent, log }: Answering): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://gateway')
  const requestBody = await bodyOf(request)
  const body = object(parseJson(requestBody === '' ? '{}' : requestBody))
  const route = routeOf(request.method, url.pathname)
  const now = Math.floor(Date.now() / 1000)
  const script =
    route === undefined
      ? errorFor(url.pathname, 404)
      : body === undefined
        ? errorFor(url.pathname, 400)
        : route({ path: url.pathname, query: url.searchParams, body, index, now })
  const pieces = script.streamed ? log.streamed(script.pieces, script.status) : script.pieces
  const { ended, usage } = await play(script, pieces, request, response, pace)
  if (!script.streamed) log.plain(script.status, usage)
  const model = at(body, 'model')
  sent.push({
    id: script.id,
    path: url.pathname,
    model: typeof model === 'string' ? model : /\/models?\/([^/:]+)/.exec(url.pathname)?.[1],
    streamed: script.streamed,
    status: script.status,
    usage,
    ended,
    requestHeaders: request.headers,
    requestBody,
  })
}

function routeOf(method: string | undefined, path: string): Route | undefined {
  const exact = routes[`${method} ${path}`]
  if (exact !== undefined || method !== 'POST') return exact
  if (isGemini(path)) return generateContent
  return isBedrock(path) ? converse : undefined
}

function errorFor(path: string, status: number): Script {
  if (path.startsWith('/v1/messages')) return anthropicError(status)
  return path.startsWith('/v1beta/') ? geminiError(status) : openaiError(status)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > bodyBytesMax) throw new Error(`A request body is longer than ${bodyBytesMax} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
