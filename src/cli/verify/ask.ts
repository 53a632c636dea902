/** One small request to a model through the sidecar, and what a client sees of the answer. Its trace id is the mark by which it is found again. */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { at, parseJson, string } from '../../lib/json.ts'
import { createFold } from '../../observe/fold.ts'
import { chooseFraming, createFramer } from '../../observe/frames/choose.ts'

export type Api = 'chat' | 'responses' | 'messages'

export interface Question {
  /** Where clients connect, without a path. */
  readonly sidecar: URL
  readonly api: Api
  readonly path: string
  readonly model: string
  readonly streamed: boolean
  /** The client's own: credentials, and what a gateway wants to be told. */
  readonly headers: Readonly<Record<string, string>>
  /** W3C: 32 hex digits. */
  readonly traceId: string
  /** W3C: 16 hex digits. */
  readonly spanId: string
  readonly timeoutMs: number
}

/** What a client saw. */
export interface Answered {
  readonly status: number
  readonly contentType: string
  /** What the format learnt: id, whether the terminal event came, the error in a body. */
  readonly facts: ResponseFacts | undefined
  readonly streamed: boolean
  readonly messages: number
  readonly bytes: number
  readonly durationMs: number
  /** Value of the header by which the sidecar marks answers that it made itself. */
  readonly ownError: string | undefined
  /** The message of an error body, cut to a length that fits a line. */
  readonly errorMessage: string | undefined
}

export type Reply = Answered | { readonly failure: 'refused' | 'timeout' | 'broken'; readonly detail: string }

export const paths: Readonly<Record<Api, string>> = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
}

/** Small models that are likely to be there; `--model` names another. */
export const usualModels: Readonly<Record<Api, string>> = {
  chat: 'gpt-4o-mini',
  responses: 'gpt-4o-mini',
  messages: 'claude-haiku-4-5',
}

const prompt = 'Answer with the one word: yes.'
const errorCharsMax = 300
const bodyBytesMax = 16 * 1024 * 1024

function bodyOf({ api, model, streamed: stream }: Question): string {
  if (api === 'responses') return JSON.stringify({ model, input: prompt, stream })
  const messages = [{ role: 'user', content: prompt }]
  return JSON.stringify(api === 'messages' ? { model, max_tokens: 64, messages, stream } : { model, messages, stream })
}

/** Never rejects. */
export async function ask(question: Question): Promise<Reply> {
  const { sidecar, path, api, headers, traceId, spanId, timeoutMs } = question
  const begun = performance.now()
  try {
    const response = await fetch(new URL(sidecar.pathname.replace(/\/+$/, '') + path, sidecar), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(api === 'messages' ? { 'anthropic-version': '2023-06-01' } : {}),
        ...headers,
        traceparent: `00-${traceId}-${spanId}-01`,
      },
      body: bodyOf(question),
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'manual',
    })
    const body = Buffer.from(await response.arrayBuffer()).subarray(0, bodyBytesMax)
    return { ...read(question, response, body), durationMs: performance.now() - begun }
  } catch (error) {
    return failureOf(error as Error)
  }
}

function read({ path }: Question, response: Response, body: Buffer): Omit<Answered, 'durationMs'> {
  const contentType = response.headers.get('content-type') ?? ''
  const framing = chooseFraming({ contentType, arrayStream: false, firstBytes: body.subarray(0, 64) })
  const fold = createFold('POST', path.split('?', 1)[0] as string, Object.fromEntries(response.headers))
  let messages = 0
  const onMessage = ({ event, data }: { event: string | undefined; data: Buffer }) => {
    messages++
    fold.message(event, data)
  }
  const framer = createFramer(framing, { onMessage, onNote: () => undefined })
  framer.push(body)
  framer.end()
  const streamed = framing !== 'whole' && framing !== 'none'
  const whole = streamed || framing === 'none' ? undefined : parseJson(body.toString('utf8'))
  const facts = fold.facts()
  const message =
    string(at(whole, 'error', 'message')) ?? string(at(whole, 'error')) ?? string(at(whole, 'detail')) ?? string(at(whole, 'message'))
  return {
    status: response.status,
    contentType,
    facts: whole === undefined || facts === undefined ? facts : { ...facts, finished: true },
    streamed,
    messages,
    bytes: body.length,
    ownError: response.headers.get('x-tokenweir-error') ?? undefined,
    errorMessage: message?.slice(0, errorCharsMax),
  }
}

function failureOf(error: Error): Reply {
  const cause = (error.cause ?? error) as NodeJS.ErrnoException & { errors?: readonly NodeJS.ErrnoException[] }
  const code = cause.code ?? cause.errors?.[0]?.code
  if (error.name === 'TimeoutError') return { failure: 'timeout', detail: error.message }
  const unreachable = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']
  return { failure: code !== undefined && unreachable.includes(code) ? 'refused' : 'broken', detail: code ?? cause.message }
}
