/** Gemini generateContent and streamGenerateContent, as generativelanguage.googleapis.com answers them. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type Json, type JsonObject } from '../../src/lib/json.ts'
import { idFrom } from './numbers.ts'
import { type Asked, type Incoming, jsonScript, type Piece, type Script, streamScript, tellsUsage, understand } from './script.ts'

const statuses: Readonly<Record<number, readonly [status: string, message: string]>> = {
  400: ['INVALID_ARGUMENT', 'Request contains an invalid argument.'],
  401: ['UNAUTHENTICATED', 'API key not valid. Please pass a valid API key.'],
  404: ['NOT_FOUND', 'The model is not found for API version v1beta.'],
  429: ['RESOURCE_EXHAUSTED', 'You exceeded your current quota.'],
  503: ['UNAVAILABLE', 'The model is overloaded. Please try again later.'],
}

function errorBody(status: number): Json {
  const [name, message] = statuses[status] ?? ['INTERNAL', 'An internal error has occurred.']
  return { error: { code: status, message, status: name } }
}

/** A stream that would have been a JSON array fails as an array, too. */
export function geminiError(status: number, asArray = false): Script {
  return jsonScript(undefined, undefined, asArray ? [errorBody(status)] : errorBody(status), { status })
}

const method = /\/models\/([^/:]+):(generateContent|streamGenerateContent)$/

export function isGemini(path: string): boolean {
  return method.test(path)
}

export function generateContent(incoming: Incoming): Script {
  const { body } = incoming
  const [, model, name] = method.exec(incoming.path) ?? []
  const maxTokens = at(body, 'generationConfig', 'maxOutputTokens')
  const asked = understand(incoming, { model, streamed: name === 'streamGenerateContent', prompt: at(body, 'contents'), maxTokens })
  const asArray = asked.streamed && asked.query.get('alt') !== 'sse'
  if (asked.behaviour.kind === 'error') return geminiError(asked.behaviour.status, asArray)
  if (asked.behaviour.kind === 'broken' && !asked.streamed) return geminiError(500)
  const id = idFrom(asked.random, '', 22)
  if (asked.streamed) return stream(asked, id)
  const usage = tellsUsage(asked) ? usageOf(asked, asked.counts.output - asked.counts.reasoning).usage : undefined
  const headers = { 'content-type': 'application/json; charset=UTF-8' }
  return jsonScript(asked, id, chunk(asked, id, asked.words.join(''), true, asked.words.length), { usage, headers })
}

/** Every chunk repeats the usage so far. Without `alt=sse` the stream is one JSON array, element by element. */
function stream(asked: Asked, id: string): Script {
  const { words } = asked
  const asEvents = asked.query.get('alt') === 'sse'
  const contents = words.map((word, index) => chunk(asked, id, word, index === words.length - 1, index + 1))
  const pieces = contents.map((content, index): Piece => {
    const usage = tellsUsage(asked) ? usageSoFar(asked, index + 1).usage : undefined
    if (asEvents) return { text: event(content), usage }
    const last = index === contents.length - 1 && asked.behaviour.kind !== 'broken'
    return { text: `${index === 0 ? '[' : ',\r\n'}${JSON.stringify(content, null, 2)}${last ? '\n]\n' : '\n'}`, usage }
  })
  const failure = asEvents ? event(errorBody(503)) : `,\r\n${JSON.stringify(errorBody(503), null, 2)}\n]\n`
  const type = asEvents ? 'text/event-stream' : 'application/json; charset=UTF-8'
  return streamScript(asked, id, pieces, [{ text: failure }], { 'content-type': type })
}

const event = (data: Json): string => `data: ${JSON.stringify(data)}\r\n\r\n`

function chunk(asked: Asked, id: string, text: string, last: boolean, wordsSoFar: number): JsonObject {
  const finish = last ? { finishReason: asked.counts.limited ? 'MAX_TOKENS' : 'STOP' } : {}
  return {
    candidates: [{ content: { parts: [{ text }], role: 'model' }, ...finish, index: 0 }],
    ...(tellsUsage(asked) ? { usageMetadata: usageSoFar(asked, wordsSoFar).wire } : {}),
    modelVersion: asked.model,
    responseId: id,
  }
}

/** Usage after so many words: the answer's tokens are spread over them, and the last has them all. */
function usageSoFar(asked: Asked, wordsSoFar: number): { readonly wire: JsonObject; readonly usage: Usage } {
  const answerTokens = asked.counts.output - asked.counts.reasoning
  return usageOf(asked, wordsSoFar >= asked.words.length ? answerTokens : Math.floor((answerTokens * wordsSoFar) / asked.words.length))
}

/** Counts that are zero are left out, as protocol buffers have it. */
function usageOf({ counts }: Asked, candidates: number): { readonly wire: JsonObject; readonly usage: Usage } {
  const totalTokens = counts.input + candidates + counts.reasoning
  const cached = counts.cacheRead > 0
  const thought = counts.reasoning > 0
  return {
    wire: {
      promptTokenCount: counts.input,
      candidatesTokenCount: candidates,
      totalTokenCount: totalTokens,
      ...(cached ? { cachedContentTokenCount: counts.cacheRead } : {}),
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: counts.input }],
      ...(thought ? { thoughtsTokenCount: counts.reasoning } : {}),
    },
    usage: {
      inputTokens: counts.input,
      outputTokens: candidates + counts.reasoning,
      cacheReadTokens: cached ? counts.cacheRead : undefined,
      reasoningTokens: thought ? counts.reasoning : undefined,
      totalTokens,
    },
  }
}
